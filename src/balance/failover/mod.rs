//! Another backend: a request that failed is sent to the next, within a budget.
//!
//! [`FailoverLayer`] goes around a [`BalanceLayer`](super::BalanceLayer), or around what is around one. A
//! [policy](FailoverPolicy) knows the protocol: what is kept of a request to send it again, and what an answer says.
//! ```
//! use equipoise::{Assigned, BalanceLayer, BoxError, Endpoint, FailoverLayer, Pool, Unsent, balance::Repeatable};
//! use tower::{Service, ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let pool = Pool::builder()
//!     .backend(Endpoint::new("a", "10.0.0.1:6379"))
//!     .backend(Endpoint::new("b", "10.0.0.2:6379"))
//!     .spawn();
//! let inner = tower::service_fn(async |call: Assigned<&str, Endpoint<&str>>| match *call.backend.target() {
//!     "10.0.0.1:6379" => Err(BoxError::from(Unsent::new("connection refused"))),
//!     _ => Ok(call.request.len()),
//! });
//! let mut service = ServiceBuilder::new()
//!     .layer(FailoverLayer::new(Repeatable))
//!     .layer(BalanceLayer::new(pool))
//!     .service(inner);
//! assert_eq!(service.ready().await?.call("one of them answers").await?, 19);
//! # Ok(()) }
//! ```
//!
//! # Who is next
//! A request goes to a backend that it was not yet sent to, while one of those is open, and at once. Only when none is,
//! somebody was sent something, and there are [tries](FailoverLayer::tries) left, it goes around again: after a random time of up to 25 ms, which
//! doubles with each try up to 250 ms ([Envoy]'s times, ["full jitter"]), and not to a backend that said when it will be
//! back before it is.
//!
//! # What it may cost
//! - A try of which nothing was sent ([`Unsent`](crate::Unsent), such as a refused connection) is no load to anybody: it
//!   is free, once for each member.
//! - Every other one, and every [hedge](Hedge), is taken from a [budget](RetryBudget): by default 20 % of the requests that
//!   succeed, and 10 a second, as in [Finagle]; none while more are wished for. When most of a fleet fails, its load so stays
//!   what it was, and a fleet that was overloaded for a moment comes back (`docs/failover.md` in the repository).
//! - Layers around layers do not multiply: a policy marks what it sends, and leaves alone what is marked.
//!
//! # How it ends
//! With the first good answer; or with the last one, unless it was let go to go around; and an error then [says](crate::Error::tried) who was tried. What is
//! given up for its time is [`ErrorKind::Timeout`](crate::ErrorKind::Timeout), and a failure of the backend that had it
//! all; who loses a race is cancelled.
//!
//! [Envoy]: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-max-retries
//! ["full jitter"]: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
//! [Finagle]: https://twitter.github.io/finagle/guide/Clients.html#retries

mod budget;
mod course;
mod future;
mod hedge;
mod layer;
mod policy;
mod service;
mod settings;

pub use budget::RetryBudget;
pub use future::FailingOver;
pub use hedge::Hedge;
pub use layer::FailoverLayer;
pub use policy::{AtMostOnce, FailoverPolicy, Judge, Repeatable, Verdict};
pub use service::Failover;
