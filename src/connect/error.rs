//! Why a member has no service to call.

use std::{error, fmt, sync::Arc};

/// Why a call did not come to its member's service. It is the [source](error::Error::source) of the call's
/// [`Error`](crate::Error), which names the backend; the maker's or the service's own error is the source of this one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The last attempt to connect failed, so said the maker.
    Failed(Arc<dyn error::Error + Send + Sync>),
    /// The last attempt to connect was given up: it took too long.
    TimedOut,
    /// The connection was lost: so said the service when it was asked whether it was ready.
    Lost(Arc<dyn error::Error + Send + Sync>),
    /// The maker or the service panicked, with this message.
    Panicked(Arc<str>),
    /// Another request was first, and the service did not become ready again in time.
    Unready,
    /// The runtime that kept the connection has ended.
    Ended,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => f.write_str("could not connect"),
            Self::TimedOut => f.write_str("could not connect in time"),
            Self::Lost(_) => f.write_str("the connection was lost"),
            Self::Panicked(message) => write!(f, "the connection's service panicked: {message}"),
            Self::Unready => f.write_str("the service did not become ready in time"),
            Self::Ended => f.write_str("the runtime that kept the connection has ended"),
        }
    }
}

impl error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Failed(source) | Self::Lost(source) => Some(&**source),
            _ => None,
        }
    }
}
