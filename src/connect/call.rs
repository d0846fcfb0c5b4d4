//! Calls to members that have services of their own.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    ConnectError, Connected,
    slot::{Called, Slot},
};
use crate::{Assigned, BoxError};

/// The inner service of a pool of [`Connected`] members: sends each request to the service of the member chosen for it.
///
/// It is always ready, as the members' services are asked before one is picked. If another request was first at the one
/// picked, this one waits for it, in turn, as long as the connector's [patience](super::Connector::patience) says; if
/// the connection turns out to have failed, it fails at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallMember;

impl<Req, B, Svc> Service<Assigned<Req, Connected<B, Svc, Req>>> for CallMember
where
    Svc: Service<Req, Error: Into<BoxError>>,
{
    type Response = Svc::Response;
    type Error = BoxError;
    type Future = CallFuture<Req, B, Svc>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, assigned: Assigned<Req, Connected<B, Svc, Req>>) -> Self::Future {
        let Assigned { request, backend, .. } = assigned;
        let stage = match backend.slot().call(request) {
            Ok(called) => Stage::called(called),
            Err(request) => Stage::Waiting {
                waiting: Some(Box::new(Waiting::new(backend.slot(), request))),
            },
        };
        CallFuture { member: backend, stage }
    }
}

pin_project! {
    /// The future of [`CallMember`]'s call.
    pub struct CallFuture<Req, B, Svc: Service<Req>> {
        member: Arc<Connected<B, Svc, Req>>,
        #[pin]
        stage: Stage<Req, Svc, Svc::Future>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<Req, Svc, F> {
        Calling { #[pin] response: F, incarnation: u64 },
        // Boxed, so that a call that need not wait is not as large as one that does.
        Waiting { waiting: Option<Box<Waiting<Req, Svc>>> },
        Failed { error: Option<ConnectError> },
    }
}

impl<Req, Svc, F> Stage<Req, Svc, F> {
    #[inline]
    fn called(called: Result<Called<F>, ConnectError>) -> Self {
        match called {
            Ok(Called { response, incarnation }) => Self::Calling { response, incarnation },
            Err(error) => Self::Failed { error: Some(error) },
        }
    }
}

/// A request that waits for its member's service, and its place in the order.
struct Waiting<Req, Svc> {
    slot: Arc<Slot<Svc>>,
    ticket: u64,
    request: Option<Req>,
}

impl<Req, Svc> Waiting<Req, Svc> {
    #[cold]
    fn new(slot: &Arc<Slot<Svc>>, request: Req) -> Self {
        Self {
            slot: Arc::clone(slot),
            ticket: slot.enter(),
            request: Some(request),
        }
    }
}

impl<Req, Svc> Drop for Waiting<Req, Svc> {
    fn drop(&mut self) {
        self.slot.leave(self.ticket);
    }
}

impl<Req, B, Svc> Future for CallFuture<Req, B, Svc>
where
    Svc: Service<Req, Error: Into<BoxError>>,
{
    type Output = Result<Svc::Response, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProjection::Calling { response, incarnation } => {
                    let result = ready!(response.poll(cx));
                    if result.is_ok() {
                        this.member.slot().prove(*incarnation);
                    }
                    return Poll::Ready(result.map_err(Into::into));
                }
                StageProjection::Waiting { waiting } => {
                    let held = waiting.as_mut().expect(POLLED_AGAIN);
                    let called = ready!(held.slot.poll_turn(held.ticket, &mut held.request, cx));
                    *waiting = None;
                    this.stage.set(Stage::called(called));
                }
                StageProjection::Failed { error } => {
                    let error = error.take().expect(POLLED_AGAIN);
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
    }
}

const POLLED_AGAIN: &str = "a future is not polled again after it was ready";

impl<Req, B, Svc: Service<Req>> fmt::Debug for CallFuture<Req, B, Svc> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallFuture")
    }
}
