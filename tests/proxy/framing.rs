//! Whatever a client sends, a backend sees messages that can be read in one way only.

use crate::{
    stage::{Recorder, Stage},
    wire::Message,
};

/// How often a request that came behind another in the same bytes was passed on.
fn next(messages: &[Message]) -> usize {
    messages
        .iter()
        .filter(|message| message.start.contains("/next"))
        .count()
}

/// What the backend saw of a request: framing and content, and whether that was whole.
fn seen(message: &Message) -> String {
    let length = message.get("content-length").map(|length| format!("length {length}"));
    let coding = message.get("transfer-encoding").map(str::to_owned);
    let framing = length.or(coding).unwrap_or_else(|| "none".to_owned());
    let end = if message.is_whole { "" } else { ", cut" };
    format!("{framing} '{}'{end}", message.text())
}

/// Sends these bytes with another request behind them; returns the first answer's status and what the backend saw.
/// Unless that other request is served as one of its own, the connection must be closed after the first answer.
async fn send(stage: &Stage, recorder: &Recorder, bytes: &[u8]) -> (u16, Vec<String>) {
    let mut client = stage.connect().await;
    client.send(bytes).await;
    client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.message().await.expect("an answer");
    let second = client.message().await;
    let messages = recorder.take();
    match second {
        Some(second) => {
            assert_eq!((second.status(), next(&messages)), (200, 1), "{second:?}");
            drop(client);
        }
        None => assert_eq!(next(&messages), 0, "served, though the connection is closed"),
    }
    let first = messages.iter().filter(|message| !message.start.contains("/next"));
    (answer.status(), first.map(seen).collect())
}

fn post(headers: &str, content: &str) -> Vec<u8> {
    format!("POST /p HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n{content}").into_bytes()
}

#[tokio::test]
async fn a_message_with_two_readings_is_refused_and_its_connection_closed() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    let chunk = "5\r\nhello\r\n0\r\n\r\n";
    for (bytes, status) in [
        (post("Content-Length: 5\r\nContent-Length: 6", "hello"), 400),
        (post("Content-Length: 5, 5", "hello"), 400),
        (post("Content-Length: 5, 6", "hello"), 400),
        (post("Content-Length: +5", "hello"), 400),
        (post("Content-Length: -1", "hello"), 400),
        (post("Content-Length:  5x", "hello"), 400),
        (post("Content-Length: 0x5", "hello"), 400),
        (post("Content-Length: 5 5", "hello"), 400),
        (post("Content-Length: ", "hello"), 400),
        (post("Content-Length: 99999999999999999999999", "hello"), 400),
        (post("Content-Length: 18446744073709551615", "hello"), 431),
        (post("Content-Length : 5", "hello"), 400),
        (post("Content-Length\t: 5", "hello"), 400),
        (post("Content-Length: 5\r\n 6", "hello"), 400),
        (post("Transfer-Encoding: chunked, chunked", chunk), 501),
        (
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", chunk),
            501,
        ),
        (post("Transfer-Encoding: gzip, chunked", chunk), 501),
        (
            post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", chunk),
            501,
        ),
        (post("Transfer-Encoding: identity, chunked", chunk), 501),
        (post("Transfer-Encoding: ,chunked", chunk), 501),
        (post("Transfer-Encoding: identity", chunk), 400),
        (post("Transfer-Encoding:  xchunked", chunk), 400),
        (post("Transfer-Encoding: chunked, identity", chunk), 400),
        (post("Transfer-Encoding: chunked;q=1", chunk), 400),
        (post("Transfer-Encoding: \"chunked\"", chunk), 400),
        (post("Transfer-Encoding: \x0bchunked", chunk), 400),
        (post("Transfer-Encoding : chunked", chunk), 400),
        (post("Transfer-Encoding:\r\n chunked", chunk), 400),
        (post("X: a\r\n b", ""), 400),
        (post("X: a\rb", ""), 400),
        (post("X: a\rContent-Length: 5", "hello"), 400),
        (post("X: a\0b", ""), 400),
        (post("X\0: a", ""), 400),
        (post("X Y: a", ""), 400),
        (post(": a", ""), 400),
        (post("just words", ""), 400),
        (
            b"POST /p HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            400,
        ),
        (b"GET /p HTTP/1.1\r\n\r\n".to_vec(), 400),
        (b"GET /p HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_vec(), 400),
        (b"GET /p HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(), 400),
        (b"GET /p HTTP/1.1\r\nHost: a/b\r\n\r\n".to_vec(), 400),
        (b"GET /p HTTP/1.1\r\nHost: u@a\r\n\r\n".to_vec(), 400),
        (b"GET /p HTTP/1.1\r\nHost:\r\n\r\n".to_vec(), 400),
        (b"GET http://u@b/p HTTP/1.1\r\nHost: b\r\n\r\n".to_vec(), 400),
        (b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        (b"GET /p q HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".to_vec(), 405),
        (b"TRACE /p HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 405),
        // Answered here, were it not for that.
        (
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\nHost: b\r\nMax-Forwards: 0\r\n\r\n".to_vec(),
            400,
        ),
        (
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
                .to_vec(),
            501,
        ),
        (post("Expect: 200-ok\r\nContent-Length: 5", "hello"), 417),
        (post(&format!("X: {}", "x".repeat(2_000_000)), ""), 431),
        (post("X: y\r\n".repeat(101).trim_end(), ""), 431),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)).into_bytes(),
            431,
        ),
    ] {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
        assert_eq!(send(&stage, &recorder, &bytes).await, (status, vec![]), "{text:?}");
    }
    assert_eq!(stage.state(), "", "no backend was asked");
}

