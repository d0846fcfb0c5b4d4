//! Failures that weigh like requests still open.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::Completion;
use crate::{clock::Stamp, member::Outcome, sync::Line};

/// What [`LeastLoaded`](super::LeastLoaded) remembers of a member: its failures of late. A request that fails at once
/// leaves its place at once, and the member that does that to all looks the least loaded of all; so a failure keeps a
/// place for a while.
#[derive(Debug, Default)]
pub struct Failures(AtomicU64);

/// How long after the last failure they weigh: longer than any request that is worth waiting for usually takes.
const WEIGH: Duration = Duration::from_secs(1);

/// The lower bits count; the upper ones tell until when, in milliseconds: 40 bits of them are 34 years.
const COUNT: u32 = 24;

impl Failures {
    pub(super) fn observe(&self, completion: &Completion, failing: &Failing) {
        if completion.outcome != Outcome::Failure {
            return;
        }
        failing.0.0.fetch_max(until(completion.stamp), Relaxed);
        self.add(completion.stamp);
    }

    /// One more.
    pub(super) fn add(&self, now: Stamp) {
        let add = |last: u64| {
            let count = if last >> COUNT < millis(now) { 0 } else { last & MOST };
            Some(until(now) << COUNT | (count + 1).min(MOST))
        };
        // It never refuses.
        let _ = self.0.fetch_update(Relaxed, Relaxed, add);
    }

    /// Whether the member has none, or none that were not found to weigh no more.
    #[inline]
    pub(super) fn is_clear(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    /// How many requests they weigh like.
    pub(super) fn weight(&self, now: Stamp) -> usize {
        let last = self.0.load(Relaxed);
        if last >> COUNT >= millis(now) {
            return (last & MOST) as usize;
        }
        // Unless there was another in between; and if this fails, the next pick tries again.
        let _ = self.0.compare_exchange(last, 0, Relaxed, Relaxed);
        0
    }
}

/// Whether any member of a pool has failed of late: one word for all, so that a pick that finds none need not look at
/// the member it has chosen, which may not be in the cache.
///
/// It is the last time until which a failure weighs, in milliseconds; 0 if none does.
#[derive(Debug, Default)]
pub(super) struct Failing(Line<AtomicU64>);

impl Failing {
    #[inline]
    pub(super) fn is_clear(&self) -> bool {
        self.0.0.load(Relaxed) == 0
    }

    /// Once the last failure weighs no more.
    pub(super) fn forget(&self, now: Stamp) {
        let last = self.0.0.load(Relaxed);
        if last < millis(now) {
            // Unless there was another in between.
            let _ = self.0.0.compare_exchange(last, 0, Relaxed, Relaxed);
        }
    }
}

const MOST: u64 = (1 << COUNT) - 1;

/// Until when a failure of now weighs.
fn until(now: Stamp) -> u64 {
    millis(now) + WEIGH.as_millis() as u64
}

fn millis(stamp: Stamp) -> u64 {
    stamp.0 / 1_000_000
}
