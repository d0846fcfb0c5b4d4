//! axum in front of a pool: `cargo run --features proxy --example axum_server [-- ADDRESS HTTP_ORIGIN...]`.
//!
//! One route is this server's own; everything else is passed on to whichever backend has the least in flight. Given an
//! address to listen at and backends, it serves those; without arguments it starts two backends and asks itself.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{
    Router,
    extract::{Request, State},
    routing::get,
};
use equipoise::{
    Backend, BalanceLayer, BoxError, Pool,
    http::HttpEndpoint,
    proxy::{ProxyLayer, Upstream},
};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let Some(address) = arguments.next() else {
        return demonstrate().await;
    };
    let backends: Vec<HttpEndpoint> = arguments.map(|origin| origin.parse()).collect::<Result<_, _>>()?;
    if backends.is_empty() {
        eprintln!("expected an address to listen at and the origins of backends: ADDRESS HTTP_ORIGIN...");
        std::process::exit(2);
    }
    let listener = TcpListener::bind(address).await?;
    Ok(axum::serve(listener, in_front_of(backends)).await?)
}

fn in_front_of(backends: Vec<HttpEndpoint>) -> Router {
    let pool = Pool::builder().backends(backends).spawn();
    // What a proxy does to a request, then which backend, then the client for it.
    let proxy = ServiceBuilder::new()
        .layer(ProxyLayer::new())
        .layer(BalanceLayer::http(pool.clone()))
        .service(Upstream::new());
    let router = Router::new().route("/status", get(status));
    router.fallback_service(proxy).with_state(pool)
}

/// The backends, and what came of their requests.
async fn status(State(pool): State<Pool<HttpEndpoint>>) -> String {
    let members = pool.members().into_iter();
    members
        .map(|member| format!("{}: {:?}\n", member.backend.id(), member.tally))
        .collect()
}

async fn demonstrate() -> Result<(), BoxError> {
    let mut backends = Vec::new();
    for id in ["a", "b"] {
        let answer = async move |request: Request| format!("{id} was asked for {}", request.uri());
        let address = start(Router::new().fallback(answer)).await?;
        backends.push(format!("http://{address},id={id}").parse()?);
    }
    let front = start(in_front_of(backends)).await?;

    let mut answers = BTreeMap::new();
    for _ in 0..40 {
        let answer = reqwest::get(format!("http://{front}/some/path?q=1"))
            .await?
            .text()
            .await?;
        *answers.entry(answer).or_insert(0) += 1;
    }
    println!("{answers:#?}");
    print!(
        "{}",
        reqwest::get(format!("http://{front}/status")).await?.text().await?
    );
    match answers.keys().map(String::as_str).collect::<Vec<_>>()[..] {
        ["a was asked for /some/path?q=1", "b was asked for /some/path?q=1"] => Ok(()),
        _ => Err("expected answers of both backends, and of nobody else".into()),
    }
}

async fn start(router: Router) -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}
