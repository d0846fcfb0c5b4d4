//! What is told of connections: one event for each that was made, was not, or was lost, and none for a call.

use std::time::Duration;

use super::ConnectError;

#[cfg(feature = "tracing")]
mod told {
    use super::*;
    use crate::connect::panic::guarded;

    const TARGET: &str = "equipoise::connect";

    pub(in crate::connect) fn connected(id: &str) {
        // Neither is a subscriber our code, nor an error that it prints.
        let _ = guarded(|| tracing::debug!(target: TARGET, backend = id, "connected"));
    }

    pub(in crate::connect) fn failed(id: &str, error: &ConnectError, delay: Duration) {
        let error: &(dyn std::error::Error + 'static) = error;
        let _ = guarded(|| tracing::warn!(target: TARGET, backend = id, error, ?delay, "connect failed"));
    }

    pub(in crate::connect) fn lost(id: &str, error: &ConnectError, delay: Option<Duration>) {
        let error: &(dyn std::error::Error + 'static) = error;
        let _ = guarded(|| match delay {
            Some(delay) => tracing::info!(target: TARGET, backend = id, error, ?delay, "connection lost"),
            None => tracing::info!(target: TARGET, backend = id, error, "connection lost for good"),
        });
    }
}

#[cfg(not(feature = "tracing"))]
mod told {
    use super::*;

    pub(in crate::connect) fn connected(_: &str) {}
    pub(in crate::connect) fn failed(_: &str, _: &ConnectError, _: Duration) {}
    pub(in crate::connect) fn lost(_: &str, _: &ConnectError, _: Option<Duration>) {}
}

pub(super) use told::{connected, failed, lost};
