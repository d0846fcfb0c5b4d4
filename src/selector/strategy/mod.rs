//! The strategies by name, for configuration files and command lines.

use std::{fmt, str::FromStr};

use super::{AnySelector, Choices, LeastLoaded, Random, RoundRobin};
use crate::backend::Backend;

/// A selector by its name and parameters: `random`, `round_robin`, `least_loaded`, `least_loaded(d=2)`.
///
/// ```
/// use equipoise::Strategy;
///
/// let strategy: Strategy = "least_loaded(d=2)".parse()?;
/// assert_eq!(strategy.to_string(), "least_loaded(d=2)");
///
/// let wrong = "least_loaded(d=0)".parse::<Strategy>().unwrap_err();
/// assert_eq!(wrong.to_string(), "invalid d '0' of strategy least_loaded: expected a whole number from 1 to 32");
/// # Ok::<_, equipoise::StrategyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// [`Random`].
    Random,
    /// [`RoundRobin`].
    RoundRobin,
    /// [`LeastLoaded`].
    LeastLoaded(LeastLoaded),
}

impl Strategy {
    /// Every strategy, with its default parameters: for the help of a command line.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::LeastLoaded(LeastLoaded::new()), Self::RoundRobin, Self::Random].into_iter()
    }

    /// The name, without parameters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::RoundRobin => "round_robin",
            Self::LeastLoaded(_) => "least_loaded",
        }
    }

    /// The selector.
    pub fn selector<B: Backend>(&self) -> AnySelector<B> {
        match self {
            Self::Random => AnySelector::new(Random::new()),
            Self::RoundRobin => AnySelector::new(RoundRobin::new()),
            Self::LeastLoaded(selector) => AnySelector::new(*selector),
        }
    }
}

impl Default for Strategy {
    fn default() -> Self {
        Self::LeastLoaded(LeastLoaded::new())
    }
}

/// The text that [`from_str`](Strategy::from_str) reads; parameters only where they are not the default.
impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::LeastLoaded(selector) if *selector != LeastLoaded::new() => {
                write!(f, "(d={})", selector.choices().get())
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for Strategy {
    type Err = StrategyError;

    fn from_str(text: &str) -> Result<Self, StrategyError> {
        let text = text.trim();
        let (name, parameters) = match text.split_once('(') {
            None => (text, ""),
            Some((name, rest)) => {
                let inside = rest
                    .strip_suffix(')')
                    .ok_or_else(|| StrategyError::Parenthesis(text.to_owned()))?;
                (name.trim_end(), inside)
            }
        };
        let mut strategy = Self::all()
            .find(|strategy| strategy.name() == name)
            .ok_or_else(|| StrategyError::Name(name.to_owned()))?;
        let parameters = parameters.split(',').map(str::trim);
        let mut keys = Vec::new();
        for parameter in parameters.filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let key = key.trim_end();
            if keys.contains(&key) {
                return Err(StrategyError::Twice(key.to_owned()));
            }
            keys.push(key);
            strategy.set(key, value.trim_start())?;
        }
        Ok(strategy)
    }
}

impl Strategy {
    fn set(&mut self, key: &str, value: &str) -> Result<(), StrategyError> {
        let strategy = self.name();
        match (self, key) {
            (Self::LeastLoaded(selector), "d") => {
                // `+2` would parse; nobody means it.
                let digits = Some(value).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
                let choices = digits.and_then(|digits| digits.parse().ok()).and_then(Choices::new);
                *selector = LeastLoaded::of(choices.ok_or_else(|| StrategyError::Value {
                    strategy,
                    parameter: "d",
                    value: value.to_owned(),
                    allowed: "a whole number from 1 to 32",
                })?);
                Ok(())
            }
            (this, _) => Err(StrategyError::Parameter {
                strategy,
                parameter: key.to_owned(),
                allowed: match this {
                    Self::LeastLoaded(_) => "d",
                    _ => "none",
                },
            }),
        }
    }
}

