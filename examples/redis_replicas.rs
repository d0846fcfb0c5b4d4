//! redis, balanced by its clients: `cargo run --example redis_replicas -- PRIMARY REPLICA...`, each as HOST:PORT.
//!
//! Writes go to the primary. Reads go to whichever replica has the least in flight; one that fails is asked of another, and
//! who fails again and again is left alone for a while.
//! (The keys are named `equipoise:…`, and the server forgets them after a minute.)

use std::time::Duration;

use equipoise::{
    Assigned, Backend, BalanceLayer, BoxError, Endpoint, FailoverLayer, OutlierDetection, Pool, balance::Repeatable,
};
use redis::{
    Client, Cmd, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cmd,
};
use tokio::task::JoinSet;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

const KEYS: usize = 100;
const TASKS: usize = 8;
const READS: usize = 2000;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    let (Some((primary, replicas)), 2..) = (addresses.split_first(), addresses.len()) else {
        eprintln!("expected the addresses of redis servers: PRIMARY REPLICA..., each as HOST:PORT");
        std::process::exit(2);
    };
    let mut writer = connection(primary)?;
    for key in 0..KEYS {
        Cmd::set_ex(name(key), key, 60).exec_async(&mut writer).await?;
    }
    let copies: usize = cmd("WAIT")
        .arg(replicas.len())
        .arg(1000)
        .query_async(&mut writer)
        .await?;
    println!("{KEYS} keys written to {primary}, copies: {copies}");
    if copies == 0 {
        return Err("no replica follows the primary".into());
    }

    // A backend may be anything: here a replica's connection, which carries many requests at a time.
    let mut builder = Pool::builder().outlier_detection(OutlierDetection::new());
    for replica in replicas {
        builder = builder.backend(Endpoint::new(replica, connection(replica)?));
    }
    let pool = builder.spawn();
    let client = service_fn(async |call: Assigned<Cmd, Endpoint<ConnectionManager>>| {
        let mut connection = call.backend.target().clone();
        call.request.query_async::<Value>(&mut connection).await
    });
    let balanced = ServiceBuilder::new()
        // A read may be sent twice.
        .layer(FailoverLayer::new(Repeatable))
        .layer(BalanceLayer::new(pool.clone()))
        .service(client);

    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let mut replicas = balanced.clone();
        tasks.spawn(async move {
            for read in (task..READS).step_by(TASKS) {
                let key = read % KEYS;
                let value = replicas.ready().await?.call(Cmd::get(name(key))).await?;
                if redis::from_redis_value::<Option<usize>>(value)? != Some(key) {
                    return Err(format!("a replica has another value for {}", name(key)).into());
                }
                // There is to be time to stop a replica meanwhile.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }

    println!("{READS} reads, each answered with what was written");
    for member in pool.members() {
        let (id, tally) = (member.backend.id(), member.tally);
        println!("{id}: {} answered, {} failed", tally.succeeded, tally.failed);
        if tally.total() == 0 {
            return Err(format!("{id} was asked nothing").into());
        }
    }
    Ok(())
}

/// It connects when it is first used, and again when the connection was lost.
fn connection(address: &str) -> Result<ConnectionManager, BoxError> {
    let client = Client::open(format!("redis://{address}"))?;
    // Another replica is sooner there than this one's next try; the answer to WAIT takes a second.
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_response_timeout(Some(Duration::from_secs(2)));
    Ok(ConnectionManager::new_lazy_with_config(client, config)?)
}

fn name(key: usize) -> String {
    format!("equipoise:{key}")
}
