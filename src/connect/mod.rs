//! Backends that are services.

mod backoff;
mod call;
mod connected;
mod connector;
mod discover;
mod error;
mod keeper;
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
