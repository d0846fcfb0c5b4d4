//! Where sessions are at home, for several balancers.

use std::{pin::Pin, sync::Arc};

use super::SessionId;
use crate::{BoxError, Home};

/// An answer of a [`SessionStore`]. Boxed, as it comes over a network.
pub type Stored<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// A table of sessions that several balancers share: of each session it has one home. A balancer asks it with every request of a
/// session, under a deadline, and serves from a copy of its own while it fails.
///
/// What is said here of a use and of expiry is the store's to see to: by how long a session may be idle, and how long it lasts at
/// most, as it was told when it was made.
pub trait SessionStore: Send + Sync + 'static {
    /// The home of a session; none if it is not known, or has expired. It counts as a use of the session. None is taken for lost
    /// by a balancer that knows the session's home, which claims it for that home.
    fn get(&self, session: SessionId) -> Stored<Option<Home>>;

    /// Puts a session to `to` if it is at `from`, or nowhere, as one that was lost is; that is one operation, whoever else does so.
    /// The home that it has then: `to`, or that of who came first.
    fn claim(&self, session: SessionId, from: Option<Home>, to: Home) -> Stored<Home>;

    /// Puts a session to this home, wherever it was.
    fn put(&self, session: SessionId, to: Home) -> Stored<()>;

    /// Forgets a session, until a balancer that still knows it claims it again.
    fn forget(&self, session: SessionId) -> Stored<()>;

    /// Puts every session that is at `from` to the home that is chosen for it; how many. Sessions that come or go meanwhile may
    /// be missed.
    fn migrate(&self, from: Home, choose: Arc<dyn Fn(SessionId) -> Home + Send + Sync>) -> Stored<u64>;
}
