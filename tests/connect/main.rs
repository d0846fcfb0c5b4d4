//! Members that have services of their own. Time is tokio's, paused, except where real sockets are.
#![cfg(all(feature = "connect", not(loom)))]

mod http1;
mod keeping;
mod limits;
mod panics;
mod readiness;
mod reconnecting;
mod script;
mod services;
#[cfg(feature = "tracing")]
mod told;
mod updates;

use std::{error::Error as _, time::Duration};

use equipoise::{
    Balance, BalanceLayer, Condition, Endpoint, Error, Handle, LeastLoaded, Pool, PoolBuilder,
    connect::{CallMember, ConnectError, Connected, Connector},
};
use script::{Link, Plan, Stage};
use tower::{Service, ServiceBuilder, ServiceExt};

/// A member whose target is a port, and whose service a script makes.
type Member = Connected<Endpoint<u16>, Link, u32>;
type Scripted = Connector<Endpoint<u16>, Stage, u32>;
type Client = Balance<CallMember, Member, LeastLoaded>;

/// A stage, and a connector whose services appear on it.
fn stage() -> (Stage, Scripted) {
    let stage = Stage::default();
    let connector = Connector::new(stage.clone()).seed(7);
    (stage, connector)
}

fn members(connector: &Scripted, ids: &[&str]) -> Vec<Member> {
    ids.iter().map(|id| connector.backend(Endpoint::new(*id, 1))).collect()
}

fn pool(connector: &Scripted, ids: &[&str]) -> PoolBuilder<Member> {
    Pool::builder().backends(members(connector, ids)).seed(3)
}

fn client(pool: Pool<Member>) -> Client {
    ServiceBuilder::new().layer(BalanceLayer::new(pool)).service(CallMember)
}

/// One call through a clone, as a server's handlers make them. Nothing takes an hour here.
async fn call(client: &Client, request: u32) -> Result<String, Error> {
    let mut client = client.clone();
    let response = client.ready().await?.call(request);
    tokio::time::timeout(seconds(3600.0), response).await.expect("it hangs")
}

/// Lets every task run until none has anything to do.
async fn rest() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn conditions(pool: &Pool<Member>) -> Vec<Condition> {
    pool.members().iter().map(|member| member.condition).collect()
}

async fn remove(handle: &Handle<Member>, id: &str) {
    assert!(handle.remove(id).await.unwrap());
}

/// Why a call did not come to a service.
fn why(error: &Error) -> &ConnectError {
    error.source().unwrap().downcast_ref().unwrap()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Tasks of this runtime that have not ended: drivers and keepers.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}
