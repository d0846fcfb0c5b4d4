//! Backends that are services: one connected service kept for each member.
//!
//! Elsewhere one inner service can call any backend, such as an HTTP client with a pool of connections of its own. Here
//! each member brings its own: a database connection, a hyper `SendRequest`, a tonic channel, a service in the same
//! process. The members of such a pool are [`Connected`] backends, and its inner service is [`CallMember`]:
//!
//! - A [`Connector`] makes their services, with a maker: any `Service<B, Response = Svc>`, a function for example. One
//!   service is kept for each member. It is dropped with the member: when that has been removed and its last lease has
//!   ended. When it fails it is made anew, with a [`Backoff`]. How many there are, and how many are made at once, is
//!   limited.
//! - A service that is there already, and that nobody can make anew, becomes a member with [`Connected::new`], and a
//!   discovery of such services, as `tower::balance` takes it, with [`ServiceDiscover`].
//!
//! A member is ready when its service is: picks pass by who is connecting, busy or failing. While nobody is ready
//! requests wait, as the pool's [`Admission`](crate::Admission) and patience say. If all are failing, they fail at once,
//! with the [`ConnectError`] of one: the rule of gRPC's [channel states].
//!
//! A service takes requests as they come, as far as its own `poll_ready` says. One that takes one at a time, such as
//! HTTP/1.1, is best given an [in-flight limit](crate::PoolBuilder::in_flight_limit) of 1 and a queue, so that requests
//! wait for whichever member is free first; where answers have bodies, in the `Http` protocol, as
//! `BalanceLayer::with(pool, Http, Identity::new())`, in which a request is in flight until its body has ended.
//!
//! With the feature `tracing` each connection that is made, is not, or is lost, is an event of the target
//! `equipoise::connect` with a field `backend`, the id; calls are not.
//!
//! [channel states]: https://github.com/grpc/grpc/blob/master/doc/connectivity-semantics-and-api.md
//!
//! # One connection of HTTP/1.1 for each member
//! hyper's `SendRequest` is no service; it takes a few lines to make one of it.
//! ```
//! use std::{future::Future, net::SocketAddr, pin::Pin, task::{Context, Poll}, time::Duration};
//! use equipoise::{Admission, BalanceLayer, BoxError, Endpoint, Pool};
//! use equipoise::{connect::{CallMember, Connector}, http::Http};
//! use http::{Request, Response};
//! use hyper::{body::Incoming, client::conn::http1::{SendRequest, handshake}};
//! use hyper_util::rt::TokioIo;
//! use tower::{Layer, Service, layer::util::Identity, service_fn};
//! # type Body = http_body_util::Empty<hyper::body::Bytes>;
//!
//! struct Connection(SendRequest<Body>);
//!
//! impl Service<Request<Body>> for Connection {
//!     type Response = Response<Incoming>;
//!     type Error = hyper::Error;
//!     type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;
//!
//!     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
//!         self.0.poll_ready(cx)
//!     }
//!     fn call(&mut self, request: Request<Body>) -> Self::Future {
//!         Box::pin(self.0.send_request(request))
//!     }
//! }
//!
//! async fn connect(backend: Endpoint<SocketAddr>) -> Result<Connection, BoxError> {
//!     let socket = tokio::net::TcpStream::connect(backend.target()).await?;
//!     let (sender, connection) = handshake(TokioIo::new(socket)).await?;
//!     tokio::spawn(connection);
//!     Ok(Connection(sender))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let connector = Connector::new(service_fn(connect));
//! let pool = Pool::builder()
//!     .backend(connector.backend("127.0.0.1:9001".parse()?))
//!     .backend(connector.backend("127.0.0.1:9002".parse()?))
//!     .in_flight_limit(1)
//!     .admission(Admission::Queue { capacity: 1024, deadline: Duration::from_secs(5) })
//!     .spawn();
//! // A `Service<Request<Body>>`, with the `Host` that the caller has set.
//! let client = BalanceLayer::with(pool, Http::default(), Identity::new()).layer(CallMember);
//! # fn is_service<S: Service<Request<Body>>>(_: &S) {}
//! # is_service(&client);
//! # Ok(()) }
//! ```
//!
//! # From `tower::balance::p2c`
//! Before:
//! ```
//! use std::time::Duration;
//! use tower::{Service, ServiceExt, discover::ServiceList, service_fn};
//! use tower::{balance::p2c::Balance, buffer::Buffer, load::{CompleteOnResponse, PeakEwmaDiscover}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower::BoxError> {
//! # let services = ["a", "b"].map(|name| {
//! #     service_fn(move |request: &'static str| async move { Ok::<_, std::io::Error>(format!("{request} to {name}")) })
//! # });
//! // Any `tower::discover::Discover`.
//! let discover = ServiceList::new(services);
//!
//! let (rtt, decay) = (Duration::from_millis(30), Duration::from_secs(10));
//! let loaded = PeakEwmaDiscover::new(discover, rtt, decay, CompleteOnResponse::default());
//! let mut client = Buffer::new(Balance::new(loaded), 1024);
//!
//! println!("{}", client.ready().await?.call("hello").await?);
//! # Ok(()) }
//! ```
//! After:
//! ```
//! use equipoise::{BalanceLayer, Pool, connect::{CallMember, ServiceDiscover}};
//! use tower::{Layer, Service, ServiceExt, discover::ServiceList, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower::BoxError> {
//! # let services = ["a", "b"].map(|name| {
//! #     service_fn(move |request: &'static str| async move { Ok::<_, std::io::Error>(format!("{request} to {name}")) })
//! # });
//! // Any `tower::discover::Discover`.
//! let discover = ServiceList::new(services);
//!
//! let pool = Pool::builder().discover(ServiceDiscover::new(discover)).spawn();
//! let mut client = BalanceLayer::new(pool).layer(CallMember);
//!
//! println!("{}", client.ready().await?.call("hello").await?);
//! # Ok(()) }
//! ```
//! What is different:
//! - Load: `PendingRequestsDiscover` and `PeakEwmaDiscover` go, as pools count what is in flight themselves. Both become
//!   [`LeastLoaded`](crate::LeastLoaded), the default, which compares up to 8 members and not 2. What `CompleteOnResponse`
//!   was is the protocol [`Plain`](crate::Plain); for answers with bodies there is `Http`.
//! - `Buffer` goes: the client is `Clone + Send + Sync` as it is, and clones share the pool. How many requests may wait,
//!   and for how long, is the pool's admission and patience.
//! - `poll_ready`: the client is always ready, and a request that nobody is ready for waits in its call, not before it.
//!   Where an empty or unready balancer was pending for ever, the request fails in time.
//! - Errors: an [`Error`](crate::Error) says which backend failed and why. An error of discovery does not end the client:
//!   the last good set serves on, and the pool's [`events`](crate::Pool::events) tell.
//! - Keys become ids: a member's id is its key's text, so two keys must not have the same. A key that is inserted again
//!   has its service replaced at once, whose open requests go on; its counts stay.
//! - A service whose `poll_ready` has failed stays a member, which is failing and passed by, until discovery removes it
//!   or inserts another under its key: it was dropped silently. A maker's services are made anew.

mod backoff;
mod call;
mod connected;
mod connector;
mod discover;
mod error;
mod keeper;
mod line;
mod memory;
mod panic;
mod report;
mod slot;

pub use backoff::Backoff;
pub use call::{CallFuture, CallMember};
pub use connected::Connected;
pub use connector::Connector;
pub use discover::{ConnectedDiscover, ServiceDiscover};
pub use error::ConnectError;
