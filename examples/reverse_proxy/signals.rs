//! Being asked to end.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, from when it is made; where there are none, Ctrl-C.
pub(crate) struct Signals {
    #[cfg(unix)]
    both: [Signal; 2],
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            both: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
        })
    }

    /// Resolves with the next one.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        {
            let [terminate, interrupt] = &mut self.both;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            // It can't be listened for: nobody will ask in this way.
            std::future::pending().await
        }
    }
}
