//! One service for each member, which dies with it.

use equipoise::Driver;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_member_has_one_service_however_many_calls() {
    let (stage, connector) = stage();
    let client = client(pool(&connector, &["a", "b", "c"]).spawn());
    for _ in 0..10 {
        let calls: Vec<_> = (0..100).map(|request| call(&client, request)).collect();
        for answer in futures_util::future::join_all(calls).await {
            answer.unwrap();
        }
    }
    let mut made: Vec<_> = stage.links().iter().map(|link| link.id.clone()).collect();
    made.sort();
    assert_eq!(made, ["a", "b", "c"]);
    let calls: Vec<_> = stage.links().iter().map(|link| link.calls()).collect();
    assert_eq!(calls.iter().sum::<usize>(), 1000, "{calls:?}");
    assert!(calls.iter().all(|calls| *calls > 200), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_service_is_dropped_with_its_membership() {
    let (stage, connector) = stage();
    let pool = pool(&connector, &["a", "b"]).spawn();
    let client = client(pool.clone());
    // A clone that has seen the member, and looks no more.
    let mut idle = pool.clone();
    let _ = idle.pick(&equipoise::Ask::new());
    rest().await;
    assert_eq!((stage.open(), tasks()), (2, 3));
    remove(&pool.handle(), "a").await;
    assert!(stage.link("a").is_dropped());
    assert!(!stage.link("b").is_dropped());
    rest().await;
    assert_eq!(tasks(), 2);
    assert_eq!(call(&client, 1).await.unwrap(), "b:1#1");
    drop(idle);
}

#[tokio::test(start_paused = true)]
async fn a_busy_service_serves_out_its_leases_first() {
    let (stage, connector) = stage();
    stage.hold();
    let pool = pool(&connector, &["a"]).spawn();
    let client = client(pool.clone());
    let open = tokio::spawn({
        let client = client.clone();
        async move { call(&client, 1).await }
    });
    rest().await;
    remove(&pool.handle(), "a").await;
    rest().await;
    let link = stage.link("a");
    assert_eq!((link.calls(), link.is_dropped()), (1, false));
    link.answer(1);
    assert_eq!(open.await.unwrap().unwrap(), "a:1#0");
    assert!(link.is_dropped());
    rest().await;
    assert_eq!(tasks(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_with_the_membership() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Hang);
    let pool = pool(&connector, &["a"]).spawn();
    rest().await;
    assert_eq!(stage.connecting(), 1);
    remove(&pool.handle(), "a").await;
    rest().await;
    assert_eq!((stage.connecting(), tasks()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn there_are_no_attempts_after_the_membership() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Refuse);
    let pool = pool(&connector, &["a"]).spawn();
    tokio::time::sleep(seconds(60.0)).await;
    let attempts = stage.attempts().len();
    assert!(attempts > 3);
    remove(&pool.handle(), "a").await;
    tokio::time::sleep(seconds(600.0)).await;
    assert_eq!((stage.attempts().len(), tasks()), (attempts, 1));
}

#[tokio::test(start_paused = true)]
async fn all_ends_with_the_pool() {
    let (stage, connector) = stage();
    stage.plan("hangs", Plan::Hang);
    stage.plan("fails", Plan::Refuse);
    let pool = pool(&connector, &["serves", "hangs", "fails"]).spawn();
    let client = client(pool.clone());
    call(&client, 1).await.unwrap();
    let idle = client.clone();
    drop((pool, client));
    rest().await;
    assert_eq!((stage.open(), tasks()), (1, 4));
    drop(idle);
    rest().await;
    assert_eq!((stage.open(), stage.connecting(), tasks()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn all_ends_with_a_closed_pool() {
    let (stage, connector) = stage();
    let pool = pool(&connector, &["a", "b"]).spawn();
    let client = client(pool.clone());
    call(&client, 1).await.unwrap();
    pool.close().await.unwrap();
    rest().await;
    // The connector's memory keeps nothing alive either.
    assert_eq!((stage.open(), tasks()), (0, 0));
    drop((pool, client, connector));
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_a_driver_serves() {
    let (_stage, connector) = stage();
    let (pool, driver): (_, Driver<Member, LeastLoaded>) = pool(&connector, &["a"]).build();
    drop(driver);
    assert_eq!(call(&client(pool), 1).await.unwrap(), "a:1#0");
}

/// A task that runs on after the runtime of its keepers has ended, such as a test's or a plugin's.
#[test]
fn a_service_ends_with_the_runtime_that_kept_it() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let (stage, connector) = stage();
    let pool = first.block_on(async {
        let pool = pool(&connector, &["a", "b"]).spawn();
        call(&client(pool.clone()), 1).await.unwrap();
        pool
    });
    drop(first);
    assert_eq!(stage.open(), 0);
    second.block_on(async {
        let error = call(&client(pool.clone()), 1).await.unwrap_err();
        assert!(matches!(why(&error), ConnectError::Ended), "{error:?}");
        // What has ended is not given to a new member.
        let anew = super::pool(&connector, &["a"]).spawn();
        assert_eq!(call(&client(anew), 1).await.unwrap(), "a:1#2");
    });
}
