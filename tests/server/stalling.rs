//! Clients that take nothing of what they asked for.

use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::*;

fn server() -> Server {
    Server::new()
        .header_timeout(seconds(10))
        .idle_timeout(seconds(100))
        .stall_timeout(seconds(40))
        .ping(None)
}

/// Dropped, it tells.
struct Told(mpsc::UnboundedSender<Duration>, Instant);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(self.1.elapsed());
    }
}

/// Pieces without end, and word of when they are dropped, by how long after their making.
fn endless(size: usize, told: mpsc::UnboundedSender<Duration>) -> Body {
    let told = Told(told, Instant::now());
    let pieces = stream::repeat(Bytes::from(vec![b'x'; size])).map(move |piece| {
        let _ = &told;
        Ok(Frame::data(piece))
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn run_endless(size: usize) -> (Running, mpsc::UnboundedReceiver<Duration>) {
    let (told, end) = mpsc::unbounded_channel();
    let running = run(server(), move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            match request.uri().path() {
                "/endless" => Response::new(endless(size, told)),
                _ => answer("ok"),
            }
        }
    });
    (running, end)
}

const ENDLESS: &str = "GET /endless HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_ended_and_its_response_dropped() {
    let (running, mut end) = run_endless(1000);
    let mut client = running.connect();
    client.send(ENDLESS).await;
    let time = timeout(HOUR, end.recv()).await.expect("never dropped").unwrap();
    assert_took(time, seconds(40));
    let (seen, _) = client.rest().await;
    assert!(seen.len() <= 64 * 1024, "no more than the pipe holds");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_not_stalled() {
    let (running, mut end) = run_endless(1000);
    let mut client = running.connect();
    client.send(ENDLESS).await;
    for _ in 0..100 {
        tokio::time::sleep(seconds(30)).await;
        client.stream.read_exact(&mut [0; 100]).await.unwrap();
    }
    assert!(end.try_recv().is_err(), "it was cut while it moved");
    // From the last room there was.
    let from = Instant::now();
    timeout(HOUR, end.recv()).await.expect("never dropped").unwrap();
    assert_took(from.elapsed(), seconds(40));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_its_client_holds_up_is_reset_while_others_go_on() {
    let (running, mut end) = run_endless(16 * 1024);
    let mut http2 = running.connect_http2().await;
    let mut request = get();
    *request.uri_mut() = "http://a/endless".parse().unwrap();
    let held = http2.send_request(request).await.unwrap();
    let from = Instant::now();
    // hyper's client opens windows by what its user reads, and this one reads nothing of that response.
    let dropped = loop {
        assert_eq!(text(http2.send_request(get()).await.unwrap()).await, "ok");
        tokio::time::sleep(seconds(1)).await;
        if let Ok(time) = end.try_recv() {
            break time;
        }
        assert!(from.elapsed() < HOUR, "never dropped");
    };
    assert_took(dropped, seconds(40));
    let error = held.into_body().collect().await.expect_err("it was reset");
    assert!(format!("{error:?}").contains("CANCEL"), "{error:?}");
    assert_eq!(text(http2.send_request(get()).await.unwrap()).await, "ok");
}

/// A response of one piece, far longer than the windows.
fn run_large() -> Running {
    run(server(), async |request| match request.uri().path() {
        "/large" => answer(vec![b'x'; 20 << 20]),
        _ => answer("ok"),
    })
}

fn large() -> Request<Body> {
    let mut request = get();
    *request.uri_mut() = "http://a/large".parse().unwrap();
    request
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_read_slowly_is_not_reset_however_large_its_pieces_are() {
    let running = run_large();
    let mut http2 = running.connect_http2().await;
    let mut body = http2.send_request(large()).await.unwrap().into_body();
    let mut seen = 0;
    let from = Instant::now();
    // hyper's client gives back its window of 2 MiB by halves.
    while let Some(frame) = body.frame().await {
        seen += frame.expect("it was reset").into_data().unwrap().len();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(seen, 20 << 20);
    // Longer than all time-outs together: it has not only fit into them.
    assert!(from.elapsed() > seconds(300), "{:?}", from.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_large_piece_is_not_held_for_a_client_that_takes_none_of_it() {
    let running = run_large();
    let mut http2 = running.connect_http2().await;
    let held = http2.send_request(large()).await.unwrap();
    tokio::time::sleep(seconds(41)).await;
    let error = held.into_body().collect().await.expect_err("it was reset");
    assert!(format!("{error:?}").contains("CANCEL"), "{error:?}");
    assert_eq!(text(http2.send_request(get()).await.unwrap()).await, "ok");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_pauses_within_a_body_is_no_stalled_client() {
    let running = run(server(), async |_| {
        let pieces = stream::iter(["one ", "two ", "three"]).then(async |piece| {
            tokio::time::sleep(seconds(500)).await;
            Ok(Frame::data(Bytes::from(piece)))
        });
        Response::new(StreamBody::new(pieces).boxed_unsync())
    });
    let mut http2 = running.connect_http2().await;
    assert_eq!(text(http2.send_request(get()).await.unwrap()).await, "one two three");
    let mut client = running.connect();
    client.send(GET).await;
    assert!(client.until("0\r\n\r\n").await.contains("three"));
}
