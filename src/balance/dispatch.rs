//! What services around a pick say to each other.

use std::future::Future;

use tower_service::Service;

use crate::{ask::Ask, pool::Lease};

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
    type Dispatching: Future<Output = Answer<Self::Raw, Self::Error>>;

    /// Sends the request to a backend that suits the ask. As with [`Service::call`], the service must be ready.
    fn dispatch(&mut self, ask: &Ask, request: Req) -> Self::Dispatching;

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
