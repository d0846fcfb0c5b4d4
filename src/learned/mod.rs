//! Sessions that stay by a table that learns where they are at home.
//!
//! [`Learned`] is an affinity for a [`StickyLayer`](crate::StickyLayer): whoever serves the first request of a session is its
//! home from then on, as [`affinity`](crate::affinity) says of homes. What it learns is in [`Sessions`]: a table in memory,
//! bounded in number and in time. Clients see nothing of it, and need no cookie of the balancer.
//!
//! Which requests are of one session is a [`Naming`]'s to say: a closure, any [`HashKey`](crate::key::HashKey), a header, or the
//! application's own cookie, which is learned from its `Set-Cookie` already.
//!
//! ```
//! use equipoise::{Assigned, BalanceLayer, BoxError, Endpoint, Pool, StickyLayer, learned::{Learned, Sessions}};
//! use tower::{Service, ServiceBuilder, ServiceExt};
//!
//! struct Query { user: String }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let sessions = Sessions::builder().build();
//! let learned = Learned::by(sessions.clone(), |query: &Query| Some(query.user.as_str().into()));
//! # let backends = [Endpoint::new("a", ()), Endpoint::new("b", ()), Endpoint::new("c", ())];
//! # let pool = Pool::builder().backends(backends).spawn();
//! # let inner = tower::service_fn(async |call: Assigned<Query, Endpoint<()>>| Ok::<_, BoxError>(call.backend.id().to_owned()));
//! # use equipoise::Backend;
//! let mut sticky = ServiceBuilder::new()
//!     .layer(StickyLayer::new(learned))
//!     .layer(BalanceLayer::new(pool))
//!     .service(inner);
//! let home = sticky.ready().await?.call(Query { user: "ann".to_owned() }).await?;
//! for _ in 0..10 {
//!     assert_eq!(sticky.ready().await?.call(Query { user: "ann".to_owned() }).await?, home);
//! }
//! assert_eq!(sessions.len(), 1);
//! # Ok(()) }
//! ```
//!
//! # Home
//! A session stays with its home wherever its requests come from, and however near others are: where its data is counts for more.
//! [`Sessions::migrate`] moves one, once its data has been, and [`Sessions::migrate_all`] all of a backend that retires.
//!
//! # Shared
//! With a [store](SessionsBuilder::store) several balancers have one table. Each request of a session asks the store for its home.
//! Where a session is bound, or moves, the store is told before the answer's head goes out, as a claim which only the first of
//! several wins: so they agree from the session's second request on. Who loses has served its request, and that answer stands; the
//! session's next request goes to the winner's home. [`Naming`] and [key](SessionsBuilder::key) have to be the same everywhere.
//!
//! What the store says is kept as a copy, and no request fails because of the store. If it fails, panics, or does not answer
//! [in time](SessionsBuilder::store_deadline), the request is served from the copy. If that goes on for 50 ms,
//! with no answer between, the store is taken to be away: requests do not wait for it, but for one at a time that asks whether it
//! is back, after 100 ms, then after twice as long each time up to a second. [Events](Sessions::events) and
//! [stats](Sessions::stats) say so. What was learned meanwhile is claimed with the session's
//! next request once the store is back, and so is what a store has lost that forgets with a restart. Until then balancers
//! may differ; when they do, then what the store has wins, or else whose request comes first. A balancer that has moved a session
//! meanwhile from where the store still has it moves it in the store as well.
//!
//! So nothing of a session in the store is taken for lost by whoever has it in its copy. A session that is
//! [forgotten](Sessions::forget) at one balancer, or is too old for the store, ends for sure only where no other has it in its copy:
//! give tables the same idle time and [lifetime](SessionsBuilder::lifetime) as the store.
//!
//! A store that can be read but not written is in use all the same, and only that it can't be read makes it away: its errors are counted, and balancers may differ about new
//! sessions as long.

mod affinity;
mod asking;
mod builder;
mod changes;
mod guarded;
mod homes;
mod keeper;
mod naming;
mod presence;
mod session;
mod session_id;
mod sessions;
mod shared;
mod stats;
mod store;
mod table;

pub use affinity::{Learned, Locating};
pub use builder::SessionsBuilder;
#[cfg(feature = "http")]
pub use naming::{ByCookie, ByHeader};
pub use naming::{ByFunction, ByKey, Given, Name, Naming};
pub use session::LearnedSession;
pub use session_id::SessionId;
pub use sessions::Sessions;
pub use stats::SessionStats;
pub use store::{SessionStore, Stored};
