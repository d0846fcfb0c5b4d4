//! What a server has to do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{latency::Latencies, window::Window};
use crate::{AbsurdLoad, Clock, LoadReport};

/// Counts a server's requests, without a lock.
#[derive(Debug)]
pub(super) struct Meter {
    clock: Clock,
    start: Instant,
    in_flight: AtomicU64,
    answered: Window,
    failed: Window,
    latencies: Latencies,
}

/// A request that counts as in flight until this is dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    meter: Arc<Meter>,
    /// When it came, since the start.
    came: Duration,
    /// How many there were then, this one included.
    found: u64,
}

impl Meter {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            start: clock.now(),
            clock,
            in_flight: AtomicU64::new(0),
            answered: Window::default(),
            failed: Window::default(),
            latencies: Latencies::default(),
        }
    }

    fn now(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.start)
    }

    /// A request has come.
    pub(super) fn begin(meter: &Arc<Self>) -> InFlight {
        InFlight {
            came: meter.now(),
            found: meter.in_flight.fetch_add(1, Relaxed) + 1,
            meter: Arc::clone(meter),
        }
    }

    /// What there is to say now, but for what only the application knows.
    pub(super) fn load(&self) -> Result<LoadReport, AbsurdLoad> {
        self.load_at(self.now())
    }

    fn load_at(&self, now: Duration) -> Result<LoadReport, AbsurdLoad> {
        let in_flight = self.in_flight.load(Relaxed);
        let report = LoadReport::new()
            .with_queue(in_flight as f64)?
            .with_qps(self.answered.rate(now))?
            .with_eps(self.failed.rate(now))?;
        match self.latencies.median(in_flight) {
            Some(latency) => report.with_latency(latency),
            None => Ok(report),
        }
    }
}

impl InFlight {
    /// The head of its answer is there; or none will be, which is a failure. What there is to say then.
    pub(super) fn answered(&self, is_failure: bool) -> Result<LoadReport, AbsurdLoad> {
        let meter = &self.meter;
        let now = meter.now();
        meter.answered.count(now);
        if is_failure {
            meter.failed.count(now);
        } else {
            // Who fails at once is not fast.
            meter.latencies.learn(self.found, now.saturating_sub(self.came));
        }
        meter.load_at(now)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.meter.in_flight.fetch_sub(1, Relaxed);
    }
}
