//! Load that servers report with each answer, in the form of ORCA, Open Request Cost Aggregation: for the server that
//! reports it and the client that balances by it.
//!
//! The server, around any HTTP service:
//! ```
//! use axum::{Router, routing::get};
//! use equipoise::orca::ReportLoad;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let app: Router = Router::new()
//!     .route("/", get(async || "hello"))
//!     .layer(ReportLoad::new().with_utilization(|| 0.7));
//! # }
//! ```
//! The client, by a selector that goes by what is reported:
//! ```
//! use equipoise::{BalanceLayer, FleetLeastLoaded, Pool, http::HttpEndpoint};
//! use tower_layer::Layer;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = ();
//! let a: HttpEndpoint = "http://127.0.0.1:9001".parse()?;
//! let b: HttpEndpoint = "http://127.0.0.1:9002".parse()?;
//! let pool = Pool::builder().selector(FleetLeastLoaded::new()).backend(a).backend(b).spawn();
//! let balanced = BalanceLayer::orca(pool).layer(client);
//! # Ok(()) }
//! ```
//!
//! # On the wire
//! A response's header `endpoint-load-metrics` begins with its format, or `endpoint-load-metrics-bin` has the binary one
//! alone, which comes first where there are both:
//! ```text
//! endpoint-load-metrics: TEXT named_metrics.in_flight=3,rps_fractional=120.5,eps=0,application_utilization=0.7
//! endpoint-load-metrics: JSON {"rps_fractional":120.5,"named_metrics":{"in_flight":3}}
//! endpoint-load-metrics: BIN CQAAAAAAAOA/…
//! endpoint-load-metrics-bin: CQAAAAAAAOA/…
//! ```
//! What is read is what Envoy's parser reads (envoyproxy/envoy, `source/common/orca/orca_parser.cc`): in text a name and a
//! value are parted by `=` or `:`, binary is the message `xds.data.orca.v3.OrcaLoadReport` in base64, padded or not. gRPC
//! (gRFC A51) sends that in trailers, which come after the answer and are not read here.
//!
//! | metric | [`LoadReport`] |
//! |---|---|
//! | `named_metrics.in_flight` | [`queue`](LoadReport::queue): requests at the server |
//! | `rps_fractional` | [`qps`](LoadReport::qps) |
//! | `eps` | [`eps`](LoadReport::eps) |
//! | `application_utilization`, or `cpu_utilization` if that is 0 or missing, as gRPC does | [`utilization`](LoadReport::utilization) |
//! | `named_metrics.latency_ms` | [`latency`](LoadReport::latency) |
//!
//! ORCA has no names of its own for requests in flight and latency: `in_flight` and `latency_ms` are this crate's. All
//! but those two are as good as missing if they are 0, since a binary message can't tell the one from the other. Other
//! metrics are read over.

mod error;
mod format;
mod header;
mod json;
mod message;
mod protocol;
mod report_load;
mod reported_body;
#[cfg(test)]
mod tests;
mod text;

pub use error::OrcaError;
pub use format::Format;
pub use header::{HEADER, HEADER_BIN, LONGEST, read};
pub use protocol::Orca;
pub use report_load::{ReportLoad, Reported, Reporting};
pub use reported_body::ReportedBody;

#[cfg(doc)]
use crate::LoadReport;

/// The named metric of a server's requests in flight.
const IN_FLIGHT: &str = "in_flight";
/// The named metric of a server's latency, in milliseconds.
const LATENCY_MS: &str = "latency_ms";
