//! Keys: 64 bits taken from a request, for selectors that want the same request at the same backend.
//!
//! A [`HashKey`] takes a key from a request: the extractors of `http` do (feature `http`), any closure does, and so
//! does a chain of several. [`KeyedLayer`](crate::KeyedLayer) takes it before a request is balanced.
//!
//! ```
//! use equipoise::key::{HashFunction, HashKey};
//!
//! struct Query { tenant: String }
//!
//! let by_tenant = |query: &Query| Some(HashFunction::default().hash(query.tenant.as_bytes()));
//! let key = by_tenant.key(&Query { tenant: "acme".to_owned() });
//! assert!(key.is_some());
//! ```
//!
//! # Chains
//! A tuple of up to eight, an array, a slice or a vector is a chain, as a route's `hash_policy` is in Envoy and gRPC
//! ([gRFC A42](https://github.com/grpc/proposal/blob/master/A42-xds-ring-hash-lb-policy.md), section "Hash Policy"):
//! each is asked in turn, and what they find is combined. The key so far is rotated left by one bit and xored with the
//! next, so that order counts and the same key twice does not cancel itself out. One that finds nothing changes nothing.
//! Behind a [`Terminal`] the chain goes on only while there is no key: the rest is what to fall back to. If none finds
//! any, the request has no key, and the selector chooses as it does without (gRPC takes a random one).
//!
//! ```
//! use equipoise::key::{HashKey, Terminal};
//!
//! struct Call { session: Option<u64>, tenant: u64, object: u64 }
//!
//! // The session's, or that of tenant and object together.
//! let key = (
//!     Terminal(|call: &Call| call.session),
//!     |call: &Call| Some(call.tenant),
//!     |call: &Call| Some(call.object),
//! );
//! assert_eq!(key.key(&Call { session: Some(7), tenant: 1, object: 9 }), Some(7));
//! assert_eq!(key.key(&Call { session: None, tenant: 1, object: 9 }), Some(1 << 1 ^ 9));
//! ```
//!
//! What is known only at run time is a vector of `Arc<dyn HashKey<Req> + Send + Sync>`.

mod address;
mod chain;
mod function;

use std::sync::Arc;

pub use address::{AddressKey, PrefixLengthError};
pub use chain::Terminal;
pub(crate) use function::xxh64;
pub use function::{HashFunction, UnknownHashFunction};

/// A key taken from a request.
///
/// Implemented for closures that return an `Option<u64>`, and for [chains](self#chains). A key is to be a
/// [hash](HashFunction), every bit of which is as good as any other: selectors may use its bits as they are.
pub trait HashKey<Req> {
    /// The request's key; none if it has not what the key is made of.
    fn key(&self, request: &Req) -> Option<u64>;

    /// Whether a [chain](self#chains) ends here if it has a key by now: true of [`Terminal`].
    fn is_terminal(&self) -> bool {
        false
    }
}

impl<Req, F: Fn(&Req) -> Option<u64>> HashKey<Req> for F {
    #[inline]
    fn key(&self, request: &Req) -> Option<u64> {
        self(request)
    }
}

impl<Req, K: HashKey<Req> + ?Sized> HashKey<Req> for Arc<K> {
    #[inline]
    fn key(&self, request: &Req) -> Option<u64> {
        (**self).key(request)
    }

    fn is_terminal(&self) -> bool {
        (**self).is_terminal()
    }
}
