//! Clients that take their time, and those beside them who do not.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt, time::sleep};

use crate::{
    backends::{Backend, Played},
    proxy::Proxy,
    wire::{Wire, soon},
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// More than all the sockets on the way hold.
const LONG: usize = 48 * 1024 * 1024;

/// A client that asks and reads nothing, and the backend's side of it: how much it gets rid of, and how that ends.
async fn asked(proxy: &Proxy, backend: &Played) -> (Wire, tokio::task::JoinHandle<std::io::Result<()>>) {
    let mut client = Wire::connect(proxy.address).await;
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    let sent = tokio::spawn(async move {
        wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LONG}\r\n\r\n"))
            .await;
        let part: Vec<u8> = (0..1024 * 1024).map(|at: usize| (at % 251) as u8).collect();
        for _ in 0..LONG / part.len() {
            wire.stream.write_all(&part).await?;
        }
        Ok(())
    });
    (client, sent)
}

async fn is_served(proxy: &Proxy, backend: &Played) {
    let mut client = Wire::connect(proxy.address).await;
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
}

#[tokio::test]
async fn one_that_reads_nothing_for_a_while_gets_all_later() {
    let backend = Backend::played().await;
    let proxy = Proxy::start(&[backend.http()], &[]);
    let (mut client, sent) = asked(&proxy, &backend).await;
    is_served(&proxy, &backend).await;
    sleep(Duration::from_millis(500)).await;
    assert!(!sent.is_finished(), "the backend was to wait for the client");
    is_served(&proxy, &backend).await;
    let answer = client.message().await.unwrap();
    assert!(answer.is_whole);
    let period = 1024 * 1024;
    assert!(answer.body.chunks(period).all(|part| part == &answer.body[..period]));
    assert!(
        answer.body[..period]
            .iter()
            .enumerate()
            .all(|(at, byte)| *byte == (at % 251) as u8)
    );
    soon(sent).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_that_reads_nothing_for_too_long_is_let_go() {
    let backend = Backend::played().await;
    let proxy = Proxy::start(&[backend.http()], &["--stall-timeout", "1s"]);
    let (mut client, sent) = asked(&proxy, &backend).await;
    // The backend is let go as well: it can't get rid of the rest.
    assert!(soon(sent).await.unwrap().is_err());
    assert!(!client.message().await.unwrap().is_whole);
    is_served(&proxy, &backend).await;
}

#[tokio::test]
async fn heads_that_come_byte_by_byte_end_in_time_and_hold_up_nobody() {
    let backend = Backend::played().await;
    let proxy = Proxy::start(&[backend.http()], &["--header-timeout", "1s"]);
    let begun = Instant::now();
    let slow = (0..50).map(|_| async {
        let mut client = Wire::connect(proxy.address).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
        let trickled = async {
            loop {
                sleep(Duration::from_millis(50)).await;
                if client.stream.write_all(b"x").await.is_err() {
                    break begun.elapsed();
                }
            }
        };
        soon(trickled).await
    });
    let slow = futures_util::future::join_all(slow);
    let others = async {
        for _ in 0..20 {
            is_served(&proxy, &backend).await;
        }
        begun.elapsed()
    };
    let (slow, others) = tokio::join!(slow, others);
    let first = *slow.iter().min().unwrap();
    assert!(first >= Duration::from_secs(1), "{first:?}");
    let last = *slow.iter().max().unwrap();
    assert!(last < Duration::from_secs(10), "{last:?}");
    assert!(others < Duration::from_secs(10), "{others:?}");
}

#[tokio::test]
async fn connections_that_ask_for_nothing_end_in_time() {
    let backend = Backend::played().await;
    let flags = ["--idle-timeout", "500ms", "--header-timeout", "500ms"];
    let proxy = Proxy::start(&[backend.http()], &flags);
    let mut silent = Wire::connect(proxy.address).await;
    let mut multiplexed = Wire::connect(proxy.address).await;
    multiplexed
        .send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    let mut begun = Wire::connect(proxy.address).await;
    begun.send("PRI * HTTP/2.0\r\n").await;
    assert!(silent.is_closed().await);
    assert!(begun.is_closed().await);
    assert!(!multiplexed.rest().await.is_empty(), "its settings, and a GOAWAY");
    let mut client = Wire::connect(proxy.address).await;
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.message().await.unwrap().status(), 204);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn content_that_does_not_come_is_given_up_in_time() {
    let backend = Backend::played().await;
    let proxy = Proxy::start(&[backend.http()], &["--upload-gap", "500ms"]);
    let mut client = Wire::connect(proxy.address).await;
    client
        .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        .await;
    let (mut wire, mut head) = backend.request().await;
    let answer = client.message().await.unwrap();
    assert_eq!(answer.status(), 408, "{answer:?}");
    wire.content(&mut head).await;
    assert!(!head.is_whole, "the backend is not told that this was all");
    // Slow is not stalled.
    let mut client = Wire::connect(proxy.address).await;
    client
        .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        .await;
    let (mut wire, mut head) = backend.request().await;
    for _ in 0..10 {
        sleep(Duration::from_millis(100)).await;
        client.send("x").await;
    }
    wire.content(&mut head).await;
    assert_eq!(head.text(), "xxxxxxxxxx");
    wire.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.message().await.unwrap().status(), 204);
}
