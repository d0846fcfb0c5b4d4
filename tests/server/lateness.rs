//! Clients that owe a head, and connections that have nothing to do.

use super::*;

/// Time-outs that can be told apart.
fn server() -> Server {
    Server::new()
        .header_timeout(seconds(10))
        .idle_timeout(seconds(100))
        .stall_timeout(seconds(40))
        .ping(None)
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed_after_the_header_timeout_whatever_it_began_with() {
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for opening in ["", "P", "G", &preface[..23], "GET / HTTP/1.1\r\nhost: a\r\n"] {
        let running = run_ok(server());
        let mut client = running.connect();
        client.send(opening).await;
        let (seen, time) = client.rest().await;
        assert_eq!(seen, "", "{opening:?}");
        assert_took(time, seconds(10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_not_waited_for_longer() {
    let running = run_ok(server());
    let mut client = running.connect();
    let from = Instant::now();
    let bytes = GET.bytes().chain(std::iter::repeat(b'a'));
    let mut sent = 0;
    for byte in bytes.take(1000) {
        if client.stream.write_all(&[byte]).await.is_err() {
            break;
        }
        sent += 1;
        tokio::time::sleep(seconds(1)).await;
    }
    assert!((10..=12).contains(&sent), "{sent}");
    let (seen, _) = client.rest().await;
    assert_eq!(seen, "");
    assert!(from.elapsed() < seconds(13));
}

#[tokio::test(start_paused = true)]
async fn a_later_head_counts_from_its_first_byte() {
    let running = run_ok(server());
    let mut client = running.connect();
    client.send(GET).await;
    client.response().await;
    tokio::time::sleep(seconds(50)).await;
    client.send("GET /").await;
    let (seen, time) = client.rest().await;
    assert_eq!(seen, "");
    assert_took(time, seconds(10));
}

#[tokio::test(start_paused = true)]
async fn a_keep_alive_connection_is_closed_after_the_idle_timeout() {
    let running = run_ok(server());
    let mut client = running.connect();
    for _ in 0..3 {
        client.send(GET).await;
        client.response().await;
        tokio::time::sleep(seconds(90)).await;
    }
    let (seen, time) = client.rest().await;
    assert_eq!(seen, "");
    assert_took(time, seconds(10));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_of_http2_is_closed_before_and_after_its_first_request() {
    let running = run_ok(server());
    let from = Instant::now();
    let mut early = running.connect_http2().await;
    closed(&mut early).await;
    assert_took(from.elapsed(), seconds(100));

    let mut late = running.connect_http2().await;
    tokio::time::sleep(seconds(60)).await;
    text(late.send_request(get()).await.unwrap()).await;
    let from = Instant::now();
    closed(&mut late).await;
    assert_took(from.elapsed(), seconds(100));
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_of_http2_that_does_not_answer_is_closed_all_the_same() {
    let running = run_ok(server());
    let mut client = running.connect();
    // The preface and empty settings, and then not even an acknowledgement.
    client
        .send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    let from = Instant::now();
    let read = timeout(HOUR, client.stream.read_to_end(&mut client.seen)).await;
    let _ = read.expect("the server never closed");
    assert_took(from.elapsed(), seconds(110));
}

#[tokio::test(start_paused = true)]
async fn a_service_slower_than_every_timeout_still_answers() {
    let running = run(server(), async |_| {
        tokio::time::sleep(seconds(2000)).await;
        answer("at last")
    });
    let mut client = running.connect();
    client.send(GET).await;
    let mut http2 = running.connect_http2().await;
    let other = tokio::spawn(async move { text(http2.send_request(get()).await.unwrap()).await });
    assert_eq!(client.response().await.1, "at last");
    assert_eq!(other.await.unwrap(), "at last");
    // And it goes on from there.
    client.send(GET).await;
    assert_eq!(client.response().await.1, "at last");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_slowly_is_waited_for_even_when_it_was_answered_before() {
    let (ended, mut end) = mpsc::unbounded_channel();
    let running = run(server(), move |request| {
        let ended = ended.clone();
        async move {
            tokio::spawn(async move { ended.send(request.into_body().collect().await.map(|body| body.to_bytes())) });
            answer("early")
        }
    });
    let mut client = running.connect();
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\n")
        .await;
    assert_eq!(client.response().await.1, "early");
    for _ in 0..8 {
        tokio::time::sleep(seconds(150)).await;
        client.send("x").await;
    }
    client.send(GET).await;
    assert_eq!(client.response().await.1, "early");
    // hyper 1.12 lets go of a body that ends after its response only with the next request.
    assert_eq!(end.recv().await.unwrap().unwrap(), "xxxxxxxx");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_upgraded_connection_is_left_alone() {
    let running = run(server(), async |mut request| {
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
            let mut upgraded = TokioIo::new(upgraded);
            let mut word = [0; 4];
            upgraded.read_exact(&mut word).await.unwrap();
            upgraded.write_all(&word).await.unwrap();
        });
        let mut response = answer("");
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert("upgrade", "echo".parse().unwrap());
        response.headers_mut().insert("connection", "upgrade".parse().unwrap());
        response
    });
    let mut client = running.connect();
    client
        .send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    tokio::time::sleep(seconds(3000)).await;
    client.send("echo").await;
    assert_eq!(client.rest().await.0, "echo");
}
