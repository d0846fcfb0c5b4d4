//! An HTTP/1.1 and HTTP/2 server around any service, for reverse proxies and whatever else faces clients that nobody
//! vouches for.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use equipoise::{BoxError, server::{Connection, Server}};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use hyper::body::{Bytes, Incoming};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let hello = tower::service_fn(async |request: Request<Incoming>| {
//!     let peer = request.extensions().get::<Connection>().map(Connection::peer);
//!     Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(format!("Hello {peer:?}\n")))))
//! });
//!
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let ctrl_c = async {};
//! // … tokio::signal::ctrl_c(), or whatever tells it to stop.
//! let drained = Server::new().max_connections(1_000).serve(listener, hello, ctrl_c).await;
//! println!("{} finished, {} were cut", drained.finished, drained.cut);
//! # Ok(()) }
//! ```
//!
//! The protocol is hyper's. This adds what hyper leaves to its user, and each of it has a default:
//!
//! - **Time.** A client has [so long](Server::header_timeout) for a request's head, from the first byte on and the very
//!   first from the moment it was accepted; [so long](Server::idle_timeout) for its next request; and may leave a
//!   response untaken for [so long](Server::stall_timeout). What a service takes is its own affair: no request is cut
//!   for the time that its answer, or the client's body, takes to come. Whoever reads that body sets a limit to it.
//! - **Room.** [Bytes](Server::max_header_bytes) and [fields](Server::max_headers) of a head, [requests at
//!   once](Server::max_streams) on a connection of HTTP/2, and [connections](Server::max_connections).
//! - **The end.** [`serve`](Server::serve) stops accepting when told to, finishes what is in flight, waits for every
//!   [`Hold`], and cuts what takes longer than the [grace](Server::grace).
//! - **The connection.** Each request has a [`Connection`] in its extensions: whose it is, a way to send [interim
//!   responses](Connection::inform) before the response, and one to hold up a shutdown.
//!
//! # Upgrades
//! `hyper::upgrade::on(request)` gives the service the stream of a connection that was answered 101, or 2xx to CONNECT.
//! From then on none of the time-outs apply: a quiet WebSocket stays, and who tunnels it knows how long. It still counts
//! as a connection, to the limit and to a shutdown, until the stream is dropped; nobody but its owner can cut it, when
//! [`Hold::cut`] says so. (A CONNECT on HTTP/2 is one stream of a connection that lives on; it is waited for as long as
//! the connection is, and takes a hold to be told of the cut.)
//!
//! # Other streams than TCP
//! [`Listener`] is a trait: whatever accepts something that reads and writes will do, such as a listener that wraps each
//! TCP stream in TLS, or pipes in a test. h2 by ALPN needs no more than that: the version is known by the client's first
//! bytes.
//!
//! # The way of a connection
//! ```text
//! serve.rs: accepts ─► attend.rs: one task a connection, its one timer, its end
//!                        │  drain.rs: all connections, whom to wake at a shutdown
//!                        │  line.rs: what the parts of one connection tell each other, and what is late
//!                        ▼
//!                      protocol.rs: hyper's HTTP/1.1 or HTTP/2, by the first bytes
//!                        │  wire.rs: the stream beneath hyper; interim.rs: written between its messages
//!                        ▼
//!                      exchange.rs: a request ─► the service ─► reply.rs: its body
//!                           in_flight.rs: counts meanwhile;  stream.rs: HTTP/2's streams, each a task
//! ```
//!
//! # What this leans on in hyper
//! Three habits of hyper 1.12 that it does not promise, to be looked at with each upgrade:
//! - it asks its timer for a sleep when it begins to wait for an HTTP/1 head (`protocol.rs`);
//! - it calls the service of an HTTP/2 request and hands that stream to its executor in one go (`stream.rs`);
//! - it flushes its stream only when it has written all that it has (`interim.rs`, `wire.rs`).
//!
//! # What hyper's server has no way to do
//! - Interim responses on HTTP/2: [`Connection::inform`] says no there. On HTTP/1.1 they are written beneath hyper.
//! - The end of a body that comes after its response was complete: hyper 1.12 lets the service see it with the next
//!   request on that connection, or as an error if there is none.

mod attend;
mod connection;
mod drain;
mod exchange;
mod in_flight;
mod interim;
mod line;
mod listener;
mod protocol;
mod reply;
mod serve;
mod settings;
mod stream;
mod wire;

pub use connection::{Connection, Hold};
pub use drain::Drained;
pub use listener::{Accepted, Listener};
pub use settings::Server;
