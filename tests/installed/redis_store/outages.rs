//! Redis dies, is stopped, is not there, and comes back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use equipoise::{learned::SessionStore, redis::StoreErrorKind};
use tokio::{task::JoinSet, time::sleep};

use super::server::{Server, get_within, home, kind, session, shared, works_again};

/// What a balancer gives an answer.
const DEADLINE: Duration = Duration::from_millis(5);

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn one_that_is_not_there_is_found_when_it_comes() {
    let mut server = Server::not_started(&[]);
    let store = server.store();
    // Refused at once, again and again.
    for _ in 0..100 {
        let begun = Instant::now();
        let result = store.get(session(1)).await;
        assert!(begun.elapsed() < Duration::from_millis(500));
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains(&format!("127.0.0.1:{}", server.port)) && error.contains("refused"),
            "{error}"
        );
    }
    assert_eq!(
        kind(store.claim(session(1), None, home("a")).await),
        StoreErrorKind::Unreachable
    );
    server.restart();
    println!("found {:?} after it was there", works_again(&store).await);
    assert_eq!(store.claim(session(1), None, home("a")).await.unwrap(), home("a"));
}

/// Eight who ask all the time; how their requests went.
struct Load {
    is_over: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    bad: Arc<AtomicU64>,
    late: Arc<AtomicU64>,
    slowest: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

impl Load {
    /// With a deadline of a second, which none may reach.
    fn on(store: &equipoise::redis::RedisStore) -> Self {
        let mut load = Self {
            is_over: Arc::default(),
            good: Arc::default(),
            bad: Arc::default(),
            late: Arc::default(),
            slowest: Arc::default(),
            tasks: JoinSet::new(),
        };
        for task in 0..8 {
            let (store, is_over) = (store.clone(), Arc::clone(&load.is_over));
            let (good, bad, late) = (load.good.clone(), load.bad.clone(), load.late.clone());
            let slowest = load.slowest.clone();
            load.tasks.spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let count = match get_within(&store, session(task), Duration::from_secs(1)).await {
                        Some(Ok(_)) => &good,
                        Some(Err(_)) => &bad,
                        None => &late,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    slowest.fetch_max(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
                    sleep(Duration::from_micros(500)).await;
                }
            });
        }
        load
    }

    fn good(&self) -> u64 {
        self.good.load(Ordering::Relaxed)
    }

    fn bad(&self) -> u64 {
        self.bad.load(Ordering::Relaxed)
    }

