//! Who is chosen: by the key of a request, and by what backends say of their load.

use std::collections::{BTreeMap, BTreeSet};

use crate::{backends::Backend, proxy::Proxy, wire::Wire};

/// Who answers a request with this head between its first line and its end.
async fn who(client: &mut Wire, target: &str, headers: &str) -> String {
    let answer = client
        .ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
        .await;
    answer.text().to_owned()
}

#[tokio::test]
async fn the_same_key_comes_to_the_same_backend_and_others_elsewhere() {
    let backends = [
        Backend::named("a").await,
        Backend::named("b").await,
        Backend::named("c").await,
    ];
    let urls = backends.each_ref().map(Backend::http);
    for strategy in ["ring", "maglev", "rendezvous", "jump", "ip_hash", "bounded(ring)"] {
        for (key, target, header) in [
            ("header:x-user", "/", "X-User: USER\r\n"),
            ("cookie:user", "/", "Cookie: other=1; user=USER\r\n"),
            ("query:user", "/?user=USER", ""),
            ("path", "/USER", ""),
        ] {
            let proxy = Proxy::start(&urls, &["--strategy", strategy, "--key", key]);
            let mut client = Wire::connect(proxy.address).await;
            let mut by_user = BTreeMap::new();
            for user in (0..40).chain(0..40).map(|user| format!("user{user}")) {
                let answered = who(
                    &mut client,
                    &target.replace("USER", &user),
                    &header.replace("USER", &user),
                )
                .await;
                let first = by_user.entry(user).or_insert_with(|| answered.clone());
                assert_eq!(*first, answered, "{strategy} by {key}");
            }
            let all: BTreeSet<_> = by_user.into_values().collect();
            assert_eq!(all.len(), 3, "{strategy} by {key}: {all:?}");
        }
    }
}

#[tokio::test]
async fn without_a_key_it_is_the_client_s_address() {
    let backends = [
        Backend::named("a").await,
        Backend::named("b").await,
        Backend::named("c").await,
    ];
    let proxy = Proxy::start(&backends.each_ref().map(Backend::http), &["--strategy", "maglev"]);
    let mut answered = BTreeSet::new();
    for _ in 0..10 {
        let mut client = Wire::connect(proxy.address).await;
        answered.insert(who(&mut client, "/", "").await);
    }
    assert_eq!(answered.len(), 1, "{answered:?}");
}

#[tokio::test]
async fn a_backend_that_says_it_is_busy_gets_less() {
    let [idle, busy] = [("idle", 1), ("busy", 1_000)].map(|(name, queue)| {
        Backend::saying(
            name,
            format!("endpoint-load-metrics: TEXT named_metrics.in_flight={queue}\r\n"),
        )
    });
    let backends = [idle.await, busy.await];
    let proxy = Proxy::start(
        &backends.each_ref().map(Backend::http),
        &["--strategy", "fleet_least_loaded"],
    );
    let mut client = Wire::connect(proxy.address).await;
    let mut counts = BTreeMap::new();
    for _ in 0..60 {
        *counts.entry(who(&mut client, "/", "").await).or_insert(0) += 1;
    }
    // The first may come to either, as nobody has said anything yet.
    assert!(counts["idle"] >= 50, "{counts:?}");
}
