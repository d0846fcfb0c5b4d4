//! Interim responses.

use std::sync::{Arc, Mutex};

use futures_util::{FutureExt, StreamExt, stream};
use http::StatusCode;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::Notify;

use super::*;

fn server() -> Server {
    Server::new().ping(None)
}

fn hints(value: &str) -> Response<()> {
    Response::builder().status(103).header("link", value).body(()).unwrap()
}

fn status(status: u16) -> Response<()> {
    Response::builder().status(status).body(()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_interim_response_comes_while_the_service_still_works() {
    let running = run(server(), async |request| {
        let connection = connection(&request);
        tokio::time::sleep(seconds(5)).await;
        assert!(connection.inform(hints("</a>")));
        // From elsewhere too.
        tokio::spawn(async move {
            tokio::time::sleep(seconds(5)).await;
            assert!(connection.inform(status(102)));
        });
        tokio::time::sleep(seconds(90)).await;
        answer("ok")
    });
    let mut client = running.connect();
    client.send(GET).await;
    let from = Instant::now();
    assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    assert_took(from.elapsed(), seconds(5));
    assert_eq!(client.head().await, "HTTP/1.1 102 Processing\r\n\r\n");
    assert_took(from.elapsed(), seconds(10));
    let (head, body) = client.response().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(body, "ok");
    assert_took(from.elapsed(), seconds(95));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_answers_at_once_has_its_interim_responses_sent_before() {
    let running = run(server(), async |request| {
        let connection = connection(&request);
        assert!(connection.inform(hints("1")));
        assert!(connection.inform(hints("2")));
        answer("ok")
    });
    for size in [64 * 1024, 16, 1] {
        // Into a small pipe nothing fits while nobody reads.
        let (read, mut write) = tokio::io::split(running.connect_with(size).stream);
        let writing = tokio::spawn(async move { write.write_all(GET.repeat(2).as_bytes()).await.map(|()| write) });
        let mut client = Client::new(tokio::io::join(read, tokio::io::sink()));
        for _ in 0..2 {
            assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\nlink: 1\r\n\r\n");
            assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\nlink: 2\r\n\r\n");
            assert!(client.response().await.0.starts_with("HTTP/1.1 200 OK\r\n"));
        }
        writing.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_response_has_begun_nothing_is_sent() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let running = run(server(), move |request| {
        keep.lock().unwrap().push(connection(&request));
        async move { answer("ok") }
    });
    let mut client = running.connect();
    client.send(GET).await;
    client.response().await;
    let first = kept.lock().unwrap()[0].clone();
    assert!(!first.inform(hints("late")));
    client.send(GET).await;
    let (head, _) = client.response().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(!first.inform(hints("late")));
    drop(client);
    tokio::time::sleep(seconds(1)).await;
    assert!(!first.inform(hints("late")));
}

#[tokio::test(start_paused = true)]
async fn while_the_body_is_on_its_way_nothing_is_sent() {
    let running = run(server(), async |request| {
        let connection = connection(&request);
        let pieces = stream::iter(["one ", "two ", "three"]).then(move |piece| {
            assert!(!connection.inform(hints(piece)));
            tokio::time::sleep(seconds(1)).map(move |()| Ok(Frame::data(Bytes::from(piece))))
        });
        Response::new(StreamBody::new(pieces).boxed_unsync())
    });
    let mut client = running.connect();
    client.send(GET).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    let body = client.until("\r\n0\r\n\r\n").await;
    assert_eq!(body, "4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_response_waits_until_the_interim_one_is_taken_and_no_longer() {
    let running = run(server(), async |request| {
        assert!(connection(&request).inform(hints("x")));
        tokio::time::sleep(seconds(1)).await;
        answer("ok")
    });
    // Too small for it: the rest is written while the response waits.
    let mut client = running.connect_with(30);
    client.send(GET).await;
    tokio::time::sleep(seconds(5)).await;
    let from = Instant::now();
    assert!(client.head().await.starts_with("HTTP/1.1 103 "));
    assert_eq!(client.response().await.1, "ok");
    assert_took(from.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_request_cannot_inform_in_the_name_of_a_later_one() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let running = run(server(), move |request| {
        keep.lock().unwrap().push(connection(&request));
        async move {
            tokio::time::sleep(seconds(1)).await;
            answer("ok")
        }
    });
    let mut client = running.connect();
    client.send(format!("{GET}{GET}")).await;
    client.response().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let kept: Vec<_> = kept.lock().unwrap().clone();
    assert_eq!(kept.len(), 2);
    assert!(!kept[0].inform(hints("mine is over")));
    assert!(kept[1].inform(hints("mine")));
    assert!(client.head().await.contains("link: mine\r\n"));
    client.response().await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_cannot_inform() {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let running = run(server(), move |request| {
        *keep.lock().unwrap() = Some(connection(&request));
        std::future::pending()
    });
    let mut client = running.connect();
    client.send(GET).await;
    tokio::time::sleep(seconds(1)).await;
    let kept = kept.lock().unwrap().clone().unwrap();
    assert!(kept.inform(hints("here")));
    assert!(client.head().await.contains("here"));
    drop(client);
    tokio::time::sleep(seconds(1)).await;
    assert!(!kept.inform(hints("gone")));
}

#[tokio::test(start_paused = true)]
async fn http_1_0_and_http2_are_told_nothing() {
    let running = run(server(), async |request| {
        let sent = connection(&request).inform(hints("x"));
        tokio::time::sleep(seconds(1)).await;
        answer(sent.to_string())
    });
    let mut client = running.connect();
    client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
    let (seen, _) = client.rest().await;
    assert!(
        seen.starts_with("HTTP/1.0 200 OK\r\n") && seen.ends_with("\r\n\r\nfalse"),
        "{seen}"
    );
    let mut http2 = running.connect_http2().await;
    assert_eq!(text(http2.send_request(get()).await.unwrap()).await, "false");
}

#[tokio::test(start_paused = true)]
async fn only_interim_responses_are_taken_and_only_their_own_headers() {
    let running = run(server(), async |request| {
        let connection = connection(&request);
        for refused in [100, 101, 200, 404] {
            assert!(!connection.inform(status(refused)), "{refused}");
        }
        let mut interim = status(199);
        for (name, value) in [
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "1"),
            ("upgrade", "h2c"),
            ("x-end", "1"),
            ("x-end", "2"),
        ] {
            interim.headers_mut().append(name, value.parse().unwrap());
        }
        assert!(connection.inform(interim));
        answer("ok")
    });
    let mut client = running.connect();
    client.send(GET).await;
    assert_eq!(client.head().await, "HTTP/1.1 199 \r\nx-end: 1\r\nx-end: 2\r\n\r\n");
    assert!(client.response().await.0.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test(start_paused = true)]
async fn no_more_are_queued_than_a_few() {
    let running = run(server(), async |request| {
        let connection = connection(&request);
        let many = (0..100).filter(|at| connection.inform(hints(&at.to_string()))).count();
        // Once they are out there is room again.
        tokio::time::sleep(seconds(1)).await;
        let long = "x".repeat(10_000);
        let few = (0..10).filter(|_| connection.inform(hints(&long))).count();
        tokio::time::sleep(seconds(1)).await;
        answer(format!("{many} {few}"))
    });
    let mut client = running.connect();
    client.send(GET).await;
    for at in 0..16 {
        assert!(client.head().await.contains(&format!("link: {at}\r\n")));
    }
    assert!(client.head().await.contains("xxx"));
    assert_eq!(client.response().await.1, "16 1");
}

/// Requests of a pipeline, one with a body that is only asked for after an interim response, through pipes of all
/// sizes: each interim response is in one piece, before its own response and after the one before.
#[tokio::test(start_paused = true)]
async fn pipelined_requests_with_interim_responses_never_interleave() {
    let running = run(server(), async |request| {
        let connection = connection(&request);
        let path = request.uri().path().to_owned();
        let hint = hints(&path);
        assert!(connection.inform(hint.clone()));
        if path.len() % 2 == 0 {
            tokio::task::yield_now().await;
        }
        if path.len() % 3 == 0 {
            tokio::time::sleep(seconds(1)).await;
            connection.inform(hint.clone());
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        connection.inform(hint);
        answer(format!(
            "{path}{}{}",
            String::from_utf8_lossy(&body),
            "y".repeat(path.len() * 37)
        ))
    });
    for size in [1, 7, 100, 1000, 64 * 1024] {
        let client = running.connect_with(size);
        let (read, mut write) = tokio::io::split(client.stream);
        let writing = tokio::spawn(async move {
            for at in 1..30 {
                let path = "x".repeat(at);
                let request = match at % 4 {
                    0 => format!(
                        "POST /{path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc"
                    ),
                    _ => format!("GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n"),
                };
                write.write_all(request.as_bytes()).await.unwrap();
            }
            write
        });
        let mut client = Client::new(tokio::io::join(read, tokio::io::sink()));
        for at in 1..30 {
            let path = format!("/{}", "x".repeat(at));
            let mut interims = 0;
            let last = loop {
                let head = client.head().await;
                if head.starts_with("HTTP/1.1 200 OK\r\n") {
                    break head;
                }
                if head != "HTTP/1.1 100 Continue\r\n\r\n" {
                    assert_eq!(
                        head,
                        format!("HTTP/1.1 103 Early Hints\r\nlink: {path}\r\n\r\n"),
                        "{size}"
                    );
                    interims += 1;
                }
            };
            assert_eq!(interims, 2 + usize::from(path.len() % 3 == 0), "{size} {path}");
            let length = path.len() * 38 + if at % 4 == 0 { 3 } else { 0 };
            assert!(last.contains(&format!("content-length: {length}\r\n")), "{last}");
            let body = client.until(&"y".repeat(path.len() * 37)).await;
            assert_eq!(body.len(), length);
            assert!(body.starts_with(&path));
        }
        writing.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_interim_response_does_not_hold_the_request_for_ever() {
    let dropped = Arc::new(Notify::new());
    let told = Arc::clone(&dropped);
    let running = run(server().stall_timeout(seconds(40)), move |request| {
        let connection = connection(&request);
        let told = Arc::clone(&told);
        async move {
            let told = scope(move || told.notify_one());
            while connection.inform(hints(&"x".repeat(500))) {
                tokio::task::yield_now().await;
            }
            let mut response = answer("never seen");
            response.extensions_mut().insert(Arc::new(told));
            response
        }
    });
    let mut client = running.connect_with(1024);
    client.send(GET).await;
    let from = Instant::now();
    timeout(HOUR, dropped.notified()).await.expect("held for ever");
    assert_took(from.elapsed(), seconds(40));
    assert_eq!(
        client
            .stream
            .read_to_end(&mut client.seen)
            .now_or_never()
            .unwrap()
            .unwrap(),
        1024
    );
    assert!(!String::from_utf8_lossy(&client.seen).contains(StatusCode::OK.as_str()));
}

/// Runs this when dropped.
fn scope<F: FnOnce() + Send + Sync>(run: F) -> Scope<F> {
    Scope(Some(run))
}

struct Scope<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for Scope<F> {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}
