//! What can be wrong with a report.

use std::{error, fmt};

use crate::{AbsurdLoad, BoxError};

/// A report of load that can't be read, or is absurd.
#[derive(Debug)]
#[non_exhaustive]
pub enum OrcaError {
    /// The header is longer than [`LONGEST`](super::LONGEST).
    TooLong(usize),
    /// It has bytes that are not visible ASCII.
    NotText,
    /// It begins with none of `TEXT `, `JSON ` and `BIN `, but with this.
    Format(String),
    /// There is no such metric, or its name is not all there.
    Metric(String),
    /// A metric is there more than once.
    Twice(String),
    /// A metric's value is no number, infinite, or less than 0 where that makes no sense.
    Value {
        /// The metric.
        metric: String,
        /// What is given.
        value: String,
    },
    /// It is not the JSON of such a report.
    Json(BoxError),
    /// It is not the base64 of such a report's binary form.
    Binary(BoxError),
    /// It can be read, but no server has that load.
    Absurd(AbsurdLoad),
}

impl OrcaError {
    pub(super) fn value(metric: &str, value: impl fmt::Display) -> Self {
        Self::Value {
            metric: metric.to_owned(),
            value: value.to_string(),
        }
    }
}

impl From<AbsurdLoad> for OrcaError {
    fn from(absurd: AbsurdLoad) -> Self {
        Self::Absurd(absurd)
    }
}

impl fmt::Display for OrcaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "a load report of {bytes} bytes: expected at most {}", super::LONGEST),
            Self::NotText => f.write_str("a load report with bytes that are not visible ASCII"),
            Self::Format(format) => write!(
                f,
                "unknown format '{}' of a load report: expected TEXT, JSON or BIN",
                format.escape_debug()
            ),
            Self::Metric(metric) => write!(f, "unknown load metric '{}'", metric.escape_debug()),
            Self::Twice(metric) => write!(f, "load metric '{}' more than once", metric.escape_debug()),
            Self::Value { metric, value } => write!(
                f,
                "invalid value '{}' of load metric '{}'",
                value.escape_debug(),
                metric.escape_debug()
            ),
            Self::Json(_) => f.write_str("invalid JSON of a load report"),
            Self::Binary(_) => f.write_str("invalid binary load report"),
            Self::Absurd(absurd) => absurd.fmt(f),
        }
    }
}

impl error::Error for OrcaError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Json(source) | Self::Binary(source) => Some(&**source),
            _ => None,
        }
    }
}
