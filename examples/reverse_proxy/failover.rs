//! When another backend is tried, by the command line.

use std::time::Duration;

use equipoise::{FailoverLayer, Hedge, RetryBudget, http::HttpFailover};

use crate::flags::{number, time};

/// What is said of it; without a word the library's defaults hold, but for the longest wait.
pub(crate) struct Failover {
    policy: HttpFailover,
    layer: FailoverLayer<()>,
}

impl Default for Failover {
    fn default() -> Self {
        Self {
            policy: HttpFailover::new(),
            // A client that waits for long is one that is gone; what asked for it to wait, `Retry-After`, is for it to read.
            layer: FailoverLayer::new(()).longest_wait(Duration::from_secs(1)),
        }
    }
}

impl Failover {
    /// Takes in one of the flags; the error names the flag, the value and what is allowed.
    pub(crate) fn with(mut self, flag: &str, value: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("invalid {flag} '{}': {why}", value.escape_debug());
        self.layer = match flag {
            "--tries" => {
                let tries = number(value).filter(|tries| *tries > 0);
                self.layer
                    .tries(tries.ok_or_else(|| wrong("expected a whole number from 1"))?)
            }
            "--try-timeout" => self.layer.try_timeout(time(flag, value)?),
            "--longest-wait" => self.layer.longest_wait(time(flag, value)?),
            "--deadline" => self.layer.deadline(time(flag, value)?),
            "--hedge" => self.layer.hedge(hedge(flag, value)?),
            "--retry-budget" => {
                let (percent, floor) = value.split_once(',').unwrap_or((value, "10"));
                let numbers = number(percent).zip(number(floor));
                let budget = numbers
                    .and_then(|(percent, floor)| RetryBudget::of(f64::from(percent) / 100.0, f64::from(floor)).ok());
                let allowed = "expected a percentage up to 10000, and perhaps ,N with a number a second up to 1000000";
                self.layer.budget(budget.ok_or_else(|| wrong(allowed))?)
            }
            // `--replay`.
            _ => {
                let bytes = number(value).and_then(|bytes| usize::try_from(bytes).ok());
                self.policy = self
                    .policy
                    .replay(bytes.ok_or_else(|| wrong("expected a number of bytes"))?);
                self.layer
            }
        };
        Ok(self)
    }

    pub(crate) fn layer(self) -> FailoverLayer<HttpFailover> {
        self.layer.policy(self.policy)
    }
}

fn hedge(flag: &str, value: &str) -> Result<Hedge, String> {
    let Some(percent) = value.strip_suffix('%') else {
        return time(flag, value).map(Hedge::after);
    };
    let quantile = number(percent).map(|percent| f64::from(percent) / 100.0);
    let hedge = quantile.and_then(|quantile| Hedge::after_quantile(quantile).ok());
    let allowed = "expected a time, or from 1% to 99%";
    hedge.ok_or_else(|| format!("invalid {flag} '{}': {allowed}", value.escape_debug()))
}
