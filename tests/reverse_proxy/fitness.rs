//! Backends that are not fit: who is kept off them, and what is told of it.

use crate::{
    backends::{Backend, nobody},
    failing::{GET, answers, counts},
    proxy::Proxy,
    wire::{Wire, soon},
};

const IN_TURNS: [&str; 2] = ["--strategy", "round_robin"];

/// Waits until the proxy has complained of something in a line with all of these.
async fn told(proxy: &Proxy, words: &[&str]) {
    let is_told = || (proxy.stderr().lines()).any(|line| words.iter().all(|word| line.contains(word)));
    soon(async {
        while !is_told() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_fails_is_ejected_unless_that_is_turned_off() {
    let [a, b] = [Backend::named("a").await, Backend::named("b").await];
    let bad = nobody().await;
    let proxy = Proxy::start(&[a.http(), b.http(), bad.clone()], &IN_TURNS);
    assert_eq!(answers(&proxy, 15).await.values().sum::<usize>(), 15);
    told(&proxy, &["WARN", "ejected", &bad, "5 requests in a row", "30s"]).await;
    assert_eq!(answers(&proxy, 30).await, counts([("a", 15), ("b", 15)]));

    let off = [&IN_TURNS[..], &["--outliers", "off"]].concat();
    let proxy = Proxy::start(&[a.http(), b.http(), bad], &off);
    assert_eq!(answers(&proxy, 45).await.values().sum::<usize>(), 45);
    assert!(!proxy.stderr().contains("ejected"), "{}", proxy.stderr());
}

#[tokio::test]
async fn who_does_not_answer_probes_as_expected_gets_nothing_until_it_does() {
    let [a, b] = [Backend::named("fine").await, Backend::named("ill").await];
    let flags = [
        &IN_TURNS[..],
        &["--health", "/up,expect=fine,interval=50ms,timeout=10s"],
    ]
    .concat();
    let proxy = Proxy::start(&[&a, &b].map(Backend::http), &flags);
    let (address, origin) = (b.address, b.http());
    told(
        &proxy,
        &["health changed", &origin, "failing", "expected", "fine", "ill"],
    )
    .await;
    assert_eq!(answers(&proxy, 20).await, counts([("fine", 20)]));
    drop(b);
    let _b = Backend::again(address, "fine again").await;
    told(&proxy, &["health changed", &origin, "passing"]).await;
    assert_eq!(answers(&proxy, 20).await, counts([("fine", 10), ("fine again", 10)]));
}

#[tokio::test]
async fn when_too_few_are_fit_all_serve_unless_that_is_turned_off() {
    let [a, b] = [Backend::named("a").await, Backend::named("b").await];
    let flags = [
        &IN_TURNS[..],
        &["--health", "/up,expect=fine,interval=50ms,timeout=10s"],
    ]
    .concat();
    let backends = [&a, &b].map(Backend::http);
    let proxy = Proxy::start(&backends, &flags);
    for backend in &backends {
        told(&proxy, &["health changed", backend, "failing"]).await;
    }
    told(&proxy, &["WARN", "panic started", "priority=0"]).await;
    assert_eq!(answers(&proxy, 20).await, counts([("a", 10), ("b", 10)]));

    let proxy = Proxy::start(&backends, &[&flags[..], &["--panic-threshold", "0"]].concat());
    for backend in &backends {
        told(&proxy, &["health changed", backend, "failing"]).await;
    }
    let answer = Wire::connect(proxy.address).await.ask(GET).await;
    assert_eq!((answer.status(), answer.text()), (503, "No backend is available.\n"));
    assert!(!proxy.stderr().contains("panic started"), "{}", proxy.stderr());
}

#[tokio::test]
async fn who_comes_back_is_brought_in() {
    let [a, b] = [Backend::named("a").await, Backend::named("b").await];
    let health = ["--health", "/up,interval=50ms,timeout=10s", "--slow-start", "1h"];
    let proxy = Proxy::start(&[&a, &b].map(Backend::http), &[&IN_TURNS[..], &health].concat());
    // Those that are there from the start have their shares at once.
    assert_eq!(answers(&proxy, 22).await, counts([("a", 11), ("b", 11)]));
    let (address, origin) = (b.address, b.http());
    drop(b);
    told(&proxy, &["health changed", &origin, "failing"]).await;
    let told_why = proxy.stderr();
    let why = told_why.lines().find(|line| line.contains("failing")).unwrap();
    assert_eq!(why.matches("refused").count(), 1, "{why}");
    let _b = Backend::again(address, "b again").await;
    told(&proxy, &["health changed", &origin, "passing"]).await;
    // A tenth of its share, that is of one half of all.
    assert_eq!(answers(&proxy, 22).await, counts([("a", 20), ("b again", 2)]));
}

#[tokio::test]
async fn who_stands_near_comes_first() {
    let [near, far] = [Backend::named("near").await, Backend::named("far").await];
    let backends = [
        format!("{},locality=eu/b", far.http()),
        format!("{},locality=eu/a", near.http()),
    ];
    let proxy = Proxy::start(&backends, &IN_TURNS);
    assert_eq!(answers(&proxy, 20).await, counts([("near", 10), ("far", 10)]));
    let proxy = Proxy::start(&backends, &[&IN_TURNS[..], &["--locality", "eu/a"]].concat());
    assert_eq!(answers(&proxy, 20).await, counts([("near", 20)]));
}
