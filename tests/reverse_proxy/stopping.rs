//! Signals, and what happens to that which is open when they come.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, time::sleep};

use crate::{
    backends::{Backend, nobody},
    program::until,
    proxy::Proxy,
    wire::{Wire, soon},
};

const GET: &str = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";

/// Waits until nobody is let in any more.
pub(crate) async fn refuses(address: SocketAddr) {
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn requests_in_flight_are_finished_and_nobody_new_is_let_in() {
    for signal in ["TERM", "INT"] {
        let backend = Backend::played().await;
        let proxy = Proxy::start(&[backend.http()], &[]);

        // One that has no answer yet, one in the middle of its answer, and one in the middle of its content.
        let mut waiting = Wire::connect(proxy.address).await;
        waiting.send(GET).await;
        let (mut behind_waiting, _) = backend.request().await;
        let mut reading = Wire::connect(proxy.address).await;
        reading.send(GET).await;
        let (mut behind_reading, _) = backend.request().await;
        behind_reading
            .send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")
            .await;
        let mut read = reading.head().await.unwrap();
        assert_eq!(reading.read(5).await, b"first");
        let mut sending = Wire::connect(proxy.address).await;
        sending
            .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst")
            .await;
        let (mut behind_sending, mut sent) = backend.request().await;
        let mut idle = Wire::connect(proxy.address).await;
        idle.send(GET).await;
        let (mut behind_idle, _) = backend.request().await;
        behind_idle.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(idle.message().await.unwrap().status(), 204);

        proxy.signal(signal);
        refuses(proxy.address).await;
        assert!(idle.is_closed().await, "nobody waits for a connection that is not used");
        // So long that whatever was to be cut would be.
        sleep(Duration::from_millis(200)).await;

        behind_reading.send("after").await;
        assert_eq!(reading.read(5).await, b"after");
        read.is_whole = true;
        assert!(reading.is_closed().await);
        sending.send("after").await;
        behind_sending.content(&mut sent).await;
        assert_eq!(sent.text(), "firstafter");
        behind_sending
            .send("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")
            .await;
        let answer = sending.message().await.unwrap();
        assert_eq!((answer.status(), answer.get("connection")), (201, Some("close")));
        assert!(sending.is_closed().await);
        behind_waiting
            .send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await;
        let answer = waiting.message().await.unwrap();
        assert_eq!((answer.text(), answer.get("connection")), ("ok", Some("close")));
        assert!(waiting.is_closed().await);

        let (code, told) = proxy.end().await;
        assert_eq!(code, Some(0), "{told}");
        assert!(told.starts_with("draining; a second signal ends at once\n"), "{told}");
        assert!(told.ends_with("connections finished, 0 were cut\n"), "{told}");
        assert_eq!(told.lines().count(), 2, "{told}");
    }
}

#[tokio::test]
async fn a_request_that_takes_longer_than_the_grace_is_cut() {
    let backend = Backend::played().await;
    let proxy = Proxy::start(&[backend.http()], &["--grace", "1s"]);
    let mut client = Wire::connect(proxy.address).await;
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    let begun = Instant::now();
    proxy.signal("TERM");
    assert!(client.is_closed().await);
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(wire.is_closed().await, "nobody waits for the answer");
    let (code, told) = proxy.end().await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.ends_with("0 connections finished, 1 were cut\n"), "{told}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let backend = Backend::played().await;
        let mut proxy = Proxy::start(&[backend.http()], &[]);
        let mut client = Wire::connect(proxy.address).await;
        client.send(GET).await;
        let (mut wire, _) = backend.request().await;
        proxy.signal(first);
        // Two that come at once are one to the system.
        until("it drains", || proxy.stderr().starts_with("draining").then_some(()));
        sleep(Duration::from_millis(100)).await;
        assert!(proxy.is_running());
        let begun = Instant::now();
        proxy.signal(second);
        assert!(client.is_closed().await);
        assert!(wire.is_closed().await);
        let (code, told) = proxy.end().await;
        // Long before its grace of 25 s.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(code, Some(1), "{told}");
        assert!(told.ends_with("error: ended at once, by a second signal\n"), "{told}");
    }
}

#[tokio::test]
async fn one_that_has_nothing_open_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let proxy = Proxy::start(&[nobody().await], &[]);
        let begun = Instant::now();
        proxy.signal(signal);
        let (code, told) = proxy.end().await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(
            told,
            "draining; a second signal ends at once\n0 connections finished, 0 were cut\n"
        );
    }
}

#[tokio::test]
async fn requests_that_go_on_during_the_end_are_all_answered_or_never_taken() {
    let backend = Backend::named("ok").await;
    let proxy = Proxy::start(&[backend.http()], &[]);
    let address = proxy.address;
    // Clients that make a connection for each request, as the hardest to please: one that is taken is answered.
    let clients = (0..8).map(|_| {
        tokio::spawn(async move {
            let mut answered = 0;
            while let Ok(stream) = TcpStream::connect(address).await {
                let mut wire = Wire::new(stream);
                wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    .await;
                let Some(answer) = wire.message().await else {
                    // Made after the last look at the listening socket's queue and before its close, which resets it:
                    // no program can tell. It is the client's last then.
                    assert!(TcpStream::connect(address).await.is_err(), "no answer after {answered}");
                    break;
                };
                assert_eq!(answer.text(), "ok");
                answered += 1;
            }
            answered
        })
    });
    let clients: Vec<_> = clients.collect();
    sleep(Duration::from_millis(300)).await;
    proxy.signal("TERM");
    for client in clients {
        assert!(soon(client).await.unwrap() > 0);
    }
    let (code, told) = proxy.end().await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.ends_with("connections finished, 0 were cut\n"), "{told}");
}
