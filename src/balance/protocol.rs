//! What an outcome is, and where the lease lives meanwhile.

use crate::{error::BoxError, outcome::Outcome, pool::Lease};

/// What differs between protocols: what counts as a failure, where a lease lives while the answer goes on, and, if the
/// backend says it, where its load stands.
pub trait Protocol<Raw>: Clone {
    /// The response with the lease inside.
    type Response;

    /// What the answer that has begun says of the backend: [`Outcome::Success`] if it is a good one, else how the backend
    /// failed.
    fn answered(&self, raw: &Raw) -> Outcome;

    /// What the inner service's error says of the backend: that it could not be reached, unless the protocol knows better.
    fn outcome(&self, error: &BoxError) -> Outcome {
        let _ = error;
        Outcome::Unreachable
    }

    /// Tells the lease what the answer that has begun says of the backend's load: with [`Lease::report`], or with
    /// [`Lease::reject_report`] if it makes no sense. Asked once for each answer, good or not; nothing unless the protocol
    /// knows better.
    #[inline(always)]
    fn report<A: ?Sized>(&self, raw: &Raw, lease: &Lease<A>) {
        let _ = (raw, lease);
    }

    /// Puts the lease to where it lives until the answer has ended, which it then [settles](Lease::settle). A failure
    /// is settled already.
    fn attach(raw: Raw, lease: Lease) -> Self::Response;
}

/// Every response is good, and whole when it comes: the lease ends with it.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Plain;

impl<Raw> Protocol<Raw> for Plain {
    type Response = Raw;

    #[inline]
    fn answered(&self, _: &Raw) -> Outcome {
        Outcome::Success
    }

    #[inline(always)]
    fn attach(raw: Raw, mut lease: Lease) -> Raw {
        lease.settle(Outcome::Success);
        raw
    }
}
