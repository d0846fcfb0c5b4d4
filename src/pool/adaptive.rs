//! Limits that follow what requests tell.

use std::{fmt, time::Duration};

use crate::{limit::Settings, selector::ParameterError};

/// An in-flight limit for each member that follows what its requests tell: it grows while they are as fast as without a
/// queue, shrinks while they wait in one, and shrinks when they fail.
///
/// Each window, of at least the [interval](AdaptiveLimit::with_interval) and 25 requests (more where more are in flight
/// at once), the limit becomes
///
/// ```text
/// gradient × limit + √(gradient × limit),  gradient = tolerance × unqueued latency ÷ mean latency, from 0.5 to 2
/// ```
///
/// which is the step of Envoy's [adaptive concurrency filter]. A server with s slots that is asked for more than it can do
/// comes to about 1.25 s + √limit requests. A limit of which less than three quarters are in use stays as it is, unless
/// requests fail.
///
/// The unqueued latency is measured when the limit is first reached, [from time to time](AdaptiveLimit::with_remeasure)
/// while it is, and when it has halved: the limit is halved for a window, and again for as long as that makes requests
/// faster, or as they look slower than when it was measured before. While the limit is not reached no queue of this process's making is there, and the latency is followed as it
/// is.
///
/// Latency is that of the pool's clock from the pick to the verdict, for HTTP to the response's head. A request that was
/// cancelled counts as one that took longer than it was waited for, never as a fast one; one that failed is not a fast one
/// either. A change of weight keeps a member's limit.
///
/// It learns from this process's requests alone. Where many balancers share servers so that each has only a few requests
/// there, none of them can see what its own do to the latency: then let the servers limit themselves, or give the limit a
/// low [maximum](AdaptiveLimit::with_bounds).
///
/// ```
/// use equipoise::{AdaptiveLimit, Admission, Endpoint, Pool};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), equipoise::ParameterError> {
/// let pool = Pool::builder()
///     .backend(Endpoint::new("a", "10.0.0.1:80"))
///     .adaptive_limit(AdaptiveLimit::new().with_bounds(2, 200)?)
///     .admission(Admission::Queue { capacity: 1_000, deadline: Duration::from_secs(1) })
///     .spawn();
/// assert_eq!(pool.members()[0].limit, Some(20));
/// # Ok(()) }
/// ```
///
/// [adaptive concurrency filter]: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveLimit(Settings);

const MOST: u32 = 1_000_000;
const BOUNDS: &str = "a least from 1 on, and a most from the least to 1000000";
const INITIALS: &str = "a whole number within the bounds";
const TOLERANCES: &str = "a number from 1 to 10";
const FAILURES: &str = "a number from 0 to 1";
const INTERVALS: &str = "a time from 1ms to 1h";
const REMEASURES: &str = "a time from 100ms to 24h";

const HOUR: Duration = Duration::from_secs(3600);

impl AdaptiveLimit {
    const NAME: &'static str = "adaptive limit";

    /// The defaults, which each method tells with their sources.
    pub const fn new() -> Self {
        Self(Settings {
            min: 1,
            max: 1_000,
            initial: 20,
            tolerance: 1.25,
            failures: 0.1,
            interval: Duration::from_millis(100),
            remeasure: Duration::from_secs(30),
        })
    }

    /// The least and the most that a limit becomes: from 1 to 1,000,000. 1, and 1,000 as Envoy's `max_concurrency_limit`. A
    /// limit begins within them.
    pub fn with_bounds(self, least: u32, most: u32) -> Result<Self, ParameterError> {
        if least == 0 || most < least || most > MOST {
            return Err(Self::error("bounds", format_args!("{least} and {most}"), BOUNDS));
        }
        Ok(Self(Settings {
            min: least,
            max: most,
            initial: self.0.initial.clamp(least, most),
            ..self.0
        }))
    }

    /// The limit of a member that joins: within the bounds. 20, as of Netflix's limits, or the nearest within them.
    pub fn with_initial(self, initial: u32) -> Result<Self, ParameterError> {
        if !(self.0.min..=self.0.max).contains(&initial) {
            return Err(Self::error("initial", initial, INITIALS));
        }
        Ok(Self(Settings { initial, ..self.0 }))
    }

    /// How many times the unqueued latency is no cause to shrink: from 1 to 10. 1.25, Envoy's `buffer` of 25 %. The more,
    /// the longer the queue at a server.
    pub fn with_tolerance(self, tolerance: f64) -> Result<Self, ParameterError> {
        if !(1.0..=10.0).contains(&tolerance) {
            return Err(Self::error("tolerance", tolerance, TOLERANCES));
        }
        Ok(Self(Settings { tolerance, ..self.0 }))
    }

    /// Which part of a window's requests may [fail](crate::Outcome::is_failure) before the limit shrinks: from 0, none, to 1,
    /// any. 0.1: what an application gets wrong at any load is not for a limit to mend. Above that it shrinks by half the
    /// part that is too much, as a window of DCTCP (RFC 8257, section 3.3), and from then on grows by one a window above
    /// where that was.
    pub fn with_failures(self, tolerated: f64) -> Result<Self, ParameterError> {
        if !(0.0..=1.0).contains(&tolerated) {
            return Err(Self::error("failures", tolerated, FAILURES));
        }
        Ok(Self(Settings {
            failures: tolerated,
            ..self.0
        }))
    }

    /// How long a window is at least: from 1 ms to 1 h. 100 ms, the `concurrency_update_interval` of Envoy's examples.
    pub fn with_interval(self, interval: Duration) -> Result<Self, ParameterError> {
        if !(Duration::from_millis(1)..=HOUR).contains(&interval) {
            return Err(Self::error("interval", format_args!("{interval:?}"), INTERVALS));
        }
        Ok(Self(Settings { interval, ..self.0 }))
    }

    /// After how long the unqueued latency is measured anew, a quarter more or less, while a limit is reached: from 100 ms
    /// to 24 h. 30 s; Envoy's examples have 60 s, and bRPC 50 s.
    pub fn with_remeasure(self, after: Duration) -> Result<Self, ParameterError> {
        if !(Duration::from_millis(100)..=24 * HOUR).contains(&after) {
            return Err(Self::error("remeasure", format_args!("{after:?}"), REMEASURES));
        }
        Ok(Self(Settings {
            remeasure: after,
            ..self.0
        }))
    }

    pub(super) fn settings(&self) -> Settings {
        self.0
    }

    fn error(parameter: &'static str, value: impl fmt::Display, allowed: &'static str) -> ParameterError {
        ParameterError::of(Self::NAME, parameter, value, allowed)
    }
}

impl Default for AdaptiveLimit {
    fn default() -> Self {
        Self::new()
    }
}
