//! A proxy on a real socket, and backends behind it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use equipoise::{
    Backend as _, BalanceLayer, Pool, PoolBuilder,
    http::HttpEndpoint,
    proxy::{ProxyLayer, Upstream, UpstreamBuilder},
    server::{Drained, Server},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower::Layer;

use crate::wire::{Message, Wire, soon};

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A backend whose part the test plays itself.
pub(crate) struct Backend {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Backend {
    pub(crate) async fn start() -> Self {
        let (listener, address) = listen().await;
        Self { listener, address }
    }

    /// The next connection to it.
    pub(crate) async fn accept(&self) -> Wire {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        Wire::new(stream)
    }

    /// The next connection, and the head of the request on it.
    pub(crate) async fn request(&self) -> (Wire, Message) {
        let mut wire = self.accept().await;
        let message = wire.head().await.expect("a request");
        (wire, message)
    }
}

/// A backend that answers each request with `ok`, and keeps what it got: whole messages and broken ones.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    messages: Arc<Mutex<Vec<Message>>>,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let (listener, address) = listen().await;
        let messages = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&messages);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let mut wire = Wire::new(stream);
                    while let Some(mut message) = wire.head().await {
                        // Also if its content never ends: what was seen was seen.
                        let at = {
                            let mut kept = kept.lock().unwrap();
                            kept.push(message.clone());
                            kept.len() - 1
                        };
                        wire.content(&mut message).await;
                        let is_whole = message.is_whole;
                        kept.lock().unwrap()[at] = message;
                        if is_whole {
                            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                        }
                    }
                });
            }
        });
        Self { address, messages }
    }

    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.messages.lock().unwrap())
    }
}

/// A proxy and its pool.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) pool: Pool<HttpEndpoint>,
    pub(crate) shutdown: oneshot::Sender<()>,
    pub(crate) served: JoinHandle<Drained>,
}

impl Stage {
    /// A proxy before this one backend, `a`.
    pub(crate) async fn before(address: SocketAddr) -> Self {
        Self::with(address, ProxyLayer::new(), Upstream::builder()).await
    }

    pub(crate) async fn with(address: SocketAddr, proxy: ProxyLayer, upstream: UpstreamBuilder) -> Self {
        let pool = Pool::builder().backend(endpoint("http", address));
        Self::of(pool, proxy, upstream).await
    }

    /// A proxy before a backend that speaks HTTP/2.
    pub(crate) async fn before_h2c(address: SocketAddr) -> Self {
        let pool = Pool::builder().backend(endpoint("h2c", address));
        // Whatever waits for a 100, which never comes, waits for long.
        let proxy = ProxyLayer::new().continue_wait(Duration::from_secs(600));
        Self::of(pool, proxy, Upstream::builder()).await
    }

    pub(crate) async fn of(pool: PoolBuilder<HttpEndpoint>, proxy: ProxyLayer, upstream: UpstreamBuilder) -> Self {
        let pool = pool.spawn();
        let client = BalanceLayer::http(pool.clone()).layer(upstream.build());
        let proxy = proxy.layer(client);
        let (listener, address) = listen().await;
        let (shutdown, shut_down) = oneshot::channel::<()>();
        let grace = Duration::from_millis(500);
        let serving = Server::new().grace(grace).serve(listener, proxy, async {
            // Dropped without a word, it serves on for as long as the test runs.
            if shut_down.await.is_err() {
                std::future::pending().await
            }
        });
        let served = tokio::spawn(serving);
        Self {
            address,
            pool,
            shutdown,
            served,
        }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// What the backend `a` has in flight and how its other requests have ended, such as `1 in flight, 2 failed`.
    pub(crate) fn state(&self) -> String {
        let members = self.pool.members();
        let member = members.iter().find(|member| member.backend.id() == "a").unwrap();
        let tally = member.tally;
        let counts = [
            (member.in_flight as u64, "in flight"),
            (tally.succeeded, "succeeded"),
            (tally.failed, "failed"),
            (tally.cancelled, "cancelled"),
            (tally.broken, "broken"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        let told: Vec<_> = told.map(|(count, what)| format!("{count} {what}")).collect();
        told.join(", ")
    }

    /// Waits until the backend's state is this.
    pub(crate) async fn settles(&self, state: &str) {
        let settled = async {
            while self.state() != state {
                tokio::task::yield_now().await;
            }
        };
        let patience = std::time::Duration::from_secs(10);
        let late = tokio::time::timeout(patience, settled).await.is_err();
        assert!(!late, "it is '{}' and not '{state}'", self.state());
    }
}

pub(crate) fn endpoint(scheme: &str, address: SocketAddr) -> HttpEndpoint {
    format!("{scheme}://{address},id=a").parse().unwrap()
}
