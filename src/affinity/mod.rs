//! Sessions that stay with their home backend.
//!
//! A [`SessionAffinity`] tells which session a request is of, and where its home is; what it hands out for the request, a
//! [`Bind`], learns who has served it, and says so to whoever remembers: the client in a cookie, a table, other balancers.
//! [`StickyLayer`](crate::StickyLayer) puts one around a balanced service.
//!
//! # Which home
//! - A request of a session goes to the session's home while that can be had: it is a member, fit (or one that counts although
//!   it is not, in panic), and below its in-flight limit. A home that drains, or has no weight, keeps its sessions and gets no
//!   new ones.
//! - A home that is full, or not ready for a moment, or so slow that a [hedge](crate::Hedge) has overtaken it, stays the home: a
//!   request is served elsewhere, as a guest, and the session is not moved by that.
//! - From a home that is unfit, in maintenance, or has failed the request, a session moves: once, to whoever serves the request
//!   in its place, and it stays there. With a [grace](crate::StickyLayer::grace) it is a guest elsewhere as long as that, and
//!   comes back if the home does; [strictly](crate::StickyLayer::strict) the request is refused, and the session never moves. For
//!   a home that has failed a request and is still taken to be fit the grace has no end: outlier detection or a health check is
//!   what makes it unfit.
//! - From a home that has left the pool, or whose drain has lasted longer than it
//!   [gave its sessions](crate::Handle::drain_within), a session always moves.

mod any;
mod located;
mod pair;
mod session;

pub use any::{AnyAffinity, AnyLater, AnySession};
pub use located::{Located, Undelayed};
pub use pair::{PairLater, PairSession};
pub use session::{Bind, Served, SessionAffinity};
