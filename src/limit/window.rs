//! What requests told of a member within a while.

use super::Sample;
use crate::outcome::Outcome;

/// Sums over the requests whose verdict came since the window opened. Latencies are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// How many requests it has at least.
    fewest: u64,
    good: Mean,
    /// Of requests that were given up: each would have taken longer still.
    cancelled: Mean,
    failed: u64,
    /// The most that were in flight.
    pub(super) peak: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    count: u64,
    sum: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
    }

    fn get(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Window {
    pub(super) fn of(fewest: u64) -> Self {
        Self {
            fewest,
            good: Mean::default(),
            cancelled: Mean::default(),
            failed: 0,
            peak: 0,
        }
    }

    pub(super) fn add(&mut self, sample: &Sample) {
        // An answer within no time at all would make every other infinitely slower.
        let latency = sample.latency.as_nanos().max(1) as f64;
        match sample.outcome {
            Outcome::Success => self.good.add(latency),
            Outcome::Cancelled => self.cancelled.add(latency),
            // Who fails at once is not fast: how often is what counts.
            _ => self.failed += 1,
        }
        self.peak = self.peak.max(sample.in_flight);
    }

    /// As many as were in flight at once, so that a busy member's window is as long as a request takes.
    fn enough(&self) -> u64 {
        self.fewest.max(self.peak as u64)
    }

    /// Whether enough went well to go by, whatever became of others.
    pub(super) fn is_told(&self) -> bool {
        self.good.count >= self.enough()
    }

    /// Whether there is enough to go by. Those that did not go well count apart: otherwise one that was given up could
    /// close a window early that then has the limit grow.
    pub(super) fn is_full(&self) -> bool {
        self.is_told() || self.cancelled.count + self.failed >= self.enough()
    }

    /// The mean latency of those that went well.
    pub(super) fn good(&self) -> Option<f64> {
        self.good.get()
    }

    /// The mean latency, with those that were given up where that is more: it never makes a member look faster.
    pub(super) fn latency(&self) -> Option<f64> {
        let all = Mean {
            count: self.good.count + self.cancelled.count,
            sum: self.good.sum + self.cancelled.sum,
        };
        match (self.good.get(), all.get()) {
            (Some(good), Some(all)) => Some(good.max(all)),
            (_, all) => all,
        }
    }

    /// The part that failed.
    pub(super) fn failed(&self) -> f64 {
        let all = self.good.count + self.cancelled.count + self.failed;
        self.failed as f64 / all.max(1) as f64
    }
}
