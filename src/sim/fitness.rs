//! What keeps requests off bad servers, and off those that come.

mod text;

pub use text::FitnessError;

use std::time::Duration;

use super::network::{Backend, Inquiry, Network, Question};
use crate::{HealthCheck, OutlierDetection, PoolBuilder, SlowStart, health::CheckError, selector::Selector};

/// Which mechanisms keep requests off bad servers: none, or those of [`PoolBuilder`] that are named.
///
/// Their times are real ones, not in units of the mean service time: probes each 5 s and sweeps each 10 s mean something
/// only in a run of minutes, that is of many [requests](super::Scenario::with_requests) or long
/// [ones](super::Scenario::with_mean).
///
/// As text `none`, or some of these with `+` between them, what is in parentheses as far as it is not the default:
/// ```
/// use equipoise::sim::{Check, Depth, Fitness};
///
/// let fitness: Fitness =
///     "health(depth=deep,interval=2s,timeout=500ms,rise=1,fall=2)+outliers+slow_start(window=10s)+panic(percent=0)".parse()?;
/// assert_eq!(fitness.check().map(Check::depth), Some(Depth::Deep));
/// assert_eq!("health + outliers".parse::<Fitness>()?.to_string(), "health+outliers");
/// assert_eq!(Fitness::new().to_string(), "none");
/// # Ok::<_, equipoise::sim::FitnessError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fitness {
    check: Option<Check>,
    outliers: bool,
    /// The window.
    slow_start: Option<Duration>,
    /// The percentage.
    panic: Option<u32>,
}

/// How servers are asked whether they are fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    depth: Depth,
    interval: Duration,
    timeout: Duration,
    rise: u32,
    fall: u32,
}

/// What a probe asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// That somebody answers, as a connection or a fixed page does: at once, and well, even where requests fail or take
    /// long. Who is [down](super::Befalls::Crashes) refuses it, and who [swallows](super::Befalls::Swallows) requests
    /// swallows it.
    #[default]
    Shallow,
    /// What a request asks for: it takes the mean service time of a slot, waits as requests do, and fails where they fail.
    Deep,
}

/// In which time members are brought in unless said otherwise.
const WINDOW: Duration = Duration::from_secs(30);

impl Fitness {
    /// None: all servers are taken for fit.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a [health check](PoolBuilder::health_check).
    pub fn with_check(self, check: Check) -> Self {
        let check = Some(check);
        Self { check, ..self }
    }

    /// With [outlier detection](PoolBuilder::outlier_detection) as it is unless said otherwise.
    pub fn with_outlier_detection(self) -> Self {
        let outliers = true;
        Self { outliers, ..self }
    }

    /// Who comes, or comes back, is brought in [within this time](SlowStart::over).
    pub fn with_slow_start(self, window: Duration) -> Self {
        let slow_start = Some(window);
        Self { slow_start, ..self }
    }

    /// Another [panic threshold](PoolBuilder::panic_threshold), in percent.
    pub fn with_panic_threshold(self, percent: u32) -> Self {
        let panic = Some(percent.min(100));
        Self { panic, ..self }
    }

    /// The health check, if there is one.
    pub fn check(&self) -> Option<&Check> {
        self.check.as_ref()
    }

    /// Whether there is outlier detection.
    pub fn detects_outliers(&self) -> bool {
        self.outliers
    }

    /// In which time members are brought in; none: at once.
    pub fn slow_start(&self) -> Option<Duration> {
        self.slow_start
    }

    /// The panic threshold in percent, if it is not that of the pool.
    pub fn panic_threshold(&self) -> Option<u32> {
        self.panic
    }

    /// A pool with all of them.
    pub(super) fn equip<S: Selector<Backend>>(
        &self,
        mut builder: PoolBuilder<Backend, S>,
        network: &Network,
    ) -> PoolBuilder<Backend, S> {
        if let Some(check) = self.check {
            // Each of its values was checked as it was set.
            if let Ok(check) = check.over(network.clone()) {
                builder = builder.health_check(check);
            }
        }
        if self.outliers {
            builder = builder.outlier_detection(OutlierDetection::new());
        }
        if let Some(window) = self.slow_start {
            builder = builder.slow_start(SlowStart::over(window));
        }
        if let Some(percent) = self.panic {
            builder = builder.panic_threshold(percent);
        }
        builder
    }
}

impl Check {
    /// One that asks for this, as often as [`HealthCheck`] does unless said otherwise: each 5 s, at most 1 s, up after 2
    /// answers, down after 3.
    pub const fn new(depth: Depth) -> Self {
        Self {
            depth,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
        }
    }

    /// How [often](HealthCheck::with_interval) a server is asked.
    pub fn with_interval(self, interval: Duration) -> Result<Self, CheckError> {
        Self { interval, ..self }.checked()
    }

    /// How [long](HealthCheck::with_timeout) an answer may take.
    pub fn with_timeout(self, timeout: Duration) -> Result<Self, CheckError> {
        Self { timeout, ..self }.checked()
    }

    /// How many answers make a server [fit](HealthCheck::with_rise) again.
    pub fn with_rise(self, rise: u32) -> Result<Self, CheckError> {
        Self { rise, ..self }.checked()
    }

    /// How many failures make it [unfit](HealthCheck::with_fall).
    pub fn with_fall(self, fall: u32) -> Result<Self, CheckError> {
        Self { fall, ..self }.checked()
    }

    /// What a probe asks for.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    fn checked(self) -> Result<Self, CheckError> {
        self.over(Network::default()).map(|_| self)
    }

    fn over(self, network: Network) -> Result<HealthCheck<Backend>, CheckError> {
        let question = match self.depth {
            Depth::Shallow => Question::Shallow,
            Depth::Deep => Question::Deep,
        };
        HealthCheck::new(Inquiry { network, question })
            .with_interval(self.interval)?
            .with_timeout(self.timeout)?
            .with_rise(self.rise)?
            .with_fall(self.fall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unless_said_otherwise_a_check_is_a_pools() {
        let own = HealthCheck::<Backend>::new(Network::default());
        let check = Check::new(Depth::Shallow).over(Network::default()).unwrap();
        assert_eq!(format!("{check:?}"), format!("{own:?}"));
    }
}
