//! Why a member was ejected, and how it stands.

use std::fmt;

/// What a member's requests have shown: see [`OutlierDetection`](crate::OutlierDetection).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ejection {
    /// Nothing bad, or nothing bad enough.
    #[default]
    None,
    /// That it fails: it gets no requests until its time is over.
    Ejected,
    /// Its time is over: it gets one request at a time until it is known whether it is good again.
    Probation,
}

/// Why a member was ejected.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EjectionReason {
    /// Requests failed in a row, in any way.
    ConsecutiveFailures {
        /// How many: the limit.
        count: u32,
    },
    /// Requests failed in a row since what stands behind it failed, or it could not be reached.
    ConsecutiveGatewayFailures {
        /// How many: the limit.
        count: u32,
    },
    /// It could not be reached for several requests in a row.
    ConsecutiveLocalFailures {
        /// How many: the limit.
        count: u32,
    },
    /// Fewer of its requests succeeded than of the other members'.
    SuccessRate {
        /// How many of a hundred succeeded.
        percent: f64,
        /// How many would have been enough, given those of the others.
        threshold: f64,
    },
    /// Too many of its requests failed, whatever those of the others did.
    FailurePercentage {
        /// How many of a hundred failed.
        percent: f64,
        /// How many are too many.
        threshold: f64,
    },
    /// A request failed while it was on probation.
    Probation,
}

impl fmt::Display for Ejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "not ejected",
            Self::Ejected => "ejected",
            Self::Probation => "on probation",
        })
    }
}

impl fmt::Display for EjectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = |count: &u32| if *count == 1 { "request" } else { "requests in a row" };
        match self {
            Self::ConsecutiveFailures { count } => write!(f, "{count} {} failed", requests(count)),
            Self::ConsecutiveGatewayFailures { count } => {
                write!(f, "{count} {} failed at or behind the gateway", requests(count))
            }
            Self::ConsecutiveLocalFailures { count } => {
                write!(f, "{count} {} could not reach it", requests(count))
            }
            Self::SuccessRate { percent, threshold } => write!(
                f,
                "{percent:.1} % of its requests succeeded, fewer than the {threshold:.1} % that the others call for"
            ),
            Self::FailurePercentage { percent, threshold } => {
                write!(
                    f,
                    "{percent:.1} % of its requests failed: {threshold:.1} % are too many"
                )
            }
            Self::Probation => f.write_str("a request failed on probation"),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_plain_words() {
        for (reason, words) in [
            (
                EjectionReason::ConsecutiveFailures { count: 5 },
                "5 requests in a row failed",
            ),
            (EjectionReason::ConsecutiveFailures { count: 1 }, "1 request failed"),
            (
                EjectionReason::ConsecutiveGatewayFailures { count: 3 },
                "3 requests in a row failed at or behind the gateway",
            ),
            (
                EjectionReason::ConsecutiveLocalFailures { count: 2 },
                "2 requests in a row could not reach it",
            ),
            (
                EjectionReason::SuccessRate {
                    percent: 50.0,
                    threshold: 52.0,
                },
                "50.0 % of its requests succeeded, fewer than the 52.0 % that the others call for",
            ),
            (
                EjectionReason::FailurePercentage {
                    percent: 90.25,
                    threshold: 85.0,
                },
                "90.2 % of its requests failed: 85.0 % are too many",
            ),
            (EjectionReason::Probation, "a request failed on probation"),
        ] {
            assert_eq!(reason.to_string(), words);
        }
    }
}
