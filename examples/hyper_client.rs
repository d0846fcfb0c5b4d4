//! hyper-util's client over several servers: `cargo run --features http --example hyper_client [-- HTTP_ORIGIN...]`.
//!
//! Without arguments it starts three servers itself. Thirty requests are sent at once: each goes to whoever has the
//! least in flight, so three equal backends get ten each.

use std::{convert::Infallible, net::Ipv4Addr};

use equipoise::{Backend, BalanceLayer, BoxError, Pool, http::HttpEndpoint};
use futures_util::future::try_join_all;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};

const REQUESTS: u64 = 30;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut backends = Vec::new();
    for origin in std::env::args().skip(1) {
        backends.push(origin.parse::<HttpEndpoint>()?);
    }
    let by_itself = backends.is_empty();
    if by_itself {
        for id in ["a", "b", "c"] {
            backends.push(start(id).await?);
        }
    }

    let pool = Pool::builder().backends(backends).spawn();
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut balanced = BalanceLayer::http(pool.clone()).layer(client);

    let mut answers = Vec::new();
    for _ in 0..REQUESTS {
        // The backend is picked within `call`, and the URI's scheme and authority become those of its origin.
        let answer = balanced.ready().await?.call(Request::get("/").body(Empty::new())?);
        // Until its body has ended, a request counts as in flight.
        answers.push(async { Ok::<_, BoxError>(answer.await?.into_body().collect().await?) });
    }
    try_join_all(answers).await?;

    let mut is_even = true;
    for member in pool.members() {
        println!("{}: {} requests", member.backend.id(), member.tally.succeeded);
        is_even &= member.tally.succeeded == REQUESTS / 3;
    }
    // What is given by argument may be any number, may have weights, and may fail.
    if by_itself && !is_even {
        return Err("three equal backends did not get the same".into());
    }
    Ok(())
}

/// Starts a server of HTTP/1.1 on a free port of this machine.
async fn start(id: &str) -> Result<HttpEndpoint, BoxError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let hello = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello\n"))));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), hello));
        }
    });
    Ok(format!("http://{address},id={id}").parse()?)
}
