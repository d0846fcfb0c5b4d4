//! How many connect at once, and how many are connected.

use tower::limit::ConcurrencyLimitLayer;

use super::*;
use script::Says;

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|id| format!("{id:04}")).collect()
}

fn many(connector: &Scripted, count: usize) -> PoolBuilder<Member> {
    let ids = ids(count);
    pool(connector, &ids.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test(start_paused = true)]
async fn so_many_connect_at_once_and_the_first_to_come_comes_first() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Hang);
    let pool = many(&connector.connecting_limit(3), 8).spawn();
    rest().await;
    assert_eq!(stage.order(), ["0000", "0001", "0002"]);
    stage.plan("0001", Plan::Connect);
    rest().await;
    assert_eq!(stage.order()[3..], ["0003"]);
    // A failure makes room as well, and so does one who leaves.
    stage.plan("0002", Plan::Refuse);
    rest().await;
    assert_eq!(stage.order()[4..], ["0004"]);
    remove(&pool.handle(), "0000").await;
    rest().await;
    assert_eq!(stage.order()[5..], ["0005"]);
    // Who has gone while it waited is left out.
    remove(&pool.handle(), "0006").await;
    stage.plan("0003", Plan::Connect);
    rest().await;
    assert_eq!(stage.order()[6..], ["0007"]);
    assert_eq!((stage.connecting(), stage.most_connecting()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn servers_that_hang_do_not_hold_up_those_that_would_answer() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Hang);
    let _pool = many(&connector.connecting_limit(3), 8).spawn();
    rest().await;
    assert_eq!(stage.order().len(), 3);
    // Long before any of them has timed out.
    tokio::time::sleep(seconds(0.6)).await;
    rest().await;
    assert_eq!(stage.order().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn so_many_are_connected_and_the_others_wait_their_turn() {
    let (stage, connector) = stage();
    let pool = many(&connector.connection_limit(2), 5).spawn();
    let client = client(pool.clone());
    rest().await;
    use Condition::{Failing, Ready, Waiting};
    assert_eq!(conditions(&pool), [Ready, Ready, Waiting, Waiting, Waiting]);
    for request in 0..20 {
        call(&client, request).await.unwrap();
    }
    assert_eq!(
        (stage.order(), stage.open()),
        (vec!["0000".to_owned(), "0001".to_owned()], 2)
    );
    remove(&pool.handle(), "0000").await;
    rest().await;
    assert_eq!((stage.order()[2..].join(" "), stage.open()), ("0002".to_owned(), 2));
    // A connection that is lost after it has served is made anew in its place, unless that fails.
    stage.link("0001").says(Says::Broken);
    for request in 0..20 {
        call(&client, request).await.unwrap();
    }
    assert_eq!((stage.order()[3..].join(" "), stage.open()), ("0001".to_owned(), 2));
    stage.plan("0001", Plan::Refuse);
    stage.link("0001").says(Says::Broken);
    for request in 0..20 {
        // The one that finds out is told why.
        if let Err(error) = call(&client, request).await {
            assert!(matches!(why(&error), ConnectError::Failed(_)), "{error:?}");
        }
    }
    rest().await;
    assert_eq!(
        (stage.order()[4..].join(" "), stage.open()),
        ("0001 0003".to_owned(), 2)
    );
    assert_eq!(conditions(&pool), [Failing, Ready, Ready, Waiting]);
}

#[tokio::test(start_paused = true)]
async fn who_fails_to_connect_has_no_place_meanwhile() {
    let (stage, connector) = stage();
    stage.plan("0000", Plan::Refuse);
    let pool = many(&connector.connection_limit(1), 2).spawn();
    rest().await;
    assert_eq!(conditions(&pool), [Condition::Failing, Condition::Ready]);
    tokio::time::sleep(seconds(60.0)).await;
    assert_eq!(stage.order(), ["0000", "0001"]);
    remove(&pool.handle(), "0001").await;
    rest().await;
    assert_eq!(stage.order(), ["0000", "0001", "0000"]);
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_when_the_service_is_gone_and_not_before() {
    let (stage, connector) = stage();
    stage.hold();
    let pool = many(&connector.connection_limit(1), 2).spawn();
    let client = client(pool.clone());
    let open = tokio::spawn(async move { call(&client, 1).await });
    rest().await;
    remove(&pool.handle(), "0000").await;
    tokio::time::sleep(seconds(60.0)).await;
    assert_eq!(stage.order(), ["0000"]);
    stage.link("0000").answer(1);
    open.await.unwrap().unwrap();
    rest().await;
    assert_eq!(stage.order(), ["0000", "0001"]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_members_connect_a_few_at_a_time() {
    let (stage, connector) = stage();
    stage.plan_all(Plan::Hang);
    let pool = many(&connector, 1000).spawn();
    rest().await;
    assert_eq!((stage.connecting(), stage.attempts().len()), (32, 32));
    stage.plan_all(Plan::Connect);
    rest().await;
    assert_eq!((stage.open(), stage.most_connecting()), (1000, 32));
    assert_eq!(stage.order(), ids(1000));
    let client = client(pool.clone());
    for request in 0..5000 {
        call(&client, request).await.unwrap();
    }
    assert_eq!(stage.links().len(), 1000);
    assert!(conditions(&pool).iter().all(|condition| *condition == Condition::Ready));
    let used = stage.links().iter().filter(|link| link.calls() > 0).count();
    assert!(used > 900, "{used}");
    drop((pool, client));
    rest().await;
    assert_eq!((stage.open(), tasks()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_makers_own_readiness_is_waited_for() {
    let (stage, _) = stage();
    stage.plan_all(Plan::Hang);
    let maker = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(2))
        .service(stage.clone());
    let connector = Connector::new(maker);
    let backends = ["a", "b", "c"].map(|id| connector.backend(Endpoint::new(id, 1)));
    let pool = Pool::builder().backends(backends).spawn();
    // Longer than an attempt may take: it does not count until it has begun.
    tokio::time::sleep(seconds(4.0)).await;
    assert_eq!(stage.order(), ["a", "b"]);
    stage.plan("a", Plan::Connect);
    tokio::time::sleep(seconds(2.0)).await;
    assert_eq!(stage.order()[..3], ["a", "b", "c"]);
    use Condition::{Failing, Ready, Waiting};
    let conditions: Vec<_> = pool.members().iter().map(|member| member.condition).collect();
    assert_eq!(conditions, [Ready, Failing, Waiting]);
}
