//! Connections that become something else.

use std::time::Duration;

use equipoise::proxy::{ProxyLayer, Upstream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message as WebSocketMessage;

use crate::{
    stage::{Backend, Recorder, Stage, listen},
    wire::{Message, Wire, soon},
};

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket, h2c\r\n\
    HTTP2-Settings: AAMAAABk\r\nSec-WebSocket-Key: x\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nX-Other: y\r\n\r\n";

/// Both ends of a tunnel, and the client's answer. The backend's first bytes come right behind its head.
async fn tunnel(stage: &Stage, backend: &Backend) -> (Wire, Wire, Message) {
    let mut client = stage.connect().await;
    client.send(REQUEST).await;
    let (mut wire, request) = backend.request().await;
    assert_eq!(
        (request.get("connection"), request.get("upgrade")),
        (Some("upgrade"), Some("websocket"))
    );
    assert_eq!(request.get("sec-websocket-key"), Some("x"));
    wire.send(format!("{SWITCH}hello")).await;
    let answer = client.message().await.unwrap();
    (client, wire, answer)
}

#[tokio::test]
async fn bytes_go_both_ways_and_the_backend_is_busy_meanwhile() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let (mut client, mut wire, answer) = tunnel(&stage, &backend).await;
    assert_eq!(answer.start, "HTTP/1.1 101 Switching Protocols");
    for (name, value) in [
        ("connection", Some("upgrade")),
        ("upgrade", Some("WebSocket")),
        ("x-other", Some("y")),
    ] {
        assert_eq!(answer.get(name), value);
    }
    assert_eq!(client.read(5).await, b"hello");
    for round in 0_u8..10 {
        let up = [round; 1000];
        client.send(up).await;
        assert_eq!(wire.read(1000).await, up);
        wire.send([round + 100; 3]).await;
        assert_eq!(client.read(3).await, [round + 100; 3]);
        assert_eq!(stage.state(), "1 in flight");
    }
    drop(client);
    assert!(wire.is_closed().await);
    drop(wire);
    stage.settles("1 succeeded").await;
}

#[tokio::test]
async fn a_real_websocket_passes() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            // Its closing is answered by the library.
            if !message.is_close() && socket.send(message).await.is_err() {
                break;
            }
        }
    });
    let stage = Stage::before(address).await;
    let connecting = tokio_tungstenite::connect_async(format!("ws://{}/chat", stage.address));
    let (mut socket, answer) = soon(connecting).await.unwrap();
    assert_eq!(answer.status(), 101);
    for size in [0, 5, 70_000, 1_000_000] {
        let message = WebSocketMessage::binary(vec![b'x'; size]);
        soon(socket.send(message.clone())).await.unwrap();
        assert_eq!(soon(socket.next()).await.unwrap().unwrap(), message);
    }
    assert_eq!(stage.state(), "1 in flight");
    soon(socket.close(None)).await.unwrap();
    while let Some(Ok(_)) = soon(socket.next()).await {}
    drop(socket);
    stage.settles("1 succeeded").await;
}

#[tokio::test]
async fn one_side_may_fall_silent_before_the_other() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let (mut client, mut wire, _) = tunnel(&stage, &backend).await;
    client.send("last words").await;
    soon(client.stream.shutdown()).await.unwrap();
    assert_eq!(wire.rest().await, b"last words");
    wire.send("an answer to that").await;
    assert_eq!(client.read(22).await, b"helloan answer to that");
    assert_eq!(stage.state(), "1 in flight");
    drop(wire);
    assert!(client.is_closed().await);
    stage.settles("1 succeeded").await;
}

#[tokio::test]
async fn a_tunnel_that_nobody_uses_is_closed() {
    let backend = Backend::start().await;
    let proxy = ProxyLayer::new().tunnel_idle(Duration::from_millis(600));
    let stage = Stage::with(backend.address, proxy, Upstream::builder()).await;
    let (mut client, mut wire, _) = tunnel(&stage, &backend).await;
    assert_eq!(client.read(5).await, b"hello");
    for _ in 0..4 {
        // Longer in all than it may be idle.
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.send("x").await;
        assert_eq!(wire.read(1).await, b"x");
    }
    assert_eq!(stage.state(), "1 in flight");
    assert!(client.is_closed().await);
    assert!(wire.is_closed().await);
    stage.settles("1 succeeded").await;
}

#[tokio::test]
async fn a_server_that_stops_waits_for_a_tunnel_but_not_for_ever() {
    for ends in [true, false] {
        let backend = Backend::start().await;
        let stage = Stage::before(backend.address).await;
        let (mut client, mut wire, _) = tunnel(&stage, &backend).await;
        assert_eq!(client.read(5).await, b"hello");
        let pool = stage.pool.clone();
        stage.shutdown.send(()).unwrap();
        client.send("on").await;
        assert_eq!(wire.read(2).await, b"on");
        if ends {
            drop(wire);
        }
        assert!(client.is_closed().await);
        drop(client);
        let drained = soon(stage.served).await.unwrap();
        assert_eq!((drained.finished, drained.cut), if ends { (1, 0) } else { (0, 1) });
        assert_eq!((pool.members()[0].in_flight, pool.members()[0].tally.succeeded), (0, 1));
    }
}

#[tokio::test]
async fn a_backend_that_does_not_change_answers_as_usual() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    client.send(REQUEST).await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
    client.send(REQUEST).await;
    wire.head().await.unwrap();
    wire.send("HTTP/1.1 426 Upgrade\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\nContent-Length: 0\r\n\r\n")
        .await;
    let answer = client.message().await.unwrap();
    assert_eq!((answer.status(), answer.get("upgrade")), (426, Some("websocket")));
    assert_eq!(stage.state(), "2 succeeded");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(wire.head().await.is_some(), "the connections are still what they were");
}

#[tokio::test]
async fn a_protocol_that_was_not_asked_for_is_no_answer() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    for upgrade in ["h2c", "foo", "websocket, h2c", ""] {
        let mut client = stage.connect().await;
        client.send(REQUEST).await;
        let (mut wire, _) = backend.request().await;
        wire.send(format!(
            "HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: {upgrade}\r\n\r\n"
        ))
        .await;
        assert_eq!(client.message().await.unwrap().status(), 502, "{upgrade}");
        assert!(wire.is_closed().await);
    }
    assert_eq!(stage.state(), "4 failed");
}

#[tokio::test]
async fn what_can_not_be_tunnelled_is_not_asked_for() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: TLS/1.0, HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let mut client = stage.connect().await;
        assert_eq!(client.ask(request).await.status(), 200, "{request}");
        for message in recorder.take() {
            let connection = message.get("connection");
            assert_eq!((message.get("upgrade"), connection), (None, None), "{request}");
            assert_eq!(message.get("http2-settings"), None, "{request}");
        }
    }
}
