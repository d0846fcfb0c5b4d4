//! reqwest over several servers: `cargo run --features http --example reqwest_client`.
//!
//! reqwest has request and response types of its own, which tower translates; whatever its client was built with
//! (time-outs, TLS, proxies) holds. One of the three servers here is slow: eight tasks send requests, and whenever it is
//! still busy with its share, the others get the next.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::Router;
use equipoise::{Backend, BalanceLayer, BoxError, Pool, http::HttpEndpoint};
use http::Request;
use tokio::{net::TcpListener, task::JoinSet};
use tower::{Service, ServiceBuilder, ServiceExt};

const REQUESTS: u64 = 400;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let pool = Pool::builder()
        .backend(start("a", Duration::from_millis(2)).await?)
        .backend(start("b", Duration::from_millis(2)).await?)
        .backend(start("slow", Duration::from_millis(100)).await?)
        .spawn();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let balanced = ServiceBuilder::new()
        .layer(BalanceLayer::http(pool.clone()))
        .map_response(http::Response::<reqwest::Body>::from)
        .filter(|request: Request<reqwest::Body>| reqwest::Request::try_from(request))
        .service(client);

    let mut tasks = JoinSet::new();
    let begun = Arc::new(AtomicU64::new(0));
    for _ in 0..8 {
        // Clones share the pool's live state: each sees what the others have in flight.
        let (mut balanced, begun) = (balanced.clone(), Arc::clone(&begun));
        tasks.spawn(async move {
            while begun.fetch_add(1, Relaxed) < REQUESTS {
                let request = Request::get("/hello").body(reqwest::Body::default())?;
                let response = balanced.ready().await?.call(request).await?;
                // Back to reqwest's own type, for its ways to read a body; until then the request is in flight.
                let response = reqwest::Response::from(response.map(reqwest::Body::wrap));
                response.error_for_status()?.text().await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }

    let (mut all, mut slow) = (0, 0);
    for member in pool.members() {
        let (id, answered) = (member.backend.id(), member.tally.succeeded);
        println!("{id}: {answered} requests");
        all += answered;
        slow += if id == "slow" { answered } else { 0 };
    }
    // By turns it would be every third.
    if all != REQUESTS || slow == 0 || slow > REQUESTS / 5 {
        return Err("expected an answer to each request, of the slow backend to one in five at most".into());
    }
    Ok(())
}

/// Starts a server on a free port of this machine that takes its time.
async fn start(id: &'static str, delay: Duration) -> Result<HttpEndpoint, BoxError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let hello = move || async move {
        tokio::time::sleep(delay).await;
        "hello\n"
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(hello)).await });
    Ok(format!("http://{address},id={id}").parse()?)
}
