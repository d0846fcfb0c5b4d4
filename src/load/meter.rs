//! What a server has to do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{AbsurdLoad, LoadReport};
use super::{latency::Latencies, window::Window};
use crate::clock::Clock;

/// Counts a server's requests, without a lock: how many are in flight, how many were answered in a second and how many
/// of those failed, over the last ten, and the median latency of the last 16 good ones that came when about as many were
/// in flight, of these ten seconds too. Clones are one meter.
///
/// ```
/// use equipoise::{ManualClock, load::Meter};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let meter = Meter::new(clock.clock());
/// let (first, second) = (meter.begin(), meter.begin());
/// clock.advance(Duration::from_millis(20));
/// // The answer is on its way, and the report with it: both are still there.
/// let report = first.answered(false);
/// assert_eq!((report.queue(), report.latency()), (Some(2.0), Some(Duration::from_millis(20))));
/// drop((first, second));
/// assert_eq!(meter.load().queue(), Some(0.0));
/// ```
#[derive(Clone, Debug)]
pub struct Meter(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    clock: Clock,
    start: Instant,
    in_flight: AtomicU64,
    answered: Window,
    failed: Window,
    latencies: Latencies,
}

/// A request that counts as in flight until this is dropped.
#[derive(Debug)]
pub struct Metered {
    counts: Arc<Counts>,
    /// When it came, since the start.
    came: Duration,
    /// How many there were then, this one included.
    found: u64,
}

impl Meter {
    /// A server that has been asked for nothing yet.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Counts {
            start: clock.now(),
            clock,
            in_flight: AtomicU64::new(0),
            answered: Window::default(),
            failed: Window::default(),
            latencies: Latencies::default(),
        }))
    }

    /// A request has come.
    pub fn begin(&self) -> Metered {
        let counts = Arc::clone(&self.0);
        Metered {
            came: counts.now(),
            found: counts.in_flight.fetch_add(1, Relaxed) + 1,
            counts,
        }
    }

    /// What there is to say now, but for what only the application knows: for the answers to probes.
    pub fn load(&self) -> LoadReport {
        self.0.load_at(self.0.now())
    }
}

impl Counts {
    fn now(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.start)
    }

    fn load_at(&self, now: Duration) -> LoadReport {
        // More requests than are not absurd do not fit into a machine.
        self.try_load_at(now).unwrap_or_default()
    }

    fn try_load_at(&self, now: Duration) -> Result<LoadReport, AbsurdLoad> {
        let in_flight = self.in_flight.load(Relaxed);
        let report = LoadReport::new()
            .with_queue(in_flight as f64)?
            .with_qps(self.answered.rate(now))?
            .with_eps(self.failed.rate(now))?;
        match self.latencies.median(in_flight, now) {
            Some(latency) => report.with_latency(latency),
            None => Ok(report),
        }
    }
}

impl Metered {
    /// The head of its answer is there; or none will be, which is a failure. What there is to say then.
    pub fn answered(&self, is_failure: bool) -> LoadReport {
        let counts = &self.counts;
        let now = counts.now();
        counts.answered.count(now);
        if is_failure {
            counts.failed.count(now);
        } else {
            // Who fails at once is not fast.
            counts.latencies.learn(self.found, now.saturating_sub(self.came), now);
        }
        counts.load_at(now)
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.counts.in_flight.fetch_sub(1, Relaxed);
    }
}
