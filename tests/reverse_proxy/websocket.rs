//! WebSockets, by tungstenite on both sides.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt, future::join_all};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, accept_async, connect_async,
    tungstenite::{
        Bytes, Error, Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::{
    backends::{Backend, nobody},
    proxy::Proxy,
    stopping::refuses,
    wire::soon,
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Sends text and binary messages back; told to, it pings, or closes with a code.
async fn echo(stream: TcpStream) {
    let mut socket = accept_async(stream).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let answer = match message {
            Message::Text(text) if text == "ping me" => Message::Ping(Bytes::from_static(b"from behind")),
            Message::Text(text) if text == "close" => Message::Close(Some(close(4001, "as you wish"))),
            Message::Text(_) | Message::Binary(_) => message,
            Message::Pong(payload) => Message::text(format!("got a pong: {payload:?}")),
            // What the client gives as its reason comes back by the closing handshake; pings are answered by the library.
            _ => continue,
        };
        if socket.send(answer).await.is_err() {
            break;
        }
    }
}

fn close(code: u16, reason: &str) -> CloseFrame {
    CloseFrame {
        code: CloseCode::from(code),
        reason: reason.into(),
    }
}

async fn connect(address: SocketAddr) -> Socket {
    let (socket, answer) = soon(connect_async(format!("ws://{address}/chat"))).await.unwrap();
    assert_eq!(answer.status(), 101);
    socket
}

async fn next(socket: &mut Socket) -> Message {
    soon(socket.next()).await.expect("a message").unwrap()
}

async fn echoes(socket: &mut Socket, message: Message) {
    soon(socket.send(message.clone())).await.unwrap();
    let answer = next(socket).await;
    assert!(answer == message, "{} bytes came back otherwise", message.len());
}

#[tokio::test]
async fn messages_of_all_kinds_pass_as_they_are() {
    let backend = Backend::start(echo).await;
    let proxy = Proxy::start(&[backend.http()], &[]);
    let mut socket = connect(proxy.address).await;
    echoes(&mut socket, Message::text("grüße")).await;
    for size in [0, 1, 125, 126, 65_535, 65_536, 3_000_000] {
        let bytes: Vec<u8> = (0..size).map(|at: usize| (at % 251) as u8).collect();
        echoes(&mut socket, Message::binary(bytes)).await;
    }
    let ping = Bytes::from_static(b"from the front");
    soon(socket.send(Message::Ping(ping.clone()))).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong(ping));
    soon(socket.send(Message::text("ping me"))).await.unwrap();
    assert_eq!(
        next(&mut socket).await,
        Message::Ping(Bytes::from_static(b"from behind"))
    );
    assert_eq!(next(&mut socket).await, Message::text("got a pong: b\"from behind\""));
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn either_side_may_close_and_say_why() {
    let backend = Backend::start(echo).await;
    let proxy = Proxy::start(&[backend.http()], &[]);

    let mut socket = connect(proxy.address).await;
    soon(socket.send(Message::text("close"))).await.unwrap();
    assert_eq!(
        next(&mut socket).await,
        Message::Close(Some(close(4001, "as you wish")))
    );
    assert!(
        soon(socket.next()).await.is_none(),
        "the connection is closed in good order"
    );

    let mut socket = connect(proxy.address).await;
    soon(socket.close(Some(close(4002, "enough")))).await.unwrap();
    // RFC 6455 section 5.5.1: the code comes back, typically; tungstenite's server does so.
    assert!(matches!(next(&mut socket).await, Message::Close(Some(frame)) if frame.code == CloseCode::from(4002)));
    assert!(
        soon(socket.next()).await.is_none(),
        "the connection is closed in good order"
    );
}

#[tokio::test]
async fn many_at_once_keep_apart() {
    const SOCKETS: usize = 100;
    let backends = [Backend::start(echo).await, Backend::start(echo).await];
    let proxy = Proxy::start(&backends.each_ref().map(Backend::http), &["--strategy", "round_robin"]);
    let mut sockets = join_all((0..SOCKETS).map(|_| connect(proxy.address))).await;
    for round in 0..5 {
        let talks = sockets.iter_mut().enumerate().map(async |(number, socket)| {
            let text = format!("{number} says {round}").repeat(1 + number * 20);
            echoes(socket, Message::text(text)).await;
        });
        join_all(talks).await;
    }
    assert_eq!(backends.each_ref().map(Backend::connections), [SOCKETS as u64 / 2; 2]);
}

#[tokio::test]
async fn a_backend_that_dies_ends_its_sockets() {
    let backend = Backend::start(echo).await;
    let proxy = Proxy::start(&[backend.http()], &[]);
    let mut socket = connect(proxy.address).await;
    echoes(&mut socket, Message::text("hello")).await;
    drop(backend);
    let end = soon(socket.next()).await;
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    // And a new one is told why not.
    let refused = soon(connect_async(proxy.uri("").replace("http", "ws"))).await;
    assert!(
        matches!(&refused, Err(Error::Http(answer)) if answer.status() == 502),
        "{refused:?}"
    );
    let proxy = Proxy::start(&[nobody().await], &[]);
    let refused = soon(connect_async(proxy.uri("").replace("http", "ws"))).await;
    assert!(
        matches!(&refused, Err(Error::Http(answer)) if answer.status() == 502),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_backend_that_speaks_none_answers_as_it_does() {
    let backend = Backend::named("only http").await;
    let proxy = Proxy::start(&[backend.http()], &[]);
    let refused = soon(connect_async(proxy.uri("").replace("http", "ws"))).await;
    assert!(
        matches!(&refused, Err(Error::Http(answer)) if answer.status() == 200),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_stopping_proxy_waits_for_one_that_is_open() {
    let backend = Backend::start(echo).await;
    let proxy = Proxy::start(&[backend.http()], &[]);
    let (mut socket, mut other) = (connect(proxy.address).await, connect(proxy.address).await);
    proxy.signal("TERM");
    refuses(proxy.address).await;
    echoes(&mut socket, Message::text("still here")).await;
    echoes(&mut other, Message::text("here too")).await;
    for mut socket in [socket, other] {
        soon(socket.close(Some(close(1000, "")))).await.unwrap();
        while let Some(Ok(_)) = soon(socket.next()).await {}
    }
    let (code, told) = proxy.end().await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.ends_with("finished, 0 were cut\n"), "{told}");
}

#[tokio::test]
async fn a_stopping_proxy_cuts_one_that_stays_when_its_grace_is_over() {
    const GRACE: Duration = Duration::from_secs(1);
    let backend = Backend::start(echo).await;
    let proxy = Proxy::start(&[backend.http()], &["--grace", "1s"]);
    let mut socket = connect(proxy.address).await;
    let begun = Instant::now();
    proxy.signal("TERM");
    refuses(proxy.address).await;
    echoes(&mut socket, Message::text("still here")).await;
    let end = soon(socket.next()).await;
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    assert!(begun.elapsed() >= GRACE, "{:?}", begun.elapsed());
    let (code, told) = proxy.end().await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.ends_with("finished, 1 were cut\n"), "{told}");
}
