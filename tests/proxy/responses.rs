//! Whatever a backend answers, a client sees a response that can be read in one way only.

use crate::{
    stage::{Backend, Stage},
    wire::{Message, Wire},
};

const GET: &str = "GET /p HTTP/1.1\r\nHost: a\r\n\r\n";

/// What the client gets to read when the backend sends these bytes and closes, and the rest of its connection.
async fn through(stage: &Stage, backend: &Backend, request: &str, bytes: &str) -> (Message, Wire) {
    let mut client = stage.connect().await;
    client.send(request).await;
    let (mut wire, _) = backend.request().await;
    wire.send(bytes).await;
    drop(wire);
    let answer = if request.starts_with("HEAD") {
        client.answer_to_head().await
    } else {
        client.message().await.expect("an answer")
    };
    (answer, client)
}

#[tokio::test]
async fn a_response_with_two_readings_is_not_passed_on() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let chunk = "5\r\nhello\r\n0\r\n\r\n";
    let mut count = 0;
    for response in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n{chunk}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{chunk}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n{chunk}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n{chunk}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n{chunk}"),
        format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(),
        "HTTP/3.0 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 20 OK\r\n\r\n".to_owned(),
        "hello\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(2_000_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101)),
    ] {
        let (answer, mut client) = through(&stage, &backend, GET, &response).await;
        let text = &response[..response.len().min(120)];
        assert_eq!(answer.status(), 502, "{text:?}");
        assert_eq!(answer.text(), "The backend's answer is not valid HTTP.\n", "{text:?}");
        assert!(client.is_quiet().await, "{text:?}: the client's connection is fine");
        count += 1;
        assert_eq!(stage.state(), format!("{count} failed"), "{text:?}");
    }
}

#[tokio::test]
async fn what_a_backend_frames_in_its_own_way_is_framed_once() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let chunk = "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    let head = "HEAD /p HTTP/1.1\r\nHost: a\r\n\r\n";
    let old = "GET /p HTTP/1.0\r\nHost: a\r\n\r\n";
    for (request, response, framing) in [
        (
            GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
            Some("5"),
        ),
        (
            GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello".to_owned(),
            Some("5"),
        ),
        (
            GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
            Some("5"),
        ),
        (
            GET,
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
            Some("chunked"),
        ),
        (GET, "HTTP/1.1 200 OK\r\n\r\nhello".to_owned(), Some("chunked")),
        (GET, "HTTP/1.0 200 OK\r\n\r\nhello".to_owned(), Some("chunked")),
        (
            GET,
            "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
            Some("5"),
        ),
        (
            GET,
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n".to_owned(),
            None,
        ),
        (GET, "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n".to_owned(), None),
        (
            head,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_owned(),
            Some("5"),
        ),
        (
            head,
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n".to_owned(),
            Some("5"),
        ),
        (
            head,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            None,
        ),
        (
            old,
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
            None,
        ),
        (
            old,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
            Some("5"),
        ),
    ] {
        let (answer, mut client) = through(&stage, &backend, request, &response).await;
        let framed = answer.get("content-length").or(answer.get("transfer-encoding"));
        assert_eq!(framed, framing, "{response:?}");
        let has_content = [200].contains(&answer.status()) && request != head;
        assert_eq!(answer.text(), if has_content { "hello" } else { "" }, "{response:?}");
        if request == old {
            assert!(answer.start.starts_with("HTTP/1.0 200"), "{}", answer.start);
            assert!(client.is_closed().await);
        } else {
            assert!(answer.is_whole || request == head, "{response:?}");
            assert!(client.is_quiet().await, "{response:?}");
        }
    }
}

#[tokio::test]
async fn content_that_breaks_off_never_looks_whole() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut count = 0;
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n99999999999999999\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: a\0b\r\n\r\n",
    ] {
        let (answer, mut client) = through(&stage, &backend, GET, response).await;
        assert_eq!((answer.status(), answer.is_whole), (200, false), "{response:?}");
        assert!("hello".starts_with(answer.text()), "{response:?}");
        assert!(client.is_closed().await, "{response:?}");
        count += 1;
        stage.settles(&format!("{count} broken")).await;
    }
}

#[tokio::test]
async fn a_second_response_that_nobody_asked_for_answers_nobody() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        .await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
    assert!(client.is_quiet().await);
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood").await;
    assert_eq!(client.message().await.unwrap().text(), "good");
}

#[tokio::test]
async fn connections_are_used_again_on_both_sides() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    for round in 0..3 {
        // What the backend says of its own connection is not said of the client's.
        wire.send("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok")
            .await;
        let answer = client.message().await.unwrap();
        assert_eq!((answer.text(), answer.get("keep-alive")), ("ok", None));
        if round < 2 {
            client.send(GET).await;
            assert_eq!(wire.head().await.unwrap().start, "GET /p HTTP/1.1");
        }
    }
    client.send(GET).await;
    wire.head().await.unwrap();
    wire.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        .await;
    drop(wire);
    let answer = client.message().await.unwrap();
    assert_eq!((answer.text(), answer.get("connection")), ("ok", None));
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
}
