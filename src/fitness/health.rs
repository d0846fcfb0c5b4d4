//! What a pool takes a member for.

use std::fmt;

/// What health checks say of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// Nothing: there is no checker, or the first answer is to [decide](crate::health::Initial::FirstProbeDecides) and has not
    /// come yet.
    #[default]
    Unchecked,
    /// It is fit.
    Passing,
    /// It is not.
    Failing,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchecked => "unchecked",
            Self::Passing => "passing",
            Self::Failing => "failing",
        })
    }
}
