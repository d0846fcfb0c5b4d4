//! Where a backend is asked that does not say so itself.

use super::address::ProbeTarget;
use crate::{Backend, Endpoint, HealthProbe, health::Report};

/// A probe that asks each backend where this function says, for backends that are no [`ProbeTarget`]s.
///
/// ```
/// use equipoise::{Endpoint, probes::{self, Http}};
///
/// /// A client of an imaginary database.
/// struct Client { host: String }
///
/// let probe = probes::at(
///     |client: &Endpoint<Client>| format!("{}:8080", client.target().host),
///     Http::get("/health")?,
/// );
/// # fn is_probe(_: impl equipoise::HealthProbe<Endpoint<Client>>) {}
/// # is_probe(probe);
/// # Ok::<_, probes::SettingError>(())
/// ```
pub fn at<B, T, F, P>(place: F, probe: P) -> At<F, P>
where
    F: Fn(&B) -> T + Send + Sync + 'static,
    T: ProbeTarget + Send + Sync + 'static,
    P: HealthProbe<Endpoint<T>>,
{
    At { place, probe }
}

/// The probe that [`at`] makes.
#[derive(Clone, Copy, Debug)]
pub struct At<F, P> {
    place: F,
    probe: P,
}

impl<B, T, F, P> HealthProbe<B> for At<F, P>
where
    B: Backend,
    F: Fn(&B) -> T + Send + Sync + 'static,
    T: ProbeTarget + Send + Sync + 'static,
    P: HealthProbe<Endpoint<T>>,
{
    type Error = P::Error;

    async fn probe(&self, backend: &B) -> Result<Report, P::Error> {
        let endpoint = Endpoint::new(backend.id(), (self.place)(backend));
        self.probe.probe(&endpoint).await
    }
}
