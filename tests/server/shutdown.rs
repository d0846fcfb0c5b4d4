//! Shutting down.

use std::sync::{Arc, Mutex};

use equipoise::server::Hold;
use futures_util::FutureExt;

use super::*;

fn server() -> Server {
    Server::new().grace(seconds(20)).ping(None)
}

/// Answers after 5 seconds.
fn run_slow() -> Running {
    run(server(), async |_| {
        tokio::time::sleep(seconds(5)).await;
        answer("ok")
    })
}

fn counted(drained: Drained) -> (usize, usize) {
    (drained.finished, drained.cut)
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_finished_and_their_connections_closed() {
    let mut running = run_slow();
    let mut client = running.connect();
    client.send(GET).await;
    let mut http2 = running.connect_http2().await;
    let streams = [http2.send_request(get()), http2.send_request(get())];
    let streams = tokio::spawn(futures_util::future::join_all(streams));
    tokio::time::sleep(seconds(1)).await;
    running.stop();
    let from = Instant::now();
    let (head, body) = client.response().await;
    assert!(head.contains("connection: close\r\n"), "{head}");
    assert_eq!(body, "ok");
    assert_eq!(client.rest().await.0, "");
    drop(client);
    for response in streams.await.unwrap() {
        assert_eq!(text(response.unwrap()).await, "ok");
    }
    assert!(http2.send_request(get()).await.is_err(), "it goes away");
    assert_eq!(counted(running.drained().await), (2, 0));
    assert_took(from.elapsed(), seconds(4));
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_at_once() {
    let mut running = run_slow();
    let mut client = running.connect();
    client.send(GET).await;
    client.response().await;
    let mut http2 = running.connect_http2().await;
    text(http2.send_request(get()).await.unwrap()).await;
    let _fresh = running.connect();
    tokio::time::sleep(seconds(1)).await;
    running.stop();
    let (seen, time) = client.rest().await;
    assert_eq!(seen, "");
    assert_took(time, Duration::ZERO);
    let from = Instant::now();
    assert_eq!(counted(running.drained().await), (3, 0));
    assert_took(from.elapsed(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn new_connections_are_refused() {
    let mut running = run_slow();
    let mut client = running.connect();
    client.send(GET).await;
    tokio::time::sleep(seconds(1)).await;
    running.stop();
    tokio::time::sleep(seconds(1)).await;
    let (_near, far) = tokio::io::duplex(1024);
    assert!(running.pipes.send(Ok(far)).is_err(), "the listener is still there");
    assert_eq!(client.response().await.1, "ok");
}

#[tokio::test(start_paused = true)]
async fn a_connection_made_before_has_its_first_request_answered() {
    let mut running = run_slow();
    let mut queued = running.connect();
    queued.send(GET).await;
    // Not even accepted yet.
    running.stop();
    assert_eq!(queued.response().await.1, "ok");
    drop(queued);
    assert_eq!(counted(running.drained().await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_first_request_that_is_on_its_way_is_answered() {
    let mut running = run_slow();
    let mut client = running.connect();
    tokio::time::sleep(seconds(1)).await;
    running.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.send(GET).await;
    assert_eq!(client.response().await.1, "ok");
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_than_the_grace_is_cut() {
    let calls = Arc::new(());
    let call = Arc::clone(&calls);
    let mut running = run(server(), move |_| {
        let call = Arc::clone(&call);
        async move {
            let _call = call;
            std::future::pending().await
        }
    });
    let mut client = running.connect();
    client.send(GET).await;
    let mut http2 = running.connect_http2().await;
    let stream = tokio::spawn(http2.send_request(get()));
    let mut idle = running.connect();
    idle.send("GET ").await;
    tokio::time::sleep(seconds(1)).await;
    assert!(Arc::strong_count(&calls) > 1, "they are in flight");
    running.stop();
    let (seen, time) = client.rest().await;
    assert_eq!(seen, "");
    assert_took(time, seconds(20));
    assert!(stream.await.unwrap().is_err());
    let from = Instant::now();
    assert_eq!(counted(running.drained().await), (0, 3));
    assert_took(from.elapsed(), Duration::ZERO);
    assert_eq!(Arc::strong_count(&calls), 1, "the service's calls go with them");
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_waited_for_and_no_longer_than_the_grace() {
    for (release, took) in [(seconds(7), seconds(7)), (HOUR, seconds(21))] {
        let kept: Arc<Mutex<Option<Hold>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let mut running = run(server(), move |request| {
            *keep.lock().unwrap() = Some(connection(&request).hold().clone());
            async { answer("ok") }
        });
        let mut client = running.connect();
        client.send(GET).await;
        client.response().await;
        drop(client);
        tokio::time::sleep(seconds(1)).await;
        let hold = kept.lock().unwrap().take().unwrap();
        assert!(hold.cut().now_or_never().is_none());
        let from = Instant::now();
        let cut = tokio::spawn(async move {
            let cut = timeout(release, hold.cut()).await;
            // Who takes too long to let go is not waited for.
            if cut.is_ok() {
                tokio::time::sleep(seconds(5)).await;
            }
            (cut.is_ok(), from.elapsed())
        });
        running.stop();
        assert_eq!(counted(running.drained().await), (0, 0));
        assert_took(from.elapsed(), took);
        let (was_cut, time) = cut.await.unwrap();
        assert_eq!(was_cut, release == HOUR);
        assert_took(time, if was_cut { seconds(25) } else { seconds(7) });
    }
}

/// An echo that ends with the client, or when it is cut.
fn run_upgrading() -> Running {
    run(server(), async |mut request| {
        let hold = connection(&request).hold();
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
            let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
            tokio::select! {
                _ = tokio::io::copy(&mut read, &mut write) => {}
                () = hold.cut() => {}
            }
        });
        let mut response = answer("");
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert("upgrade", "echo".parse().unwrap());
        response.headers_mut().insert("connection", "upgrade".parse().unwrap());
        response
    })
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_is_waited_for_and_then_cut() {
    let mut running = run_upgrading();
    let mut ends = running.connect();
    let mut stays = running.connect();
    for client in [&mut ends, &mut stays] {
        client.send(UPGRADE).await;
        client.head().await;
    }
    running.stop();
    tokio::time::sleep(seconds(10)).await;
    ends.send("still here").await;
    ends.until("still here").await;
    drop(ends);
    let (_, time) = stays.rest().await;
    assert_took(time, seconds(10));
    assert_eq!(counted(running.drained().await), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_future_is_dropped_cuts_its_connections() {
    let running = run(server(), async |_| std::future::pending().await);
    let mut client = running.connect();
    client.send(GET).await;
    tokio::time::sleep(seconds(1)).await;
    running.done.abort();
    let (seen, time) = client.rest().await;
    assert_eq!(seen, "");
    assert_took(time, Duration::ZERO);
}
