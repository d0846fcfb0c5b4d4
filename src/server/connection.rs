//! What a service may know of the connection that its request came on.

use std::{fmt, net::SocketAddr, sync::Arc};

use http::Response;

use super::{drain::Drain, line::Line};

/// The connection that a request came on: in the extensions of every request of a [`Server`](super::Server).
///
/// Clones are cheap and may outlive the request and the connection.
#[derive(Clone)]
pub struct Connection {
    line: Arc<Line>,
    /// Which of the connection's requests this is; only that one may inform.
    request: u64,
}

impl Connection {
    pub(super) fn new(line: Arc<Line>, request: u64) -> Self {
        Self { line, request }
    }

    /// The client's address, or that of what stands before it.
    pub fn peer(&self) -> SocketAddr {
        self.line.peer
    }

    /// The address that the client came to.
    pub fn local(&self) -> SocketAddr {
        self.line.local
    }

    /// Sends an interim response (100 to 199, but not 100 and 101) before the one to come, while the service goes on
    /// working at that. True if it will be sent, unless the connection breaks before; the response waits for it.
    ///
    /// False, and nothing is sent:
    /// - once the service's future has resolved or was dropped: an interim response after the response would be taken
    ///   for the next one's (RFC 9110 section 15.2);
    /// - for a request of HTTP/1.0, which knows none (ibid.), and of HTTP/2: hyper's server has no way to send them;
    /// - for 100, which hyper sends by itself when a body that was announced with `Expect` is first read, for 101,
    ///   which is a response of its own, and for what is no interim response at all;
    /// - while 16 of them, or 16 KiB, are waiting for the client to read.
    ///
    /// Headers that would frame a message or belong to one connection only (`Content-Length`, `Transfer-Encoding`,
    /// `Connection` and those it names, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `Upgrade`) are left out.
    pub fn inform(&self, interim: Response<()>) -> bool {
        let queued = self.line.interims.push(self.request, &interim);
        if queued {
            self.line.wake();
        }
        queued
    }

    /// What keeps a graceful shutdown waiting while it lives: for what goes on when the request has been answered.
    ///
    /// A request in flight, its response's body included, and an upgraded connection keep it waiting by themselves.
    pub fn hold(&self) -> Hold {
        Hold::new(Arc::clone(&self.line.drain))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer())
            .field("local", &self.local())
            .finish_non_exhaustive()
    }
}

/// Keeps a graceful shutdown waiting while it lives, at most for the server's grace.
pub struct Hold {
    drain: Arc<Drain>,
}

impl Hold {
    fn new(drain: Arc<Drain>) -> Self {
        drain.hold();
        Self { drain }
    }

    /// Resolves once the shutdown waits no more: what is still going on is to end.
    pub async fn cut(&self) {
        self.drain.until_cut().await;
    }
}

impl Clone for Hold {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.drain))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.drain.release();
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}
