//! What a client is told when there is no answer.

use std::{net::Ipv4Addr, time::Duration};

use equipoise::{
    Pool,
    proxy::{ProxyLayer, Upstream, UpstreamBuilder},
};
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    speaker::client_h2,
    stage::{Backend, Stage, endpoint, listen},
    wire::soon,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What a client is told, and told again on the same connection when it asks for the head only.
async fn told(stage: &Stage) -> (u16, String) {
    let mut client = stage.connect().await;
    let answer = client.ask(GET).await;
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.get(name), Some(value));
    }
    assert_eq!(answer.get("connection"), None);
    let length = answer.text().len().to_string();
    assert_eq!(answer.get("content-length"), Some(length.as_str()));
    assert!(answer.text().ends_with(".\n"), "one sentence: {}", answer.text());
    assert!(
        !answer.text().contains("127."),
        "it tells an address: {}",
        answer.text()
    );

    client.send(GET.replace("GET", "HEAD")).await;
    let head = client.answer_to_head().await;
    assert_eq!(
        (head.status(), head.get("content-length")),
        (answer.status(), Some(length.as_str()))
    );
    assert!(client.is_quiet().await, "a head has no content");
    (answer.status(), answer.text().to_owned())
}

async fn stage(upstream: UpstreamBuilder, backend: &Backend) -> Stage {
    Stage::with(backend.address, ProxyLayer::new(), upstream).await
}

#[tokio::test]
async fn a_backend_that_can_not_be_reached() {
    let (listener, address) = listen().await;
    drop(listener);
    for stage in [Stage::before(address).await, Stage::before_h2c(address).await] {
        assert_eq!(
            told(&stage).await,
            (502, "The backend could not be reached.\n".to_owned())
        );
        assert_eq!(stage.state(), "2 failed");
    }
}

#[tokio::test]
async fn a_backend_that_can_not_be_reached_in_time() {
    // Nobody accepts, and the queue of those who wait for that is filled up: then no more are let in.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_millis(300);
    let mut queue = Vec::new();
    while let Ok(queued) = timeout(patience, TcpStream::connect(address)).await {
        queue.push(queued.unwrap());
        assert!(queue.len() < 100, "everybody is let in");
    }
    let upstream = Upstream::builder().connect_timeout(patience);
    let stage = Stage::with(address, ProxyLayer::new(), upstream).await;
    assert_eq!(
        told(&stage).await,
        (504, "The backend could not be reached in time.\n".to_owned())
    );
    assert_eq!(stage.state(), "2 failed");
}

#[tokio::test]
async fn a_backend_that_does_not_answer_in_time() {
    let backend = Backend::start().await;
    let stage = stage(Upstream::builder().head_timeout(Duration::from_millis(200)), &backend).await;
    assert_eq!(
        told(&stage).await,
        (504, "The backend did not answer in time.\n".to_owned())
    );
    assert_eq!(stage.state(), "2 failed");
    let (mut wire, _) = backend.request().await;
    assert!(wire.is_closed().await, "it is not waited for any longer");
}

#[tokio::test]
async fn a_backend_that_breaks_off() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let breaks = async {
        for answer in ["", "HTTP/1.1 200 O"] {
            let (mut wire, _) = backend.request().await;
            wire.send(answer).await;
        }
    };
    let (told, ()) = tokio::join!(told(&stage), breaks);
    assert_eq!(
        told,
        (502, "The backend broke off before it had answered.\n".to_owned())
    );
    assert_eq!(stage.state(), "2 failed");
}

#[tokio::test]
async fn no_backend_at_all() {
    let stage = Stage::of(Pool::builder(), ProxyLayer::new(), Upstream::builder()).await;
    assert_eq!(told(&stage).await, (503, "No backend is available.\n".to_owned()));
}

#[tokio::test]
async fn every_backend_busy() {
    let backend = Backend::start().await;
    let pool = Pool::builder()
        .backend(endpoint("http", backend.address))
        .in_flight_limit(0);
    let stage = Stage::of(pool, ProxyLayer::new(), Upstream::builder()).await;
    assert_eq!(told(&stage).await, (503, "Every backend is busy.\n".to_owned()));
}

#[tokio::test]
async fn a_client_of_http2_is_told_as_well() {
    let stage = Stage::of(Pool::builder(), ProxyLayer::new(), Upstream::builder()).await;
    let client = client_h2::<Empty<Bytes>>();
    for method in ["GET", "HEAD", "TRACE"] {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}/", stage.address));
        let request = request.version(Version::HTTP_2).body(Empty::new()).unwrap();
        let answer = soon(client.request(request)).await.unwrap();
        assert_eq!(answer.headers().get("connection"), None);
        let status = answer.status().as_u16();
        let text = soon(answer.into_body().collect()).await.unwrap().to_bytes();
        match method {
            "GET" => assert_eq!((status, &text[..]), (503, &b"No backend is available.\n"[..])),
            "HEAD" => assert_eq!((status, &text[..]), (503, &b""[..])),
            _ => assert_eq!(
                (status, &text[..]),
                (405, &b"CONNECT and TRACE are not served here.\n"[..])
            ),
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_dies_is_not_the_clients_business() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    for round in 1..=20 {
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(client.message().await.unwrap().text(), "ok");
        assert_eq!(stage.state(), format!("{round} succeeded"));
        let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        // Just before the proxy knows of the request, or just after: then it has chosen that connection already.
        if round % 2 == 0 {
            client.send(post).await;
        }
        drop(wire);
        if round % 2 == 1 {
            client.send(post).await;
        }
        // Content that is streamed is not lost with it: it was not looked at.
        let mut request;
        (wire, request) = backend.request().await;
        wire.content(&mut request).await;
        assert_eq!(request.text(), "hello");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_before_the_backend_does() {
    let backend = Backend::start().await;
    let stage = stage(Upstream::builder().idle_timeout(Duration::from_millis(300)), &backend).await;
    let mut client = stage.connect().await;
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn content_that_a_backend_of_http_1_0_did_not_get_is_not_passed_over() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    let answer = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok";
    wire.send(answer).await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
    // Of known length it is sent over the same connection.
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    assert_eq!(wire.message().await.unwrap().text(), "hello");
    wire.send(answer).await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        .await;
    assert_eq!(wire.message().await.unwrap().start, "POST / HTTP/1.0");
    wire.send(answer).await;
    let answer = client.message().await.unwrap();
    assert_eq!(
        (answer.status(), answer.text()),
        (502, "The backend can not be sent content of unknown length.\n")
    );
    assert_eq!(stage.state(), "2 succeeded, 1 failed");
}
