//! axum in front of a pool: `cargo run --features http --example axum_server [-- ADDRESS HTTP_ORIGIN...]`.
//!
//! One route is this server's own; everything else is forwarded to whichever backend has the least in flight. Given an
//! address to listen at and backends, it serves those; without arguments it starts two backends and asks itself. A whole
//! reverse proxy has more to do, such as `Forwarded` and upgrades.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use equipoise::{
    Backend, Balance, BalanceLayer, BoxError, ErrorKind, LeastLoaded, Pool,
    http::{Http, HttpEndpoint, ToOrigin},
};
use http::{HeaderMap, StatusCode, Version, header::CONNECTION};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

type Balanced = Balance<ToOrigin<Client<HttpConnector, Body>>, HttpEndpoint, LeastLoaded, Http>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let Some(address) = arguments.next() else {
        return demonstrate().await;
    };
    let backends = arguments.map(|origin| origin.parse()).collect::<Result<_, _>>()?;
    let listener = TcpListener::bind(address).await?;
    Ok(axum::serve(listener, in_front_of(backends)).await?)
}

fn in_front_of(backends: Vec<HttpEndpoint>) -> Router {
    let pool = Pool::builder().backends(backends).spawn();
    let balanced: Balanced = BalanceLayer::http(pool).layer(Client::builder(TokioExecutor::new()).build_http());
    let router = Router::new().route("/status", get(status)).fallback(forward);
    router.with_state(balanced)
}

/// The backends, and what came of their requests.
async fn status(State(balanced): State<Balanced>) -> String {
    let members = balanced.pool().members().into_iter();
    members
        .map(|member| format!("{}: {:?}\n", member.backend.id(), member.tally))
        .collect()
}

/// Each request is given a clone of the state; all of them share the pool.
async fn forward(State(balanced): State<Balanced>, mut request: Request) -> Response {
    remove_hop_by_hop(request.headers_mut());
    *request.version_mut() = Version::HTTP_11;
    match balanced.oneshot(request).await {
        Ok(mut response) => {
            remove_hop_by_hop(response.headers_mut());
            // The lease goes along in the body: in flight until this server's client has read it, or has gone away.
            response.map(Body::new)
        }
        Err(error) if error.kind() == ErrorKind::Backend => StatusCode::BAD_GATEWAY.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// What is said to one connection is not for the next (RFC 9110, section 7.6.1).
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let mut names = "keep-alive, proxy-connection, te, transfer-encoding, upgrade".to_owned();
    for value in headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
    {
        names.extend([", ", value]);
    }
    headers.remove(CONNECTION);
    for name in names.split(',') {
        headers.remove(name.trim());
    }
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
