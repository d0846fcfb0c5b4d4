//! What of a head goes on, and what is added.

use equipoise::proxy::{ProxyLayer, Upstream};
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};

use crate::{
    speaker::{self, client_h2},
    stage::{Backend, Recorder, Stage},
    wire::{Message, soon},
};

/// Sends a request and returns it as the backend gets it.
async fn forwarded(stage: &Stage, recorder: &Recorder, request: &str) -> Message {
    let mut client = stage.connect().await;
    assert_eq!(client.ask(request).await.status(), 200, "{request}");
    let mut messages = recorder.take();
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

fn sorted(message: &Message) -> Vec<String> {
    let mut lines: Vec<_> = message
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn a_request_loses_what_is_of_its_hop_and_tells_where_it_came_from() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    let request = "GET /p?q=%20#f HTTP/1.1\r\n\
        Host: a.example:8080\r\n\
        Connection: keep-alive, x-hop, host, x-forwarded-for\r\n\
        Keep-Alive: timeout=5\r\n\
        Proxy-Connection: keep-alive\r\n\
        Proxy-Authorization: Basic eA==\r\n\
        TE: gzip, trailers;q=1\r\n\
        Upgrade: websocket\r\n\
        X-Hop: 1\r\n\
        X-Forwarded-For: 10.0.0.1\r\n\
        X-Forwarded-Proto: https\r\n\
        X-Forwarded-Host: bank.example\r\n\
        Forwarded: for=10.0.0.1\r\n\
        Via: 1.0 before\r\n\
        Accept: */*\r\n\
        Range: bytes=0-4\r\n\r\n";
    let message = forwarded(&stage, &recorder, request).await;
    assert_eq!(message.start, "GET /p?q=%20 HTTP/1.1");
    assert_eq!(
        sorted(&message),
        [
            "accept: */*",
            "forwarded: for=127.0.0.1;host=\"a.example:8080\";proto=http",
            "host: a.example:8080",
            "range: bytes=0-4",
            "via: 1.0 before",
            "via: 1.1 equipoise",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: a.example:8080",
            "x-forwarded-proto: http",
        ]
    );
}

#[tokio::test]
async fn a_trusted_peer_is_believed() {
    let recorder = Recorder::start().await;
    for (trusted, seen) in [
        (
            &["192.0.2.0/24", "127.0.0.0/8"][..],
            [Some("203.0.113.1, 127.0.0.1"), Some("https"), Some("shop.example")],
        ),
        (&["192.0.2.0/24"], [Some("127.0.0.1"), Some("http"), Some("a")]),
    ] {
        let nets = trusted.iter().map(|net| net.parse().unwrap());
        let proxy = nets.fold(ProxyLayer::new(), ProxyLayer::trust);
        let stage = Stage::with(recorder.address, proxy, Upstream::builder()).await;
        let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.1\r\nX-Forwarded-Proto: https\r\n\
            X-Forwarded-Host: shop.example\r\n\r\n";
        let message = forwarded(&stage, &recorder, request).await;
        let told = ["for", "proto", "host"].map(|what| message.get(&format!("x-forwarded-{what}")));
        assert_eq!(told, seen, "{trusted:?}");
    }
}

#[tokio::test]
async fn a_response_loses_what_is_of_its_hop() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n")
        .await;
    let (mut wire, _) = backend.request().await;
    wire.send(
        "HTTP/1.1 206 Some Of It\r\n\
        Connection: keep-alive, x-hop\r\n\
        Keep-Alive: timeout=5\r\n\
        Proxy-Connection: keep-alive\r\n\
        Proxy-Authenticate: Basic\r\n\
        Upgrade: h2c\r\n\
        X-Hop: 1\r\n\
        Content-Range: bytes 0-1/9\r\n\
        Set-Cookie: a=1\r\n\
        Set-Cookie: b=2\r\n\
        Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
        Content-Length: 2\r\n\r\nok",
    )
    .await;
    let answer = client.message().await.unwrap();
    assert_eq!(
        (answer.start.as_str(), answer.text()),
        ("HTTP/1.1 206 Some Of It", "ok")
    );
    assert_eq!(
        sorted(&answer),
        [
            "content-length: 2",
            "content-range: bytes 0-1/9",
            "date: Thu, 01 Jan 1970 00:00:00 GMT",
            "set-cookie: a=1",
            "set-cookie: b=2",
        ]
    );
}

