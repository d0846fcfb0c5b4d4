//! How backends are asked whether they are well.

use std::time::Duration;

use equipoise::{HealthCheck, http::HttpEndpoint, probes};

use crate::backend::HEALTH;

/// Each backend is asked so often.
pub(crate) const PERIOD: Duration = Duration::from_millis(250);

/// The defaults, but that they are sooner.
pub(crate) fn check() -> HealthCheck<HttpEndpoint> {
    HealthCheck::new(probes::Http::get(HEALTH).unwrap())
        .with_interval(PERIOD)
        .and_then(|check| check.with_timeout(Duration::from_millis(300)))
        .and_then(|check| check.with_transition_interval(Duration::from_millis(50)))
        .unwrap()
}
