//! What stands behind the proxy.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::wire::{Message, Wire, soon};

/// A backend that a task serves. Dropped, it is gone as if its process had been killed: nobody listens any more, and
/// its connections are closed wherever they are.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Backend {
    /// One that does this with each connection.
    pub(crate) async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), serve).await
    }

    pub(crate) async fn start_at<F>(address: SocketAddr, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut served = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, SeqCst);
                served.spawn(serve(stream));
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    /// One that answers each request with its name.
    pub(crate) async fn named(name: &'static str) -> Self {
        Self::start(move |stream| answer(stream, name, String::new())).await
    }

    /// The same, with these header lines in each answer.
    pub(crate) async fn saying(name: &'static str, headers: String) -> Self {
        Self::start(move |stream| answer(stream, name, headers.clone())).await
    }

    /// One that was just dropped comes back, under the same address and with a name of its own.
    pub(crate) async fn again(address: SocketAddr, name: &'static str) -> Self {
        // The other's task may not have ended yet.
        soon(async {
            while TcpListener::bind(address).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Self::start_at(address, move |stream| answer(stream, name, String::new())).await
    }

    /// One whose part the test plays itself.
    pub(crate) async fn played() -> Played {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Played { listener, address }
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(SeqCst)
    }

    pub(crate) fn http(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, name: &'static str, headers: String) {
    let mut wire = Wire::new(stream);
    // Not one more: what the test has to wait for is its own affair.
    while let Ok(Some(_)) = tokio::time::timeout(std::time::Duration::from_secs(60), wire.message()).await {
        let length = name.len();
        wire.send(format!(
            "HTTP/1.1 200 OK\r\n{headers}content-length: {length}\r\n\r\n{name}"
        ))
        .await;
    }
}

/// A backend that does nothing by itself.
pub(crate) struct Played {
    listener: TcpListener,
    address: SocketAddr,
}

impl Played {
    /// The next connection, and the head of the request on it.
    pub(crate) async fn request(&self) -> (Wire, Message) {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        let mut wire = Wire::new(stream);
        let head = wire.head().await.expect("a request");
        (wire, head)
    }

    pub(crate) fn http(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The address of nobody: a port that was free a moment ago.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
