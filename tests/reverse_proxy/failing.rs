//! Backends that are not there, or not any more.

use std::collections::BTreeMap;

use crate::{
    backends::{Backend, nobody},
    proxy::Proxy,
    wire::{Message, Wire, soon},
};

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
pub(crate) const UNREACHABLE: &str = "The backend could not be reached.\n";
const BROKEN: &str = "The backend broke off before it had answered.\n";

/// What so many requests, one after another on one connection, are answered: how often each body came.
pub(crate) async fn answers(proxy: &Proxy, requests: usize) -> BTreeMap<String, usize> {
    let mut client = Wire::connect(proxy.address).await;
    let mut answers = BTreeMap::new();
    for _ in 0..requests {
        let answer = client.ask(GET).await;
        let text = answer.text().to_owned();
        let expected = if [UNREACHABLE, BROKEN].contains(&&*text) {
            502
        } else {
            200
        };
        assert_eq!(answer.status(), expected, "{answer:?}");
        *answers.entry(text).or_insert(0) += 1;
    }
    answers
}

pub(crate) fn counts<const N: usize>(of: [(&str, usize); N]) -> BTreeMap<String, usize> {
    of.map(|(text, count)| (text.to_owned(), count)).into()
}

#[tokio::test]
async fn the_others_serve_when_one_is_killed_in_turns() {
    let [a, b, c] = [
        Backend::named("a").await,
        Backend::named("b").await,
        Backend::named("c").await,
    ];
    let proxy = Proxy::start(
        &[&a, &b, &c].map(Backend::http),
        &["--strategy", "round_robin", "--outliers", "off"],
    );
    assert_eq!(answers(&proxy, 30).await, counts([("a", 10), ("b", 10), ("c", 10)]));
    let address = b.address;
    drop(b);
    // Each that comes to it goes to another.
    assert_eq!(answers(&proxy, 30).await, counts([("a", 15), ("c", 15)]));
    let _b = Backend::again(address, "b again").await;
    assert_eq!(
        answers(&proxy, 30).await,
        counts([("a", 10), ("b again", 10), ("c", 10)])
    );
}

#[tokio::test]
async fn failing_fast_draws_no_requests_with_least_loaded() {
    let [a, b, c] = [
        Backend::named("a").await,
        Backend::named("b").await,
        Backend::named("c").await,
    ];
    let proxy = Proxy::start(&[&a, &b, &c].map(Backend::http), &["--outliers", "off"]);
    let told = answers(&proxy, 60).await;
    assert!(told.len() == 3 && told.values().all(|count| *count >= 5), "{told:?}");
    let address = b.address;
    drop(b);
    let told = answers(&proxy, 120).await;
    assert_eq!(told["a"] + told["c"], 120, "{told:?}");
    let words = proxy.stderr();
    let failed = words
        .lines()
        .filter(|line| line.contains(&format!("{address}")) && line.contains("failed"))
        .count();
    // It would be 40 if all were alike.
    assert!((1..20).contains(&failed), "{words}");
    let _b = Backend::again(address, "b again").await;
    // Its failures are forgotten in a while.
    soon(async { while !answers(&proxy, 10).await.contains_key("b again") {} }).await;
}

#[tokio::test]
async fn one_that_was_never_there_costs_nothing() {
    let there = Backend::named("there").await;
    let proxy = Proxy::start(
        &[nobody().await, there.http()],
        &["--strategy", "round_robin", "--outliers", "off"],
    );
    assert_eq!(answers(&proxy, 20).await, counts([("there", 20)]));
}

#[tokio::test]
async fn without_anybody_each_request_is_told_so_and_the_connection_lives() {
    let mut proxy = Proxy::start(&[nobody().await], &[]);
    assert_eq!(answers(&proxy, 20).await, counts([(UNREACHABLE, 20)]));
    assert!(proxy.is_running());
    proxy.signal("TERM");
    let (code, told) = proxy.end().await;
    assert_eq!(code, Some(0), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

#[tokio::test]
async fn one_that_has_no_weight_is_nobody() {
    let proxy = Proxy::start(&[format!("{},weight=0", nobody().await)], &[]);
    let answer = Wire::connect(proxy.address).await.ask(GET).await;
    assert_eq!((answer.status(), answer.text()), (503, "No backend is available.\n"));
}

/// What the client sees when its backend dies after it has sent this.
async fn dies_after(sent: &str) -> (Option<Message>, bool) {
    let backend = Backend::played().await;
    let proxy = Proxy::start(&[backend.http()], &["--tries", "1"]);
    let mut client = Wire::connect(proxy.address).await;
    client.send(GET).await;
    let (mut wire, _) = backend.request().await;
    wire.send(sent).await;
    // In this order, so that nobody connects once more in between.
    drop(backend);
    drop(wire);
    let answer = client.message().await;
    client.send(GET).await;
    let lives = client
        .message()
        .await
        .is_some_and(|answer| answer.text() == UNREACHABLE);
    (answer, lives)
}

#[tokio::test]
async fn one_that_dies_before_its_answer_is_told_apart_from_one_in_the_middle() {
    for sent in ["", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let (answer, lives) = dies_after(sent).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status(), answer.text()), (502, BROKEN), "{sent}");
        assert!(lives, "{sent}");
    }
    for sent in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let (answer, lives) = dies_after(sent).await;
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status(), answer.text(), answer.is_whole),
            (200, "half", false),
            "{sent}"
        );
        assert!(!lives, "nothing else tells the client that this was not all: {sent}");
    }
    // The end of the connection is the end of this one's content.
    let (answer, _) = dies_after("HTTP/1.1 200 OK\r\n\r\nall").await;
    let answer = answer.unwrap();
    assert_eq!((answer.status(), answer.text(), answer.is_whole), (200, "all", true));
}

#[tokio::test]
async fn one_that_says_nothing_is_given_up_in_time() {
    let backend = Backend::played().await;
    let flags = ["--head-timeout", "300ms", "--body-gap", "300ms", "--tries", "1"];
    let proxy = Proxy::start(&[backend.http()], &flags);
    let mut client = Wire::connect(proxy.address).await;
    client.send(GET).await;
    let (mut silent, _) = backend.request().await;
    let answer = client.message().await.unwrap();
    assert_eq!(
        (answer.status(), answer.text()),
        (504, "The backend did not answer in time.\n")
    );
    assert!(silent.is_closed().await);
    for framed in [
        "content-length: 10\r\n\r\nhalf",
        "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let mut client = Wire::connect(proxy.address).await;
        client.send(GET).await;
        let (mut stalled, _) = backend.request().await;
        stalled.send(format!("HTTP/1.1 200 OK\r\n{framed}")).await;
        let answer = client.message().await.unwrap();
        assert_eq!((answer.text(), answer.is_whole), ("half", false), "{framed}");
        assert!(stalled.is_closed().await && client.is_closed().await, "{framed}");
    }
}
