//! A key for each call.

use std::{
    fmt,
    task::{Context, Poll},
};

use tower_layer::Layer;
use tower_service::Service;

use super::{Answer, Concluding, Dispatch};
use crate::{ask::Ask, clock::Clock, key::HashKey};

/// Takes a key from each request, for selectors that bring the same key to the same backend.
///
/// It goes around a [`BalanceLayer`](super::BalanceLayer), or around what is around one: further out than what calls
/// several times for one request, so that the key is taken once.
///
/// ```
/// use equipoise::{Assigned, BalanceLayer, BoxError, Endpoint, KeyedLayer, Pool, key::HashFunction};
/// use tower::{Service, ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// # let pool = Pool::builder().backend(Endpoint::new("a", "10.0.0.1:6379")).spawn();
/// # let inner = tower::service_fn(async |call: Assigned<&str, Endpoint<&str>>| Ok::<_, BoxError>(call.request.len()));
/// let mut balanced = ServiceBuilder::new()
///     .layer(KeyedLayer::new(|name: &&str| Some(HashFunction::Xxh3.hash(name.as_bytes()))))
///     .layer(BalanceLayer::new(pool))
///     .service(inner);
///
/// balanced.ready().await?.call("a name").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct KeyedLayer<K> {
    key: K,
}

impl<K> KeyedLayer<K> {
    /// A layer that takes keys with this: a closure, an extractor, or a [chain](crate::key#chains).
    pub fn new(key: K) -> Self {
        Self { key }
    }
}

impl<K: Clone, D> Layer<D> for KeyedLayer<K> {
    type Service = Keyed<D, K>;

    fn layer(&self, inner: D) -> Self::Service {
        Keyed {
            inner,
            key: self.key.clone(),
        }
    }
}

/// A balanced service whose picks are asked for with the request's key: what [`KeyedLayer`] makes.
///
/// A request without a key is passed on as it is: what to do with it is the selector's to know. So is one that was
/// [dispatched](Dispatch::dispatch) with a key: whoever is further out has decided, and no other is taken.
#[derive(Clone, Copy)]
pub struct Keyed<D, K> {
    inner: D,
    key: K,
}

impl<D, K> Keyed<D, K> {
    /// The service that is given keys.
    pub fn get_ref(&self) -> &D {
        &self.inner
    }
}

impl<Req, D: Dispatch<Req>, K: HashKey<Req>> Dispatch<Req> for Keyed<D, K> {
    type Raw = D::Raw;
    type Dispatching = D::Dispatching;

    #[inline]
    fn dispatch(&mut self, ask: &Ask, request: Req) -> D::Dispatching {
        let key = match ask.key() {
            Some(_) => None,
            None => self.key.key(&request),
        };
        match key {
            Some(key) => self.inner.dispatch(&ask.clone().with_key(key), request),
            None => self.inner.dispatch(ask, request),
        }
    }

    fn clock(&self) -> &Clock {
        self.inner.clock()
    }

    #[inline]
    fn conclude(answer: Answer<D::Raw, D::Error>) -> Result<D::Response, D::Error> {
        D::conclude(answer)
    }
}

impl<Req, D: Dispatch<Req>, K: HashKey<Req>> Service<Req> for Keyed<D, K> {
    type Response = D::Response;
    type Error = D::Error;
    type Future = Concluding<Req, D>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), D::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let mut ask = Ask::new();
        if let Some(key) = self.key.key(&request) {
            ask = ask.with_key(key);
        }
        Concluding::new(self.inner.dispatch(&ask, request))
    }
}

impl<D: fmt::Debug, K> fmt::Debug for Keyed<D, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
