//! What a store says, and what it writes.

use std::{collections::BTreeSet, sync::Arc};

use equipoise::{
    Home,
    learned::SessionStore,
    redis::{RedisStore, StoreErrorKind},
};
use tokio::{sync::Barrier, task::JoinSet};

use super::server::{Server, home, key, kind, session, shared};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn of_64_who_claim_at_once_by_two_stores_one_wins_and_all_are_told() {
    let server = Server::start();
    let stores = [server.store(), server.store()];
    let wire = server.connect().await;
    let mut winners = BTreeSet::new();
    for round in 0..50 {
        // Also while the script is not known.
        if round % 10 == 0 {
            wire.ask::<()>("SCRIPT FLUSH").await;
        }
        let barrier = Arc::new(Barrier::new(64));
        let mut claims = JoinSet::new();
        for claimer in 0..64 {
            let (store, barrier) = (shared(&stores[claimer % 2]), Arc::clone(&barrier));
            claims.spawn(async move {
                barrier.wait().await;
                store
                    .claim(session(round), None, home(&format!("b{claimer}")))
                    .await
                    .unwrap()
            });
        }
        let told: BTreeSet<String> = claims
            .join_all()
            .await
            .iter()
            .map(|home| home.id().to_owned())
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
        let winner = told.into_iter().next().unwrap();
        for store in &stores {
            assert_eq!(store.get(session(round)).await.unwrap(), Some(home(&winner)));
        }
        winners.insert(winner);
    }
    // Else it would be no race.
    assert!(winners.len() > 5, "{winners:?}");
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn who_comes_from_a_stale_home_loses() {
    let server = Server::start();
    let store = server.store();
    let (a, b, c) = (home("a"), home("b"), home("c"));
    assert_eq!(store.get(session(1)).await.unwrap(), None);
    assert_eq!(store.claim(session(1), None, a.clone()).await.unwrap(), a);
    // The second to claim it is told the first.
    assert_eq!(store.claim(session(1), None, b.clone()).await.unwrap(), a);
    assert_eq!(store.claim(session(1), Some(a.clone()), b.clone()).await.unwrap(), b);
    assert_eq!(store.claim(session(1), Some(a.clone()), c.clone()).await.unwrap(), b);
    assert_eq!(store.get(session(1)).await.unwrap(), Some(b.clone()));
    // The same again, as when an answer was lost.
    assert_eq!(store.claim(session(1), Some(a.clone()), b.clone()).await.unwrap(), b);
    // Put and forgotten it is whatever it was.
    store.put(session(1), c.clone()).await.unwrap();
    assert_eq!(store.get(session(1)).await.unwrap(), Some(c));
    store.forget(session(1)).await.unwrap();
    store.forget(session(1)).await.unwrap();
    assert_eq!(store.get(session(1)).await.unwrap(), None);
    // Who was at home somewhere, and is nowhere now, may go anywhere.
    assert_eq!(store.claim(session(1), Some(a), b.clone()).await.unwrap(), b);
    assert_eq!(store.get(session(2)).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_key_is_hex_and_a_value_the_home() {
    let server = Server::start();
    let wire = server.connect().await;
    let store = server.store();
    store.claim(session(0xabcdef), None, home("a")).await.unwrap();
    let other = server.store().with_prefix("{sh*p}[1]:");
    assert_eq!(other.get(session(0xabcdef)).await.unwrap(), None);
    other.put(session(0xabcdef), home("b")).await.unwrap();

    let keys: BTreeSet<String> = wire.ask("KEYS *").await;
    let digits = "00000000000000000000000000abcdef";
    let expected = [format!("equipoise:{digits}"), format!("{{sh*p}}[1]:{digits}")];
    assert_eq!(keys, BTreeSet::from(expected));
    let value: String = wire.ask(&format!("GET {}", key(session(0xabcdef)))).await;
    assert_eq!(value, "1:0:a");
    assert_eq!(store.get(session(0xabcdef)).await.unwrap(), Some(home("a")));
    assert_eq!(other.get(session(0xabcdef)).await.unwrap(), Some(home("b")));
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_home_is_any_utf_8() {
    let server = Server::start();
    let store = server.store();
    let long = "é".repeat(2048);
    let homes = [
        "",
        ":",
        "1:0:",
        "\0",
        "a\0b",
        "a\r\nb",
        "-1",
        "0",
        "nil",
        "日本 🦀",
        "%d+",
        &long,
    ];
    for id in homes {
        store.forget(session(1)).await.unwrap();
        for from in [None, Some(home(id))] {
            let now = store.claim(session(1), from, home(id)).await.unwrap();
            assert_eq!(now, home(id), "{id:?}");
        }
        assert_eq!(store.get(session(1)).await.unwrap(), Some(home(id)), "{id:?}");
        assert_eq!(
            store.claim(session(1), Some(home(id)), home("x")).await.unwrap(),
            home("x")
        );
        store.put(session(1), home(id)).await.unwrap();
        let moved = store.migrate(home(id), Arc::new(|_| Home::new("y")));
        assert_eq!(moved.await.unwrap(), 1, "{id:?}");
        assert_eq!(store.get(session(1)).await.unwrap(), Some(home("y")), "{id:?}");
    }
    let longer = home(&"x".repeat(4097));
    assert_eq!(
        kind(store.claim(session(2), None, longer.clone()).await),
        StoreErrorKind::TooLong
    );
    assert_eq!(kind(store.put(session(2), longer).await), StoreErrorKind::TooLong);
    assert_eq!(store.get(session(2)).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn what_redis_forgets_is_learned_anew() {
    let server = Server::start();
    let (store, wire) = (server.store(), server.connect().await);
    let all = async |from: &str, to: &str| {
        let from = Some(home(from)).filter(|from| !from.id().is_empty());
        assert_eq!(store.claim(session(1), from, home(to)).await.unwrap(), home(to));
        wire.ask::<()>("SCRIPT FLUSH").await;
        assert_eq!(store.get(session(1)).await.unwrap(), Some(home(to)));
        wire.ask::<()>("SCRIPT FLUSH").await;
        store.put(session(1), home(to)).await.unwrap();
        wire.ask::<()>("SCRIPT FLUSH").await;
    };
    all("", "a").await;
    all("a", "b").await;
    let moved = store.migrate(home("b"), Arc::new(|_| Home::new("a")));
    assert_eq!(moved.await.unwrap(), 1);

    wire.ask::<()>("FLUSHALL").await;
    assert_eq!(store.get(session(1)).await.unwrap(), None);
    all("a", "c").await;
    // The whole script is sent only where it is not known.
    let (full, named) = (wire.calls("eval").await, wire.calls("evalsha").await);
    for _ in 0..10 {
        store.get(session(1)).await.unwrap();
        store.claim(session(1), None, home("d")).await.unwrap();
    }
    let first = wire.calls("eval").await - full;
    assert!(first <= 2, "{first}");
    assert_eq!(wire.calls("evalsha").await - named, 20);
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn what_is_none_of_ours_is_left_as_it_is() {
    let server = Server::start();
    let (store, wire) = (server.store(), server.connect().await);
    let types = ["RPUSH {} a", "SADD {} a", "HSET {} a b", "ZADD {} 1 a", "XADD {} * a b"];
    for (number, create) in (1..).zip(types) {
        wire.ask::<::redis::Value>(&create.replace("{}", &key(session(number))))
            .await;
    }
    let strings: [&[u8]; 9] = [
        b"a",
        b"1:",
        b"1::a",
        b"2:0:a",
        b"1:-1:a",
        b"1:0x5:a",
        b"1:1e3:a",
        b"\0",
        b"1:0:\xff\xfe",
    ];
    for (number, string) in (10..).zip(strings) {
        wire.set(session(number), string).await;
    }
    wire.set(session(30), "x".repeat(10_000_000)).await;
    wire.set(session(31), format!("1:0:{}", "x".repeat(10_000))).await;
    let numbers = (1..=5).chain(10..19).chain([30, 31]);
    for number in numbers.clone() {
        let id = session(number);
        let dump: Vec<u8> = wire.ask(&format!("DUMP {}", key(id))).await;
        let expected = if number < 10 {
            StoreErrorKind::Refused
        } else {
            StoreErrorKind::Malformed
        };
        assert_eq!(kind(store.get(id).await), expected, "{number}");
        assert_eq!(kind(store.claim(id, None, home("b")).await), expected, "{number}");
        if number != 18 {
            assert_eq!(
                kind(store.claim(id, Some(home("a")), home("b")).await),
                expected,
                "{number}"
            );
        }
        assert_eq!(
            wire.ask::<Vec<u8>>(&format!("DUMP {}", key(id))).await,
            dump,
            "{number}"
        );
    }
    // Nor do they stop who goes through all.
    for (number, other) in ["equipoise:short", "equipoise:", "other"].into_iter().enumerate() {
        wire.ask::<()>(&format!("SET {other} 1:0:a{number}")).await;
    }
    store.put(session(100), home("a")).await.unwrap();
    let moved = store.migrate(home("a"), Arc::new(|_| Home::new("b")));
    assert_eq!(moved.await.unwrap(), 1);
    // They can be put right.
    for number in numbers {
        store.put(session(number), home("c")).await.unwrap();
        assert_eq!(store.get(session(number)).await.unwrap(), Some(home("c")), "{number}");
        store.forget(session(number)).await.unwrap();
    }
    // A number that is longer than any time is an end that never comes.
    wire.set(session(40), format!("1:{}:a", "9".repeat(400))).await;
    assert_eq!(store.get(session(40)).await.unwrap(), Some(home("a")));
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn it_has_one_connection_with_its_name_in_the_database_that_was_said() {
    let server = Server::start();
    let wire = server.connect().await;
    let store = RedisStore::new(&format!("{}/3", server.url())).unwrap();
    let clone = store.clone();
    store.put(session(1), home("a")).await.unwrap();
    assert_eq!(clone.get(session(1)).await.unwrap(), Some(home("a")));
    assert_eq!(server.store().get(session(1)).await.unwrap(), None);
    let list: String = wire.ask("CLIENT LIST").await;
    assert_eq!(
        list.lines().filter(|client| client.contains(" db=3 ")).count(),
        1,
        "{list}"
    );
    drop((store, clone));
    tokio::task::yield_now().await;
    crate::program::until("the connection is closed", || {
        let list = crate::program::printed(crate::program::installed("redis-cli", "redis-server").args([
            "-p",
            &server.port.to_string(),
            "client",
            "list",
        ]));
        (!list.contains(" db=3 ")).then_some(())
    });
}
