//! What an outcome is, and where the lease lives meanwhile.

use crate::{error::BoxError, member::Outcome, pool::Lease};

/// The two things that differ between protocols: what counts as a failure, and where a lease lives while the answer
/// goes on.
pub trait Protocol<Raw>: Clone {
    /// The response with the lease inside.
    type Response;

    /// Whether the answer that has begun is a good one.
    fn is_good(&self, raw: &Raw) -> bool;

    /// What the inner service's error says of the backend: that it failed, unless the protocol knows better.
    fn outcome(&self, error: &BoxError) -> Outcome {
        let _ = error;
        Outcome::Failure
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
    fn is_good(&self, _: &Raw) -> bool {
        true
    }

    #[inline(always)]
    fn attach(raw: Raw, mut lease: Lease) -> Raw {
        lease.settle(Outcome::Success);
        raw
    }
}
