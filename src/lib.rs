//! An embeddable load balancer: any client or server built on tower spreads its calls over a discovered, changing,
//! partly broken set of backends, by every strategy the field uses, without a separate proxy in between.
//!
//! ```
//! use equipoise::{Assigned, BalanceLayer, BoxError, Endpoint, Pool};
//! use tower::{Layer, Service, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! // A pool of backends, and a service that can call any of them.
//! let pool = Pool::builder()
//!     .backend(Endpoint::new("a", "10.0.0.1:80"))
//!     .backend(Endpoint::new("b", "10.0.0.2:80").with_weight(2))
//!     .spawn();
//! let inner = tower::service_fn(async |call: Assigned<&str, Endpoint<&str>>| {
//!     Ok::<_, BoxError>(format!("{} to {}", call.request, call.backend.target()))
//! });
//!
//! // One layer, and every call goes to the least loaded.
//! let mut balanced = BalanceLayer::new(pool.clone()).layer(inner);
//! println!("{}", balanced.ready().await?.call("hello").await?);
//!
//! // The set changes while calls go on.
//! pool.handle().insert(Endpoint::new("c", "10.0.0.3:80")).await?;
//! pool.handle().drain("a").await?;
//! # Ok(()) }
//! ```
//!
//! Where to go on:
//! - [`Backend`] and [`Endpoint`]: what can be a member.
//! - [`Pool`] and its [`builder`](PoolBuilder): members, limits, queue, discovery, events.
//! - [`selector`]: which member; the strategies, and how to write one.
//! - [`key`]: keys taken from requests, for selectors that bring the same key to the same backend; [`KeyedLayer`].
//! - [`affinity`]: sessions that stay with their home backend; [`StickyLayer`].
//! - [`load`]: how loaded a server is: what it says of it, and how it counts that.
//! - [`health`]: who is fit: checks, ejection, panic, slow start; [`Pool::explain`] says why a request goes where it goes.
//! - [`balance::failover`]: another backend when a request fails, within a budget; hedging.
//! - [`balance`]: the tower face, and what services around a pick say to each other.
//! - [`ManualClock`] and [`PoolBuilder::seed`]: tests of all this that neither sleep nor depend on chance.
//! - `http` (feature `http`): HTTP clients, leases that live in response bodies, and keys of HTTP requests.
//! - `cookie`, `learned`, `redis` (features of these names): sessions that stay, by a cookie, by a table, by one that several
//!   balancers share.
//! - `connect` (feature `connect`): backends that are services, and the way from tower's own balancer.
//! - `probes` (feature `probes`): ready-made health probes: TCP, HTTP, gRPC, HAProxy's agent-check, any async function.
//! - `proxy` and `server` (feature `proxy`): the parts of a reverse proxy, and a server that drains.
//! - `orca` (feature `orca`): load that servers report with their answers, for the server and for the client.
//! - `sim` (feature `sim`): a simulation that shows which strategy is best for which servers.
//! - `testing` (feature `testing`): a property suite for selectors, and scripted backends.
//!
//! # Features
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tokio` | yes | the system clock, and `spawn`; without it give [`Pool::builder_on`] a [`Clock`] and spawn the [`Driver`] |
//! | `http` | | `BalanceLayer::http` for hyper-util, reqwest and other clients that take an `http::Request` |
//! | `serde` | | [`Strategy`] as a string in any serde format, and what a pick came to |
//! | `sim` | | a simulation with real pools: which strategy is best for which servers |
//! | `connect` | | backends that are services: one connected service kept for each member |
//! | `cookie` | | sessions that stay by a cookie: an authenticated token of the backend |
//! | `learned` | | sessions that stay by a table that learns them |
//! | `orca` | | load that servers report with their answers: a layer for the server, a protocol for the client |
//! | `probes` | | ready-made health probes: TCP, HTTP, gRPC, HAProxy's agent-check, any async function |
//! | `proxy` | | the parts of a reverse proxy: a server of HTTP/1.1 and HTTP/2, and what forwards a request |
//! | `redis` | | the same table for several balancers, in Redis |
//! | `tracing` | | an event for each change of a pool's state and each failed request |
//! | `testing` | | for those who write selectors and services: a property suite, scripted backends |
//! | `full` | | all of these |

pub mod affinity;
mod ask;
mod backend;
pub mod balance;
mod clock;
#[cfg(feature = "connect")]
pub mod connect;
#[cfg(feature = "cookie")]
pub mod cookie;
mod discover;
mod error;
mod event;
mod excerpt;
mod fitness;
pub mod health;
#[cfg(feature = "http")]
pub mod http;
pub mod key;
#[cfg(feature = "learned")]
pub mod learned;
mod limit;
pub mod load;
mod member;
mod needs;
#[cfg(feature = "orca")]
pub mod orca;
mod outcome;
mod pool;
#[cfg(feature = "probes")]
pub mod probes;
#[cfg(feature = "proxy")]
pub mod proxy;
mod readiness;
#[cfg(feature = "redis")]
pub mod redis;
pub mod selector;
#[cfg(feature = "proxy")]
pub mod server;
#[cfg(feature = "sim")]
pub mod sim;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;

#[doc(inline)]
pub use affinity::SessionAffinity;
pub use ask::{Ask, Home};
pub use backend::{Backend, Endpoint, EndpointError, Locality};
#[doc(inline)]
pub use balance::{
    Answer, Assigned, Balance, BalanceLayer, Dispatch, Failover, FailoverLayer, FailoverPolicy, Hedge, Keyed,
    KeyedLayer, Plain, Protocol, RetryBudget, Sticky, StickyLayer,
};
pub use clock::{Clock, ManualClock, Sleep, Timer};
pub use discover::{Applied, Drained, Handle};
pub use error::{BoxError, Error, ErrorKind, Unsent};
pub use event::{Event, EventSource, Events};
#[doc(inline)]
pub use fitness::{Ejection, EjectionReason, Health, Standing};
pub use health::{HealthCheck, HealthProbe, OutlierDetection, SlowStart};
#[doc(inline)]
pub use load::{AbsurdLoad, LoadReport};
pub use member::{Member, MemberId};
pub use outcome::{Outcome, Tally};
pub use pool::{
    Acquire, AdaptiveLimit, Admission, Closed, Considered, Decision, Driver, Lease, Level, Pool, PoolBuilder,
};
pub use readiness::{Condition, Readiness};
#[doc(inline)]
pub use selector::{
    AnySelector, FirstAvailable, FleetLeastLoaded, LeastLoaded, LeastTime, ParameterError, PeakEwma, Prequal, Random,
    ReportedLoad, RoundRobin, Selector, Strategy, StrategyError,
};

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "cookie", feature = "http", feature = "probes"))]
#[doc = include_str!("../README.md")]
struct Readme;
