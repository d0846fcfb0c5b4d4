//! Outlier detection: which members' requests fail, and how long they are left alone for it.

mod rates;
mod sentence;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{fmt, time::Duration};

pub(crate) use rates::Sample;
pub(crate) use sentence::Sentence;

use crate::{fitness::Limits, selector::ParameterError};

/// When a member is ejected for how its requests end, for how long, and how it returns.
///
/// The rules and defaults are those of Envoy's [outlier detection] and of gRPC's [A50], which has those two of Envoy's
/// that compare intervals; where they differ, or these differ from both, it is said.
///
/// A member is ejected
/// - at once, when so many of its requests [failed](crate::Outcome::is_failure) in a row: of any kind, and separately of
///   those that failed [at](crate::Outcome::Unreachable) or [behind](crate::Outcome::BadGateway) a gateway, and of those
///   that [did not reach](crate::Outcome::Unreachable) it;
/// - at a sweep, when in the interval fewer of its requests succeeded than the mean of all members less so many standard
///   deviations, or when a percentage of its requests failed, whatever became of the others'.
///
/// It is left alone for the base time, and the next time for twice that, and so on up to the longest; each interval in
/// which it stays takes one time off again. Then it is on probation: it gets one request at a time, besides those that are
/// open from before, and is ejected again by the first that fails. Others serve the rest, those that served meanwhile
/// included; where there is nobody else, and [all count](crate::PoolBuilder::panic_threshold), it gets all.
///
/// ```
/// use std::time::Duration;
/// use equipoise::OutlierDetection;
///
/// let detection = OutlierDetection::new()
///     .with_consecutive_failures(3)?
///     .with_success_rate(None)?
///     .with_ejection(Duration::from_secs(10), Duration::from_secs(60))?;
/// assert!(detection.with_most_ejected(101).is_err());
/// # Ok::<_, equipoise::ParameterError>(())
/// ```
///
/// [outlier detection]: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier
/// [A50]: https://github.com/grpc/proposal/blob/master/A50-xds-outlier-detection.md
#[derive(Clone, Debug, PartialEq)]
pub struct OutlierDetection {
    failures: Option<u32>,
    gateway_failures: Option<u32>,
    local_failures: Option<u32>,
    /// The factor.
    success_rate: Option<f64>,
    success_rate_minimum: Minimum,
    /// The threshold.
    failure_percentage: Option<f64>,
    failure_percentage_minimum: Minimum,
    interval: Duration,
    /// The base and the longest.
    ejection: (Duration, Duration),
    most_ejected: u32,
    probation: u32,
    is_ended_by_probe: bool,
}

/// How much has to be known before members are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Minimum {
    members: usize,
    /// Of each of them, in the interval.
    requests: u64,
}

const COUNTS: &str = "a whole number from 1 to 1000000, or none";
const FACTORS: &str = "a number from 0 to 100, or none";
const PERCENTAGES: &str = "a number above 0, up to 100, or none";
const MINIMUMS: &str = "at least 1 member and 1 request";
const INTERVALS: &str = "a time from 10ms to 1h";
const EJECTIONS: &str = "a base from 10ms on, and a longest from the base to 24h";
const SHARES: &str = "a whole number from 0 to 100";
const PROBATIONS: &str = "a whole number from 1 to 1000";

