//! The futures of a balanced call.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Answer, Assigned, Dispatched, Protocol};
use crate::{
    backend::Backend,
    error::{BoxError, Error},
    member::MemberId,
    outcome::Outcome,
    pool::{Acquire, Lease},
    selector::Selector,
    trace,
};

pin_project! {
    /// The future of `Balance::dispatch`. Dropped before it is ready, the request counts as cancelled.
    pub struct Dispatching<Req, I: Service<Assigned<Req, B>>, B: Backend, S: Selector<B>, P> {
        #[pin]
        stage: Stage<Req, I, I::Future, B, S>,
        protocol: P,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<Req, I, F, B: Backend, S: Selector<B>> {
        // Boxed, so that a call that need not wait is not as large as one that does.
        Waiting { held: Option<Box<Held<Req, I, B, S>>> },
        Calling { #[pin] response: F, lease: Lease<Arc<B>> },
        Failed { error: Option<Error> },
    }
}

/// A call that waits for a member: the inner service is the one that was ready for it.
pub(super) struct Held<Req, I, B: Backend, S: Selector<B>> {
    pub(super) acquire: Acquire<B, S>,
    pub(super) inner: I,
    pub(super) request: Req,
}

impl<Req, I, B, S, P> Dispatching<Req, I, B, S, P>
where
    I: Service<Assigned<Req, B>>,
    B: Backend,
    S: Selector<B>,
{
    #[inline(always)]
    pub(super) fn calling(response: I::Future, lease: Lease<Arc<B>>, protocol: P) -> Self {
        Self {
            stage: Stage::Calling { response, lease },
            protocol,
        }
    }

    #[cold]
    pub(super) fn waiting(held: Held<Req, I, B, S>, protocol: P) -> Self {
        let held = Some(Box::new(held));
        Self {
            stage: Stage::Waiting { held },
            protocol,
        }
    }

    #[cold]
    pub(super) fn failed(error: Error, protocol: P) -> Self {
        let error = Some(error);
        Self {
            stage: Stage::Failed { error },
            protocol,
        }
    }
}

impl<Req, I, B, S, P> Future for Dispatching<Req, I, B, S, P>
where
    I: Service<Assigned<Req, B>, Error: Into<BoxError>>,
    B: Backend,
    S: Selector<B>,
    P: Protocol<I::Response>,
{
    type Output = Answer<I::Response, Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProjection::Calling { response, lease } => {
                    let result = ready!(response.poll(cx));
                    let mut lease = lease.take();
                    let result = judge(result, &mut lease, this.protocol);
                    let lease = Some(lease.erase());
                    return Poll::Ready(Answer { result, lease });
                }
                StageProjection::Waiting { held } => {
                    let acquire = &mut held.as_mut().expect(POLLED_AGAIN).acquire;
                    let acquired = ready!(Pin::new(acquire).poll(cx));
                    let Held {
                        acquire,
                        mut inner,
                        request,
                    } = *held.take().expect(POLLED_AGAIN);
                    match acquired {
                        Ok(lease) => {
                            let backend = lease.backend().clone();
                            let response = inner.call(Assigned { request, backend });
                            this.stage.set(Stage::Calling { response, lease });
                        }
                        Err(error) => {
                            trace::refused(acquire.pool().shared().name(), acquire.was_elsewhere(), &error);
                            return Poll::Ready(Answer {
                                result: Err(error),
                                lease: None,
                            });
                        }
                    }
                }
                StageProjection::Failed { error } => {
                    let result = Err(error.take().expect(POLLED_AGAIN));
                    return Poll::Ready(Answer { result, lease: None });
                }
            }
        }
    }
}

