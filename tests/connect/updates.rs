//! An update that changes nothing of how a backend is reached keeps its connection.

use equipoise::{Backend, BoxError};
use futures_util::FutureExt;

use super::*;

#[tokio::test(start_paused = true)]
async fn another_weight_keeps_the_connection() {
    let (stage, connector) = stage();
    let pool = pool(&connector, &["a"]).spawn();
    let client = client(pool.clone());
    call(&client, 1).await.unwrap();
    for weight in [2, 0, 7] {
        let update = Endpoint::new("a", 1).with_weight(weight).with_priority(1);
        assert!(pool.handle().update(connector.backend(update)).await.unwrap());
        let members = pool.members();
        assert_eq!(members[0].backend.weight(), weight);
        assert_eq!(members[0].backend.get_ref().weight(), weight);
        assert_eq!(members[0].condition, Condition::Ready);
    }
    assert_eq!(call(&client, 1).await.unwrap(), "a:1#0");
    tokio::time::sleep(seconds(60.0)).await;
    assert_eq!((stage.links().len(), stage.open(), tasks()), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn another_target_has_a_connection_of_its_own() {
    let (stage, connector) = stage();
    stage.hold();
    let pool = pool(&connector, &["a"]).spawn();
    let client = client(pool.clone());
    let open = tokio::spawn({
        let client = client.clone();
        async move { call(&client, 1).await }
    });
    rest().await;
    let old = stage.link("a");
    assert!(
        pool.handle()
            .update(connector.backend(Endpoint::new("a", 2)))
            .await
            .unwrap()
    );
    rest().await;
    let new = stage.link("a");
    assert_eq!((old.port, new.port, stage.open()), (1, 2, 2));
    new.answer(1);
    assert_eq!(call(&client, 1).await.unwrap(), "a:2#1");
    assert!(!old.is_dropped());
    // The old one serves out its leases, and is gone then.
    old.answer(1);
    assert_eq!(open.await.unwrap().unwrap(), "a:1#0");
    // The pool looks every now and then whether a backend that was replaced has come to rest.
    tokio::time::sleep(seconds(1.0)).await;
    assert!(old.is_dropped() && !new.is_dropped());
    assert_eq!(tasks(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_while_a_lease_is_open_finds_the_connection_there() {
    let (stage, connector) = stage();
    stage.hold();
    let pool = pool(&connector, &["a"]).spawn();
    let client = client(pool.clone());
    let mut open = Box::pin(call(&client, 1));
    assert!((&mut open).now_or_never().is_none());
    rest().await;
    assert!((&mut open).now_or_never().is_none());
    remove(&pool.handle(), "a").await;
    assert!(
        pool.handle()
            .insert(connector.backend(Endpoint::new("a", 1)))
            .await
            .unwrap()
    );
    assert_eq!(conditions(&pool), [Condition::Ready]);
    stage.link("a").answer(2);
    open.await.unwrap();
    assert_eq!(call(&client, 1).await.unwrap(), "a:1#0");
    // And who comes back later does not.
    remove(&pool.handle(), "a").await;
    assert_eq!(stage.open(), 0);
    assert!(
        pool.handle()
            .insert(connector.backend(Endpoint::new("a", 1)))
            .await
            .unwrap()
    );
    rest().await;
    assert_eq!((stage.open(), stage.links().len()), (1, 2));
}

/// A backend that is no endpoint.
#[derive(Clone)]
struct Shard {
    name: String,
    port: u16,
    note: u32,
}

impl Backend for Shard {
    fn id(&self) -> &str {
        &self.name
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_the_same_is_ones_own_to_say() {
    let (stage, _) = stage();
    let maker = tower::util::MapRequest::new(stage.clone(), |shard: Shard| Endpoint::new(shard.name, shard.port));
    let connector = Connector::with(maker, |one: &Shard, other| one.port == other.port);
    let shard = |port, note| Shard {
        name: "a".to_owned(),
        port,
        note,
    };
    let pool = Pool::builder().backend(connector.backend(shard(1, 1))).spawn();
    let mut client = ServiceBuilder::new()
        .layer(BalanceLayer::new(pool.clone()))
        .service(CallMember);
    assert_eq!(client.ready().await.unwrap().call(1).await.unwrap(), "a:1#0");
    pool.handle().update(connector.backend(shard(1, 2))).await.unwrap();
    assert_eq!(client.ready().await.unwrap().call(1).await.unwrap(), "a:1#0");
    assert_eq!(pool.members()[0].backend.get_ref().note, 2);
    pool.handle().update(connector.backend(shard(2, 2))).await.unwrap();
    assert_eq!(client.ready().await.unwrap().call(1).await.unwrap(), "a:2#1");
}

#[tokio::test(start_paused = true)]
async fn discovery_goes_through_the_connector() {
    use tower::discover::Change;
    let (stage, connector) = stage();
    let (found, changes) = tokio::sync::mpsc::unbounded_channel();
    let changes = futures_util::stream::unfold(changes, async |mut changes| {
        let change: Change<u32, Endpoint<u16>> = changes.recv().await?;
        Some((Ok::<_, BoxError>(change), changes))
    });
    let pool = Pool::builder().discover(connector.discover(changes)).spawn();
    let client = client(pool.clone());
    found.send(Change::Insert(1, Endpoint::new("a", 1))).unwrap();
    found.send(Change::Insert(2, Endpoint::new("b", 1))).unwrap();
    call(&client, 1).await.unwrap();
    rest().await;
    assert_eq!(stage.open(), 2);
    found
        .send(Change::Insert(1, Endpoint::new("a", 1).with_weight(9)))
        .unwrap();
    found.send(Change::Remove(2)).unwrap();
    rest().await;
    assert_eq!((stage.links().len(), stage.open()), (2, 1));
    assert_eq!(pool.members()[0].backend.weight(), 9);
    // Removed and inserted at once: it never left.
    found.send(Change::Remove(1)).unwrap();
    found.send(Change::Insert(3, Endpoint::new("a", 1))).unwrap();
    rest().await;
    assert_eq!((stage.links().len(), stage.open()), (2, 1));
    assert_eq!(call(&client, 1).await.unwrap(), "a:1#0");
}
