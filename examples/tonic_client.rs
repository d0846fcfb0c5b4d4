//! gRPC, balanced call by call: `cargo run --features http --example tonic_client`.
//!
//! A gRPC client keeps one HTTP/2 connection and sends all its calls to whoever is at the other end. Here one generated
//! client is over three servers: each of its calls goes to the one with the least in flight, and a stream counts as in
//! flight until it has ended.

use std::{collections::BTreeMap, net::Ipv4Addr};

use equipoise::{Backend, BalanceLayer, BoxError, Pool, http::HttpEndpoint};
use http::{HeaderValue, Response};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tonic::{
    body::Body,
    metadata::MetadataMap,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
    server::{HealthReporter, health_reporter},
};
use tower::{Layer, util::MapResponseLayer};

const CALLS: usize = 60;
/// Where a server tells its name.
const BACKEND: &str = "x-backend";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut builder = Pool::builder();
    let mut servers = BTreeMap::new();
    for id in ["a", "b", "c"] {
        let (endpoint, reporter) = start(id).await?;
        builder = builder.backend(endpoint);
        servers.insert(id.to_owned(), reporter);
    }
    let pool = builder.spawn();

    // Small frames are not to wait for each other. (TLS: the connector of hyper-rustls, and origins of https.)
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let http2 = Client::builder(TokioExecutor::new()).http2_only(true).build(connector);
    let mut client = HealthClient::new(BalanceLayer::http(pool.clone()).layer(http2));

    let mut calls = BTreeMap::new();
    for _ in 0..CALLS {
        let response = client.check(HealthCheckRequest::default()).await?;
        *calls.entry(backend(response.metadata())?).or_insert(0) += 1;
    }
    println!("{CALLS} calls by one client: {calls:?}");

    let mut streams = BTreeMap::new();
    for _ in 0..servers.len() {
        let response = client.watch(request("job")).await?;
        streams.insert(backend(response.metadata())?, response.into_inner());
    }
    let is_one_each = streams.len() == servers.len() && in_flight(&pool).iter().all(|(_, streams)| *streams == 1);
    println!("one stream at each: in flight {:?}", in_flight(&pool));

    // The server of b ends its stream: now b is the least loaded.
    let (reporter, stream) = servers.get_mut("b").zip(streams.get_mut("b")).ok_or("no stream at b")?;
    reporter.clear_service_status("job").await;
    while stream.message().await?.is_some() {}
    println!("the stream at b has ended: in flight {:?}", in_flight(&pool));
    let next = client.check(HealthCheckRequest::default()).await?;
    let next = backend(next.metadata())?;
    println!("the next call went to {next}");

    match (calls.len(), is_one_each, next.as_str()) {
        (3, true, "b") => Ok(()),
        _ => Err("expected calls at all three, a stream at each, and the call after b's stream at b".into()),
    }
}

fn request(service: &str) -> HealthCheckRequest {
    let service = service.to_owned();
    HealthCheckRequest { service }
}

fn in_flight(pool: &Pool<HttpEndpoint>) -> BTreeMap<String, usize> {
    let members = pool.members().into_iter();
    members
        .map(|member| (member.backend.id().to_owned(), member.in_flight))
        .collect()
}

/// Who sent this.
fn backend(metadata: &MetadataMap) -> Result<String, BoxError> {
    Ok(metadata
        .get(BACKEND)
        .ok_or("a server did not tell its name")?
        .to_str()?
        .to_owned())
}

/// Starts a gRPC server on a free port of this machine, with the health service that comes with tonic.
async fn start(id: &'static str) -> Result<(HttpEndpoint, HealthReporter), BoxError> {
    let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into())?.with_nodelay(Some(true));
    let address = incoming.local_addr()?;
    let (reporter, service) = health_reporter();
    reporter.set_service_status("job", ServingStatus::Serving).await;
    let name = MapResponseLayer::new(move |mut response: Response<Body>| {
        response.headers_mut().insert(BACKEND, HeaderValue::from_static(id));
        response
    });
    tokio::spawn(Server::builder().layer(name).serve_with_incoming(service, incoming));
    Ok((format!("http://{address},id={id}").parse()?, reporter))
}