#[tokio::test]
async fn what_is_let_through_is_framed_once() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    let chunk = "5\r\nhello\r\n0\r\n\r\n";
    for (bytes, saw) in [
        // hyper goes by the coding, drops the length, and closes behind it (RFC 9112 §6.3).
        (
            post("Content-Length: 6\r\nTransfer-Encoding: chunked", chunk),
            "chunked 'hello'",
        ),
        (
            post("Transfer-Encoding: chunked\r\nContent-Length: 6", chunk),
            "chunked 'hello'",
        ),
        (
            post("Transfer-Encoding: chunked\r\nContent-Length: no", chunk),
            "chunked 'hello'",
        ),
        (
            post("Content-Length: 5\r\nContent-Length: 5", "hello"),
            "length 5 'hello'",
        ),
        (post("content-length: 005", "hello"), "length 5 'hello'"),
        (post("Content-Length: 0", ""), "length 0 ''"),
        (post("X: y", ""), "length 0 ''"),
        (post("TRANSFER-ENCODING: CHUNKED", chunk), "chunked 'hello'"),
        (
            post("Transfer-Encoding: chunked\r\nConnection: transfer-encoding", chunk),
            "chunked 'hello'",
        ),
        (
            post("Content-Length: 5\r\nConnection: content-length, host", "hello"),
            "length 5 'hello'",
        ),
        (
            post("Transfer-Encoding: chunked", "5 ;a=b;c=\"d\"\r\nhello\r\n000\r\n\r\n"),
            "chunked 'hello'",
        ),
        (
            post("Transfer-Encoding: chunked", "0\r\nX-Trailer: 1\r\n\r\n"),
            "chunked ''",
        ),
        (b"GET /p HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "none ''"),
        (b"\r\nGET /p HTTP/1.1\nHost: a\n\n".to_vec(), "none ''"),
        (
            b"GET /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
            "length 5 'hello'",
        ),
        (
            b"GET /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec(),
            "chunked 'hello'",
        ),
    ] {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(
            send(&stage, &recorder, &bytes).await,
            (200, vec![saw.to_owned()]),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn what_a_gateway_could_take_for_framing_does_not_pass() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    let headers = "Content-Length: 5\r\nContent_Length: 3\r\nTransfer_Encoding: chunked\r\nX_Kept: 1";
    let (status, saw) = {
        let mut client = stage.connect().await;
        let status = client.ask(post(headers, "hello")).await.status();
        (status, recorder.take().remove(0))
    };
    assert_eq!((status, seen(&saw).as_str()), (200, "length 5 'hello'"));
    let told = ["content_length", "transfer_encoding", "x_kept"].map(|name| saw.get(name));
    assert_eq!(told, [None, None, Some("1")]);
}

#[tokio::test]
async fn a_length_beside_a_coding_ends_the_connection() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    for headers in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
    ] {
        let mut client = stage.connect().await;
        // By its length it would have the next request's first byte in it.
        let answer = client
            .ask(post(headers, "0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        assert_eq!((answer.status(), answer.get("connection")), (200, Some("close")));
        assert!(client.is_closed().await);
        let messages = recorder.take();
        assert_eq!(messages.iter().map(seen).collect::<Vec<_>>(), ["chunked ''"]);
    }
}

#[tokio::test]
async fn an_end_with_two_readings_ends_the_connection() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    // An empty line without its CR: the end to some, to hyper trailers that go on.
    for end in ["0\r\n\n", "0\r\nA: b\n\n"] {
        let mut client = stage.connect().await;
        let content = format!("{end}GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.ask(post("Transfer-Encoding: chunked", &content)).await;
        assert_eq!(
            (answer.status(), answer.get("connection")),
            (200, Some("close")),
            "{end:?}"
        );
        assert!(client.is_closed().await);
        let messages = recorder.take();
        assert_eq!(messages.iter().map(seen).collect::<Vec<_>>(), ["chunked ''"], "{end:?}");
    }
}

#[tokio::test]
async fn content_that_breaks_off_is_the_clients_fault_and_never_looks_whole() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    let chunked = "Transfer-Encoding: chunked";
    let mut count = 0;
    for content in [
        "5\r\nhello\r\nzz\r\n",
        "5\r\nhello\r\n-1\r\n",
        "5\r\nhello\r\n0x1\r\nx\r\n",
        "5\r\nhello\r\n+1\r\nx\r\n",
        "5\r\nhello\r\n\r\n",
        "5\r\nhello\r\n11111111111111111\r\n",
        "5\r\nhelloX\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n1;a\nb\r\nx\r\n",
        "5\r\nhello\r\n1\nx\r\n",
        "5\r\nhello\r\n1 1\r\nx\r\n",
        "5\r\nhello\r\n0\r\nX: a\0b\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
    ] {
        let (status, saw) = send(&stage, &recorder, &post(chunked, content)).await;
        assert_eq!(status, 400, "{content:?}");
        for saw in saw {
            assert!(saw.ends_with(", cut"), "{content:?}: {saw}");
        }
        count += 1;
    }
    stage.settles(&format!("{count} cancelled")).await;
}