const SHORTEST: Duration = Duration::from_millis(10);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl OutlierDetection {
    const NAME: &'static str = "outlier detection";
    /// Of the interval, less or more.
    const JITTER: f64 = 0.1;

    /// The defaults, which each method tells with their sources.
    pub fn new() -> Self {
        Self {
            failures: Some(5),
            gateway_failures: None,
            local_failures: Some(5),
            success_rate: Some(1.9),
            success_rate_minimum: Minimum {
                members: 5,
                requests: 100,
            },
            failure_percentage: Some(85.0),
            failure_percentage_minimum: Minimum {
                members: 5,
                requests: 50,
            },
            interval: Duration::from_secs(10),
            ejection: (Duration::from_secs(30), Duration::from_secs(300)),
            most_ejected: 10,
            probation: 1,
            is_ended_by_probe: false,
        }
    }

    /// How many requests in a row have to [fail](crate::Outcome::is_failure), in whichever way, for the member to be
    /// ejected at once: from 1 to 1,000,000, or `None` for never. 5, as Envoy's `consecutive_5xx`.
    ///
    /// A request that was cancelled, or whose answer broke off, neither adds to the row nor ends it.
    pub fn with_consecutive_failures(self, count: impl Into<Option<u32>>) -> Result<Self, ParameterError> {
        let failures = Self::count("consecutive_failures", count.into())?;
        Ok(Self { failures, ..self })
    }

    /// How many requests in a row have to end in [`BadGateway`](crate::Outcome::BadGateway) or
    /// [`Unreachable`](crate::Outcome::Unreachable): from 1 to 1,000,000, or `None` for never, which is the default. Envoy's
    /// `consecutive_gateway_failure` is 5, and enforced for 0 % of them unless told otherwise.
    pub fn with_consecutive_gateway_failures(self, count: impl Into<Option<u32>>) -> Result<Self, ParameterError> {
        let gateway_failures = Self::count("consecutive_gateway_failures", count.into())?;
        Ok(Self {
            gateway_failures,
            ..self
        })
    }

    /// How many requests in a row have to end in [`Unreachable`](crate::Outcome::Unreachable): from 1 to 1,000,000, or
    /// `None` for never. 5, as Envoy's `consecutive_local_origin_failure`, which it counts only if told to split off
    /// failures of local origin.
    pub fn with_consecutive_local_failures(self, count: impl Into<Option<u32>>) -> Result<Self, ParameterError> {
        let local_failures = Self::count("consecutive_local_failures", count.into())?;
        Ok(Self { local_failures, ..self })
    }

    /// By how many standard deviations a member's success rate has to be below the mean: from 0 to 100, or `None` to
    /// leave that be. 1.9, as Envoy and A50 have it (1900 thousandths there), both of which enforce it.
    ///
    /// One outlier among n members is √(n − 1) deviations from the mean, however small or large the difference: with 1.9 it
    /// takes five members to see it, and with five or more a single failed request would be enough where none of the
    /// others' failed; and of many members that are all as good some are always that far below. So, other than with Envoy
    /// and A50, more of its requests also have to fail than chance would make of as many that fail as often as the others',
    /// by more than four standard deviations of a binomial distribution, one added to its variance: five of any number
    /// where none of the others' fail.
    pub fn with_success_rate(self, factor: impl Into<Option<f64>>) -> Result<Self, ParameterError> {
        let success_rate = factor.into();
        let is_in_range = |factor| (0.0..=100.0).contains(&factor);
        match success_rate {
            Some(factor) if !is_in_range(factor) => Err(Self::error("success_rate", factor, FACTORS)),
            _ => Ok(Self { success_rate, ..self }),
        }
    }

    /// How many members there have to be, each with so many requests in the interval, for their success rates to be
    /// compared; a member with fewer requests is left out. 5 and 100, as Envoy and A50 have it; at least 1 each.
    pub fn with_success_rate_minimum(self, members: usize, requests: u64) -> Result<Self, ParameterError> {
        let success_rate_minimum = Minimum::new("success_rate_minimum", members, requests)?;
        Ok(Self {
            success_rate_minimum,
            ..self
        })
    }

    /// What percentage of a member's requests has to fail in an interval, whatever those of the others do: more than 0, up
    /// to 100, or `None` to leave that be. 85, as Envoy and A50 have it. A50 enforces it; Envoy does not, unless told to:
    /// with the default cap, and as there have to be others, it is on here.
    pub fn with_failure_percentage(self, percent: impl Into<Option<f64>>) -> Result<Self, ParameterError> {
        let failure_percentage = percent.into();
        let is_in_range = |percent| percent > 0.0 && percent <= 100.0;
        match failure_percentage {
            Some(percent) if !is_in_range(percent) => Err(Self::error("failure_percentage", percent, PERCENTAGES)),
            _ => Ok(Self {
                failure_percentage,
                ..self
            }),
        }
    }

    /// How many members there have to be, each with so many requests in the interval, for the percentage of failures to
    /// count; a member with fewer requests is left out. 5 and 50, as Envoy and A50 have it; at least 1 each. As with
    /// Envoy the members are those with so many requests; A50 counts the others too.
    pub fn with_failure_percentage_minimum(self, members: usize, requests: u64) -> Result<Self, ParameterError> {
        let failure_percentage_minimum = Minimum::new("failure_percentage_minimum", members, requests)?;
        Ok(Self {
            failure_percentage_minimum,
            ..self
        })
    }

    /// How long an interval is, after which a sweep compares the members: from 10 ms to an hour. 10 s, as Envoy and A50
    /// have it; here a tenth less or more, at random each time, so that many pools do not sweep together.
    pub fn with_interval(self, interval: Duration) -> Result<Self, ParameterError> {
        if (SHORTEST..=HOUR).contains(&interval) {
            Ok(Self { interval, ..self })
        } else {
            Err(Self::error("interval", format_args!("{interval:?}"), INTERVALS))
        }
    }

    /// How long a member is ejected for the first time, and for how long at most: at least 10 ms the first, and from that
    /// to a day the other. 30 s and 300 s, as Envoy and A50 have it.
    ///
    /// As there, the n-th ejection in a row lasts n times the base, and each interval in good standing takes one off. It
    /// ends when it is over, though, not with the sweep after that.
    pub fn with_ejection(self, base: Duration, longest: Duration) -> Result<Self, ParameterError> {
        if SHORTEST <= base && base <= longest && longest <= DAY {
            let ejection = (base, longest);
            Ok(Self { ejection, ..self })
        } else {
            Err(Self::error(
                "ejection",
                format_args!("{base:?} to {longest:?}"),
                EJECTIONS,
            ))
        }
    }

    /// What percentage of the members may be ejected at once: from 0, nobody ever, to 100. 10, as Envoy and A50 have it.
    /// Of a number of which that is less than one, one may be.
    pub fn with_most_ejected(self, percent: u32) -> Result<Self, ParameterError> {
        if percent <= 100 {
            Ok(Self {
                most_ejected: percent,
                ..self
            })
        } else {
            Err(Self::error("most_ejected", percent, SHARES))
        }
    }

    /// How many requests in a row have to succeed, one at a time, for probation to end: from 1 to 1,000. 1, as with
    /// linkerd2's failure accrual, where one request decides too; with Envoy and A50 there is no probation: who returns
    /// gets its full share at once.
    pub fn with_probation(self, successes: u32) -> Result<Self, ParameterError> {
        if (1..=1_000).contains(&successes) {
            let probation = successes;
            Ok(Self { probation, ..self })
        } else {
            Err(Self::error("probation", successes, PROBATIONS))
        }
    }

    /// Whether a passing [probe](crate::HealthProbe) ends an ejection. It does not, by default: a shallow probe, such as
    /// one that only connects, passes where requests fail. With Envoy it does, by its
    /// `successful_active_health_check_uneject_host`.
    pub fn with_ended_by_probe(self, is_ended: bool) -> Self {
        Self {
            is_ended_by_probe: is_ended,
            ..self
        }
    }

    pub(crate) fn is_ended_by_probe(&self) -> bool {
        self.is_ended_by_probe
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            failures: self.failures.unwrap_or(0),
            gateway: self.gateway_failures.unwrap_or(0),
            local: self.local_failures.unwrap_or(0),
        }
    }

    /// How long until the next sweep, by a random number from 0 to 1.
    pub(crate) fn until_sweep(&self, random: f64) -> Duration {
        self.interval.mul_f64(1.0 + Self::JITTER * (2.0 * random - 1.0))
    }

    fn count(parameter: &'static str, count: Option<u32>) -> Result<Option<u32>, ParameterError> {
        match count {
            Some(count) if !(1..=Limits::MOST).contains(&count) => Err(Self::error(parameter, count, COUNTS)),
            _ => Ok(count),
        }
    }

    fn error(parameter: &'static str, value: impl fmt::Display, allowed: &'static str) -> ParameterError {
        ParameterError::of(Self::NAME, parameter, value, allowed)
    }
}

impl Minimum {
    fn new(parameter: &'static str, members: usize, requests: u64) -> Result<Self, ParameterError> {
        if members > 0 && requests > 0 {
            Ok(Self { members, requests })
        } else {
            let value = format_args!("{members} and {requests}");
            Err(OutlierDetection::error(parameter, value, MINIMUMS))
        }
    }
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self::new()
    }
}
