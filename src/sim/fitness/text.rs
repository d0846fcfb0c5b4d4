//! Mechanisms as text.

use std::{fmt, str::FromStr, time::Duration};

use super::{Check, Depth, Fitness, WINDOW};
use crate::health::CheckError;

/// Why a text is no [`Fitness`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FitnessError {
    /// There is no such mechanism, or it is named twice.
    Mechanism(String),
    /// A parameter that it does not have, or a value that this can't have.
    Parameter {
        /// Of which mechanism.
        mechanism: &'static str,
        /// What was said.
        text: String,
        /// What can be.
        expected: &'static str,
    },
    /// A value of the health check that is out of its range.
    Check(CheckError),
}

const CHECK: &str =
    "depth=shallow, depth=deep, interval= and timeout= with a time such as 500ms, rise= and fall= with a number";
const WINDOWS: &str = "window= and a time such as 30s";
const PERCENTAGES: &str = "percent= and a whole number from 0 to 100";

impl FromStr for Fitness {
    type Err = FitnessError;

    fn from_str(text: &str) -> Result<Self, FitnessError> {
        let mut fitness = Self::new();
        if text.trim() == "none" {
            return Ok(fitness);
        }
        for mechanism in parts(text) {
            let unknown = || FitnessError::Mechanism(excerpt(mechanism));
            let (name, parameters) = named(mechanism).ok_or_else(unknown)?;
            fitness = match name {
                "health" if fitness.check.is_none() => fitness.with_check(check(&parameters)?),
                "outliers" if !fitness.outliers && parameters.is_empty() => fitness.with_outlier_detection(),
                "slow_start" if fitness.slow_start.is_none() => {
                    let window = only(&parameters, "window", time).map_err(wrong("slow_start", WINDOWS))?;
                    fitness.with_slow_start(window.unwrap_or(WINDOW))
                }
                "panic" if fitness.panic.is_none() => {
                    let wrong = wrong("panic", PERCENTAGES);
                    let percent = only(&parameters, "percent", |text| {
                        whole(text).filter(|percent| *percent <= 100)
                    });
                    let percent = percent.and_then(|percent| percent.ok_or("")).map_err(wrong)?;
                    fitness.with_panic_threshold(percent)
                }
                _ => return Err(unknown()),
            };
        }
        Ok(fitness)
    }
}

/// What is between plus signs that are in no parentheses.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == '+' && depth <= 0
    })
    .map(str::trim)
}

/// The name, and the parameters in the parentheses behind it.
fn named(mechanism: &str) -> Option<(&str, Vec<&str>)> {
    let Some((name, rest)) = mechanism.split_once('(') else {
        return Some((mechanism, Vec::new()));
    };
    let list = rest.strip_suffix(')')?.trim();
    let parameters = list.split(',').map(str::trim).filter(|_| !list.is_empty());
    Some((name.trim_end(), parameters.collect()))
}

fn wrong(mechanism: &'static str, expected: &'static str) -> impl Fn(&str) -> FitnessError {
    move |text| FitnessError::Parameter {
        mechanism,
        text: excerpt(text),
        expected,
    }
}

/// The value of the only parameter that there may be; else the one that is wrong.
fn only<'a, T>(parameters: &[&'a str], name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, &'a str> {
    match parameters {
        [] => Ok(None),
        [first, rest @ ..] => {
            let value = first.split_once('=').filter(|(key, _)| key.trim_end() == name);
            let value = value.and_then(|(_, value)| read(value.trim_start())).ok_or(*first)?;
            rest.first().map_or(Ok(Some(value)), |more| Err(*more))
        }
    }
}

fn check(parameters: &[&str]) -> Result<Check, FitnessError> {
    let mut check = Check::new(Depth::Shallow);
    let mut seen = Vec::new();
    for parameter in parameters {
        let wrong = || wrong("health", CHECK)(parameter);
        let (key, value) = parameter.split_once('=').ok_or_else(wrong)?;
        let (key, value) = (key.trim_end(), value.trim_start());
        if seen.contains(&key) {
            return Err(wrong());
        }
        seen.push(key);
        let changed = match (key, value) {
            ("depth", "shallow") => Ok(check),
            ("depth", "deep") => Ok(Check {
                depth: Depth::Deep,
                ..check
            }),
            ("interval", value) => check.with_interval(time(value).ok_or_else(wrong)?),
            ("timeout", value) => check.with_timeout(time(value).ok_or_else(wrong)?),
            ("rise", value) => check.with_rise(whole(value).ok_or_else(wrong)?),
            ("fall", value) => check.with_fall(whole(value).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        };
        check = changed.map_err(FitnessError::Check)?;
    }
    Ok(check)
}

fn whole(text: &str) -> Option<u32> {
    let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| text.parse().ok()).flatten()
}

