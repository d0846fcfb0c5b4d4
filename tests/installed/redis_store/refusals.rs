//! What Redis refuses: without memory, without the password, as a replica; and addresses that are none.

use std::time::Duration;

use equipoise::{
    learned::SessionStore,
    redis::{RedisStore, StoreErrorKind},
};

use super::server::{Server, home, kind, session, works_again};

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn without_memory_it_learns_nothing_and_knows_what_it_knew() {
    let server = Server::start();
    let (store, wire) = (server.store(), server.connect().await);
    store.claim(session(1), None, home("a")).await.unwrap();
    wire.ask::<()>("CONFIG SET maxmemory 1").await;
    let refused = store.claim(session(2), None, home("a")).await;
    assert!(refused.as_ref().unwrap_err().to_string().contains("OOM"), "{refused:?}");
    assert_eq!(kind(refused), StoreErrorKind::Refused);
    assert_eq!(kind(store.put(session(2), home("a")).await), StoreErrorKind::Refused);
    assert_eq!(store.get(session(1)).await.unwrap(), Some(home("a")));
    assert_eq!(store.claim(session(1), None, home("b")).await.unwrap(), home("a"));
    store.forget(session(1)).await.unwrap();
    wire.ask::<()>("CONFIG SET maxmemory 0").await;
    assert_eq!(store.claim(session(2), None, home("b")).await.unwrap(), home("b"));
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_password_opens_and_is_never_told() {
    let secret = "hunter2%2Fhunter2";
    let server = Server::start_with(&["--requirepass", "hunter2/hunter2"]);
    let port = server.port;
    let right = RedisStore::new(&format!("redis://:{secret}@127.0.0.1:{port}")).unwrap();
    right.claim(session(1), None, home("a")).await.unwrap();
    let named = RedisStore::new(&format!("redis://default:{secret}@127.0.0.1:{port}")).unwrap();
    assert_eq!(named.get(session(1)).await.unwrap(), Some(home("a")));
    let none = server.store().get(session(1)).await;
    assert!(none.as_ref().unwrap_err().to_string().contains("NOAUTH"), "{none:?}");
    assert_eq!(kind(none), StoreErrorKind::Refused);

    let wrong = RedisStore::new(&format!("redis://:wrong{secret}@127.0.0.1:{port}")).unwrap();
    let error = wrong.get(session(1)).await.unwrap_err();
    let all = format!("{right:?} {wrong:?} {error} {error:?} {:?}", error.source());
    assert_eq!(kind(Err::<(), _>(error)), StoreErrorKind::Unreachable);
    assert!(!all.contains("hunter2"), "{all}");
    assert!(all.contains("uthentication"), "{all}");
}

#[test]
fn an_address_that_is_none_is_refused_and_not_told() {
    for address in [
        "",
        "redis",
        "http://:hunter2@h",
        "redis://:hunter2@",
        "redis://:hunter2@h:99999",
        "redis://:hunter2@h/x",
        "redis://:hunter2@h:1/-x",
        "redis://u:hunter2@[::1",
        "127.0.0.1:6379",
        "redis://:hunter2@0.0.0.0",
    ] {
        let error = RedisStore::new(address).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Address, "{address}");
        let all = format!("{error} {error:?}");
        assert!(!all.contains("hunter2") && all.len() > 10, "{all}");
    }
    let store = RedisStore::new("redis://user:hunter2@h:1/2").unwrap();
    let told = format!("{store:?}");
    assert!(
        !told.contains("hunter2") && told.contains("h:1") && told.contains("equipoise:"),
        "{told}"
    );
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_host_that_is_nowhere_is_an_error_in_time() {
    let timeout = Duration::from_millis(300);
    // The second is in a network for documentation (RFC 5737), from which nothing comes back.
    for host in ["no-such-host.invalid", "192.0.2.1"] {
        let store = RedisStore::new(&format!("redis://{host}"))
            .unwrap()
            .with_connect_timeout(timeout);
        let begun = std::time::Instant::now();
        let answer = store.get(session(1)).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(answer.as_ref().unwrap_err().to_string().contains(host), "{answer:?}");
        assert_eq!(kind(answer), StoreErrorKind::Unreachable);
    }
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn one_that_was_made_a_replica_is_left() {
    let (server, primary) = (Server::start(), Server::start());
    let (store, wire) = (server.store(), server.connect().await);
    store.claim(session(1), None, home("a")).await.unwrap();
    let name = || async { wire.ask::<String>("CLIENT LIST").await };
    let id = |list: &str| {
        let ids = list
            .lines()
            .filter(|client| client.contains("cmd=evalsha") || client.contains("cmd=eval"));
        ids.map(|client| client.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let before = id(&name().await);
    wire.ask::<()>(&format!("REPLICAOF 127.0.0.1 {}", primary.port)).await;
    let refused = store.claim(session(2), None, home("a")).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("READONLY"), "{refused}");
    wire.ask::<()>("REPLICAOF NO ONE").await;
    works_again(&store).await;
    assert_eq!(store.claim(session(2), None, home("a")).await.unwrap(), home("a"));
    // By another connection, which might have been one to the new primary.
    let after = id(&name().await);
    assert!(
        before.len() == 1 && after.len() == 1 && before != after,
        "{before:?} {after:?}"
    );
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn one_that_cannot_be_written_can_be_read() {
    let server = Server::start();
    let (store, wire) = (server.store(), server.connect().await);
    store.claim(session(1), None, home("a")).await.unwrap();
    // Of nobody, which would replace what it has.
    for (refuse, code) in [
        ("CONFIG SET min-replicas-to-write 1", "NOREPLICAS"),
        ("REPLICAOF 127.0.0.1 1", "READONLY"),
    ] {
        wire.ask::<()>(refuse).await;
        assert_eq!(store.get(session(1)).await.unwrap(), Some(home("a")), "{code}");
        assert_eq!(store.get(session(2)).await.unwrap(), None, "{code}");
        let won = store.claim(session(1), None, home("b")).await;
        assert_eq!(won.unwrap(), home("a"), "{code}: nothing is to be written");
        let refused = store.claim(session(2), None, home("a")).await.unwrap_err().to_string();
        assert!(refused.contains(code), "{refused}");
        wire.ask::<()>("CONFIG SET min-replicas-to-write 0").await;
    }
    wire.ask::<()>("REPLICAOF NO ONE").await;
    works_again(&store).await;
    assert_eq!(store.claim(session(2), None, home("a")).await.unwrap(), home("a"));
}

/// What the module says of a cluster: one server that has the slot serves, any other says that it has moved.
#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_server_of_a_cluster_serves_the_slots_that_it_has() {
    let server = Server::start_with(&["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]);
    let (store, wire) = (server.store().with_prefix("{equipoise}:"), server.connect().await);
    let slot: u64 = wire.ask("CLUSTER KEYSLOT {equipoise}:x").await;
    wire.ask::<()>(&format!("CLUSTER ADDSLOTS {slot}")).await;
    crate::program::until("the slot is served", || {
        let mut command = crate::program::installed("redis-cli", "redis-server");
        let port = server.port.to_string();
        let info = crate::program::printed(command.args(["-p", &port, "cluster", "info"]));
        info.contains("cluster_state:ok").then_some(())
    });
    for number in 0..100 {
        assert_eq!(store.claim(session(number), None, home("a")).await.unwrap(), home("a"));
    }
    let moved = store.migrate(home("a"), std::sync::Arc::new(|_| home("b")));
    assert_eq!(moved.await.unwrap(), 100);
    let elsewhere = server.store().get(session(1)).await;
    assert_eq!(kind(elsewhere), StoreErrorKind::Refused);
}
