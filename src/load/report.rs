//! What a server says of its own load.

use std::{fmt, time::Duration};

/// What a server says of its own load, with an answer or in reply to a probe. All of it is optional, and none of it
/// absurd: what could not be true is refused where it is set.
///
/// ```
/// use equipoise::LoadReport;
///
/// let report = LoadReport::new().with_queue(3.0)?.with_utilization(0.7)?;
/// assert_eq!(report.queue(), Some(3.0));
/// assert!(LoadReport::new().with_qps(f64::NAN).is_err());
/// # Ok::<_, equipoise::AbsurdLoad>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadReport {
    queue: Option<f64>,
    qps: Option<f64>,
    eps: Option<f64>,
    utilization: Option<f64>,
    latency: Option<Duration>,
}

/// More requests than any server has open, or answers in a second.
const MOST_REQUESTS: f64 = 1e8;
/// A hundred times what a server can do.
const MOST_UTILIZATION: f64 = 100.0;
const LONGEST: Duration = Duration::from_secs(3600);

impl LoadReport {
    /// A report that says nothing.
    pub const fn new() -> Self {
        Self {
            queue: None,
            qps: None,
            eps: None,
            utilization: None,
            latency: None,
        }
    }

    /// Requests at the server, being served or waiting: from 0 to 10⁸.
    pub fn with_queue(self, queue: f64) -> Result<Self, AbsurdLoad> {
        let queue = within("queue", queue, MOST_REQUESTS)?;
        Ok(Self {
            queue: Some(queue),
            ..self
        })
    }

    /// Requests answered in a second, well or not: from 0 to 10⁸.
    pub fn with_qps(self, qps: f64) -> Result<Self, AbsurdLoad> {
        let qps = within("qps", qps, MOST_REQUESTS)?;
        Ok(Self { qps: Some(qps), ..self })
    }

    /// Of those, the ones that failed: from 0 to 10⁸.
    pub fn with_eps(self, eps: f64) -> Result<Self, AbsurdLoad> {
        let eps = within("eps", eps, MOST_REQUESTS)?;
        Ok(Self { eps: Some(eps), ..self })
    }

    /// How much of what the server can do is used, 1 being all: from 0 to 100, as it may be asked for more than that.
    pub fn with_utilization(self, utilization: f64) -> Result<Self, AbsurdLoad> {
        let utilization = within("utilization", utilization, MOST_UTILIZATION)?;
        Ok(Self {
            utilization: Some(utilization),
            ..self
        })
    }

    /// How long a request takes that finds the server as it is now: at most an hour.
    pub fn with_latency(self, latency: Duration) -> Result<Self, AbsurdLoad> {
        within("latency", latency.as_secs_f64(), LONGEST.as_secs_f64())?;
        Ok(Self {
            latency: Some(latency),
            ..self
        })
    }

    /// Requests at the server.
    pub fn queue(&self) -> Option<f64> {
        self.queue
    }

    /// Requests answered in a second.
    pub fn qps(&self) -> Option<f64> {
        self.qps
    }

    /// Requests that failed in a second.
    pub fn eps(&self) -> Option<f64> {
        self.eps
    }

    /// How much of what the server can do is used.
    pub fn utilization(&self) -> Option<f64> {
        self.utilization
    }

    /// How long a request takes now.
    pub fn latency(&self) -> Option<Duration> {
        self.latency
    }
}

fn within(what: &'static str, value: f64, most: f64) -> Result<f64, AbsurdLoad> {
    // A number that is none is in no range.
    if (0.0..=most).contains(&value) {
        Ok(value)
    } else {
        Err(AbsurdLoad { what, value, most })
    }
}

/// A load that no server has: negative, not a number, or beyond all measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AbsurdLoad {
    what: &'static str,
    value: f64,
    most: f64,
}

impl fmt::Display for AbsurdLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, value, most } = self;
        write!(f, "absurd {what} {value}: expected a number from 0 to {most}")
    }
}

impl std::error::Error for AbsurdLoad {}
