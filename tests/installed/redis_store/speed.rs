//! How fast a store is over loopback, and that what is asked at once is sent at once.

use std::time::{Duration, Instant};

use equipoise::{learned::SessionStore, redis::RedisStore};
use futures_util::{StreamExt, stream};

use super::server::{Server, home, session};

/// How long so many gets take, so many at a time.
async fn gets(store: &RedisStore, count: usize, width: usize) -> Duration {
    let begun = Instant::now();
    let found = stream::iter((0..count).map(|number| store.get(session(number as u128 % 1000))))
        .buffer_unordered(width)
        .filter(|found| std::future::ready(matches!(found, Ok(Some(_)))))
        .count()
        .await;
    assert_eq!(found, count);
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn sixty_four_at_once_are_pipelined() {
    let server = Server::start();
    let (store, wire) = (server.store(), server.connect().await);
    for number in 0..1000 {
        store.put(session(number), home("backend-7")).await.unwrap();
    }
    for width in [1, 8, 64, 512] {
        let lasted = gets(&store, 20_000, width).await;
        let each = lasted / 20_000;
        println!(
            "{width:3} at a time: {each:?} each, {:.0} a second",
            20_000.0 / lasted.as_secs_f64()
        );
    }
    // By what Redis counts: how often it was woken to read, for as many commands.
    let reads = async || {
        let stats: String = wire.ask("INFO stats").await;
        let (_, rest) = stats.split_once("total_reads_processed:").unwrap();
        rest.lines().next().unwrap().parse::<u64>().unwrap()
    };
    let mut counts = [0; 2];
    for (count, width) in counts.iter_mut().zip([1, 64]) {
        let before = reads().await;
        for _ in 0..10 {
            gets(&store, 64, width).await;
        }
        *count = reads().await - before;
    }
    println!(
        "for 640 commands Redis has read {} times one by one, {} times 64 at once",
        counts[0], counts[1]
    );
    assert!(counts[0] >= 640 && counts[1] < 200, "{counts:?}");
}

/// A distant Redis, of which every answer takes its time: 64 at once take no longer than one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn far_away_it_is_one_round_trip() {
    let server = Server::start();
    let far = super::far::Far::from(server.port, Duration::from_millis(20)).await;
    let store = RedisStore::new(&format!("redis://{far}")).unwrap();
    for number in 0..1000 {
        server.store().put(session(number), home("a")).await.unwrap();
    }
    // Connected, and the script is known.
    gets(&store, 1, 1).await;
    let one = gets(&store, 1, 1).await;
    let many = gets(&store, 64, 64).await;
    let claims = stream::iter((0..64).map(|number| store.claim(session(number), None, home("b"))));
    let begun = Instant::now();
    let told: Vec<_> = claims.buffer_unordered(64).collect().await;
    let claimed = begun.elapsed();
    assert!(told.into_iter().all(|told| told.unwrap() == home("a")));
    println!("40 ms away: one get {one:?}, 64 at once {many:?}, 64 claims at once {claimed:?}");
    // Two trips would be 80 ms; the script of claims is not known yet, or is since it was put.
    assert!(
        one < Duration::from_millis(75) && many < Duration::from_millis(75),
        "{one:?} {many:?}"
    );
    assert!(claimed < Duration::from_millis(150), "{claimed:?}");
}
