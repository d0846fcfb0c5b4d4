//! Ready-made probes: how to ask a backend whether it is fit.
//!
//! | probe | what it asks | who passes |
//! |---|---|---|
//! | [`Tcp`] | a connection; if told so, bytes | who takes the connection, and answers what is expected |
//! | [`Http`] | a request of HTTP/1.1 or HTTP/2, plain or in TLS | whose status, and body, is expected |
//! | [`Grpc`] | `grpc.health.v1.Health/Check` | who is `SERVING` |
//! | [`GrpcWatch`] | `grpc.health.v1.Health/Watch`, once | whose newest status is `SERVING` |
//! | [`Agent`] | HAProxy's agent-check | who says neither `down`, `fail` nor `stopped`; its weight and standing are told |
//! | [`function`] | whatever an async function asks | for whom that returns `Ok` |
//!
//! ```
//! use equipoise::{Endpoint, HealthProbe, probes::Http};
//! use std::net::SocketAddr;
//!
//! # async fn ask() -> Result<(), equipoise::BoxError> {
//! let probe = Http::get("/health")?.expect_status(200..=204)?.expect_text("ok")?;
//! let backend: Endpoint<SocketAddr> = "127.0.0.1:9001".parse()?;
//! println!("{:?}", probe.probe(&backend).await?);
//! # Ok(()) }
//! ```
//!
//! # Where a backend is asked
//! At its own address: any backend is a [`ProbeTarget`] that is an [`Endpoint`](crate::Endpoint) of a
//! `SocketAddr`, of an [`http::Origin`](crate::http::Origin), or of a text `HOST:PORT`. Others implement it, or are
//! told where by [`at`]. Each probe's `port` asks at another port of the same host. Names are resolved anew each time.
//!
//! An origin of `https` is asked in TLS, by the roots that the machine trusts, and one of `h2c` in HTTP/2; a probe's own
//! settings come first ([`Tls`]).
//!
//! # How long it takes
//! No probe has a timeout of its own: who asks sets one, as a pool does, and drops the probe when it has passed. A probe
//! that is dropped leaves nothing behind: no task, no connection. (A name that is being resolved is so to its end, in
//! the background, since the operating system can't be told otherwise.) What is read of a backend is bounded.
//!
//! Each question is a connection of its own, so that it is seen whether the backend still takes any; only [`GrpcWatch`]
//! holds on to one.

mod address;
mod agent;
mod at;
mod crew;
mod dial;
mod error;
mod excerpt;
mod exchange;
mod expect;
mod function;
mod grpc;
mod grpc_message;
mod grpc_watch;
mod http;
mod tcp;
mod tls;

pub use address::{Address, AddressError, ProbeTarget};
pub use agent::Agent;
pub use at::{At, at};
pub use error::{ProbeError, SettingError};
pub use function::{AsyncProbe, Function, function};
pub use grpc::Grpc;
pub use grpc_watch::GrpcWatch;
pub use http::Http;
pub use tcp::Tcp;
pub use tls::Tls;

/// The most bytes of a reply that are read to find what is expected in it.
pub const LONGEST: usize = 64 * 1024;
