//! Content that is sent again: a service between proxy and client that tries a second backend.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use equipoise::{
    BoxError,
    http::Replay,
    proxy::{DownstreamBody, ProxyLayer, Upstream, UpstreamBody, UpstreamError},
    server::Server,
};
use http::{Request, Response, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tower::{Layer, Service};

use crate::{
    speaker,
    stage::{Backend, listen},
    wire::{Message, Wire},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LONG: Duration = Duration::from_secs(600);

/// Sends a request to the first backend, and if that fails or is late, again to the second.
#[derive(Clone)]
struct Twice {
    upstream: Upstream<Replay<UpstreamBody<Incoming>>>,
    backends: [SocketAddr; 2],
    limit: usize,
    patience: Duration,
    second_is_http2: bool,
    calls: Arc<AtomicUsize>,
}

impl Twice {
    fn of(first: &Backend, second: &Backend) -> Self {
        Self {
            upstream: Upstream::new(),
            backends: [first.address, second.address],
            limit: 1024,
            patience: LONG,
            second_is_http2: false,
            calls: Arc::default(),
        }
    }

    /// A client of the proxy before it, which waits so long for a backend's word to ask for content.
    async fn client(self, continue_wait: Duration) -> Wire {
        let proxy = ProxyLayer::new().continue_wait(continue_wait).layer(self);
        let (listener, address) = listen().await;
        tokio::spawn(Server::new().serve(listener, proxy, std::future::pending::<()>()));
        Wire::connect(address).await
    }
}

impl Service<Request<UpstreamBody<Incoming>>> for Twice {
    type Response = Response<DownstreamBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<DownstreamBody>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.upstream.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<UpstreamBody<Incoming>>) -> Self::Future {
        let mut this = self.clone();
        let (head, body) = request.into_parts();
        let body = Replay::new(body, this.limit);
        let spare = body.again().unwrap();
        Box::pin(async move {
            let first = this.attempt(0, head.clone(), body);
            let failed: BoxError = match tokio::time::timeout(this.patience, first).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => error.into(),
                Err(late) => late.into(),
            };
            let again = spare.again();
            drop(spare);
            match again {
                Some(body) => Ok(this.attempt(1, head, body).await?),
                None => Err(failed),
            }
        })
    }
}

impl Twice {
    fn attempt(
        &mut self,
        which: usize,
        mut head: http::request::Parts,
        body: Replay<UpstreamBody<Incoming>>,
    ) -> impl Future<Output = Result<Response<DownstreamBody>, UpstreamError>> + use<> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let path = head.uri.path();
        head.uri = format!("http://{}{path}", self.backends[which]).parse::<Uri>().unwrap();
        if which == 1 && self.second_is_http2 {
            head.version = Version::HTTP_2;
        }
        self.upstream.call(Request::from_parts(head, body))
    }
}

async fn backends() -> (Backend, Backend) {
    (Backend::start().await, Backend::start().await)
}

async fn is_asked(client: &mut Wire) -> bool {
    client.read(25).await == b"HTTP/1.1 100 Continue\r\n\r\n"
}

/// What the second backend is told besides its own name.
fn is_the_same(first: &Message, second: &Message) -> bool {
    first.start == second.start && first.headers == second.headers
}

#[tokio::test]
async fn content_of_a_known_length_is_sent_again() {
    let (first, second) = backends().await;
    let mut client = Twice::of(&first, &second).client(LONG).await;
    client
        .send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nhalf")
        .await;
    let (mut wire, to_first) = first.request().await;
    assert_eq!(wire.read(4).await, b"half");
    drop(wire);
    let (mut wire, to_second) = second.request().await;
    assert_eq!(to_second.get("content-length"), Some("12"));
    assert!(is_the_same(&to_first, &to_second), "{to_first:?} {to_second:?}");
    assert_eq!(wire.read(4).await, b"half");
    // The rest comes while the second attempt is under way.
    client.send(" and ").await;
    assert_eq!(wire.read(5).await, b" and ");
    client.send("all").await;
    assert_eq!(wire.read(3).await, b"all");
    wire.send(OK).await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
    // The client's connection is as it should be.
    client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(first.request().await.1.start, "GET /next HTTP/1.1");
}

#[tokio::test]
async fn chunked_content_and_its_trailers_are_sent_again() {
    // All of it is there before the first attempt fails, or half.
    for is_all in [true, false] {
        let (first, second) = backends().await;
        let mut client = Twice::of(&first, &second).client(LONG).await;
        let rest = "5\r\n rest\r\n0\r\nx-sum: 42\r\n\r\n";
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n4\r\nhalf\r\n")
            .await;
        let (mut wire, mut to_first) = first.request().await;
        if is_all {
            client.send(rest).await;
            wire.content(&mut to_first).await;
            assert!(to_first.is_whole);
        } else {
            assert_eq!(wire.read(9).await, b"4\r\nhalf\r\n");
        }
        drop(wire);
        let (mut wire, mut to_second) = second.request().await;
        assert!(is_the_same(&to_first, &to_second), "{to_first:?} {to_second:?}");
        if !is_all {
            client.send(rest).await;
        }
        wire.content(&mut to_second).await;
        assert_eq!((to_second.text(), to_second.is_whole), ("half rest", true));
        assert_eq!(to_second.trailers, [("x-sum".to_owned(), "42".to_owned())]);
        wire.send(OK).await;
        assert_eq!(client.message().await.unwrap().text(), "ok");
    }
}

