//! What fails is tried again, later and later, and at once where it had proven itself.

use equipoise::connect::Backoff;

use super::*;
use script::{BREAK, FAIL, Says};

/// The delays that the default backoff has before jitter.
fn nominal() -> impl Iterator<Item = f64> {
    std::iter::successors(Some(0.1), |delay| Some(delay * 1.6)).map(|delay: f64| delay.min(30.0))
}

/// Holds for delays that are as the default backoff wants them, give or take a timer's millisecond.
fn assert_backed_off(delays: &[Duration]) {
    for (delay, nominal) in delays.iter().zip(nominal()) {
        let range = nominal * 0.8 - 0.002..nominal * 1.2 + 0.002;
        assert!(
            range.contains(&delay.as_secs_f64()),
            "{delay:?} of {nominal}: {delays:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn delays_grow_with_jitter_up_to_the_longest() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Refuse);
    let _pool = pool(&connector, &["a", "b"]).spawn();
    tokio::time::sleep(seconds(600.0)).await;
    let (a, b) = (stage.delays("a"), stage.delays("b"));
    for delays in [&a, &b] {
        assert!((25..45).contains(&delays.len()), "{}", delays.len());
        assert_backed_off(delays);
    }
    // Those that fail together do not come back together, nor do they all come back early, or all late.
    let apart = a
        .iter()
        .zip(&b)
        .filter(|(a, b)| a.abs_diff(**b) > seconds(0.002))
        .count();
    assert!(apart * 10 >= a.len() * 8, "{a:?}\n{b:?}");
    let late = |delays: &[Duration]| {
        delays
            .iter()
            .zip(nominal())
            .filter(|(delay, of)| delay.as_secs_f64() > *of)
            .count()
    };
    let late = late(&a) + late(&b);
    assert!(
        late * 10 > (a.len() + b.len()) * 2 && late * 10 < (a.len() + b.len()) * 8,
        "{late}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_seed_makes_one_sequence() {
    let delays = async |seed| {
        let (stage, connector) = stage();
        stage.plan_all(Plan::Refuse);
        let pool = pool(&connector.seed(seed), &["a"]).spawn();
        tokio::time::sleep(seconds(100.0)).await;
        drop(pool);
        stage.delays("a")
    };
    let (first, again, other) = (delays(1).await, delays(1).await, delays(2).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[tokio::test(start_paused = true)]
async fn a_backoff_of_ones_own_is_kept() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Refuse);
    let backoff = Backoff::new().with_base(seconds(1.0)).with_factor(3.0);
    let backoff = backoff.with_max(seconds(9.0)).with_jitter(0.0);
    let _pool = pool(&connector.backoff(backoff), &["a"]).spawn();
    tokio::time::sleep(seconds(32.0)).await;
    let delays: Vec<_> = stage.delays("a").iter().map(|delay| delay.as_secs()).collect();
    assert_eq!(delays, [1, 3, 9, 9, 9]);
}

#[tokio::test(start_paused = true)]
async fn delays_go_by_the_connectors_clock() {
    let (stage, connector) = stage();
    let manual = equipoise::ManualClock::new();
    stage.plan_all(Plan::Refuse);
    let _pool = pool(&connector.clock(manual.clock()), &["a"]).spawn();
    tokio::time::sleep(seconds(600.0)).await;
    assert_eq!(stage.attempts().len(), 1);
    let delay = manual.next_deadline().unwrap() - manual.now();
    assert!((seconds(0.08)..=seconds(0.12)).contains(&delay), "{delay:?}");
    manual.advance(delay);
    rest().await;
    assert_eq!(stage.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_at_once_does_not_spin() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::DieAtOnce);
    let pool = pool(&connector, &["a"]).spawn();
    tokio::time::sleep(seconds(600.0)).await;
    let delays = stage.delays("a");
    assert!((25..45).contains(&delays.len()), "{}", delays.len());
    assert_backed_off(&delays);
    assert_eq!(stage.open(), 0);
    assert_eq!(conditions(&pool), [Condition::Failing]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_held_is_made_anew_at_once() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Refuse);
    let pool = pool(&connector, &["a"]).spawn();
    tokio::time::sleep(seconds(10.0)).await;
    stage.plan_all(Plan::Connect);
    tokio::time::sleep(seconds(20.0)).await;
    assert_eq!(conditions(&pool), [Condition::Ready]);
    tokio::time::sleep(seconds(10.0)).await;
    // A service that is idle is not asked: what has become of it shows with the next call.
    let attempts = stage.attempts().len();
    stage.plan_all(Plan::Hang);
    stage.link("a").says(Says::Broken);
    let client = client(pool.clone());
    let waiting = tokio::spawn(async move { call(&client, 1).await });
    rest().await;
    assert_eq!(stage.attempts().len(), attempts + 1);
    assert_eq!(conditions(&pool), [Condition::Waiting]);
    // And delays begin anew.
    stage.plan_all(Plan::Refuse);
    tokio::time::sleep(seconds(2.0)).await;
    assert_backed_off(&stage.delays("a")[attempts..]);
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(why(&error), ConnectError::Failed(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_answered_is_made_anew_at_once() {
    let (stage, connector) = stage();
    let client = client(pool(&connector, &["a"]).spawn());
    // Such as a server that closes after each answer.
    let start = tokio::time::Instant::now();
    for number in 0..100 {
        assert_eq!(call(&client, 1).await.unwrap(), format!("a:1#{number}"));
        stage.link("a").says(Says::Broken);
    }
    assert!(start.elapsed() < seconds(0.1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_with_a_request_is_made_anew_before_the_next() {
    let (stage, connector) = stage();
    let pool = pool(&connector, &["a"]).spawn();
    let client = client(pool.clone());
    for number in 0..10 {
        call(&client, 1).await.unwrap();
        assert_eq!(call(&client, BREAK).await.unwrap(), format!("a:1#{number}"));
        rest().await;
        assert_eq!((conditions(&pool), stage.open()), (vec![Condition::Ready], 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_an_error_proves_nothing() {
    let (stage, connector) = stage();
    let client = client(pool(&connector, &["a"]).spawn());
    let mut delays = Vec::new();
    for _ in 0..8 {
        let error = call(&client, FAIL).await.unwrap_err();
        assert!(error.source().unwrap().is::<std::io::Error>(), "{error:?}");
        stage.link("a").says(Says::Broken);
        let lost = tokio::time::Instant::now();
        // Finds out that it is lost. The first time it waits for the next connection, later it learns why there is none.
        let found = tokio::time::timeout(seconds(0.05), call(&client, 1)).await;
        assert_eq!(found.is_err(), delays.is_empty(), "{found:?}");
        tokio::time::sleep(seconds(5.0)).await;
        delays.push(stage.attempts().last().unwrap().1 - lost);
    }
    assert_backed_off(&delays);
    assert_eq!(stage.links().len(), 9);
}

/// A request that is the first to find a connection lost, and whose answer is read only after that.
#[tokio::test(start_paused = true)]
async fn an_answer_may_be_read_after_the_connection_was_found_lost() {
    let (stage, connector) = stage();
    stage.one_at_a_time();
    let pool = pool(&connector, &["a"]).spawn();
    let mut client = client(pool.clone());
    let start = tokio::time::Instant::now();
    rest().await;
    for number in 0..10 {
        let answer = client.ready().await.unwrap().call(1);
        stage.link("a").says(Says::Broken);
        rest().await;
        assert_eq!(conditions(&pool), [Condition::Waiting]);
        assert_eq!(answer.await.unwrap(), format!("a:1#{number}"));
        rest().await;
        assert_eq!(conditions(&pool), [Condition::Ready]);
    }
    assert!(start.elapsed() < seconds(0.1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_has_failed() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Hang);
    let pool = pool(&connector.timeout(seconds(3.0)), &["a"])
        .patience(seconds(100.0))
        .spawn();
    let start = tokio::time::Instant::now();
    let error = call(&client(pool.clone()), 1).await.unwrap_err();
    assert!(matches!(why(&error), ConnectError::TimedOut), "{error:?}");
    assert!(start.elapsed() >= seconds(3.0) && start.elapsed() < seconds(3.1));
    tokio::time::sleep(seconds(20.0)).await;
    assert!(stage.attempts().len() > 3);
    assert!(stage.delays("a").iter().all(|delay| *delay >= seconds(3.08)));
    assert_eq!(stage.most_connecting(), 1);
}