/// A text that names no [`Strategy`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StrategyError {
    /// No strategy has this name.
    Name(String),
    /// The parameters do not end in a parenthesis.
    Parenthesis(String),
    /// A parameter is given more than once.
    Twice(String),
    /// The strategy has no such parameter.
    Parameter {
        /// The strategy.
        strategy: &'static str,
        /// What was given.
        parameter: String,
        /// What there is.
        allowed: &'static str,
    },
    /// A parameter's value is out of its range.
    Value {
        /// The strategy.
        strategy: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// What was given.
        value: String,
        /// The range.
        allowed: &'static str,
    },
}

impl fmt::Display for StrategyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "unknown strategy '{name}': expected ")?;
                let names: Vec<_> = Strategy::all().map(|strategy| strategy.name()).collect();
                f.write_str(&names.join(", "))
            }
            Self::Parenthesis(text) => write!(f, "invalid strategy '{text}': expected NAME or NAME(PARAMETER=VALUE)"),
            Self::Twice(key) => write!(f, "invalid strategy: expected {key} once"),
            Self::Parameter {
                strategy,
                parameter,
                allowed,
            } => {
                write!(
                    f,
                    "unknown parameter '{parameter}' of strategy {strategy}: expected {allowed}"
                )
            }
            Self::Value {
                strategy,
                parameter,
                value,
                allowed,
            } => {
                write!(
                    f,
                    "invalid {parameter} '{value}' of strategy {strategy}: expected {allowed}"
                )
            }
        }
    }
}

impl std::error::Error for StrategyError {}

#[cfg(feature = "serde")]
impl serde::Serialize for Strategy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Strategy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Strategy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a strategy such as least_loaded(d=2)")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Strategy, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_reads_what_it_prints() {
        for strategy in Strategy::all() {
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
        }
        for text in ["least_loaded(d=2)", " least_loaded ( d = 2 ) "] {
            assert_eq!(text.parse::<Strategy>().unwrap().to_string(), "least_loaded(d=2)");
        }
        assert_eq!("least_loaded(d=8)".parse(), Ok(Strategy::default()));
        assert_eq!("random()".parse(), Ok(Strategy::Random));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (text, message) in [
            ("", "unknown strategy '': expected least_loaded, round_robin, random"),
            (
                "fastest",
                "unknown strategy 'fastest': expected least_loaded, round_robin, random",
            ),
            (
                "random(",
                "invalid strategy 'random(': expected NAME or NAME(PARAMETER=VALUE)",
            ),
            ("least_loaded(d=2,d=3)", "invalid strategy: expected d once"),
            ("random(d=2)", "unknown parameter 'd' of strategy random: expected none"),
            (
                "least_loaded(k=2)",
                "unknown parameter 'k' of strategy least_loaded: expected d",
            ),
            (
                "least_loaded(d)",
                "invalid d '' of strategy least_loaded: expected a whole number from 1 to 32",
            ),
            (
                "least_loaded(d=33)",
                "invalid d '33' of strategy least_loaded: expected a whole number from 1 to 32",
            ),
            (
                "least_loaded(d=+2)",
                "invalid d '+2' of strategy least_loaded: expected a whole number from 1 to 32",
            ),
            (
                "least_loaded(d=-1)",
                "invalid d '-1' of strategy least_loaded: expected a whole number from 1 to 32",
            ),
        ] {
            assert_eq!(text.parse::<Strategy>().unwrap_err().to_string(), message);
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn serde_reads_and_writes_the_same_text() {
        for strategy in Strategy::all().chain(["least_loaded(d=2)".parse().unwrap()]) {
            let json = serde_json::to_string(&strategy).unwrap();
            assert_eq!(json, format!("\"{strategy}\""));
            assert_eq!(serde_json::from_str::<Strategy>(&json).unwrap(), strategy);
        }
        for (json, part) in [
            ("7", "a strategy such as least_loaded(d=2)"),
            ("null", "a strategy such as least_loaded(d=2)"),
            (
                "\"fastest\"",
                "unknown strategy 'fastest': expected least_loaded, round_robin, random",
            ),
            (
                "\"least_loaded(d=0)\"",
                "invalid d '0' of strategy least_loaded: expected a whole number from 1 to 32",
            ),
        ] {
            let error = serde_json::from_str::<Strategy>(json).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
