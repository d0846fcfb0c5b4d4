//! How long sessions last.

use std::time::{Duration, SystemTime};

use super::seal::Content;

/// How far in the future a token may come from, in milliseconds: clocks of balancers differ, but not by more than that.
const SKEW: u64 = 5 * 60 * 1000;

/// How long sessions last, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    idle: u64,
    longest: u64,
}

impl Lifetime {
    pub(super) fn new(idle: Duration, longest: Duration) -> Self {
        let (idle, longest) = (millis(idle), millis(longest));
        Self { idle, longest }
    }

    fn tenth(self) -> u64 {
        self.idle / 10
    }

    /// Whether a session goes on: by its end and by that of its idle time, both included. A session may have been seen for as
    /// long as a tenth after its token says so: so long is it granted in addition.
    pub(super) fn is_over(self, content: &Content, now: u64) -> bool {
        let newest = now.saturating_add(SKEW);
        let idle = now.saturating_sub(content.seen);
        let age = now.saturating_sub(content.created);
        content.created > newest
            || content.seen > newest
            || idle > self.idle.saturating_add(self.tenth())
            || age > self.longest
    }

    /// Whether the token is to say that the session was seen.
    pub(super) fn is_due(self, content: &Content, now: u64) -> bool {
        now.saturating_sub(content.seen) >= self.tenth()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970, as tokens tell time.
pub(super) fn told(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis)
}
