//! How and how often members are asked whether they are fit.

use std::{fmt, ops::RangeInclusive, time::Duration};

use super::{AnyProbe, HealthProbe, verdict::Thresholds};
use crate::{backend::Backend, excerpt::Excerpt};

/// How and how often the members of a pool are asked whether they are fit, and how many answers change the verdict.
///
/// | setting | unless said otherwise | as in |
/// |---|---|---|
/// | [interval](Self::with_interval) | 5 s | `health_check` of NGINX Plus |
/// | [timeout](Self::with_timeout) | 1 s | the probes of Kubernetes (`timeoutSeconds`) |
/// | [rise](Self::with_rise) | 2 | `rise` of HAProxy |
/// | [fall](Self::with_fall) | 3 | `fall` of HAProxy |
/// | [transition interval](Self::with_transition_interval) | 1 s | a choice of this crate (`fastinter` of HAProxy is off) |
/// | [parallelism](Self::with_parallelism) | 256 | a choice of this crate |
/// | [initial](Self::with_initial) | [`UpUntilFailing`](Initial::UpUntilFailing) | `init-state fully-up` of HAProxy |
///
/// A member is first asked at a random point of its first interval, then again each interval, give or take a random tenth,
/// counted from when it was asked last: neither starts nor outages make probes march in step. Its backend is never asked
/// twice at once. Where an answer, or the timeout, takes longer than the interval, the next probe comes right after.
///
/// When a backend is [replaced](crate::Handle) under the same id, the probe of the earlier one is dropped and the
/// verdict stays; the new one is asked within the transition interval.
///
/// ```
/// use equipoise::{BoxError, Endpoint, HealthCheck, HealthProbe, health::{Initial, Report}};
/// use std::{net::SocketAddr, time::Duration};
/// use tokio::net::TcpStream;
///
/// /// Whether somebody listens.
/// struct Listens;
///
/// impl HealthProbe<Endpoint<SocketAddr>> for Listens {
///     type Error = std::io::Error;
///     async fn probe(&self, backend: &Endpoint<SocketAddr>) -> Result<Report, std::io::Error> {
///         TcpStream::connect(backend.target()).await.map(|_| Report::new())
///     }
/// }
///
/// let check = HealthCheck::new(Listens)
///     .with_interval(Duration::from_secs(2))?
///     .with_initial(Initial::FirstProbeDecides);
/// # Ok::<_, equipoise::health::CheckError>(())
/// ```
pub struct HealthCheck<B: Backend> {
    pub(crate) probe: AnyProbe<B>,
    pub(crate) settings: Settings,
}

/// What a member is taken for before it has answered for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Initial {
    /// Fit, until as many probes in a row as [`fall`](HealthCheck::with_fall) says have failed.
    #[default]
    UpUntilFailing,
    /// Unfit, until as many probes in a row as [`rise`](HealthCheck::with_rise) says have passed. The first interval is
    /// the [transition interval](HealthCheck::with_transition_interval).
    DownUntilPassing,
    /// Neither: the first probe decides alone, whatever `rise` and `fall` say. The first interval is the
    /// [transition interval](HealthCheck::with_transition_interval).
    FirstProbeDecides,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) thresholds: Thresholds,
    transition_interval: Duration,
    pub(crate) parallelism: usize,
    pub(crate) initial: Initial,
}

impl Settings {
    /// Never longer than the interval.
    pub(crate) fn transition_interval(&self) -> Duration {
        self.transition_interval.min(self.interval)
    }
}

/// Shorter is no interval, but load; longer is no check.
const TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
const TIME: &str = "from 1 ms to 24 h";
const COUNT: &str = "1 or more";

impl<B: Backend> HealthCheck<B> {
    /// A check by this probe.
    pub fn new(probe: impl HealthProbe<B>) -> Self {
        Self {
            probe: AnyProbe::new(probe),
            settings: Settings {
                interval: Duration::from_secs(5),
                timeout: Duration::from_secs(1),
                thresholds: Thresholds { rise: 2, fall: 3 },
                transition_interval: Duration::from_secs(1),
                parallelism: 256,
                initial: Initial::UpUntilFailing,
            },
        }
    }

    fn with(
        mut self,
        (parameter, allowed): (&'static str, &'static str),
        value: impl fmt::Debug,
        is_in_range: bool,
        set: impl FnOnce(&mut Settings),
    ) -> Result<Self, CheckError> {
        if !is_in_range {
            let value = format!("{value:?}");
            return Err(CheckError {
                parameter,
                value,
                allowed,
            });
        }
        set(&mut self.settings);
        Ok(self)
    }

    /// How often a member is asked: each 1 ms to 24 h.
    pub fn with_interval(self, interval: Duration) -> Result<Self, CheckError> {
        self.with(("interval", TIME), interval, TIMES.contains(&interval), |settings| {
            settings.interval = interval;
        })
    }

