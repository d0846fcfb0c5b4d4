//! The layer.

use std::fmt;

use tower_layer::{Identity, Layer};

use super::{Balance, Plain};
use crate::{backend::Backend, pool::Pool, selector::Selector};

/// Balances the calls of an inner service over a pool.
///
/// ```
/// use equipoise::{Assigned, BalanceLayer, BoxError, Endpoint, Pool};
/// use tower::{Layer, Service, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), equipoise::Error> {
/// let pool = Pool::builder()
///     .backend(Endpoint::new("a", "10.0.0.1:80"))
///     .backend(Endpoint::new("b", "10.0.0.2:80"))
///     .spawn();
///
/// // Any service that can call any backend.
/// let inner = tower::service_fn(async |call: Assigned<&str, Endpoint<&str>>| {
///     Ok::<_, BoxError>(format!("{} to {}", call.request, call.backend.target()))
/// });
/// let mut balanced = BalanceLayer::new(pool).layer(inner);
///
/// println!("{}", balanced.ready().await?.call("hello").await?);
/// # Ok(()) }
/// ```
pub struct BalanceLayer<B: Backend, S: Selector<B>, P = Plain, A = Identity> {
    pool: Pool<B, S>,
    protocol: P,
    adapter: A,
}

impl<B: Backend, S: Selector<B>> BalanceLayer<B, S> {
    /// A layer over a service of [`Assigned`](super::Assigned) requests, in the [`Plain`] protocol.
    pub fn new(pool: Pool<B, S>) -> Self {
        Self::with(pool, Plain, Identity::new())
    }
}

impl<B: Backend, S: Selector<B>, P, A> BalanceLayer<B, S, P, A> {
    /// A layer in a protocol, over what `adapter`, another layer, makes of the inner service.
    pub fn with(pool: Pool<B, S>, protocol: P, adapter: A) -> Self {
        Self {
            pool,
            protocol,
            adapter,
        }
    }
}

impl<B: Backend, S: Selector<B>, P: Clone, A: Layer<I>, I> Layer<I> for BalanceLayer<B, S, P, A> {
    type Service = Balance<A::Service, B, S, P>;

    fn layer(&self, inner: I) -> Self::Service {
        Balance::new(self.pool.clone(), self.protocol.clone(), self.adapter.layer(inner))
    }
}

impl<B: Backend, S: Selector<B>, P: Clone, A: Clone> Clone for BalanceLayer<B, S, P, A> {
    fn clone(&self) -> Self {
        Self::with(self.pool.clone(), self.protocol.clone(), self.adapter.clone())
    }
}

impl<B: Backend, S: Selector<B>, P, A> fmt::Debug for BalanceLayer<B, S, P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceLayer")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
