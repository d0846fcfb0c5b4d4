//! Who is not ready is passed by, and what becomes of requests when nobody is.

use std::io;

use equipoise::{Admission, ErrorKind, Event};
use futures_util::{FutureExt, StreamExt};

use super::*;
use script::Says;

async fn served(client: &Client, calls: u32) -> Vec<String> {
    let mut ids = Vec::new();
    for request in 0..calls {
        let answer = call(client, request).await.unwrap();
        ids.push(answer.split(':').next().unwrap().to_owned());
    }
    ids.sort();
    ids.dedup();
    ids
}

#[tokio::test(start_paused = true)]
async fn who_is_not_ready_is_passed_by_and_picked_again_without_a_publish() {
    let (stage, connector) = stage();
    stage.plan("c", Plan::Hang);
    stage.plan("d", Plan::Refuse);
    stage.one_at_a_time();
    stage.hold();
    let pool = pool(&connector, &["a", "b", "c", "d"]).spawn();
    let client = client(pool.clone());
    rest().await;
    use Condition::{Failing, Ready, Waiting};
    assert_eq!(conditions(&pool), [Ready, Ready, Waiting, Failing]);
    let mut events = pool.events();
    // Each is taken by one.
    let mut calls: Vec<_> = (0..2).map(|request| Box::pin(call(&client, request))).collect();
    for call in &mut calls {
        assert!(call.now_or_never().is_none());
    }
    assert_eq!(conditions(&pool), [Waiting, Waiting, Waiting, Failing]);
    assert_eq!((stage.link("a").calls(), stage.link("b").calls()), (1, 1));
    stage.link("b").answer(2);
    rest().await;
    let answers: Vec<_> = calls.iter_mut().filter_map(FutureExt::now_or_never).collect();
    assert_eq!(answers.len(), 1);
    rest().await;
    assert_eq!(conditions(&pool), [Waiting, Ready, Waiting, Failing]);
    assert_eq!(call(&client, 3).await.unwrap(), "b:1#1");
    stage.plan_all(Plan::Connect);
    tokio::time::sleep(seconds(1.0)).await;
    assert_eq!(conditions(&pool), [Waiting, Ready, Ready, Ready]);
    stage.link("b").answer(100);
    stage.link("c").answer(100);
    stage.link("d").answer(100);
    assert_eq!(served(&client, 60).await, ["b", "c", "d"]);
    assert_eq!(events.next().now_or_never(), None::<Option<Event>>);
}

#[tokio::test(start_paused = true)]
async fn a_ready_service_stays_ready_through_its_calls() {
    let (stage, connector) = stage();
    let pool = pool(&connector, &["a"]).spawn();
    let mut client = client(pool.clone());
    rest().await;
    for request in 0..10 {
        let response = client.ready().await.unwrap().call(request);
        // Before anything else has run.
        assert_eq!(conditions(&pool), [Condition::Ready]);
        response.await.unwrap();
    }
    // Once by the keeper, and before and after each call by its caller.
    assert_eq!(stage.link("a").polls(), 1 + 2 * 10);
}

#[tokio::test(start_paused = true)]
async fn a_call_to_a_ready_service_allocates_nothing() {
    let service = || tower::service_fn(|request: u32| std::future::ready(Ok::<_, io::Error>(request + 1)));
    let backends = ["a", "b"].map(|id| Connected::new(Endpoint::new(id, ()), service()));
    let pool = Pool::builder().backends(backends).spawn();
    let mut client = ServiceBuilder::new().layer(BalanceLayer::new(pool)).service(CallMember);
    client.ready().await.unwrap().call(1).await.unwrap();
    let mut answered = 0;
    let allocations = allocation_counter::measure(|| {
        for request in 0..100 {
            let response = client.call(request).now_or_never();
            answered += usize::from(matches!(response, Some(Ok(answer)) if answer == request + 1));
        }
    });
    assert_eq!((answered, allocations.count_total), (100, 0));
}

#[tokio::test(start_paused = true)]
async fn while_all_connect_requests_wait() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Hang);
    let pool = pool(&connector, &["a", "b"]).patience(seconds(2.0)).spawn();
    let client = client(pool);
    let mut calls: Vec<_> = (0..10).map(|request| Box::pin(call(&client, request))).collect();
    rest().await;
    for call in &mut calls {
        assert!(call.now_or_never().is_none());
    }
    tokio::time::sleep(seconds(1.0)).await;
    stage.plan("b", Plan::Connect);
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap(), "b:1#0");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Hang);
    let connector = connector.timeout(seconds(1000.0));
    let pool = pool(&connector, &["a"]).patience(seconds(2.0)).spawn();
    let start = tokio::time::Instant::now();
    let error = call(&client(pool), 1).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Unavailable, 2));
}

