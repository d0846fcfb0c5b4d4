//! One server with a queue, asked for more than it can do, behind a limit.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::super::Sample;
use crate::{clock::Stamp, outcome::Outcome};

/// A limit's rule: what it learns from a request, and the limit from then on.
pub(super) type Rule = Box<dyn FnMut(&Sample) -> u32>;

/// What is asked of a server, and how it is, at a time in seconds.
pub(super) struct Station {
    pub(super) slots: usize,
    /// The mean time that a slot takes for a request, in seconds.
    pub(super) service: fn(f64) -> f64,
    /// How the times are spread around 1.
    pub(super) spread: fn(&mut SmallRng) -> f64,
    /// Requests a second that come, of what all slots can do in the beginning.
    pub(super) load: fn(f64) -> f64,
    /// Up to so many requests wait for a slot; others are turned away at once.
    pub(super) queue: usize,
    /// After so long a caller gives up; the server does not know.
    pub(super) patience: f64,
    /// A part of the requests fails in any case.
    pub(super) failing: fn(f64) -> f64,
}

impl Station {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots,
            service: |_| 0.01,
            spread: exponential,
            load: |_| 1.5,
            queue: usize::MAX,
            patience: f64::INFINITY,
            failing: |_| 0.0,
        }
    }
}

pub(super) fn exponential(random: &mut SmallRng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}

/// What a while came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// In seconds, of those that were let in and ended well.
    pub(super) latencies: Vec<f64>,
    pub(super) failed: usize,
    /// The limit at each of the requests.
    pub(super) limits: Vec<u32>,
}

impl Seen {
    pub(super) fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
            .get((sorted.len() as f64 * part) as usize)
            .copied()
            .unwrap_or(f64::NAN)
    }

    pub(super) fn mean_limit(&self) -> f64 {
        self.limits.iter().map(|limit| f64::from(*limit)).sum::<f64>() / self.limits.len() as f64
    }
}

/// In nanoseconds.
type Time = u64;

fn nanos(seconds: f64) -> Time {
    (seconds * 1e9) as Time
}

impl Station {
    /// Plays so many seconds under a rule; what each second came to.
    pub(super) fn play(&self, seconds: usize, initial: u32, mut rule: Rule) -> Vec<Seen> {
        let mut random = SmallRng::seed_from_u64(7);
        let mut seen = vec![Seen::default(); seconds];
        let mut limit = initial;
        let mut free: BinaryHeap<Reverse<Time>> = (0..self.slots).map(|_| Reverse(0)).collect();
        // When it ends, when it came and how.
        let mut open: BinaryHeap<Reverse<(Time, Time, u8)>> = BinaryHeap::new();
        let capacity = self.slots as f64 / (self.service)(0.0);
        let mut now = 0.0;
        loop {
            now += exponential(&mut random) / (capacity * (self.load)(now));
            let came = nanos(now);
            while let Some(Reverse((ended, began, how))) = open.peek().copied().filter(|next| next.0.0 <= came) {
                let Some(second) = seen.get_mut(ended as usize / 1_000_000_000) else {
                    break;
                };
                let latency = Duration::from_nanos(ended - began);
                let outcome = match how {
                    0 => Outcome::Success,
                    1 => Outcome::Cancelled,
                    _ => Outcome::BadGateway,
                };
                match how {
                    0 => second.latencies.push(latency.as_secs_f64()),
                    1 => {}
                    _ => second.failed += 1,
                }
                limit = rule(&Sample {
                    at: Stamp(ended + 1),
                    outcome,
                    latency,
                    in_flight: open.len(),
                });
                second.limits.push(limit);
                open.pop();
            }
            if now >= seconds as f64 {
                return seen;
            }
            if open.len() >= limit as usize {
                continue;
            }
            let waiting = free.iter().filter(|free| free.0 > came).count();
            let is_turned_away = waiting == self.slots && open.len() >= self.slots.saturating_add(self.queue);
            if is_turned_away || random.random::<f64>() < (self.failing)(now) {
                open.push(Reverse((came + 100_000, came, 2)));
                continue;
            }
            let Some(Reverse(slot)) = free.pop() else { continue };
            let starts = slot.max(came);
            let service = (self.service)(starts as f64 / 1e9) * (self.spread)(&mut random);
            let ends = starts + nanos(service);
            free.push(Reverse(ends));
            let gives_up = came + nanos(self.patience.min(1e6));
            let how = u8::from(ends > gives_up);
            open.push(Reverse((ends.min(gives_up), came, how)));
        }
    }
}
