//! Asking, and what comes of it.

use std::{error::Error, fmt::Debug, net::SocketAddr, time::Duration};

use equipoise::{Backend, BoxError, Endpoint, HealthProbe, health::Report};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A probe's answer, or what it says of why there was none.
pub(crate) async fn asked<B: Backend>(probe: &impl HealthProbe<B>, backend: &B) -> Result<Report, String> {
    let answer = tokio::time::timeout(PATIENCE, probe.probe(backend)).await;
    answer.expect("it ends by itself").map_err(|error| told(&error.into()))
}

/// The same of whoever listens at an address.
pub(crate) async fn asked_at<P>(probe: &P, address: SocketAddr) -> Result<Report, String>
where
    P: HealthProbe<Endpoint<SocketAddr>>,
{
    asked(probe, &Endpoint::new("it", address)).await
}

/// Why it did not pass.
pub(crate) async fn refused_at<P>(probe: &P, address: SocketAddr) -> String
where
    P: HealthProbe<Endpoint<SocketAddr>>,
{
    asked_at(probe, address).await.expect_err("it should not pass")
}

/// Whether nothing comes of it, so that whoever asks has to give up.
pub(crate) async fn stalls<P>(probe: &P, address: SocketAddr) -> bool
where
    P: HealthProbe<Endpoint<SocketAddr>, Error: Debug>,
{
    let endpoint = Endpoint::new("it", address);
    let answer = tokio::time::timeout(Duration::from_millis(300), probe.probe(&endpoint)).await;
    answer.is_err()
}

/// An error: what it says is on one line, short, and clean.
fn told(error: &BoxError) -> String {
    let error: &dyn Error = &**error;
    let said = error.to_string();
    assert!(said.chars().count() < 600, "{said}");
    assert!(!said.chars().any(|c| c.is_control()), "{said:?}");
    said
}
