//! What services around a pick say to each other.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{ask::Ask, clock::Clock, member::MemberId, outcome::Outcome, pool::Lease};

/// A balanced service that can be told what the request wants, and tells who served it.
///
/// A service that wraps another in order to influence picks (an affinity, a failover) implements both this and
/// [`Service`]: readiness, response and error are the same. The ask flows inward; the lease flows outward in
/// [`Answer`], on success and on error, at no extra cost. The outermost is called as a [`Service`] and
/// [`conclude`](Dispatch::conclude)s.
pub trait Dispatch<Req>: Service<Req> {
    /// The inner response, before the lease is put into it.
    type Raw;

    /// The future of [`dispatch`](Dispatch::dispatch).
    type Dispatching: Dispatched<Self::Raw, Self::Error>;

    /// Sends the request to a backend that suits the ask. As with [`Service::call`], the service must be ready.
    fn dispatch(&mut self, ask: &Ask, request: Req) -> Self::Dispatching;

    /// The pool's clock, which all around it go by.
    fn clock(&self) -> &Clock;

    /// Makes of an answer what [`Service::call`] returns: puts the lease to where the protocol keeps it.
    fn conclude(answer: Answer<Self::Raw, Self::Error>) -> Result<Self::Response, Self::Error>;
}

/// What came of a request: the result, and the lease of the member that it came from.
#[derive(Debug)]
pub struct Answer<Raw, E> {
    /// The inner service's response, or why there is none.
    pub result: Result<Raw, E>,
    /// None if no member was picked.
    pub lease: Option<Lease>,
}

/// A request on its way to its [`Answer`]. Dropped, it counts as cancelled.
pub trait Dispatched<Raw, E>: Future<Output = Answer<Raw, E>> {
    /// The member that the request is at: none while it waits for one, and once there is an answer.
    fn member(&self) -> Option<MemberId>;

    /// Whether anything of the request may have been sent to anybody until now; so unless that is known better.
    fn was_sent(&self) -> bool {
        true
    }

    /// Gives the request up, which is to be counted so: what it is polled for no more. What it was at is in the lease.
    fn give_up(self: Pin<&mut Self>, outcome: Outcome) -> Option<Lease>;
}

pin_project! {
    /// The future of a [`Service::call`] of what [dispatches](Dispatch): it [concludes](Dispatch::conclude).
    pub struct Concluding<Req, D: Dispatch<Req>> {
        #[pin]
        dispatching: D::Dispatching,
    }
}

impl<Req, D: Dispatch<Req>> Concluding<Req, D> {
    #[inline(always)]
    pub(super) fn new(dispatching: D::Dispatching) -> Self {
        Self { dispatching }
    }
}

impl<Req, D: Dispatch<Req>> Future for Concluding<Req, D> {
    type Output = Result<D::Response, D::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.project().dispatching.poll(cx));
        Poll::Ready(D::conclude(answer))
    }
}

impl<Req, D: Dispatch<Req>> fmt::Debug for Concluding<Req, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Concluding")
    }
}