#[tokio::test(start_paused = true)]
async fn if_all_fail_the_error_says_who_and_why_at_once() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Refuse);
    let pool = pool(&connector, &["a", "b"]).spawn();
    let client = client(pool.clone());
    // The first learns it with the first attempts, the others before it.
    for _ in 0..10 {
        let start = tokio::time::Instant::now();
        let error = call(&client, 1).await.unwrap_err();
        assert!(start.elapsed() < seconds(0.002), "{:?}", start.elapsed());
        assert_eq!(error.kind(), ErrorKind::Backend);
        assert!(["a", "b"].contains(&error.backend().unwrap()));
        let connect = why(&error);
        assert!(matches!(connect, ConnectError::Failed(_)));
        let cause = connect.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
    }
    let failed: u64 = pool.members().iter().map(|member| member.tally.failed).sum();
    assert_eq!(failed, 10);
}

#[tokio::test(start_paused = true)]
async fn who_fails_is_tried_again_while_requests_fail_fast() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Refuse);
    let pool = pool(&connector, &["a"]).spawn();
    rest().await;
    // An attempt under way after a failure is no reason to wait: it may be the same again.
    stage.plan_all(Plan::Hang);
    tokio::time::sleep(seconds(1.0)).await;
    assert_eq!(stage.connecting(), 1);
    assert_eq!(conditions(&pool), [Condition::Failing]);
    stage.plan_all(Plan::Connect);
    rest().await;
    assert_eq!(conditions(&pool), [Condition::Ready]);
}

#[tokio::test(start_paused = true)]
async fn a_service_lost_between_pick_and_call_is_waited_for() {
    let (stage, connector) = stage();
    let pool = pool(&connector, &["a"]).spawn();
    let client = client(pool.clone());
    rest().await;
    // It changes its mind, and tells nobody: the pick cannot know.
    stage.link("a").says(Says::Pending);
    let start = tokio::time::Instant::now();
    let mut waiting = Box::pin(call(&client, 1));
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(pool.members()[0].in_flight, 1);
    assert_eq!(conditions(&pool), [Condition::Waiting]);
    tokio::time::sleep(seconds(4.0)).await;
    stage.link("a").says(Says::Ready);
    assert_eq!(waiting.await.unwrap(), "a:1#0");
    assert_eq!(start.elapsed().as_secs(), 4);
    assert_eq!(conditions(&pool), [Condition::Ready]);
    assert_eq!(pool.members()[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn that_wait_has_an_end() {
    let (stage, connector) = stage();
    let pool = pool(&connector.patience(seconds(3.0)), &["a"]).spawn();
    let client = client(pool.clone());
    rest().await;
    stage.link("a").says(Says::Pending);
    let start = tokio::time::Instant::now();
    let error = call(&client, 1).await.unwrap_err();
    assert!(matches!(why(&error), ConnectError::Unready), "{error:?}");
    assert_eq!((error.backend(), start.elapsed().as_secs()), (Some("a"), 3));
    // The next to come is not held up by who has gone.
    stage.link("a").says(Says::Ready);
    assert_eq!(call(&client, 1).await.unwrap(), "a:1#0");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_is_in_nobodys_way() {
    let (stage, connector) = stage();
    let pool = pool(&connector, &["a"]).spawn();
    let client = client(pool.clone());
    rest().await;
    stage.link("a").says(Says::Pending);
    let mut waiting = Box::pin(call(&client, 1));
    assert!((&mut waiting).now_or_never().is_none());
    stage.link("a").says(Says::Ready);
    drop(waiting);
    rest().await;
    assert_eq!(conditions(&pool), [Condition::Ready]);
    assert_eq!(pool.members()[0].tally.cancelled, 1);
    assert_eq!(call(&client, 1).await.unwrap(), "a:1#0");
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_with_a_limit_and_a_queue_serves_all() {
    let (stage, connector) = stage();
    stage.one_at_a_time();
    let pool = pool(&connector, &["a", "b", "c"])
        .in_flight_limit(1)
        .admission(Admission::Queue {
            capacity: 1000,
            deadline: seconds(5.0),
        })
        .spawn();
    let client = client(pool);
    let calls = (0..500).map(|request| call(&client, request));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(stage.links().iter().map(|link| link.calls()).sum::<usize>(), 500);
    assert_eq!(stage.links().len(), 3);
}

/// Without a limit more requests than one may come to a service: then all but one wait there, in turn.
#[test]
fn many_threads_lose_the_race_and_are_served_all_the_same() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (stage, connector) = stage();
        stage.one_at_a_time();
        // Nobody is sent here, however quickly the others turn from ready to taken and back.
        stage.plan("c", Plan::Refuse);
        let pool = pool(&connector, &["a", "b", "c"]).patience(seconds(60.0)).spawn();
        let client = client(pool.clone());
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    for request in 0..500 {
                        call(&client, request).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            tokio::time::timeout(seconds(60.0), task)
                .await
                .expect("it hangs")
                .unwrap();
        }
        assert_eq!(stage.links().iter().map(|link| link.calls()).sum::<usize>(), 8000);
        assert_eq!(stage.links().len(), 2);
        assert!(pool.members().iter().all(|member| member.in_flight == 0));
    });
}
