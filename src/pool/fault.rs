//! Code that is not ours fails, and is tried again.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long to leave discovery, or a selector that panics, alone after a failure: doubled each time.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// When to try again what failed.
#[derive(Default)]
pub(super) struct Retry {
    pub(super) until: Option<Instant>,
    last: Duration,
}

impl Retry {
    pub(super) fn failed(&mut self, now: Instant) {
        self.last = (self.last * 2).clamp(PAUSE.0, PAUSE.1);
        self.until = Some(now + self.last);
    }

    pub(super) fn holds(&mut self, now: Instant) -> bool {
        self.until = self.until.filter(|until| now < *until);
        self.until.is_some()
    }
}

/// Runs code that is not ours; a panic becomes its message.
pub(super) fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, Arc<str>> {
    // What the code was changing is either not used again or left as it was before.
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| message(&*panic).into())
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
