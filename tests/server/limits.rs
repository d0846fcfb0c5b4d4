//! Heads that are too long, and connections too many.

use super::*;

fn server() -> Server {
    Server::new().max_header_bytes(16 * 1024).max_headers(10).ping(None)
}

async fn status_of(server: Server, head: &str) -> String {
    let running = run_ok(server);
    let mut client = running.connect_with(1024 * 1024);
    client.send(head).await;
    let (seen, time) = client.rest().await;
    assert!(time < seconds(5), "{time:?}");
    assert_eq!(seen.matches("HTTP/1.1").count(), 1, "{seen}");
    seen.split(' ').nth(1).unwrap().to_owned()
}

fn with_field(bytes: usize) -> String {
    format!(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n",
        "x".repeat(bytes)
    )
}

fn with_fields(fields: usize) -> String {
    let fields: String = (0..fields).map(|at| format!("x-{at}: x\r\n")).collect();
    format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n")
}

fn with_target(bytes: usize) -> String {
    format!(
        "GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "x".repeat(bytes)
    )
}

#[tokio::test(start_paused = true)]
async fn a_head_of_too_many_bytes_is_answered_431() {
    assert_eq!(status_of(server(), &with_field(16_000)).await, "200");
    assert_eq!(status_of(server(), &with_field(16_400)).await, "431");
    assert_eq!(status_of(server(), &with_field(500_000)).await, "431");
    assert_eq!(status_of(server(), &with_target(16_400)).await, "431");
}

#[tokio::test(start_paused = true)]
async fn a_head_of_too_many_fields_is_answered_431() {
    assert_eq!(status_of(server(), &with_fields(8)).await, "200");
    assert_eq!(status_of(server(), &with_fields(9)).await, "431");
    let default = Server::new();
    assert_eq!(status_of(default.clone(), &with_fields(98)).await, "200");
    assert_eq!(status_of(default, &with_fields(99)).await, "431");
}

#[tokio::test(start_paused = true)]
async fn a_target_too_long_is_answered_414_where_heads_may_be_that_long() {
    let roomy = server().max_header_bytes(200_000);
    assert_eq!(status_of(roomy.clone(), &with_target(65_000)).await, "200");
    assert_eq!(status_of(roomy, &with_target(65_600)).await, "414");
}

#[tokio::test(start_paused = true)]
async fn http2_has_the_same_limits() {
    let running = run_ok(server());
    for (fields, bytes, status) in [(9, 10, 200), (11, 10, 431), (1, 15_000, 200), (1, 17_000, 431)] {
        let mut http2 = running.connect_http2().await;
        let mut request = get();
        for at in 0..fields {
            let name: http::HeaderName = format!("x-{at}").parse().unwrap();
            request.headers_mut().insert(name, "x".repeat(bytes).parse().unwrap());
        }
        let response = http2.send_request(request).await;
        assert_eq!(response.unwrap().status(), status, "{fields} fields of {bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http2_has_no_more_requests_in_flight_than_it_may() {
    let running = run(server().max_streams(3), async |_| {
        tokio::time::sleep(seconds(1)).await;
        answer("ok")
    });
    let mut http2 = running.connect_http2().await;
    // The settings have to arrive first.
    text(http2.send_request(get()).await.unwrap()).await;
    let from = Instant::now();
    let six: Vec<_> = (0..6).map(|_| http2.send_request(get())).collect();
    for response in futures_util::future::join_all(six).await {
        text(response.unwrap()).await;
    }
    assert_took(from.elapsed(), seconds(2));
}

#[tokio::test(start_paused = true)]
async fn connections_too_many_wait_until_one_ends() {
    let running = run_ok(server().max_connections(2).header_timeout(seconds(10)));
    let mut first = running.connect();
    let mut second = running.connect();
    let mut third = running.connect();
    for client in [&mut first, &mut second] {
        client.send(GET).await;
        client.response().await;
    }
    third.send(GET).await;
    let early = timeout(seconds(9), third.head()).await;
    assert!(early.is_err(), "{early:?}");
    drop(second);
    assert_eq!(third.response().await.1, "ok");
    first.send(GET).await;
    assert_eq!(first.response().await.1, "ok");
}

#[tokio::test(start_paused = true)]
async fn silent_connections_do_not_keep_others_out_for_longer_than_the_header_timeout() {
    let running = run_ok(server().max_connections(2).header_timeout(seconds(10)));
    let _silent = [running.connect(), running.connect()];
    let mut client = running.connect();
    client.send(GET).await;
    let from = Instant::now();
    client.response().await;
    assert_took(from.elapsed(), seconds(10));
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_fails_is_asked_again_without_spinning() {
    let running = run_ok(server());
    for _ in 0..100 {
        // "Too many open files", whatever its number here.
        running.pipes.send(Err(io::Error::other("EMFILE"))).unwrap();
    }
    for _ in 0..10 {
        running
            .pipes
            .send(Err(io::ErrorKind::ConnectionAborted.into()))
            .unwrap();
    }
    let mut client = running.connect();
    client.send(GET).await;
    let from = Instant::now();
    assert_eq!(client.response().await.1, "ok");
    // 100 pauses of 50 ms; those of one connection cost none, but for being many in a row.
    let time = from.elapsed();
    assert!(time >= seconds(5) && time < seconds(6), "{time:?}");
}
