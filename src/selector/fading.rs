//! Numbers that fade while nothing is heard, each with its time in one word.

use std::{
    f32::consts::LN_2,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// When a number is read or changed, in the lower 32 bits of a time in whole ticks, and how fast it fades.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) ticks: u32,
    /// How often a number halves in a tick.
    pub(super) halvings: f32,
}

impl Moment {
    /// What is left after the time since: 1 at once, towards 0 later.
    #[inline]
    pub(super) fn left(self, since: u32) -> f32 {
        // What another thread has written a little later than this one looked at the time is not as old as can be.
        const SKEW: u32 = 3_600_000;
        let age = self.ticks.wrapping_sub(since);
        let age = if age > u32::MAX - SKEW { 0 } else { age };
        halved(age as f32 * self.halvings)
    }
}

/// 2^−`times`, within 1 in 1,000; of 0 it is 1. A tenth of what `exp` takes, for every member that is compared.
#[inline]
fn halved(times: f32) -> f32 {
    /// From here on floats have no fractions: adding it rounds, and leaves the whole number in the lower bits.
    const WHOLE: f32 = (1 << 23) as f32;
    if times > 125.0 {
        return f32::MIN_POSITIVE;
    }
    let rounded = times + WHOLE;
    let part = times - (rounded - WHOLE);
    // √½ at ½ and √2 at −½, so that there is no step from one whole number to the next.
    let power = 1.0 + part * (part * (0.242_640_69 - part * 0.055_838_4) - LN_2);
    let whole = rounded.to_bits() - WHOLE.to_bits();
    f32::from_bits((127 - whole) << 23) * power
}

/// A number above 0, and as of when, in one word so that both change together: the bits of a 32-bit float, and the lower
/// 32 of a time in ticks. 0 is none. When all ticks have gone round, a number is for a while taken for as much as it was.
#[derive(Debug, Default)]
pub(super) struct Fading(AtomicU64);

impl Fading {
    /// Whether there is none.
    #[inline]
    pub(super) fn is_none(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    /// As it has faded; nothing is written.
    #[inline]
    pub(super) fn read(&self, now: Moment) -> Option<f32> {
        let (number, since) = unpack(self.0.load(Relaxed))?;
        Some(number * now.left(since))
    }

    /// The same; if that is less than `least`, none, from now on for everybody.
    #[inline]
    pub(super) fn read_from(&self, least: f32, now: Moment) -> Option<f32> {
        let word = self.0.load(Relaxed);
        let (number, since) = unpack(word)?;
        let left = number * now.left(since);
        if left < least {
            // Unless it was changed in between; and if this fails, the next to read tries again.
            let _ = self.0.compare_exchange(word, 0, Relaxed, Relaxed);
            return None;
        }
        Some(left)
    }

    /// From the number and as of when to what they are from now on; none to leave them.
    pub(super) fn change(&self, change: impl Fn(Option<(f32, u32)>) -> Option<(f32, u32)>) {
        let pack =
            |(number, since): (f32, u32)| u64::from(number.max(f32::MIN_POSITIVE).to_bits()) << 32 | u64::from(since);
        // It fails only if nothing is to change.
        let _ = self
            .0
            .fetch_update(Relaxed, Relaxed, |word| change(unpack(word)).map(pack));
    }
}

#[inline]
fn unpack(word: u64) -> Option<(f32, u32)> {
    (word != 0).then(|| (f32::from_bits((word >> 32) as u32), word as u32))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn fading_is_exponential_and_never_goes_up() {
        let mut last = 1.0;
        assert_eq!(halved(0.0), 1.0);
        for times in (0..300_000).map(|step| step as f32 / 1_000.0) {
            let left = halved(times);
            let exact = (-times).exp2();
            assert!(
                (left - exact).abs() <= exact / 1_000.0 || times > 125.0,
                "2^-{times}: {left}"
            );
            assert!(left <= last, "it goes up at {times}");
            last = left;
        }
    }

    #[test]
    fn what_has_faded_is_forgotten_unless_it_was_changed() {
        let at = |ticks| Moment { ticks, halvings: 1.0 };
        let fading = Fading::default();
        assert_eq!(fading.read(at(0)), None);
        fading.change(|_| Some((8.0, 100)));
        assert_eq!(fading.read_from(1.0, at(103)), Some(1.0));
        // By another thread's time it may not have been yet.
        assert_eq!(fading.read(at(99)), Some(8.0));
        assert!(!fading.is_none());
        assert_eq!(fading.read_from(1.0, at(104)), None);
        assert!(fading.is_none());
        fading.change(|last| last.map(|_| (1.0, 0)));
        assert!(fading.is_none());
    }
}
