//! How requests end.

/// How a request ended. Every lease ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The backend answered, and well.
    Success,
    /// The backend's answer says that it failed.
    Failure,
    /// The backend's answer says that what stands behind it failed: of HTTP 502, 503 and 504.
    BadGateway,
    /// There was no answer: the backend could not be reached, broke off before, or took too long.
    Unreachable,
    /// The caller gave up first. How long it took is at least what was waited: a censored sample.
    Cancelled,
    /// The answer began well and then broke off, such as a body that ended in an error.
    Broken,
}

impl Outcome {
    /// Whether the request failed, in whichever way, before a good answer had begun.
    #[inline]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failure | Self::BadGateway | Self::Unreachable)
    }
}

/// How many requests of a member have ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Ended in [`Outcome::Success`].
    pub succeeded: u64,
    /// [Failed](Outcome::is_failure).
    pub failed: u64,
    /// Ended in [`Outcome::Cancelled`].
    pub cancelled: u64,
    /// Ended in [`Outcome::Broken`].
    pub broken: u64,
}

impl Tally {
    /// How many have ended in any way.
    pub fn total(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled + self.broken
    }
}
