//! Responses before the response, and `Expect: 100-continue`.

use std::time::Duration;

use equipoise::proxy::{ProxyLayer, Upstream};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::{
    speaker,
    stage::{Backend, Stage},
    wire::Wire,
};

const REQUEST: &str = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A proxy that waits so long for the backend's word.
async fn waiting(backend: &Backend, wait: Duration) -> Stage {
    let proxy = ProxyLayer::new().continue_wait(wait);
    Stage::with(backend.address, proxy, Upstream::builder()).await
}

async fn is_asked(client: &mut Wire) -> bool {
    client.read(25).await == b"HTTP/1.1 100 Continue\r\n\r\n"
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn the_client_is_asked_when_the_backend_asks() {
    let backend = Backend::start().await;
    let stage = waiting(&backend, LONG).await;
    let mut client = stage.connect().await;
    client.send(REQUEST).await;
    let (mut wire, request) = backend.request().await;
    assert_eq!(request.get("expect"), Some("100-continue"));
    assert!(client.is_quiet().await, "the backend has not said a word");
    // Another word is passed on, and is not that one.
    wire.send("HTTP/1.1 102 Processing\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status(), 102);
    assert!(client.is_quiet().await);
    wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert!(is_asked(&mut client).await);
    client.send("hello").await;
    assert_eq!(wire.read(5).await, b"hello");
    wire.send(OK).await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
    // All is as usual afterwards.
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(wire.head().await.is_some());
}

#[tokio::test]
async fn early_hints_pass_without_what_is_of_their_hop() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut wire, _) = backend.request().await;
    // Nobody has asked whether to go on.
    wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    for path in ["/a", "/b"] {
        wire.send(format!(
            "HTTP/1.1 103 Early Hints\r\nLink: <{path}>\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\n"
        ))
        .await;
        let hint = client.head().await.unwrap();
        let link = ("link".to_owned(), format!("<{path}>"));
        assert_eq!((hint.status(), hint.headers), (103, vec![link]));
    }
    wire.send(format!("HTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n{OK}"))
        .await;
    assert_eq!(
        client.head().await.unwrap().get("link"),
        Some("</c>"),
        "in one piece with the response"
    );
    assert_eq!(client.message().await.unwrap().text(), "ok");

    // HTTP/1.0 knows of no such thing.
    let mut client = stage.connect().await;
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    wire.head().await.unwrap();
    wire.send(format!("HTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n{OK}"))
        .await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
}

#[tokio::test]
async fn content_that_the_backend_does_not_want_is_never_asked_for() {
    let backend = Backend::start().await;
    let stage = waiting(&backend, LONG).await;
    for response in [
        "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
    ] {
        let mut client = stage.connect().await;
        client.send(REQUEST).await;
        let (mut wire, _) = backend.request().await;
        wire.send(response).await;
        let answer = client.message().await.unwrap();
        assert!([413, 401].contains(&answer.status()), "{}", answer.start);
        assert_eq!(answer.get("connection"), Some("close"));
        assert!(client.is_closed().await);
        assert!(wire.is_closed().await, "the request was never finished");
    }
    stage.settles("2 succeeded").await;
}

#[tokio::test]
async fn a_backend_that_says_nothing_gets_it_after_a_while() {
    let backend = Backend::start().await;
    let stage = waiting(&backend, Duration::from_millis(200)).await;
    let mut client = stage.connect().await;
    client.send(REQUEST).await;
    let (mut wire, _) = backend.request().await;
    assert!(is_asked(&mut client).await);
    client.send("hello").await;
    assert_eq!(wire.read(5).await, b"hello");
    wire.send(OK).await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_served_too() {
    let backend = Backend::start().await;
    let stage = waiting(&backend, LONG).await;
    let mut client = stage.connect().await;
    client.send(format!("{REQUEST}hello")).await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(wire.read(5).await, b"hello");
    wire.send(OK).await;
    assert!(is_asked(&mut client).await);
    assert_eq!(client.message().await.unwrap().text(), "ok");
}

#[tokio::test]
async fn there_is_nothing_to_expect_without_content_or_in_http_1_0() {
    let backend = Backend::start().await;
    let stage = waiting(&backend, LONG).await;
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let mut client = stage.connect().await;
        client.send(request).await;
        let (mut wire, mut request) = backend.request().await;
        assert_eq!(request.get("expect"), None);
        wire.content(&mut request).await;
        wire.send(OK).await;
        assert_eq!(client.message().await.unwrap().text(), "ok");
    }
}

#[tokio::test]
async fn the_client_leaves_while_it_waits() {
    let backend = Backend::start().await;
    let stage = waiting(&backend, Duration::from_millis(200)).await;
    let mut client = stage.connect().await;
    client.send(REQUEST).await;
    let (mut wire, _) = backend.request().await;
    drop(client);
    assert!(wire.is_closed().await);
    stage.settles("1 cancelled").await;
}

#[tokio::test]
async fn a_backend_of_http2_gets_it_at_once() {
    let backend = speaker::h2c(|request: Request<Incoming>| async {
        assert!(!request.headers().contains_key("expect"));
        let received = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(speaker::text(std::str::from_utf8(&received).unwrap()))
    })
    .await;
    let stage = Stage::before_h2c(backend).await;
    let mut client = stage.connect().await;
    client.send(REQUEST).await;
    assert!(is_asked(&mut client).await);
    client.send("hello").await;
    assert_eq!(client.message().await.unwrap().text(), "hello");
}

#[tokio::test]
async fn a_backend_that_says_nothing_is_late_while_the_content_is_held() {
    let backend = Backend::start().await;
    let proxy = ProxyLayer::new().continue_wait(LONG);
    let upstream = Upstream::builder().head_timeout(Duration::from_millis(300));
    let stage = Stage::with(backend.address, proxy, upstream).await;
    let mut client = stage.connect().await;
    client.send(REQUEST).await;
    assert_eq!(client.message().await.unwrap().status(), 504);
    stage.settles("1 failed").await;
}
