//! The tower face: a layer that turns one inner service into a balanced one.
//!
//! [`BalanceLayer`] wraps ONE inner service that knows how to call any backend: it is given the request and the
//! backend chosen for it, as [`Assigned`]. Below it stand small adapters that turn an assigned request into what the
//! inner service wants; around it stand services that know more of the request than one pick does ([keys](KeyedLayer),
//! [sessions](StickyLayer), [another try](failover)), which speak [`Dispatch`]. A [`Protocol`] says what counts as a failure and where a lease
//! lives meanwhile.

mod dispatch;
pub mod failover;
mod future;
mod keyed;
mod layer;
mod protocol;
mod service;
mod sticky;

pub use dispatch::{Answer, Concluding, Dispatch, Dispatched};
#[doc(inline)]
pub use failover::{
    AtMostOnce, FailingOver, Failover, FailoverLayer, FailoverPolicy, Hedge, Judge, Repeatable, RetryBudget, Verdict,
};
pub use future::{BalanceFuture, Dispatching};
pub use keyed::{Keyed, KeyedLayer};
pub use layer::BalanceLayer;
pub use protocol::{Plain, Protocol};
pub use service::{Assigned, Balance};
pub use sticky::{Sticking, Sticky, StickyLayer};