    /// How long an answer may take, from 1 ms to 24 h; then the probe is dropped and has failed.
    pub fn with_timeout(self, timeout: Duration) -> Result<Self, CheckError> {
        self.with(("timeout", TIME), timeout, TIMES.contains(&timeout), |settings| {
            settings.timeout = timeout;
        })
    }

    /// How many probes in a row have to pass until a member that fails is fit again: 1 or more.
    pub fn with_rise(self, rise: u32) -> Result<Self, CheckError> {
        self.with(("rise", COUNT), rise, rise > 0, |settings| {
            settings.thresholds.rise = rise
        })
    }

    /// How many probes in a row have to fail until a member that is fit fails: 1 or more.
    pub fn with_fall(self, fall: u32) -> Result<Self, CheckError> {
        self.with(("fall", COUNT), fall, fall > 0, |settings| {
            settings.thresholds.fall = fall
        })
    }

    /// How often a member is asked while its last answers contradict what it is taken for, or while it is sent nothing
    /// because it was never asked: each 1 ms to 24 h. The interval, if that is shorter.
    pub fn with_transition_interval(self, interval: Duration) -> Result<Self, CheckError> {
        let name = "transition interval";
        self.with((name, TIME), interval, TIMES.contains(&interval), |settings| {
            settings.transition_interval = interval;
        })
    }

    /// How many members are asked at once: 1 or more. Who is due beyond that is asked as soon as others are done, who was
    /// due first before the others.
    ///
    /// Each member that does not answer takes one of these places for a timeout of each interval: with as many as
    /// parallelism × interval / timeout of them (1,280 unless said otherwise) or more, the probes of all come later.
    pub fn with_parallelism(self, parallelism: usize) -> Result<Self, CheckError> {
        self.with(("parallelism", COUNT), parallelism, parallelism > 0, |settings| {
            settings.parallelism = parallelism;
        })
    }

    /// What a member is taken for before it has answered.
    pub fn with_initial(mut self, initial: Initial) -> Self {
        self.settings.initial = initial;
        self
    }
}

impl<B: Backend> fmt::Debug for HealthCheck<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthCheck")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A setting of a [`HealthCheck`] is out of its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckError {
    parameter: &'static str,
    value: String,
    allowed: &'static str,
}

impl CheckError {
    /// Which setting.
    pub fn parameter(&self) -> &'static str {
        self.parameter
    }

    /// Its range, in words.
    pub fn allowed(&self) -> &'static str {
        self.allowed
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parameter, value) = (self.parameter, Excerpt(&self.value));
        write!(
            f,
            "invalid {parameter} {value} of a health check: expected {}",
            self.allowed
        )
    }
}

impl std::error::Error for CheckError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::Endpoint, error::BoxError, health::Report};

    struct Silent;

    impl HealthProbe<Endpoint<()>> for Silent {
        type Error = BoxError;
        async fn probe(&self, _: &Endpoint<()>) -> Result<Report, BoxError> {
            std::future::pending().await
        }
    }

    fn check() -> HealthCheck<Endpoint<()>> {
        HealthCheck::new(Silent)
    }

    #[test]
    fn settings_out_of_their_range_are_refused() {
        let (none, day) = (Duration::ZERO, Duration::from_secs(24 * 60 * 60));
        let (short, long) = (Duration::from_millis(1), day + Duration::from_nanos(1));
        for time in [none, short - Duration::from_nanos(1), long, Duration::MAX] {
            assert_eq!(check().with_interval(time).unwrap_err().parameter(), "interval");
            assert_eq!(check().with_timeout(time).unwrap_err().parameter(), "timeout");
            let refused = check().with_transition_interval(time).unwrap_err();
            assert_eq!(refused.parameter(), "transition interval");
        }
        for time in [short, day] {
            assert_eq!(check().with_interval(time).unwrap().settings.interval, time);
            assert_eq!(check().with_timeout(time).unwrap().settings.timeout, time);
            let checks = check().with_interval(day).unwrap().with_transition_interval(time);
            assert_eq!(checks.unwrap().settings.transition_interval(), time);
        }
        assert_eq!(check().with_rise(0).unwrap_err().parameter(), "rise");
        assert_eq!(check().with_fall(0).unwrap_err().parameter(), "fall");
        assert_eq!(check().with_parallelism(0).unwrap_err().parameter(), "parallelism");
        let set = check().with_rise(7).unwrap().with_fall(8).unwrap();
        assert_eq!((set.settings.thresholds.rise, set.settings.thresholds.fall), (7, 8));
        assert_eq!(
            check().with_timeout(none).unwrap_err().to_string(),
            "invalid timeout '0ns' of a health check: expected from 1 ms to 24 h"
        );
    }

    #[test]
    fn the_transition_interval_is_never_longer_than_the_interval() {
        let second = Duration::from_secs(1);
        assert_eq!(check().settings.transition_interval(), second);
        let brief = check().with_interval(second / 10).unwrap();
        assert_eq!(brief.settings.transition_interval(), second / 10);
    }
}
