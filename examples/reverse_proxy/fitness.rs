//! Who is fit to serve, by the command line.

use equipoise::{
    AnySelector, HealthCheck, Locality, OutlierDetection, PoolBuilder, SlowStart, http::HttpEndpoint, probes,
};

use crate::flags::{number, time};

/// What is said of it; without a word outliers are ejected, and that is all.
pub(crate) struct Fitness {
    health: Option<HealthCheck<HttpEndpoint>>,
    outliers: Option<OutlierDetection>,
    panic_threshold: Option<u32>,
    slow_start: Option<SlowStart>,
    locality: Option<Locality>,
}

impl Default for Fitness {
    fn default() -> Self {
        Self {
            health: None,
            outliers: Some(OutlierDetection::new()),
            panic_threshold: None,
            slow_start: None,
            locality: None,
        }
    }
}

impl Fitness {
    /// Takes in one of the flags; the error names the flag, the value and what is allowed.
    pub(crate) fn with(mut self, flag: &str, value: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("invalid {flag} '{}': {why}", value.escape_debug());
        match flag {
            "--health" => self.health = Some(health(value).map_err(|why| wrong(&why))?),
            "--outliers" => {
                self.outliers = match value {
                    "on" => Some(OutlierDetection::new()),
                    "off" => None,
                    _ => return Err(wrong("expected on or off")),
                }
            }
            "--panic-threshold" => {
                let percent = number(value).filter(|percent| *percent <= 100);
                self.panic_threshold = Some(percent.ok_or_else(|| wrong("expected a whole number from 0 to 100"))?);
            }
            "--slow-start" => self.slow_start = Some(SlowStart::over(time(flag, value)?)),
            // `--locality`.
            _ => {
                let (region, zone) = value.split_once('/').unwrap_or((value, ""));
                if region.is_empty() && zone.is_empty() {
                    return Err(wrong("expected REGION or REGION/ZONE"));
                }
                self.locality = Some(Locality::new(region, zone));
            }
        }
        Ok(self)
    }

    /// A pool that goes by it.
    pub(crate) fn build(
        self,
        mut pool: PoolBuilder<HttpEndpoint, AnySelector<HttpEndpoint>>,
    ) -> PoolBuilder<HttpEndpoint, AnySelector<HttpEndpoint>> {
        if let Some(check) = self.health {
            pool = pool.health_check(check);
        }
        if let Some(outliers) = self.outliers {
            pool = pool.outlier_detection(outliers);
        }
        if let Some(percent) = self.panic_threshold {
            pool = pool.panic_threshold(percent);
        }
        if let Some(slow_start) = self.slow_start {
            pool = pool.slow_start(slow_start);
        }
        if let Some(here) = self.locality {
            pool = pool.locality(here);
        }
        pool
    }
}

const FIELDS: &str = "expected PATH[,expect=TEXT][,interval=T][,timeout=T], each once";

/// `PATH[,expect=TEXT][,interval=T][,timeout=T]`; the error is what is allowed.
fn health(text: &str) -> Result<HealthCheck<HttpEndpoint>, String> {
    let mut fields = text.split(',');
    let mut probe = probes::Http::get(fields.next().unwrap_or_default()).map_err(|error| error.to_string())?;
    let (mut interval, mut timeout, mut names) = (None, None, Vec::new());
    for field in fields {
        let (name, value) = field.split_once('=').ok_or(FIELDS)?;
        if names.contains(&name) {
            return Err(FIELDS.to_owned());
        }
        names.push(name);
        match name {
            "expect" => probe = probe.expect_text(value).map_err(|error| error.to_string())?,
            "interval" => interval = Some(time(name, value)?),
            "timeout" => timeout = Some(time(name, value)?),
            _ => return Err(FIELDS.to_owned()),
        }
    }
    let mut check = HealthCheck::new(probe);
    if let Some(interval) = interval {
        check = check.with_interval(interval).map_err(|error| error.to_string())?;
    }
    if let Some(timeout) = timeout {
        check = check.with_timeout(timeout).map_err(|error| error.to_string())?;
    }
    Ok(check)
}