#[tokio::test]
async fn an_attempt_that_is_given_up_leaves_the_content_to_the_next() {
    let (first, second) = backends().await;
    let service = Twice {
        patience: Duration::from_millis(300),
        ..Twice::of(&first, &second)
    };
    let mut client = service.client(LONG).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    let (mut late, _) = first.request().await;
    assert_eq!(late.read(4).await, b"half");
    let (mut wire, _) = second.request().await;
    assert!(late.is_closed().await);
    client.send(" rest").await;
    assert_eq!(wire.read(9).await, b"half rest");
    wire.send(OK).await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
}

const EXPECTS: &str = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";

#[tokio::test]
async fn the_client_is_asked_for_its_content_once() {
    let (first, second) = backends().await;
    let mut client = Twice::of(&first, &second).client(LONG).await;
    client.send(EXPECTS).await;
    let (mut wire, _) = first.request().await;
    wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert!(is_asked(&mut client).await);
    client.send("half").await;
    assert_eq!(wire.read(4).await, b"half");
    drop(wire);
    let (mut wire, to_second) = second.request().await;
    assert_eq!(to_second.get("content-length"), Some("9"));
    wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(wire.read(4).await, b"half");
    assert!(client.is_quiet().await, "it was asked");
    client.send(" rest").await;
    assert_eq!(wire.read(5).await, b" rest");
    wire.send(OK).await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
}

#[tokio::test]
async fn content_that_the_first_backend_did_not_ask_for_goes_to_the_second() {
    // It asks itself, or says nothing for so long that the client is asked without.
    for (asks, wait) in [(true, LONG), (false, Duration::from_millis(300))] {
        let (first, second) = backends().await;
        let mut client = Twice::of(&first, &second).client(wait).await;
        client.send(EXPECTS).await;
        let (wire, _) = first.request().await;
        assert!(client.is_quiet().await);
        drop(wire);
        let (mut wire, _) = second.request().await;
        if asks {
            assert!(client.is_quiet().await);
            wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        assert!(is_asked(&mut client).await);
        client.send("half rest").await;
        assert_eq!(wire.read(9).await, b"half rest");
        wire.send(OK).await;
        assert_eq!(client.message().await.unwrap().text(), "ok");
    }
}

#[tokio::test]
async fn a_second_backend_of_http2_gets_it_at_once() {
    let (first, second) = backends().await;
    let address = speaker::h2c(|request: Request<Incoming>| async {
        assert_eq!(request.headers()["content-length"], "9");
        let received = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(speaker::text(std::str::from_utf8(&received).unwrap()))
    })
    .await;
    let service = Twice {
        backends: [first.address, address],
        second_is_http2: true,
        ..Twice::of(&first, &second)
    };
    let mut client = service.client(LONG).await;
    client.send(EXPECTS).await;
    drop(first.request().await);
    assert!(is_asked(&mut client).await);
    client.send("half rest").await;
    assert_eq!(client.message().await.unwrap().text(), "half rest");
}

#[tokio::test]
async fn a_client_that_breaks_off_ends_the_second_attempt() {
    for breaks in [true, false] {
        let (first, second) = backends().await;
        let mut client = Twice::of(&first, &second).client(LONG).await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            .await;
        let (mut wire, _) = first.request().await;
        assert_eq!(wire.read(9).await, b"4\r\nhalf\r\n");
        drop(wire);
        let (mut wire, _) = second.request().await;
        assert_eq!(wire.read(9).await, b"4\r\nhalf\r\n");
        if breaks {
            client.send("not a chunk\r\n").await;
            assert_eq!(client.message().await.unwrap().status(), 400);
            assert!(client.is_closed().await);
        } else {
            drop(client);
        }
        assert!(wire.is_closed().await, "it learns that there is no more to come");
    }
}

#[tokio::test]
async fn content_above_the_bound_passes_and_is_not_sent_again() {
    let content = vec![7; 1 << 20];
    let mut chunked = format!("{:x}\r\n", content.len()).into_bytes();
    chunked.extend_from_slice(&content);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    for (framing, content_as_sent) in [
        (format!("Content-Length: {}", content.len()), &content),
        ("Transfer-Encoding: chunked".to_owned(), &chunked),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        let (first, second) = backends().await;
        let service = Twice::of(&first, &second);
        let calls = Arc::clone(&service.calls);
        let mut client = service.client(LONG).await;
        let answers = async {
            let (mut wire, mut request) = first.request().await;
            wire.content(&mut request).await;
            assert!(request.body == content, "{} bytes", request.body.len());
            wire.send(OK).await;
            wire
        };
        client.send(&head).await;
        let (_, wire) = tokio::join!(client.send(content_as_sent), answers);
        assert_eq!(client.message().await.unwrap().text(), "ok");
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        drop(wire);

        client.send(&head).await;
        client.send(&content_as_sent[..5000]).await;
        let (mut wire, _) = first.request().await;
        wire.read(4000).await;
        drop(wire);
        assert_eq!(client.message().await.unwrap().status(), 502, "{framing}");
        assert_eq!(calls.load(Ordering::Relaxed), 2, "{framing}");
    }
}
