//! What the application has changed while the store was being asked.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// How often the application has begun to change where sessions are, or ended: what was asked before either may tell of what was,
/// and is not learned.
#[derive(Default)]
pub(super) struct Changes(AtomicU64);

/// A change that lasts; its end counts however it ends.
pub(super) struct Change<'a>(&'a Changes);

impl Changes {
    /// How often by now.
    pub(super) fn now(&self) -> u64 {
        self.0.load(SeqCst)
    }

    /// From now until that is dropped.
    pub(super) fn begin(&self) -> Change<'_> {
        self.0.fetch_add(1, SeqCst);
        Change(self)
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, SeqCst);
    }
}
