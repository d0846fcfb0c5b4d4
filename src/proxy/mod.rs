//! The parts of a reverse proxy.

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
