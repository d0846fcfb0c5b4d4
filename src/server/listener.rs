//! Where a server's connections come from.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

/// Where a server's connections come from: a socket, or what wraps its streams (TLS) or stands in for it (a test).
pub trait Listener: Send {
    /// What a connection is read from and written to.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection. Dropped before it resolves, it has taken none from the queue.
    ///
    /// It must not wait for anything that one client can hold back, such as a handshake: nobody else is accepted
    /// meanwhile. A stream does that when it is first read.
    ///
    /// # Errors
    /// What concerns that one connection (aborted, reset or refused before it was taken), or the listener, which is
    /// asked again a little later.
    fn accept(&mut self) -> impl Future<Output = io::Result<Accepted<Self::Stream>>> + Send;
}

/// A connection that was accepted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted<T> {
    /// What it is read from and written to.
    pub stream: T,
    /// The client's address, or that of what stands before it.
    pub peer: SocketAddr,
    /// The address that the client came to.
    pub local: SocketAddr,
}

impl<T> Accepted<T> {
    /// A connection between these two.
    pub fn new(stream: T, peer: SocketAddr, local: SocketAddr) -> Self {
        Self { stream, peer, local }
    }
}

/// `TCP_NODELAY` is set: a response's last piece does not wait for the client's acknowledgement of those before.
impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<Accepted<TcpStream>> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Both fail for a connection that is gone already; reading it will tell.
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr().or_else(|_| self.local_addr())?;
        Ok(Accepted::new(stream, peer, local))
    }
}