fn time(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

impl fmt::Display for Fitness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mechanisms = Vec::new();
        if let Some(check) = &self.check {
            mechanisms.push(format!("health{}", listed(&told(check))));
        }
        if self.outliers {
            mechanisms.push("outliers".to_owned());
        }
        if let Some(window) = self.slow_start {
            let window = (window != WINDOW).then(|| format!("window={window:?}"));
            mechanisms.push(format!("slow_start{}", listed(window.as_slice())));
        }
        if let Some(percent) = self.panic {
            mechanisms.push(format!("panic(percent={percent})"));
        }
        if mechanisms.is_empty() {
            mechanisms.push("none".to_owned());
        }
        f.write_str(&mechanisms.join("+"))
    }
}

/// What is not as it is unless said otherwise.
fn told(check: &Check) -> Vec<String> {
    let usual = Check::new(Depth::Shallow);
    let depth = (check.depth == Depth::Deep).then(|| "depth=deep".to_owned());
    let time = |name, time: Duration, usual| (time != usual).then(|| format!("{name}={time:?}"));
    let count = |name, count: u32, usual| (count != usual).then(|| format!("{name}={count}"));
    let told = [
        depth,
        time("interval", check.interval, usual.interval),
        time("timeout", check.timeout, usual.timeout),
        count("rise", check.rise, usual.rise),
        count("fall", check.fall, usual.fall),
    ];
    told.into_iter().flatten().collect()
}

fn listed(parameters: &[String]) -> String {
    if parameters.is_empty() {
        String::new()
    } else {
        format!("({})", parameters.join(","))
    }
}

impl fmt::Display for FitnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mechanism(text) => write!(
                f,
                "invalid mechanism '{text}': expected none, or each once of health, outliers, slow_start and panic(percent=N), \
                 with + between them"
            ),
            Self::Parameter {
                mechanism,
                text,
                expected,
            } => write!(f, "invalid parameter '{text}' of {mechanism}: expected {expected}"),
            Self::Check(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FitnessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Check(error) => Some(error),
            Self::Mechanism(_) | Self::Parameter { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "none",
            "health",
            "outliers",
            "slow_start",
            "slow_start(window=1.5s)",
            "panic(percent=0)",
            "health(depth=deep)+outliers",
            "health(depth=deep,interval=250ms,timeout=1.5ms,rise=1,fall=9)+outliers+slow_start(window=5s)+panic(percent=100)",
        ] {
            assert_eq!(text.parse::<Fitness>().unwrap().to_string(), text);
        }
        for (text, told) in [
            (" outliers + health( ) ", "health+outliers"),
            ("health( depth = shallow , interval=5s)", "health"),
            ("slow_start(window=0.5m)", "slow_start"),
            ("panic( percent = 7 )", "panic(percent=7)"),
        ] {
            assert_eq!(text.parse::<Fitness>().unwrap().to_string(), told);
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, told) in [
            ("", "invalid mechanism '': expected none, or each once of health, "),
            ("none+health", "invalid mechanism 'none'"),
            ("health+", "invalid mechanism ''"),
            ("health+health", "invalid mechanism 'health'"),
            ("outliers(x=1)", "invalid mechanism 'outliers(x=1)'"),
            ("health(depth=deep", "invalid mechanism 'health(depth=deep'"),
            ("hea\nlth", "invalid mechanism 'hea\\nlth'"),
            (
                "health(depth=none)",
                "invalid parameter 'depth=none' of health: expected depth=shallow, ",
            ),
            ("health(deep)", "invalid parameter 'deep' of health"),
            ("health(rise=1,rise=2)", "invalid parameter 'rise=2' of health"),
            ("health(rise=+1)", "invalid parameter 'rise=+1' of health"),
            ("health(interval=5)", "invalid parameter 'interval=5' of health"),
            ("health(interval=-5s)", "invalid parameter 'interval=-5s' of health"),
            (
                "health(interval=0s)",
                "invalid interval '0ns' of a health check: expected from 1 ms to 24 h",
            ),
            (
                "health(fall=0)",
                "invalid fall '0' of a health check: expected 1 or more",
            ),
            (
                "slow_start(30s)",
                "invalid parameter '30s' of slow_start: expected window= and a time such as 30s",
            ),
            ("slow_start(window=1s,x)", "invalid parameter 'x' of slow_start"),
            (
                "panic",
                "invalid parameter '' of panic: expected percent= and a whole number from 0 to 100",
            ),
            ("panic(percent=101)", "invalid parameter 'percent=101' of panic"),
        ] {
            let error = text.parse::<Fitness>().unwrap_err().to_string();
            assert!(error.starts_with(told), "{text}: {error}");
        }
    }
}
