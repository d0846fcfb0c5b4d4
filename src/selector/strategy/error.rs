//! What can be wrong with a strategy.

use std::fmt;

use super::Strategy;
use crate::excerpt::Excerpt;

/// A parameter of a selector, or of what stands beside it, is out of its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterError {
    /// What the strategy's name is said to be; nothing where there is no strategy.
    kind: &'static str,
    strategy: &'static str,
    parameter: &'static str,
    value: String,
    allowed: &'static str,
}

impl ParameterError {
    pub(crate) fn new(
        strategy: &'static str,
        parameter: &'static str,
        value: impl fmt::Display,
        allowed: &'static str,
    ) -> Self {
        let value = value.to_string();
        Self {
            kind: "strategy ",
            strategy,
            parameter,
            value,
            allowed,
        }
    }

    /// Of what is no strategy.
    pub(crate) fn of(
        owner: &'static str,
        parameter: &'static str,
        value: impl fmt::Display,
        allowed: &'static str,
    ) -> Self {
        Self {
            kind: "",
            ..Self::new(owner, parameter, value, allowed)
        }
    }

    /// The strategy's name, or of what else it is a parameter.
    pub fn strategy(&self) -> &'static str {
        self.strategy
    }

    /// The parameter's name.
    pub fn parameter(&self) -> &'static str {
        self.parameter
    }

    /// The range, in words.
    pub fn allowed(&self) -> &'static str {
        self.allowed
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            strategy,
            parameter,
            value,
            allowed,
        } = self;
        let value = Excerpt(value);
        write!(f, "invalid {parameter} {value} of {kind}{strategy}: expected {allowed}")
    }
}

impl std::error::Error for ParameterError {}

/// A text that names no [`Strategy`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StrategyError {
    /// No strategy has this name.
    Name(String),
    /// The text is no name with parameters in parentheses.
    Form(String),
    /// A parameter is given more than once.
    Twice(String),
    /// The strategy has no such parameter.
    Parameter {
        /// The strategy.
        strategy: &'static str,
        /// What was given.
        parameter: String,
        /// What there is.
        allowed: String,
    },
    /// A parameter's value is out of its range.
    Value(ParameterError),
    /// One strategy undoes the other inside it.
    Inside {
        /// The outer strategy.
        strategy: &'static str,
        /// The inner one.
        inner: &'static str,
    },
    /// Strategies are inside each other deeper than makes sense.
    Depth,
}

impl From<ParameterError> for StrategyError {
    fn from(error: ParameterError) -> Self {
        Self::Value(error)
    }
}

impl fmt::Display for StrategyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "unknown strategy {}: expected ", Excerpt(name))?;
                let names: Vec<_> = Strategy::all().map(|strategy| strategy.name()).collect();
                f.write_str(&names.join(", "))
            }
            Self::Form(text) => {
                let text = Excerpt(text);
                write!(f, "invalid strategy {text}: expected NAME or NAME(PARAMETER=VALUE)")
            }
            Self::Twice(key) => write!(f, "invalid strategy: expected {} once", key.escape_debug()),
            Self::Parameter {
                strategy,
                parameter,
                allowed,
            } => {
                let parameter = Excerpt(parameter);
                write!(
                    f,
                    "unknown parameter {parameter} of strategy {strategy}: expected {allowed}"
                )
            }
            Self::Value(error) => error.fmt(f),
            Self::Inside { strategy, inner } => {
                write!(
                    f,
                    "invalid strategy: expected another than {inner} inside {strategy}, which undoes it"
                )
            }
            Self::Depth => write!(
                f,
                "invalid strategy: expected at most {} inside each other",
                super::DEEPEST
            ),
        }
    }
}

impl std::error::Error for StrategyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Value(error) => Some(error),
            _ => None,
        }
    }
}
