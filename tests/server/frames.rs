//! HTTP/2 that no well-behaved client sends, frame by frame (RFC 9113 section 4.1), and its tunnels.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A whole GET of `http://a/` (RFC 7541 appendix A: entries 2, 6, 4 and, for the authority, 1).
fn get_on(stream: u32) -> Vec<u8> {
    frame(1, 0x5, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'a'])
}

fn server() -> Server {
    Server::new()
        .header_timeout(seconds(10))
        .idle_timeout(seconds(100))
        .stall_timeout(seconds(40))
}

/// The next frame: its kind and payload; none at the end.
async fn next(client: &mut Client<DuplexStream>) -> Option<(u8, Vec<u8>)> {
    let read = async {
        let mut head = [0; 9];
        client.stream.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        client.stream.read_exact(&mut payload).await.ok()?;
        Some((head[3], payload))
    };
    timeout(HOUR, read).await.expect("the server never closed")
}

async fn begin(running: &Running) -> Client<DuplexStream> {
    let mut client = running.connect();
    client.send(PREFACE).await;
    client.send(frame(SETTINGS, 0, 0, &[])).await;
    client.send(frame(SETTINGS, 1, 0, &[])).await;
    client
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_is_gone_even_with_a_request_in_flight() {
    let running = run(server().ping(seconds(30)), async |_| std::future::pending().await);
    let mut client = begin(&running).await;
    client.send(get_on(1)).await;
    let from = Instant::now();
    while next(&mut client).await.is_some() {}
    let time = from.elapsed();
    assert!(time >= seconds(50) && time < seconds(55), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_is_waited_for() {
    let running = run(server().ping(seconds(30)), async |_| {
        tokio::time::sleep(seconds(1000)).await;
        answer("ok")
    });
    let mut client = begin(&running).await;
    client.send(get_on(1)).await;
    let mut pings = 0;
    loop {
        match next(&mut client).await.expect("it was closed") {
            (PING, payload) => {
                client.send(frame(PING, 1, 0, &payload)).await;
                pings += 1;
            }
            (0, payload) => {
                assert_eq!(payload, b"ok");
                break;
            }
            _ => {}
        }
    }
    assert!(pings > 30, "{pings}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_resets_what_it_asks_for_is_sent_away() {
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let running = run(server().ping(None), move |_| {
        called.fetch_add(1, Ordering::Relaxed);
        std::future::pending()
    });
    let mut client = begin(&running).await;
    let mut all = Vec::new();
    for stream in 0..1000 {
        all.extend(get_on(2 * stream + 1));
        all.extend(frame(3, 0, 2 * stream + 1, &8_u32.to_be_bytes()));
    }
    // It may be closed before all of it is written.
    let _ = client.stream.write_all(&all).await;
    let from = Instant::now();
    let mut why = None;
    while let Some((kind, payload)) = next(&mut client).await {
        if kind == GOAWAY {
            why = Some(payload[7]);
        }
    }
    // ENHANCE_YOUR_CALM
    assert_eq!(why, Some(0xb));
    assert!(from.elapsed() < seconds(10), "{:?}", from.elapsed());
    assert!(calls.load(Ordering::Relaxed) < 100, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_tunnel_of_http2_is_left_alone() {
    let running = run(server().ping(None), async |mut request| {
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
            let mut upgraded = TokioIo::new(upgraded);
            let mut word = [0; 4];
            upgraded.read_exact(&mut word).await.unwrap();
            upgraded.write_all(&word).await.unwrap();
        });
        answer("")
    });
    let mut http2 = running.connect_http2().await;
    let mut connect = get();
    *connect.method_mut() = http::Method::CONNECT;
    *connect.uri_mut() = "a:1".parse().unwrap();
    let mut response = http2.send_request(connect).await.unwrap();
    let upgraded = hyper::upgrade::on(&mut response).await.unwrap();
    let mut upgraded = TokioIo::new(upgraded);
    tokio::time::sleep(seconds(3000)).await;
    upgraded.write_all(b"echo").await.unwrap();
    let mut word = [0; 4];
    timeout(HOUR, upgraded.read_exact(&mut word))
        .await
        .expect("in time")
        .unwrap();
    assert_eq!(&word, b"echo");
    // With the tunnel's end the connection is idle.
    drop(upgraded);
    let from = Instant::now();
    closed(&mut http2).await;
    assert_took(from.elapsed(), seconds(100));
}

#[tokio::test(start_paused = true)]
async fn trailers_are_sent_in_both_versions() {
    let running = run(server().ping(None), async |_| {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-end", "1".parse().unwrap());
        let frames = [
            hyper::body::Frame::data(Bytes::from("data")),
            hyper::body::Frame::trailers(trailers),
        ];
        let frames = futures_util::stream::iter(frames.map(Ok));
        let mut response = Response::new(http_body_util::StreamBody::new(frames).boxed_unsync());
        response.headers_mut().insert("trailer", "x-end".parse().unwrap());
        response
    });
    let mut http2 = running.connect_http2().await;
    let body = http2
        .send_request(get())
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap();
    assert_eq!(body.trailers().unwrap()["x-end"], "1");
    assert_eq!(body.to_bytes(), "data");
    let mut client = running.connect();
    client.send(GET.replace("\r\n\r\n", "\r\nte: trailers\r\n\r\n")).await;
    assert!(client.until("0\r\nx-end: 1\r\n\r\n").await.contains("4\r\ndata\r\n"));
}
