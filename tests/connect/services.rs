//! Services that were given, as tower's own balancer takes them.

use std::convert::Infallible;

use equipoise::{Backend, connect::ServiceDiscover};
use futures_util::{StreamExt, stream};
use script::{Remote, Says};
use tower::discover::{Change, ServiceList};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_list_of_services_is_a_discovery() {
    let remotes = ["x", "y", "z"].map(Remote::new);
    let list = ServiceList::new::<u32>(remotes.iter().map(Remote::link).collect::<Vec<_>>());
    let pool = Pool::builder().discover(ServiceDiscover::new(list)).seed(1).spawn();
    let mut client = ServiceBuilder::new()
        .layer(BalanceLayer::new(pool.clone()))
        .service(CallMember);
    for request in 0..300 {
        client.ready().await.unwrap().call(request).await.unwrap();
    }
    assert!(remotes.iter().all(|remote| remote.calls() > 50));
    // The key is the target, and its text the id.
    let ids: Vec<_> = pool
        .members()
        .iter()
        .map(|member| member.backend.id().to_owned())
        .collect();
    assert_eq!(ids, ["0", "1", "2"]);
    assert_eq!(*pool.members()[2].backend.get_ref().target(), 2_usize);
}

#[tokio::test(start_paused = true)]
async fn who_has_failed_fails_for_good_until_it_is_replaced() {
    let remotes = ["x", "y", "z"].map(Remote::new);
    let (found, changes) = tokio::sync::mpsc::unbounded_channel::<Change<&'static str, script::Link>>();
    let changes = stream::unfold(changes, async |mut changes| {
        let change = changes.recv().await?;
        Some((Ok::<_, Infallible>(change), changes))
    });
    let pool = Pool::builder().discover(ServiceDiscover::new(changes.boxed())).spawn();
    let mut client = ServiceBuilder::new()
        .layer(BalanceLayer::new(pool.clone()))
        .service(CallMember);
    let conditions = || pool.members().iter().map(|member| member.condition).collect::<Vec<_>>();
    found.send(Change::Insert("a", remotes[0].link())).unwrap();
    found.send(Change::Insert("b", remotes[1].link())).unwrap();
    client.ready().await.unwrap().call(1).await.unwrap();
    rest().await;
    assert_eq!(tasks(), 3);
    remotes[0].says(Says::Broken);
    for request in 0..100 {
        // One of them comes to the broken one, which was ready when it was asked last, and learns what has become of it.
        if let Err(error) = client.ready().await.unwrap().call(request).await {
            assert!(matches!(why(&error), ConnectError::Lost(_)), "{error:?}");
            assert_eq!(error.backend(), Some("a"));
        }
    }
    assert!(remotes[1].calls() >= 98);
    assert!(remotes[0].is_dropped());
    tokio::time::sleep(seconds(600.0)).await;
    assert_eq!(conditions(), [Condition::Failing, Condition::Ready]);
    assert_eq!(tasks(), 2);
    remotes[1].says(Says::Broken);
    let mut lost = 0;
    for request in 0..10 {
        let error = client.ready().await.unwrap().call(request).await.unwrap_err();
        lost += usize::from(matches!(why(&error), ConnectError::Lost(_)));
    }
    assert_eq!(lost, 10);
    found.send(Change::Insert("a", remotes[2].link())).unwrap();
    rest().await;
    assert_eq!(client.ready().await.unwrap().call(1).await.unwrap(), "z:1#0");
    found.send(Change::Remove("a")).unwrap();
    rest().await;
    assert!(remotes[2].is_dropped());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_busy_is_passed_by() {
    let remotes = ["x", "y"].map(Remote::new);
    let members = ["a", "b"].iter().zip(&remotes);
    let members = members.map(|(id, remote)| Connected::new(Endpoint::new(*id, 1), remote.link()));
    let pool: Pool<Member> = Pool::builder().backends(members.collect::<Vec<_>>()).spawn();
    let client = client(pool.clone());
    remotes[0].says(Says::Pending);
    rest().await;
    for request in 0..50 {
        call(&client, request).await.unwrap();
    }
    assert_eq!((remotes[0].calls(), remotes[1].calls()), (0, 50));
    remotes[0].says(Says::Ready);
    rest().await;
    for request in 0..50 {
        call(&client, request).await.unwrap();
    }
    assert!(remotes[0].calls() > 10);
    drop((pool, client));
    rest().await;
    assert!(remotes.iter().all(Remote::is_dropped));
}
