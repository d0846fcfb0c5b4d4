//! The parts of a reverse proxy: a service that passes requests on, streaming, and a client for backends.
//!
//! ```
//! use equipoise::{BalanceLayer, BoxError, Pool, http::HttpEndpoint, proxy::{ProxyLayer, Upstream}, server::Server};
//! use tokio::net::TcpListener;
//! use tower::ServiceBuilder;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let a: HttpEndpoint = "http://127.0.0.1:9001".parse()?;
//! let b: HttpEndpoint = "h2c://127.0.0.1:9002,weight=2".parse()?;
//! let pool = Pool::builder().backend(a).backend(b).spawn();
//!
//! let proxy = ServiceBuilder::new()
//!     .layer(ProxyLayer::new().trust("10.0.0.0/8".parse()?))
//!     .layer(BalanceLayer::http(pool))
//!     .service(Upstream::new());
//!
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let ctrl_c = async {};
//! // … tokio::signal::ctrl_c(), or whatever tells it to stop.
//! Server::new().serve(listener, proxy, ctrl_c).await;
//! # Ok(()) }
//! ```
//!
//! # The way of a request
//! ```text
//! Server ─► Proxy ──────────────────────────► Balance ─► ToOrigin ─► Upstream ─► backend
//!             request.rs: the head's rules     picks a    its         connections, time-outs,
//!             upload.rs: content, watched      member     address     what is no valid answer
//! Server ◄─ ProxyFuture ◄───────────────────── LeasedBody ◄────────── DownstreamBody ◄─ backend
//!             future.rs: the answer's rules    the lease              content, or an error
//! ```
//! 1. **Its head** (`request.rs`). CONNECT and TRACE are refused (405). One valid host is named (`target.rs`), or it is
//!    a 400; one length or `chunked` says how long the content is (`framing.rs`), or it is a 400 or 501, and is said
//!    anew to the backend, which so never sees two. What is of this hop only goes (`hop.rs`); an upgrade to anything but
//!    HTTP and TLS is asked for anew (`upgrade.rs`), and so are trailers; who the client is comes in (`forwarded.rs`),
//!    and `Via`. A request that is refused closes its connection.
//! 2. **Its content** (`upload.rs`) is streamed, with back-pressure: the backend's client asks the client's connection
//!    for the next part when it has written the last. Content that is not well formed, breaks off or stalls is the
//!    client's fault: the call is dropped, which counts as cancelled at the backend, and the answer is a 400 or 408.
//!    With `Expect: 100-continue` it is not asked for before the backend asks, or has said nothing for a while
//!    (`interim.rs`); if the backend answers without it, it is never asked for.
//!    A service in between may send it again ([`Replay`](crate::http::Replay)): it is over for the proxy when no attempt
//!    has it any longer, and what is to be known of one attempt is the client's for backends (`sent.rs`).
//! 3. **The backend** ([`Upstream`]). Whatever is its fault is an error below the balancer and so a failure of that
//!    backend: no connection, no head in time, an answer that can be read in two ways, a switch of protocols that nobody
//!    asked for. Interim responses (102, 103, …) go on to the client at once, over HTTP/1.1.
//! 4. **The answer** (`future.rs`) loses what is of its hop, and has one length or none; its content is streamed, with
//!    its trailers. One that breaks or stalls ends in an error, and the client's connection with it, so that the client
//!    does not take what came for all. Without an answer the client gets one plain sentence (`refusal.rs`):
//!
//!    | status | when |
//!    |---|---|
//!    | 502 | the backend can't be reached, broke off before the head, or its answer is not valid HTTP |
//!    | 503 | there is no backend to pick, or all are busy |
//!    | 504 | no connection in time, or no head, or none within a failover's times |
//! 5. **A tunnel** (`tunnel.rs`). After a 101 bytes go both ways, each direction until its own end, and the lease lives
//!    as long. A server that stops waits for it, and cuts it with the rest when its grace is over.
//!
//! # Trailers in HTTP/1.1
//! A request with trailers is the last of its connection: hyper reads an empty line without its CR as trailers that go on,
//! where others see the end and the next request.
//!
//! hyper writes those that the message announces in `Trailer`, and to a client that sent `TE: trailers`. A backend of
//! HTTP/2 that announces none (gRPC) reaches clients of HTTP/2 with them, and clients of HTTP/1.1 without.
//!
//! # Without a server of this crate
//! Any hyper server will do, with upgrades enabled. It has no [`Connection`](crate::server::Connection) for its
//! requests, so the peer is unknown: no `X-Forwarded-For` is added and nobody is trusted, `Forwarded` says `for=unknown`,
//! and interim responses are not passed. What that server lets in of heads is its own affair, and so are idle clients.

mod body;
mod connector;
mod download;
mod forwarded;
mod framing;
mod future;
mod gap;
mod hop;
mod interim;
mod refusal;
mod request;
mod sent;
mod service;
mod settings;
mod target;
mod tunnel;
mod upgrade;
mod upload;
mod upstream;
mod upstream_error;

pub use body::ProxyBody;
pub use download::DownstreamBody;
pub use future::ProxyFuture;
pub use service::{Proxy, ProxyLayer};
pub use upload::UpstreamBody;
pub use upstream::{Upstream, UpstreamBuilder, UpstreamFuture};
pub use upstream_error::{UpstreamError, UpstreamErrorKind};
