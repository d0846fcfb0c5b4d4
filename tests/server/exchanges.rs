//! Requests and responses.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::*;

fn server() -> Server {
    Server::new().ping(None)
}

/// Answers with the path, the later the shorter it is.
fn run_echo() -> Running {
    run(server(), async |request| {
        let path = request.uri().path().to_owned();
        tokio::time::sleep(Duration::from_millis(100 - path.len() as u64)).await;
        answer(path)
    })
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_in_their_order() {
    let running = run_echo();
    let mut client = running.connect();
    let paths: Vec<_> = (0..50).map(|at| format!("/{}", "x".repeat(at))).collect();
    let requests: String = paths
        .iter()
        .map(|path| GET.replace("/ ", &format!("{path} ")))
        .collect();
    client.send(requests).await;
    for path in &paths {
        assert_eq!(client.response().await.1, *path);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_one_request_after_the_other() {
    let running = run_echo();
    let mut client = running.connect();
    for at in 0..50 {
        let path = format!("/{at}");
        client.send(GET.replace("/ ", &format!("{path} "))).await;
        let (head, body) = client.response().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(body, path);
    }
    client
        .send(GET.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"))
        .await;
    assert!(client.rest().await.0.contains("connection: close\r\n"));
}

#[tokio::test(start_paused = true)]
async fn http2_by_prior_knowledge_answers_many_at_once() {
    let running = run_echo();
    let mut http2 = running.connect_http2().await;
    let from = Instant::now();
    let all = (1..=40).map(|at| {
        let mut request = get();
        let path = format!("/{}", "x".repeat(at));
        *request.uri_mut() = format!("http://a{path}").parse().unwrap();
        let sent = http2.send_request(request);
        async move { (path, text(sent.await.unwrap()).await) }
    });
    for (path, body) in futures_util::future::join_all(all).await {
        assert_eq!(path, body);
    }
    assert!(from.elapsed() < Duration::from_millis(200), "one after the other");
}

#[tokio::test(start_paused = true)]
async fn every_request_knows_its_connection() {
    let running = run(server(), async |request| {
        let connection = connection(&request);
        answer(format!("{} {}", connection.peer(), connection.local()))
    });
    let mut client = running.connect();
    client.send(GET).await;
    assert_eq!(client.response().await.1, "127.0.0.1:1 127.0.0.1:1");
    let mut http2 = running.connect_http2().await;
    let response = http2.send_request(get()).await.unwrap();
    assert_eq!(text(response).await, "127.0.0.1:1 127.0.0.1:1");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_service_ends_that_connection_only() {
    let running = run(server(), async |request| match request.uri().path() {
        "/panic" => panic!("planted by the test"),
        _ => answer("ok"),
    });
    let mut other = running.connect();
    other.send(GET).await;
    other.response().await;
    let mut client = running.connect();
    client.send(GET.replace("/ ", "/panic ")).await;
    assert_eq!(client.rest().await.0, "");
    other.send(GET).await;
    assert_eq!(other.response().await.1, "ok");

    // On HTTP/2 it costs no more than the stream.
    let mut http2 = running.connect_http2().await;
    let mut request = get();
    *request.uri_mut() = "http://a/panic".parse().unwrap();
    http2.send_request(request).await.expect_err("it panicked");
    assert_eq!(text(http2.send_request(get()).await.unwrap()).await, "ok");
}

/// Ready on every second ask; a call of a handle that was not ready panics.
struct Moody {
    ready: bool,
    asked: usize,
    calls: Arc<AtomicUsize>,
}

impl Clone for Moody {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            asked: 0,
            calls: Arc::clone(&self.calls),
        }
    }
}

impl tower::Service<Request<Incoming>> for Moody {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        self.asked += 1;
        if self.asked % 2 == 1 {
            cx.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        self.ready = true;
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Incoming>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been ready");
        self.calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(answer("ok")))
    }
}

#[tokio::test(start_paused = true)]
async fn the_clone_that_was_ready_is_the_one_called() {
    let (pipes, accepted) = mpsc::unbounded_channel();
    let calls = Arc::new(AtomicUsize::new(0));
    let moody = Moody {
        ready: false,
        asked: 0,
        calls: Arc::clone(&calls),
    };
    tokio::spawn(server().serve(Pipes(accepted), moody, std::future::pending()));
    for _ in 0..2 {
        let (near, far) = tokio::io::duplex(1024);
        pipes.send(Ok(far)).unwrap();
        let mut client = Client::new(near);
        for _ in 0..3 {
            client.send(GET).await;
            client.response().await;
        }
    }
    assert_eq!(calls.load(Ordering::Relaxed), 6);
}
