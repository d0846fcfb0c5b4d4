//! Whether a backend wants requests.

use std::fmt;

/// Whether a backend wants requests, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// It does.
    #[default]
    Ready,
    /// Nothing new; what is open goes on, and sessions that are at home there may come.
    Draining,
    /// Nothing at all; what is open goes on.
    Maintenance,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Maintenance => "in maintenance",
        })
    }
}
