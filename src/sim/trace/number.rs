//! Times as decimal numbers, read without a float between: a Unix time in nanoseconds has more digits than an `f64`.

use super::error::echo;

/// Nanoseconds of the latest arrival: 285 years from what it counts from, such that the difference of any two fits.
pub(super) const LATEST: u64 = 9_000_000_000 * NANOS;
/// Nanoseconds of the longest service: a day.
pub(super) const LONGEST_SERVICE: u64 = 86_400 * NANOS;
/// Nanoseconds of a second.
pub(super) const NANOS: u64 = 1_000_000_000;

/// What a number counts.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
}

impl Unit {
    /// How many nanoseconds it is, as a power of ten.
    fn power(self) -> u32 {
        match self {
            Self::Seconds => 9,
            Self::Milliseconds => 6,
            Self::Microseconds => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
        }
    }

    /// The number in nanoseconds, the next one if it is between two; else what is wrong with it. `most` is in
    /// nanoseconds, too.
    pub(super) fn nanoseconds(self, text: &str, most: u64) -> Result<u64, String> {
        let nanoseconds = self.read(text).filter(|nanoseconds| *nanoseconds <= most);
        nanoseconds.ok_or_else(|| {
            let (found, name, most) = (echo(text), self.name(), most / 10_u64.pow(self.power()));
            format!("{found} is no number of {name} from 0 to {most}")
        })
    }

    fn read(self, text: &str) -> Option<u64> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        // The power of ten of the digit at hand, once it counts nanoseconds.
        let mut power = i64::from(exponent) + i64::from(self.power()) + whole.len() as i64;
        let mut sum = 0_u64;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = char::from(byte).to_digit(10)?;
            power -= 1;
            let nanoseconds = match u32::try_from(power) {
                _ if digit == 0 => 0,
                Ok(power) => 10_u64.checked_pow(power)?.checked_mul(digit.into())?,
                // Half a nanosecond and more is a whole one.
                Err(_) => u64::from(power == -1 && digit >= 5),
            };
            sum = sum.checked_add(nanoseconds)?;
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_to_the_nanosecond() {
        for (text, unit, nanoseconds) in [
            ("0", Unit::Seconds, 0),
            ("0.0", Unit::Seconds, 0),
            ("1", Unit::Seconds, 1_000_000_000),
            ("1.", Unit::Seconds, 1_000_000_000),
            (".5", Unit::Seconds, 500_000_000),
            ("0001.5000", Unit::Seconds, 1_500_000_000),
            ("1.5", Unit::Milliseconds, 1_500_000),
            ("1.5", Unit::Microseconds, 1_500),
            // An f64 has 1700000000.1234567165….
            ("1700000000.123456789", Unit::Seconds, 1_700_000_000_123_456_789),
            ("1700000000123456.789", Unit::Microseconds, 1_700_000_000_123_456_789),
            ("1e-05", Unit::Seconds, 10_000),
            ("2.5E+3", Unit::Microseconds, 2_500_000),
            ("0.0000000004999", Unit::Seconds, 0),
            ("0.0000000005", Unit::Seconds, 1),
            ("0.9999999999", Unit::Seconds, 1_000_000_000),
            ("0e2147483647", Unit::Seconds, 0),
            ("1e-2147483648", Unit::Seconds, 0),
            ("9000000000", Unit::Seconds, LATEST),
        ] {
            assert_eq!(unit.nanoseconds(text, LATEST), Ok(nanoseconds), "{text}");
        }
    }

    #[test]
    fn what_is_none_or_out_of_range_is_refused() {
        for text in [
            "",
            ".",
            "-1",
            "-0.5",
            "+1",
            "e",
            "e5",
            "1e",
            "1e+",
            "1e5.5",
            "1e99999999999",
            "1e2147483647",
            "1.2.3",
            "1,5",
            "1 000",
            "1_000",
            "0x10",
            "NaN",
            "nan",
            "inf",
            "-inf",
            "infinity",
            "٣",
            "1s",
            "86400.000000001",
            "1e300",
            "99999999999999999999999999",
        ] {
            let error = Unit::Seconds.nanoseconds(text, LONGEST_SERVICE).unwrap_err();
            assert_eq!(error, format!("'{text}' is no number of seconds from 0 to 86400"));
        }
        let error = Unit::Microseconds
            .nanoseconds("86400000001", LONGEST_SERVICE)
            .unwrap_err();
        assert_eq!(
            error,
            "'86400000001' is no number of microseconds from 0 to 86400000000"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanoseconds in 0..=LATEST) {
            let (seconds, rest) = (nanoseconds / NANOS, nanoseconds % NANOS);
            prop_assert_eq!(Unit::Seconds.nanoseconds(&format!("{seconds}.{rest:09}"), LATEST), Ok(nanoseconds));
            let (milliseconds, rest) = (nanoseconds / 1_000_000, nanoseconds % 1_000_000);
            let text = format!("{milliseconds}.{rest:06}");
            prop_assert_eq!(Unit::Milliseconds.nanoseconds(&text, LATEST), Ok(nanoseconds));
            prop_assert_eq!(Unit::Microseconds.nanoseconds(&format!("{nanoseconds}e-3"), LATEST), Ok(nanoseconds));
        }

        #[test]
        fn floats_are_read_as_they_are_printed(seconds in 0.0..1e4_f64) {
            for text in [format!("{seconds}"), format!("{seconds:e}")] {
                let read = Unit::Seconds.nanoseconds(&text, LATEST).unwrap();
                prop_assert!((read as f64 / 1e9 - seconds).abs() < 1e-9, "{}: {}", text, read);
            }
        }
    }
}
