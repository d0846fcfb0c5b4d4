//! When Redis forgets a session: by the time to live that it has, with no sleep.

use std::time::Duration;

use equipoise::learned::SessionStore;

use super::server::{Server, home, key, session};

const MINUTE: i64 = 60_000;

/// A time to live that was set a moment ago.
#[track_caller]
fn is_about(left: i64, expected: i64) {
    assert!((expected - 5_000..=expected).contains(&left), "{left}, not {expected}");
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn each_use_begins_the_idle_time_anew() {
    let server = Server::start();
    let wire = server.connect().await;
    for (store, idle) in [
        (server.store(), 30 * MINUTE),
        (server.store().with_idle(Duration::from_secs(90)), 90_000),
        (server.store().with_idle(Duration::MAX), u32::MAX as i64 * 1000),
    ] {
        let shorten = || wire.ask::<()>(Box::leak(format!("PEXPIRE {} 20000", key(session(1))).into_boxed_str()));
        store.claim(session(1), None, home("a")).await.unwrap();
        is_about(wire.left(session(1)).await, idle);
        shorten().await;
        assert_eq!(store.get(session(1)).await.unwrap(), Some(home("a")));
        is_about(wire.left(session(1)).await, idle);
        // Who loses has used it as well.
        shorten().await;
        store.claim(session(1), None, home("b")).await.unwrap();
        is_about(wire.left(session(1)).await, idle);
        shorten().await;
        store.claim(session(1), Some(home("a")), home("b")).await.unwrap();
        is_about(wire.left(session(1)).await, idle);
        shorten().await;
        store.put(session(1), home("c")).await.unwrap();
        is_about(wire.left(session(1)).await, idle);
        // To be moved with all others is no use.
        shorten().await;
        let moved = store.migrate(home("c"), std::sync::Arc::new(|_| home("d")));
        assert_eq!(moved.await.unwrap(), 1);
        is_about(wire.left(session(1)).await, 20_000);
        // Nobody asks for it: it gets no time.
        assert_eq!(store.get(session(2)).await.unwrap(), None);
        assert_eq!(wire.left(session(2)).await, -2);
        // One whose time was taken away gets it back.
        wire.ask::<()>(&format!("PERSIST {}", key(session(1)))).await;
        store.get(session(1)).await.unwrap();
        is_about(wire.left(session(1)).await, idle);
        store.forget(session(1)).await.unwrap();
    }
}

/// When a session ends, by what is stored.
fn end(value: &str) -> i64 {
    value.split(':').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn no_use_and_no_move_begins_the_lifetime_anew() {
    let server = Server::start();
    let wire = server.connect().await;
    let store = server.store().with_lifetime(Duration::from_secs(10 * 60));
    let stored = async || wire.ask::<String>(&format!("GET {}", key(session(1)))).await;
    let now: (i64, i64) = wire.ask("TIME").await;
    store.claim(session(1), None, home("a")).await.unwrap();
    let first = end(&stored().await);
    let lasts = first - now.0 * 1000 - now.1 / 1000;
    assert!((10 * MINUTE..10 * MINUTE + 5_000).contains(&lasts), "{lasts}");
    // Less than the idle time: the end is what counts.
    is_about(wire.left(session(1)).await, 10 * MINUTE);

    // As if it were later: nine of the ten minutes are over.
    let later = first - 9 * MINUTE;
    wire.set(session(1), format!("1:{later}:a")).await;
    for (what, at) in ["get", "lose", "claim", "put", "migrate"]
        .into_iter()
        .zip(["a", "a", "b", "c", "d"])
    {
        match what {
            "get" => drop(store.get(session(1)).await.unwrap()),
            "lose" => drop(store.claim(session(1), None, home("x")).await.unwrap()),
            "claim" => drop(store.claim(session(1), Some(home("a")), home("b")).await.unwrap()),
            "put" => store.put(session(1), home("c")).await.unwrap(),
            _ => drop(
                store
                    .migrate(home("c"), std::sync::Arc::new(|_| home("d")))
                    .await
                    .unwrap(),
            ),
        }
        assert_eq!(stored().await, format!("1:{later}:{at}"), "{what}");
        is_about(wire.left(session(1)).await, MINUTE);
    }
    // A balancer that was told another lifetime does not lengthen it either.
    let other = server.store().with_lifetime(Duration::from_secs(86_400));
    assert_eq!(other.get(session(1)).await.unwrap(), Some(home("d")));
    is_about(wire.left(session(1)).await, MINUTE);
    // And of the two times the shorter counts.
    let short = server.store().with_idle(Duration::from_secs(30));
    short.get(session(1)).await.unwrap();
    is_about(wire.left(session(1)).await, 30_000);
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn who_has_ended_is_nowhere_even_if_the_key_is_there() {
    let server = Server::start();
    let wire = server.connect().await;
    let store = server.store().with_lifetime(Duration::from_secs(600));
    let ended = async || wire.set(session(1), "1:1000:a").await;
    ended().await;
    assert_eq!(store.get(session(1)).await.unwrap(), None);
    ended().await;
    assert_eq!(store.claim(session(1), None, home("b")).await.unwrap(), home("b"));
    let value: String = wire.ask(&format!("GET {}", key(session(1)))).await;
    assert!(end(&value) > 1000, "{value}");
    is_about(wire.left(session(1)).await, 10 * MINUTE);
    ended().await;
    store.put(session(1), home("c")).await.unwrap();
    is_about(wire.left(session(1)).await, 10 * MINUTE);
    ended().await;
    let moved = store.migrate(home("a"), std::sync::Arc::new(|_| home("d")));
    assert_eq!(moved.await.unwrap(), 0);
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn times_that_are_no_times_are_the_shortest() {
    let server = Server::start();
    let store = server.store();
    let none = store.clone().with_idle(Duration::ZERO).with_lifetime(Duration::ZERO);
    for number in 0..50 {
        assert_eq!(none.claim(session(number), None, home("a")).await.unwrap(), home("a"));
        none.put(session(number), home("a")).await.unwrap();
    }
    crate::program::until("they have expired", || {
        let mut command = crate::program::installed("redis-cli", "redis-server");
        let size = crate::program::printed(command.args(["-p", &server.port.to_string(), "dbsize"]));
        (size.trim() == "0").then_some(())
    });
}
