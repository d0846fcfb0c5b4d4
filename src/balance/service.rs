//! The service.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{
    Answer, BalanceFuture, Dispatch, Dispatching, Plain, Protocol,
    future::{Held, conclude},
};
use crate::{
    ask::Ask,
    backend::Backend,
    clock::Clock,
    error::{BoxError, Error},
    pool::Pool,
    selector::Selector,
    trace,
};

/// A request and the backend that was picked for it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assigned<Req, B> {
    /// The request, as the caller made it.
    pub request: Req,
    /// The backend to send it to.
    pub backend: Arc<B>,
}

/// An inner service whose calls are balanced over a pool: what [`BalanceLayer`](super::BalanceLayer) makes.
///
/// It is ready when the inner service is; members are picked in the call. Clones share the pool's live state.
pub struct Balance<I, B: Backend, S: Selector<B>, P = Plain> {
    pool: Pool<B, S>,
    protocol: P,
    inner: I,
}

impl<I, B: Backend, S: Selector<B>, P> Balance<I, B, S, P> {
    pub(super) fn new(pool: Pool<B, S>, protocol: P, inner: I) -> Self {
        Self { pool, protocol, inner }
    }

    /// The pool.
    pub fn pool(&self) -> &Pool<B, S> {
        &self.pool
    }
}

impl<Req, I, B, S, P> Dispatch<Req> for Balance<I, B, S, P>
where
    I: Service<Assigned<Req, B>, Error: Into<BoxError>> + Clone,
    B: Backend,
    S: Selector<B>,
    P: Protocol<I::Response>,
{
    type Raw = I::Response;
    type Dispatching = Dispatching<Req, I, B, S, P>;

    #[inline(always)]
    fn dispatch(&mut self, ask: &Ask, request: Req) -> Self::Dispatching {
        match self.pool.try_pick(ask) {
            Ok(lease) => {
                let backend = Arc::clone(lease.backend());
                let response = self.inner.call(Assigned { request, backend });
                Dispatching::calling(response, lease, self.protocol.clone())
            }
            Err(refusal) => {
                // The readiness that was asked for belongs to this call: it goes along, or ends with it. A clone stays.
                let spare = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, spare);
                if self.pool.shared().patience(refusal).is_none() {
                    let error = refusal.into();
                    trace::refused(self.pool.shared().name(), !ask.tried().is_empty(), &error);
                    return Dispatching::failed(error, self.protocol.clone());
                }
                let acquire = self.pool.acquire(ask.clone());
                Dispatching::waiting(
                    Held {
                        acquire,
                        inner,
                        request,
                    },
                    self.protocol.clone(),
                )
            }
        }
    }

    fn clock(&self) -> &Clock {
        self.pool.clock()
    }

    #[inline(always)]
    fn conclude(answer: Answer<I::Response, Error>) -> Result<P::Response, Error> {
        conclude::<_, P>(answer.result, answer.lease)
    }
}

impl<Req, I, B, S, P> Service<Req> for Balance<I, B, S, P>
where
    I: Service<Assigned<Req, B>, Error: Into<BoxError>> + Clone,
    B: Backend,
    S: Selector<B>,
    P: Protocol<I::Response>,
{
    type Response = P::Response;
    type Error = Error;
    type Future = BalanceFuture<Req, I, B, S, P>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| Error::backend_failed(None, error))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        BalanceFuture::new(self.dispatch(Ask::nothing(), request))
    }
}

impl<I: Clone, B: Backend, S: Selector<B>, P: Clone> Clone for Balance<I, B, S, P> {
    fn clone(&self) -> Self {
        Self::new(self.pool.clone(), self.protocol.clone(), self.inner.clone())
    }
}

impl<I, B: Backend, S: Selector<B>, P> fmt::Debug for Balance<I, B, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
