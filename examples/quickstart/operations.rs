//! What operators and accidents do while requests are under way.

use std::sync::Arc;

use equipoise::{AnySelector, Backend, BoxError, Event, Events, Pool, http::HttpEndpoint};
use futures_util::StreamExt;

use crate::{process::Fleet, traffic::Traffic};

/// Drains a, adds d, kills b. Returns how many requests were in flight at the kill.
pub(crate) async fn change(
    pool: &Pool<HttpEndpoint, AnySelector<HttpEndpoint>>,
    traffic: &Traffic,
    fleet: &mut Fleet,
) -> Result<usize, BoxError> {
    let handle = pool.handle();

    // An operator's way: nothing new goes there, and once nothing is open the process may end. Nobody notices.
    traffic.sent(1, 4).await;
    let mut events = pool.events();
    handle.drain("a").await?;
    while events.next().await.ok_or("the pool's driver has ended")? != (Event::Drained { id: "a".into() }) {}
    handle.remove("a").await?;
    fleet.retire("a").await?;

    // A backend takes its share as soon as it is a member.
    traffic.sent(2, 4).await;
    handle.insert(fleet.start("d").await?).await?;

    // An accident: the pool is not told, and b dies with requests open. Whoever looks after the process sees it end
    // and takes it out of the pool. Without health checks each request that is sent there in between would fail as
    // well, fast and with a typed error. Here none is begun until the member is gone, so that what was in flight at
    // the kill is a number that the failures can be held against.
    traffic.sent(3, 4).await;
    let pause = traffic.pause().await;
    let members = pool.members();
    let in_flight = (members.iter().find(|member| member.backend.id() == "b")).map_or(0, |member| member.in_flight);
    let status = fleet.crash("b").await?;
    handle.remove("b").await?;
    drop(pause);
    traffic.say(&format!("b died with {in_flight} requests in flight: {status}"));
    Ok(in_flight)
}

/// Tells what happens to the pool.
pub(crate) async fn tell(mut events: Events, traffic: Arc<Traffic>) {
    while let Some(event) = events.next().await {
        traffic.say(&format!("{event:?}"));
    }
}
