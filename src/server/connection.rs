//! What a service may know of the connection that its request came on.

use std::net::SocketAddr;

use http::Response;

/// The connection that a request came on: in the extensions of every request of a `Server`.
#[derive(Clone, Debug)]
pub struct Connection {
    peer: SocketAddr,
    local: SocketAddr,
    hold: Hold,
}

impl Connection {
    /// The client's address, or that of what stands before it.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address that the client came to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends an interim response (100 to 199, but not 100 and 101) before the one to come. False if this connection
    /// cannot.
    pub fn inform(&self, interim: Response<()>) -> bool {
        let _ = interim;
        false
    }

    /// What keeps a graceful shutdown waiting while it lives: for what goes on when the request has been answered.
    pub fn hold(&self) -> Hold {
        self.hold.clone()
    }
}

/// Keeps a graceful shutdown waiting while it lives.
#[derive(Clone, Debug)]
pub struct Hold {}

impl Hold {
    /// Resolves once the shutdown waits no more: what is still going on is to end.
    pub async fn cut(&self) {
        std::future::pending().await
    }
}
