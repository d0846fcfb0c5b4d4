//! A panic in a maker or in a service is a failure like another.

use super::*;
use script::{PANIC, Says};

fn message(error: &Error) -> String {
    match why(error) {
        ConnectError::Panicked(message) => message.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_maker_that_panics_is_asked_again() {
    for plan in [Plan::Panic, Plan::PanicLater] {
        let (stage, connector) = stage();
        stage.plan_all(plan);
        let pool = pool(&connector, &["a"]).spawn();
        let client = client(pool.clone());
        let error = call(&client, 1).await.unwrap_err();
        assert!(message(&error).ends_with("for a"), "{error:?}");
        assert_eq!(error.backend(), Some("a"));
        assert_eq!(conditions(&pool), [Condition::Failing]);
        tokio::time::sleep(seconds(1.0)).await;
        assert!((3..8).contains(&stage.attempts().len()), "{:?}", stage.attempts());
        stage.plan_all(Plan::Connect);
        tokio::time::sleep(seconds(5.0)).await;
        assert_eq!(call(&client, 1).await.unwrap(), "a:1#0");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_when_it_is_asked_is_made_anew() {
    let (stage, connector) = stage();
    let pool = pool(&connector, &["a"]).spawn();
    let client = client(pool.clone());
    rest().await;
    // By the keeper: it is not ready, wakes the keeper, and panics.
    stage.link("a").says(Says::Pending);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { call(&client, 1).await }
    });
    rest().await;
    stage.link("a").says(Says::Panic);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(message(&error), "a cannot say");
    assert!(stage.link("a").is_dropped());
    tokio::time::sleep(seconds(1.0)).await;
    assert_eq!(call(&client, 1).await.unwrap(), "a:1#1");
    // By a caller, after an answer: it is made anew at once, and the request finds the new one.
    stage.link("a").says(Says::Panic);
    assert_eq!(call(&client, 1).await.unwrap(), "a:1#2");
    assert_eq!(stage.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_in_its_call_is_made_anew() {
    let (stage, connector) = stage();
    let pool = pool(&connector, &["a"]).spawn();
    let client = client(pool.clone());
    let error = call(&client, PANIC).await.unwrap_err();
    assert_eq!(message(&error), "a cannot take it");
    rest().await;
    assert!(stage.link("a").is_dropped());
    assert_eq!(conditions(&pool), [Condition::Failing]);
    tokio::time::sleep(seconds(1.0)).await;
    assert_eq!(call(&client, 1).await.unwrap(), "a:1#1");
    let tally = pool.members()[0].tally;
    assert_eq!((tally.succeeded, tally.failed, tally.cancelled), (1, 1, 0));
}
