//! What became of sessions, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a table of sessions has come to, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// How many sessions are remembered now, [as `len` counts them](super::Sessions::len).
    pub sessions: u64,
    /// Requests of sessions whose home was known.
    pub hits: u64,
    /// Requests of sessions whose home was not known: their first, or that after they were forgotten.
    pub misses: u64,
    /// Sessions that were bound to a home.
    pub bound: u64,
    /// Sessions that got another home because a request of theirs was served there, or were [migrated](super::Sessions::migrate)
    /// from elsewhere.
    pub moved: u64,
    /// Requests that would have bound or moved their session, which another had done before them.
    pub lost_races: u64,
    /// Errors of the store, panics included, whatever it was asked for.
    pub store_errors: u64,
    /// Answers of the store that have taken too long.
    pub store_timeouts: u64,
    /// Requests of sessions that were brought to their home, or found to have none, without the store: it was away, or failed.
    pub from_copy: u64,
    /// Whether the store is taken to be away: for 50 ms and more whoever asked it for a home got no answer.
    pub store_is_away: bool,
}

/// What is counted. On a cache line of its own, as all threads write there.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) bound: AtomicU64,
    pub(super) moved: AtomicU64,
    pub(super) lost_races: AtomicU64,
    pub(super) store_errors: AtomicU64,
    pub(super) store_timeouts: AtomicU64,
    pub(super) from_copy: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counts {
    pub(super) fn stats(&self, sessions: usize, store_is_away: bool) -> SessionStats {
        SessionStats {
            sessions: sessions as u64,
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            bound: self.bound.load(Relaxed),
            moved: self.moved.load(Relaxed),
            lost_races: self.lost_races.load(Relaxed),
            store_errors: self.store_errors.load(Relaxed),
            store_timeouts: self.store_timeouts.load(Relaxed),
            from_copy: self.from_copy.load(Relaxed),
            store_is_away,
        }
    }
}
