//! How to ask a backend.

use std::{future::Future, pin::Pin, sync::Arc};

use super::Report;
use crate::{backend::Backend, error::BoxError};

/// An active question to a backend.
///
/// It is asked by the pool's driver, beside the requests: it counts as none, has a deadline (that of the
/// [`HealthCheck`](crate::HealthCheck::with_timeout); of what a selector asks by itself
/// [`PoolBuilder::probe_timeout`](crate::PoolBuilder::probe_timeout)), and is dropped when that has passed, when its
/// member leaves the pool or is replaced, and when the pool ends. A panic counts as an error.
///
/// ```
/// use equipoise::{BoxError, Endpoint, HealthProbe, LoadReport, health::Report};
///
/// /// Asks an imaginary server how many requests it has.
/// struct Queue;
///
/// impl HealthProbe<Endpoint<u16>> for Queue {
///     type Error = BoxError;
///     async fn probe(&self, backend: &Endpoint<u16>) -> Result<Report, BoxError> {
///         let queue = f64::from(*backend.target());
///         Ok(Report::new().with_load(LoadReport::new().with_queue(queue)?))
///     }
/// }
/// ```
pub trait HealthProbe<B: Backend>: Send + Sync + 'static {
    /// Why there was no report.
    type Error: Into<BoxError>;

    /// Asks the backend.
    fn probe(&self, backend: &B) -> impl Future<Output = Result<Report, Self::Error>> + Send;
}

/// A probe on its way; it holds the backend.
pub(crate) type Asked = Pin<Box<dyn Future<Output = Result<Report, BoxError>> + Send>>;

/// Any probe, its type erased.
pub(crate) struct AnyProbe<B>(Arc<dyn Erased<B>>);

trait Erased<B>: Send + Sync {
    fn probe(self: Arc<Self>, backend: Arc<B>) -> Asked;
}

impl<B: Backend, P: HealthProbe<B>> Erased<B> for P {
    fn probe(self: Arc<Self>, backend: Arc<B>) -> Asked {
        Box::pin(async move { HealthProbe::probe(&*self, &backend).await.map_err(Into::into) })
    }
}

impl<B: Backend> AnyProbe<B> {
    pub(crate) fn new(probe: impl HealthProbe<B>) -> Self {
        Self(Arc::new(probe))
    }

    pub(crate) fn probe(&self, backend: Arc<B>) -> Asked {
        Arc::clone(&self.0).probe(backend)
    }
}
