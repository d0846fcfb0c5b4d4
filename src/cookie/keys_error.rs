//! Why there are no keys.

use std::{error, fmt};

/// Why a text holds no [`Keys`](super::Keys), or none could be made. It repeats nothing of what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysError(Why);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    None,
    NotASecret { line: usize, length: usize },
    Again { line: usize, before: usize },
    NoRandomness(String),
}

impl KeysError {
    pub(super) fn none() -> Self {
        Self(Why::None)
    }

    pub(super) fn not_a_secret(line: usize, written: &str) -> Self {
        let length = written.chars().count();
        Self(Why::NotASecret { line, length })
    }

    pub(super) fn again(line: usize, before: usize) -> Self {
        Self(Why::Again { line, before })
    }

    pub(super) fn no_randomness(error: impl fmt::Display) -> Self {
        Self(Why::NoRandomness(error.to_string()))
    }

    /// The line, from 1, if it is one.
    pub fn line(&self) -> Option<usize> {
        match self.0 {
            Why::NotASecret { line, .. } | Why::Again { line, .. } => Some(line),
            Why::None | Why::NoRandomness(_) => None,
        }
    }
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EXPECTED: &str = "64 hexadecimal digits or the base64 of 32 bytes";
        match &self.0 {
            Why::None => write!(f, "no secret: expected {EXPECTED}, one secret a line"),
            Why::NotASecret { line, length } => write!(
                f,
                "line {line}: expected {EXPECTED}, found {length} characters that are neither"
            ),
            Why::Again { line, before } => write!(f, "line {line}: the same secret as in line {before}"),
            Why::NoRandomness(error) => write!(f, "no random secret: {error}"),
        }
    }
}

impl error::Error for KeysError {}