#[tokio::test]
async fn the_host_is_the_one_that_the_client_means() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    let own = recorder.address.to_string();
    for (request, start, host) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", "a"),
        (
            "GET http://b:81/p HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /p HTTP/1.1",
            "b:81",
        ),
        ("GET https://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", "b"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1", "a"),
        ("GET /p HTTP/1.0\r\nHost: a\r\n\r\n", "GET /p HTTP/1.1", "a"),
        ("GET /p HTTP/1.0\r\n\r\n", "GET /p HTTP/1.1", &own),
        ("GET //x/../y HTTP/1.1\r\nHost: a\r\n\r\n", "GET //x/../y HTTP/1.1", "a"),
    ] {
        let message = forwarded(&stage, &recorder, request).await;
        assert_eq!(
            (message.start.as_str(), message.get("host")),
            (start, Some(host)),
            "{request}"
        );
    }
    let message = forwarded(&stage, &recorder, "GET /p HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        (message.get("x-forwarded-host"), message.get("via")),
        (None, Some("1.0 equipoise"))
    );
}

#[tokio::test]
async fn options_counts_its_hops() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    let message = forwarded(
        &stage,
        &recorder,
        "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n",
    )
    .await;
    assert_eq!(message.get("max-forwards"), Some("2"));
    let mut client = stage.connect().await;
    let answer = client
        .ask("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
        .await;
    assert_eq!((answer.status(), recorder.take().len()), (200, 0));
    let message = forwarded(
        &stage,
        &recorder,
        "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
    )
    .await;
    assert_eq!(message.get("max-forwards"), Some("0"), "of no meaning there");
}

fn request(uri: &str) -> http::request::Builder {
    Request::builder().uri(uri)
}

#[tokio::test]
async fn a_client_of_http2_is_served_by_a_backend_of_http1() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    let client = client_h2::<Empty<Bytes>>();
    let uri = format!("http://{}/p", stage.address);
    let asked = request(&uri).version(Version::HTTP_2).header("te", "trailers");
    let asked = asked.header("cookie", "a=1").header("cookie", "b=2");
    let answer = soon(client.request(asked.body(Empty::new()).unwrap())).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes(), "ok");
    let messages = recorder.take();
    assert_eq!(messages[0].start, "GET /p HTTP/1.1");
    let own = stage.address.to_string();
    for (name, value) in [
        ("host", own.as_str()),
        ("via", "2.0 equipoise"),
        ("te", "trailers"),
        ("connection", "te"),
        ("cookie", "a=1; b=2"),
        ("x-forwarded-host", &own),
    ] {
        assert_eq!(messages[0].get(name), Some(value), "{name}");
    }

    // Two hosts that differ, and two lengths that are the same but said twice.
    let asked = request(&uri).version(Version::HTTP_2).header("host", "other.example");
    let answer = soon(client.request(asked.body(Empty::new()).unwrap())).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers().get("connection")),
        (400, None)
    );
    assert!(recorder.take().is_empty());
}

#[tokio::test]
async fn a_backend_of_http2_gets_no_headers_of_http1() {
    let backend = speaker::h2c(|request: Request<Incoming>| async move {
        let (head, _) = request.into_parts();
        let mut answer = http::Response::new(speaker::text(&format!("{:?} {}", head.version, head.uri)));
        // What came goes back, under other names.
        for (name, value) in &head.headers {
            let name = format!("x-{name}").parse::<http::HeaderName>().unwrap();
            answer.headers_mut().append(name, value.clone());
        }
        answer
    })
    .await;
    let stage = Stage::before_h2c(backend).await;
    let mut client = stage.connect().await;
    let answer = client
        .ask(
            "GET /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade, te, x-hop\r\nTE: trailers\r\nX-Hop: 1\r\n\
             Upgrade: websocket\r\nAccept: x\r\n\r\n",
        )
        .await;
    assert_eq!(
        answer.text(),
        format!("HTTP/2.0 http://{backend}/p"),
        "the authority is the backend's"
    );
    let mut seen: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    seen.retain(|name| name.starts_with("x-"));
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "x-accept",
            "x-forwarded",
            "x-te",
            "x-via",
            "x-x-forwarded-for",
            "x-x-forwarded-host",
            "x-x-forwarded-proto"
        ]
    );
    assert_eq!(answer.get("x-x-forwarded-host"), Some("a"));
    assert_eq!(stage.state(), "1 succeeded");
}
