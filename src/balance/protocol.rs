//! What an outcome is, and where the lease lives meanwhile.

use crate::{member::Outcome, pool::Lease};

/// The two things that differ between protocols: which answers are failures, and where a lease lives while the answer
/// goes on.
pub trait Protocol<Raw>: Clone {
    /// The response with the lease inside.
    type Response;

    /// Whether the answer that has begun is a good one. An inner service's error is a failure in every protocol.
    fn is_good(&self, raw: &Raw) -> bool;

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