    /// How many went well, in an error, and not within the deadline; and the longest that one took.
    async fn end(self) -> (u64, u64, u64, Duration) {
        self.is_over.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        let [good, bad, late, slowest] =
            [self.good, self.bad, self.late, self.slowest].map(|count| count.load(Ordering::Relaxed));
        (good, bad, late, Duration::from_micros(slowest))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn killed_in_the_middle_of_load_it_is_missed_and_found_again() {
    let mut server = Server::start();
    let store = server.store();
    let load = Load::on(&store);
    for round in 0..3 {
        let good = load.good();
        while load.good() < good + 1000 {
            sleep(Duration::from_millis(5)).await;
        }
        server.kill();
        let (bad, down) = (load.bad(), Instant::now());
        while load.bad() < bad + 100 || down.elapsed() < Duration::from_millis(300) {
            sleep(Duration::from_millis(5)).await;
            assert!(down.elapsed() < Duration::from_secs(10));
        }
        server.restart();
        println!(
            "round {round}: works again {:?} after the restart",
            works_again(&store).await
        );
    }
    let (good, bad, late, slowest) = load.end().await;
    println!("{good} answered, {bad} failed, {late} late; the slowest took {slowest:?}");
    assert_eq!(late, 0, "all end, in an answer or in an error, and soon");
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_restart_between_two_requests_is_not_seen() {
    let mut server = Server::start();
    let store = server.store();
    for round in 0..5 {
        assert_eq!(
            store.claim(session(1), None, home("a")).await.unwrap(),
            home("a"),
            "{round}"
        );
        server.kill();
        server.restart();
    }
    // Nor that a connection was closed by the server.
    for _ in 0..5 {
        store.put(session(1), home("b")).await.unwrap();
        let wire = server.connect().await;
        wire.ask::<u64>("CLIENT KILL TYPE normal SKIPME yes").await;
        assert_eq!(store.get(session(1)).await.unwrap(), Some(home("b")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn of_one_that_is_stopped_nothing_stays_behind() {
    let server = Server::start();
    let store = server.store();
    store.put(session(1), home("a")).await.unwrap();
    // Stopped for less than the answer's time-out: the connection is kept.
    let wire = server.connect().await;
    let connections = async || wire.ask::<String>("INFO stats").await;
    let received = |stats: &str| {
        let (_, rest) = stats.split_once("total_connections_received:").unwrap();
        rest.lines().next().unwrap().parse::<u64>().unwrap()
    };
    let before = received(&connections().await);
    server.signal("STOP");
    let mut asks = JoinSet::new();
    for number in 0..2000 {
        let store = store.clone();
        asks.spawn(async move { get_within(&store, session(number % 2), DEADLINE).await.is_none() });
    }
    let given_up = asks.join_all().await;
    assert!(given_up.iter().all(|is_given_up| *is_given_up));
    server.signal("CONT");
    assert_eq!(store.get(session(1)).await.unwrap(), Some(home("a")));
    assert_eq!(store.claim(session(2), None, home("b")).await.unwrap(), home("b"));
    // No answer is taken for another's.
    for number in 0..100 {
        let expected = match number {
            1 => Some(home("a")),
            2 => Some(home("b")),
            _ => None,
        };
        assert_eq!(store.get(session(number)).await.unwrap(), expected);
    }
    assert_eq!(received(&connections().await), before, "nothing was connected anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn of_one_that_is_stopped_for_long_all_know() {
    let server = Server::start();
    let timeout = Duration::from_millis(300);
    let store = server
        .store()
        .with_answer_timeout(timeout)
        .with_connect_timeout(timeout);
    store.put(session(1), home("a")).await.unwrap();
    server.signal("STOP");
    // Somebody without a deadline, a second after which nothing hangs; and many who have one, and wait no longer for it.
    let patient = tokio::spawn({
        let store = shared(&store);
        async move { store.get(session(1)).await }
    });
    let begun = Instant::now();
    let mut waited = 0;
    let error = loop {
        match get_within(&store, session(1), DEADLINE).await {
            None => waited += 1,
            Some(result) => break result,
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "it is never known");
    };
    println!(
        "{waited} waited {DEADLINE:?} in vain, until after {:?} it was known",
        begun.elapsed()
    );
    assert_eq!(kind(error), StoreErrorKind::Silent);
    assert_eq!(kind(patient.await.unwrap()), StoreErrorKind::Silent);
    // From then on all fail at once, also while it is tried to connect.
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_millis(1000) {
        let answer = get_within(&store, session(1), DEADLINE).await;
        assert!(
            answer.is_some_and(|answer| answer.is_err()),
            "after {:?}",
            begun.elapsed()
        );
        count += 1;
        sleep(Duration::from_millis(1)).await;
    }
    server.signal("CONT");
    println!(
        "{count} failed at once; works again {:?} after SIGCONT",
        works_again(&store).await
    );
    assert_eq!(store.get(session(1)).await.unwrap(), Some(home("a")));
}

/// If all who ask have deadlines that are shorter than any time-out, it is found out nevertheless.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn one_who_gives_up_has_the_connection_looked_at() {
    let server = Server::start();
    let store = server.store().with_answer_timeout(Duration::from_millis(200));
    store.put(session(1), home("a")).await.unwrap();
    server.signal("STOP");
    assert!(get_within(&store, session(1), DEADLINE).await.is_none());
    sleep(Duration::from_millis(600)).await;
    // Nobody has asked since, and it is known.
    let answer = get_within(&store, session(1), DEADLINE).await;
    assert!(answer.is_some_and(|answer| answer.is_err()));
    server.signal("CONT");
    works_again(&store).await;
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn dropped_at_any_moment_it_disturbs_nobody() {
    let server = Server::start();
    let store = server.store();
    for number in 0..3000_u64 {
        let id = session(u128::from(number % 10));
        let dropped = tokio::time::timeout(Duration::from_micros(number % 300), store.claim(id, None, home("a")));
        let _ = dropped.await;
        let now = store.claim(id, None, home("a")).await.unwrap();
        assert_eq!(now, home("a"));
    }
    // Unpolled, and polled once.
    drop(store.get(session(1)));
    let _ = futures_util::FutureExt::now_or_never(store.get(session(1)));
    assert_eq!(store.get(session(1)).await.unwrap(), Some(home("a")));
}

#[test]
#[ignore = "needs redis-server: apt-get install redis-server"]
fn it_outlives_the_runtime_that_it_connected_in() {
    let server = Server::start();
    let store = server.store();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    // Nobody's runtime.
    assert_eq!(
        kind(futures::executor_block_on(store.get(session(1)))),
        StoreErrorKind::Runtime
    );
    for _ in 0..3 {
        runtime().block_on(store.put(session(1), home("a"))).unwrap();
    }
    // Without a network or a clock.
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let other = server.store();
    let error = bare.block_on(other.get(session(1))).unwrap_err().to_string();
    assert!(error.contains("panicked") && error.contains("enable"), "{error}");
    runtime().block_on(works_again(&other));
    assert_eq!(runtime().block_on(other.get(session(1))).unwrap(), Some(home("a")));
    // Connected, it answers to any executor.
    let multi = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(multi.block_on(store.get(session(1))).unwrap(), Some(home("a")));
    assert_eq!(
        futures::executor_block_on(store.get(session(1))).unwrap(),
        Some(home("a"))
    );
    assert_eq!(bare.block_on(store.get(session(1))).unwrap(), Some(home("a")));
}

mod futures {
    use std::{
        pin::pin,
        sync::Arc,
        task::{Context, Poll, Wake, Waker},
        thread::Thread,
    };

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// To its end, in no runtime.
    pub(super) fn executor_block_on<F: Future>(future: F) -> F::Output {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let (mut future, mut cx) = (pin!(future), Context::from_waker(&waker));
        loop {
            match future.as_mut().poll(&mut cx) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}
