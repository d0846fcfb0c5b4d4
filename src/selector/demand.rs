//! The wish for probes that comes with requests.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::Waker,
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;

use crate::sync::Line;

/// A selector's wish for probes: so many for each request, and some while there are none. The pool's driver sees to it,
/// if the pool has a [`probe`](crate::PoolBuilder::probe); what members answer comes to
/// [`Selector::report`](super::Selector::report).
///
/// A request pays one atomic addition, and wakes the driver only if that has nothing to do and a whole probe is due.
/// The driver also leaves the time here, so that who goes by the age of answers needs no clock.
pub struct Demand {
    /// In probes for 2²⁰ requests.
    rate: u64,
    idle: Duration,
    counts: Line<Counts>,
    driver: AtomicWaker,
    epoch: OnceLock<Instant>,
}

struct Counts {
    requests: AtomicU64,
    /// The request that is to wake the driver.
    wake_at: AtomicU64,
    /// In milliseconds since the first time that was told.
    now: AtomicU32,
    /// Whether there is a probe to meet it with.
    is_met: AtomicBool,
}

const ONE: u32 = 20;

impl Demand {
    /// `rate` probes for each request, at most 1,000, a fraction being added up; and as many, but at least two, whenever
    /// none was asked for during `idle`, at most some 136 years. What is no rate, negative or not a number, is 0.
    pub fn new(rate: f64, idle: Duration) -> Self {
        let rate = rate.clamp(0.0, 1_000.0) * f64::from(1 << ONE);
        Self {
            // Of what is not a number this makes 0.
            rate: rate as u64,
            // Longer, and it could not be added to what the time is.
            idle: idle.min(Duration::from_secs(u64::from(u32::MAX))),
            counts: Line(Counts {
                requests: AtomicU64::new(0),
                wake_at: AtomicU64::new(1),
                now: AtomicU32::new(0),
                is_met: AtomicBool::new(false),
            }),
            driver: AtomicWaker::new(),
            epoch: OnceLock::new(),
        }
    }

    /// A request is being picked for. Returns how many there have been, this one included.
    #[inline]
    pub fn asked(&self) -> u64 {
        let Counts { requests, wake_at, .. } = &self.counts.0;
        // Against the driver, which writes `wake_at` and then reads `requests`: one of the two sees the other.
        let count = requests.fetch_add(1, SeqCst).wrapping_add(1);
        if count == wake_at.load(SeqCst) {
            self.driver.wake();
        }
        count
    }

    /// Whether the pool has a probe: else nobody is ever asked.
    #[inline]
    pub fn is_met(&self) -> bool {
        self.counts.0.is_met.load(Relaxed)
    }

    pub(crate) fn meet(&self, is_met: bool) {
        self.counts.0.is_met.store(is_met, Relaxed);
    }

    /// The time as it was last told by the driver or a report, in milliseconds since it was first told. It begins anew
    /// after 49 days.
    #[inline]
    pub fn now(&self) -> u32 {
        self.counts.0.now.load(Relaxed)
    }

    /// Tells the time, and what it is in those milliseconds.
    pub fn tell(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(*self.epoch.get_or_init(|| now));
        let millis = since.as_millis() as u32;
        // Of two that tell at once the earlier may come last: that is off by no more than they are apart.
        if self.now() != millis {
            self.counts.0.now.store(millis, Relaxed);
        }
        millis
    }

    pub(crate) fn idle(&self) -> Duration {
        self.idle
    }

    pub(crate) fn requests(&self) -> u64 {
        self.counts.0.requests.load(SeqCst)
    }

    /// How many probes are due in all after so many requests.
    pub(crate) fn due(&self, requests: u64) -> u64 {
        ((u128::from(requests) * u128::from(self.rate)) >> ONE) as u64
    }

    /// How many are to be made when none was asked for.
    pub(crate) fn when_idle(&self) -> u64 {
        self.rate.div_ceil(1 << ONE).max(2)
    }

    /// From now on the request with which more is due than after so many wakes the driver; none does if it is not to be
    /// woken. False if that request has come already.
    pub(crate) fn wait(&self, driver: &Waker, after: Option<u64>) -> bool {
        self.driver.register(driver);
        let next = |requests| {
            let whole = (u128::from(self.due(requests)) + 1) << ONE;
            match self.rate {
                0 => u64::MAX,
                rate => u64::try_from(whole.div_ceil(u128::from(rate))).unwrap_or(u64::MAX),
            }
        };
        let wake_at = after.map_or(u64::MAX, next);
        self.counts.0.wake_at.store(wake_at, SeqCst);
        self.requests() < wake_at
    }
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demand")
            .field("rate", &(self.rate as f64 / f64::from(1 << ONE)))
            .field("idle", &self.idle)
            .field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_request_with_which_a_whole_probe_is_due_wakes_and_no_other() {
        for (rate, wakes) in [
            (3.0, vec![1, 2, 3, 4]),
            (1.0, vec![1, 2, 3, 4]),
            (0.5, vec![2, 4, 6, 8]),
            (0.75, vec![2, 3, 4, 6, 7, 8]),
            (0.0, vec![]),
            (f64::NAN, vec![]),
            (-1.0, vec![]),
        ] {
            let demand = Demand::new(rate, Duration::from_secs(1));
            let mut woken = Vec::new();
            let (mut after, mut taken) = (0, 0);
            assert!(demand.wait(Waker::noop(), Some(0)));
            for request in 1..=8 {
                let wake_at = demand.counts.0.wake_at.load(SeqCst);
                if demand.asked() == wake_at {
                    woken.push(request);
                    taken += demand.due(request) - demand.due(after);
                    after = request;
                    assert!(demand.wait(Waker::noop(), Some(after)));
                }
            }
            assert!(woken.starts_with(&wakes) || woken == wakes, "{rate}: {woken:?}");
            assert_eq!(taken, demand.due(8), "{rate}");
            assert!(!format!("{demand:?}").is_empty());
        }
        // What has come meanwhile is noticed.
        let demand = Demand::new(1.0, Duration::from_secs(1));
        demand.asked();
        assert!(!demand.wait(Waker::noop(), Some(0)));
        assert!(demand.wait(Waker::noop(), None));
    }
}
