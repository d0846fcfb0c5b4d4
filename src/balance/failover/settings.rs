//! How a failover is to be.

use std::time::Duration;

use super::Hedge;

/// The longest that a backend's word makes a request wait: the longest back-off that Envoy takes from such a header.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) tries: u32,
    pub(super) try_timeout: Option<Duration>,
    pub(super) deadline: Option<Duration>,
    pub(super) backoff: Duration,
    pub(super) longest_backoff: Duration,
    pub(super) longest_wait: Duration,
    pub(super) hedge: Option<Hedge>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tries: 3,
            try_timeout: None,
            deadline: None,
            backoff: Duration::from_millis(25),
            longest_backoff: Duration::from_millis(250),
            longest_wait: LONGEST,
            hedge: None,
        }
    }
}

impl Settings {
    /// Whether there is anything to do while an answer is waited for.
    #[inline(always)]
    pub(super) fn is_timed(&self) -> bool {
        self.try_timeout.is_some() || self.deadline.is_some() || self.hedge.is_some()
    }
}
