//! The promises of `equipoise::server`, from both ends of a connection.
//!
//! Time is paused and connections are pipes in memory wherever that can show the thing: an hour passes in no time, and
//! to the millisecond. `sockets` uses real ones.
#![cfg(not(loom))]

mod exchanges;
mod frames;
mod informing;
mod lateness;
mod limits;
mod shutdown;
mod sockets;
mod stalling;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use equipoise::{
    BoxError,
    server::{Accepted, Connection, Drained, Listener, Server},
};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, timeout},
};

type Body = UnsyncBoxBody<Bytes, BoxError>;

const HOUR: Duration = Duration::from_secs(3600);
const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

fn answer(body: impl Into<Bytes>) -> Response<Body> {
    Response::new(full(body))
}

fn connection(request: &Request<Incoming>) -> Connection {
    request
        .extensions()
        .get::<Connection>()
        .expect("in every request")
        .clone()
}

/// A listener whose connections are pipes.
struct Pipes(mpsc::UnboundedReceiver<io::Result<DuplexStream>>);

impl Listener for Pipes {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> io::Result<Accepted<DuplexStream>> {
        match self.0.recv().await {
            Some(stream) => Ok(Accepted::new(stream?, ADDRESS, ADDRESS)),
            None => std::future::pending().await,
        }
    }
}

/// A server that runs, until told to stop.
struct Running {
    pipes: mpsc::UnboundedSender<io::Result<DuplexStream>>,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<Drained>,
}

/// Serves by a function of the request.
fn run<F, R>(server: Server, serve: F) -> Running
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let (pipes, accepted) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel();
    let service = tower::service_fn(move |request| {
        let response = serve(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let serving = server.serve(Pipes(accepted), service, async {
        let _ = stopped.await;
    });
    Running {
        pipes,
        stop: Some(stop),
        done: tokio::spawn(serving),
    }
}

/// Serves 200 and "ok".
fn run_ok(server: Server) -> Running {
    run(server, async |_| answer("ok"))
}

impl Running {
    fn connect(&self) -> Client<DuplexStream> {
        self.connect_with(64 * 1024)
    }

    /// Through a pipe that holds so many bytes each way.
    fn connect_with(&self, size: usize) -> Client<DuplexStream> {
        let (near, far) = tokio::io::duplex(size);
        self.pipes.send(Ok(far)).expect("the server listens");
        Client::new(near)
    }

    async fn connect_http2(&self) -> SendRequest<Body> {
        http2_over(self.connect().stream).await
    }

    fn stop(&mut self) {
        self.stop.take().expect("once").send(()).expect("it runs");
    }

    async fn drained(self) -> Drained {
        timeout(HOUR, self.done).await.expect("in time").expect("no panic")
    }
}

async fn http2_over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Body> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

/// Waits until the server has closed it.
async fn closed(sender: &mut SendRequest<Body>) {
    let closing = async {
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(HOUR, closing).await.expect("the server never closed");
}

fn get() -> Request<Body> {
    let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
    Request::get("http://a/").body(empty).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// The client's end of a connection of HTTP/1, byte by byte.
struct Client<T> {
    stream: T,
    seen: Vec<u8>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    fn new(stream: T) -> Self {
        Self {
            stream,
            seen: Vec::new(),
        }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(HOUR, self.stream.write_all(bytes.as_ref())).await;
        sent.expect("in time").expect("the server reads");
    }

    /// All up to and with the first occurrence of this.
    async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self.seen.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(at) = found {
                let rest = self.seen.split_off(at + end.len());
                let found = std::mem::replace(&mut self.seen, rest);
                return String::from_utf8(found).unwrap();
            }
            let read = timeout(HOUR, self.stream.read_buf(&mut self.seen))
                .await
                .expect("in time");
            let soon = String::from_utf8_lossy(&self.seen);
            assert_ne!(read.unwrap_or(0), 0, "it ended, with no {end:?} in {soon:?}");
        }
    }

    /// A head.
    async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// A head, and the body by its Content-Length.
    async fn response(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().unwrap();
        while self.seen.len() < length {
            let read = timeout(HOUR, self.stream.read_buf(&mut self.seen))
                .await
                .expect("in time");
            assert_ne!(read.unwrap_or(0), 0, "it ended within a body");
        }
        let rest = self.seen.split_off(length);
        let body = std::mem::replace(&mut self.seen, rest);
        (head, String::from_utf8(body).unwrap())
    }

    /// What comes until the server closes, and how long that takes.
    async fn rest(&mut self) -> (String, Duration) {
        let from = Instant::now();
        let read = timeout(HOUR, self.stream.read_to_end(&mut self.seen)).await;
        // A connection that was cut may end in an error.
        let _ = read.expect("the server never closed");
        let seen = std::mem::take(&mut self.seen);
        (String::from_utf8(seen).unwrap(), from.elapsed())
    }
}

/// That something took so long, to what timers are good for.
#[track_caller]
fn assert_took(time: Duration, expected: Duration) {
    let most = expected + Duration::from_millis(20);
    assert!(time >= expected && time <= most, "{time:?}, not {expected:?}");
}
