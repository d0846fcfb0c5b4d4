//! The client's side: answers that say what the backend's load is.

use http::Response;

use super::read;
use crate::{
    Backend, BalanceLayer, BoxError, Lease, Outcome, Pool, Protocol, Selector,
    http::{Http, Origin, ToOriginLayer},
};

/// A protocol over HTTP, [`Http`] unless said otherwise, in which answers say what the backend's load is, in any format
/// of ORCA: the selector learns of it if it goes by load, and else the headers are not even looked at.
///
/// A report that can't be read or is absurd is [counted](crate::Member::rejected_reports) and ignored; the answer is
/// none the worse for it. The header is left in the response: whoever passes responses on to strangers may want to
/// remove [`HEADER`](super::HEADER) and [`HEADER_BIN`](super::HEADER_BIN).
#[derive(Clone, Copy, Debug, Default)]
pub struct Orca<P = Http>(P);

impl<P> Orca<P> {
    /// The same protocol with reports of load.
    pub fn new(protocol: P) -> Self {
        Self(protocol)
    }
}

impl<D, P: Protocol<Response<D>>> Protocol<Response<D>> for Orca<P> {
    type Response = P::Response;

    fn answered(&self, response: &Response<D>) -> Outcome {
        self.0.answered(response)
    }

    fn outcome(&self, error: &BoxError) -> Outcome {
        self.0.outcome(error)
    }

    fn report<A: ?Sized>(&self, response: &Response<D>, lease: &Lease<A>) {
        self.0.report(response, lease);
        if !lease.wants_reports() {
            return;
        }
        match read(response.headers()) {
            Ok(Some(report)) => lease.report(&report),
            Ok(None) => {}
            Err(_) => lease.reject_report(),
        }
    }

    fn attach(response: Response<D>, lease: Lease) -> Self::Response {
        P::attach(response, lease)
    }
}

impl<B: Backend + AsRef<Origin>, S: Selector<B>> BalanceLayer<B, S, Orca, ToOriginLayer> {
    /// [`BalanceLayer::http`] for backends that report their load: see [`orca`](crate::orca).
    pub fn orca(pool: Pool<B, S>) -> Self {
        Self::with(pool, Orca::default(), ToOriginLayer)
    }
}
