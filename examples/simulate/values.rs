//! Values as the command line has them.

use std::{ops::RangeInclusive, time::Duration};

use crate::command_line::CommandLine;

/// What is said of a value that a flag can't have.
pub(crate) fn wrong(flag: &str, value: &str, why: impl std::fmt::Display) -> String {
    format!("invalid {flag} '{}': {why}", value.escape_debug())
}

/// Of what is no number: none, which is in no range.
pub(crate) fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// Of what is no whole number, or too large: the greatest, which is out of all ranges.
pub(crate) fn whole(text: &str) -> u32 {
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| text.parse().ok()).flatten().unwrap_or(u32::MAX)
}

/// Of what is no time, or too long: the longest, which is out of all ranges.
pub(crate) fn time(text: &str) -> Duration {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let seconds = number.parse().unwrap_or(f64::NAN) * unit;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// The whole number that a flag gives, within its range; without the flag another.
pub(crate) fn count(line: &CommandLine, flag: &str, range: RangeInclusive<u32>, otherwise: u32) -> Result<u32, String> {
    let Some(text) = line.text(flag) else {
        return Ok(otherwise);
    };
    let (least, most) = (range.start(), range.end());
    let number = Some(whole(&text)).filter(|number| range.contains(number));
    number.ok_or_else(|| wrong(flag, &text, format!("expected a whole number from {least} to {most}")))
}