impl<Req, I, B, S, P> Dispatched<I::Response, Error> for Dispatching<Req, I, B, S, P>
where
    I: Service<Assigned<Req, B>, Error: Into<BoxError>>,
    B: Backend,
    S: Selector<B>,
    P: Protocol<I::Response>,
{
    fn member(&self) -> Option<MemberId> {
        match &self.stage {
            Stage::Calling { lease, .. } => lease.held(),
            Stage::Waiting { .. } | Stage::Failed { .. } => None,
        }
    }

    fn was_sent(&self) -> bool {
        self.member().is_some()
    }

    fn give_up(self: Pin<&mut Self>, outcome: Outcome) -> Option<Lease> {
        let mut this = self.project();
        let lease = match this.stage.as_mut().project() {
            StageProjection::Calling { lease, .. } if lease.held().is_some() => {
                let mut lease = lease.take();
                lease.settle(outcome);
                Some(lease.erase())
            }
            _ => None,
        };
        this.stage.set(Stage::Failed { error: None });
        lease
    }
}

const POLLED_AGAIN: &str = "a future is not polled again after it was ready";

/// The inner service has answered: what is to be counted of it, and the error that a caller sees.
#[inline(always)]
fn judge<Raw, E: Into<BoxError>, B: Backend>(
    result: Result<Raw, E>,
    lease: &mut Lease<Arc<B>>,
    protocol: &impl Protocol<Raw>,
) -> Result<Raw, Error> {
    if let Ok(raw) = &result {
        protocol.report(raw, lease);
    }
    match result {
        Ok(raw) => {
            match protocol.answered(&raw) {
                Outcome::Success => lease.answered(),
                outcome => {
                    lease.settle(outcome);
                    trace::answered_badly(lease.pool(), lease.backend_id(), false);
                }
            }
            Ok(raw)
        }
        Err(error) => {
            let error = error.into();
            lease.settle(protocol.outcome(&error));
            let error = Error::backend_failed(Some(lease.backend_id()), error);
            trace::failed(lease.pool(), &error);
            Err(error)
        }
    }
}

/// What a caller of the balanced service gets.
#[inline(always)]
pub(super) fn conclude<Raw, P: Protocol<Raw>>(
    result: Result<Raw, Error>,
    lease: Option<Lease>,
) -> Result<P::Response, Error> {
    match (result, lease) {
        (Ok(raw), Some(lease)) => Ok(P::attach(raw, lease)),
        (Err(error), _) => Err(error),
        // Only a service around the balanced one can have taken the lease away.
        (Ok(_), None) => Err(Error::unavailable("the answer has lost its lease")),
    }
}

impl<Req, I: Service<Assigned<Req, B>>, B: Backend, S: Selector<B>, P> fmt::Debug for Dispatching<Req, I, B, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dispatching")
    }
}

pin_project! {
    /// The future of a [`Balance`]'s call.
    pub struct BalanceFuture<Req, I: Service<Assigned<Req, B>>, B: Backend, S: Selector<B>, P> {
        #[pin]
        dispatching: Dispatching<Req, I, B, S, P>,
    }
}

impl<Req, I: Service<Assigned<Req, B>>, B: Backend, S: Selector<B>, P> BalanceFuture<Req, I, B, S, P> {
    #[inline(always)]
    pub(super) fn new(dispatching: Dispatching<Req, I, B, S, P>) -> Self {
        Self { dispatching }
    }
}

impl<Req, I, B, S, P> Future for BalanceFuture<Req, I, B, S, P>
where
    I: Service<Assigned<Req, B>, Error: Into<BoxError>>,
    B: Backend,
    S: Selector<B>,
    P: Protocol<I::Response>,
{
    type Output = Result<P::Response, Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut dispatching = self.project().dispatching;
        let this = dispatching.as_mut().project();
        if let StageProjection::Calling { response, lease } = this.stage.project() {
            // The usual way, straight: an answer put together only to be taken apart is a response moved three times.
            let result = ready!(response.poll(cx));
            let mut lease = lease.take();
            let result = judge(result, &mut lease, this.protocol);
            return Poll::Ready(conclude::<_, P>(result, Some(lease.erase())));
        }
        let Answer { result, lease } = ready!(dispatching.poll(cx));
        Poll::Ready(conclude::<_, P>(result, lease))
    }
}

impl<Req, I: Service<Assigned<Req, B>>, B: Backend, S: Selector<B>, P> fmt::Debug for BalanceFuture<Req, I, B, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BalanceFuture")
    }
}
