//! An in-flight limit that follows what requests tell: the state of one member.

mod gradient;
#[cfg(all(test, not(loom)))]
mod tests;
mod window;

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use gradient::Gradient;

use crate::{
    clock::Stamp,
    outcome::Outcome,
    sync::{AtomicUsize, Line, Mutex, Ordering},
};

/// How a limit is to follow; what each number means is told where it is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) initial: u32,
    pub(crate) tolerance: f64,
    pub(crate) failures: f64,
    pub(crate) interval: Duration,
    pub(crate) remeasure: Duration,
}

/// What one request tells of its member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it was known how it went.
    pub(crate) at: Stamp,
    pub(crate) outcome: Outcome,
    pub(crate) latency: Duration,
    /// How many were in flight then, itself included.
    pub(crate) in_flight: usize,
}

/// One member's limit. Picks read a word that is written only when it changes, on a line of its own; what completions
/// write is apart from it.
pub(crate) struct Limit {
    now: Line<AtomicUsize>,
    /// The fixed limit that it stays below.
    most: AtomicU32,
    gradient: Mutex<Gradient>,
}

impl Limit {
    /// `salt`: what sets members apart, so that not all measure at one time.
    pub(crate) fn new(settings: Settings, salt: u64) -> Self {
        Self {
            now: Line(AtomicUsize::new(settings.initial as usize)),
            most: AtomicU32::new(u32::MAX),
            gradient: Mutex::new(Gradient::new(settings, salt)),
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> usize {
        self.now.0.load(Ordering::Relaxed)
    }

    /// From now on it stays below this as well.
    pub(crate) fn bound(&self, most: u32) {
        self.most.store(most, Relaxed);
    }

    /// Learns from a request. Whether there is more room than before.
    ///
    /// Never waits: while another learns, this request is let go, as one of many that tell the same.
    pub(crate) fn learn(&self, sample: &Sample) -> bool {
        let Some(mut gradient) = self.gradient.try_lock() else {
            return false;
        };
        let Some(limit) = gradient.learn(sample, self.most.load(Relaxed)) else {
            return false;
        };
        // Within the lock, so that of two changes the later stays.
        let last = self.now.0.swap(limit as usize, Ordering::Relaxed);
        limit as usize > last
    }
}
