//! Real connections: hyper's `SendRequest`, which takes one request at a time and cannot be cloned.

use std::{
    convert::Infallible,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use equipoise::{Admission, Balance, BoxError};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
    header::HOST,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::*;

type Body = Full<Bytes>;

/// A connection to one server.
struct Connection(SendRequest<Body>);

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

async fn connect(backend: Endpoint<SocketAddr>) -> Result<Connection, BoxError> {
    let socket = TcpStream::connect(backend.target()).await?;
    let (sender, connection) = handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    Ok(Connection(sender))
}

/// A server that says its name, and counts its connections.
struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// The server closes each connection after so many answers.
async fn serve(name: &'static str, answers: usize) -> Server {
    serve_at(name, answers, (Ipv4Addr::LOCALHOST, 0).into()).await
}

async fn serve_at(name: &'static str, answers: usize, address: SocketAddr) -> Server {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let open = Arc::new(AtomicUsize::new(0));
    let counts = (Arc::clone(&accepted), Arc::clone(&open));
    let task = tokio::spawn(async move {
        let (accepted, open) = counts;
        // Connections end with the server.
        let mut connections = JoinSet::new();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            accepted.fetch_add(1, SeqCst);
            open.fetch_add(1, SeqCst);
            let open = Arc::clone(&open);
            connections.spawn(async move {
                let answered = AtomicUsize::new(0);
                let answer = service_fn(|request: Request<Incoming>| {
                    let last = answered.fetch_add(1, SeqCst) + 1 >= answers;
                    async move {
                        let path = request.uri().path().to_owned();
                        tokio::task::yield_now().await;
                        let mut response = Response::new(Body::from(format!("{name}{path}")));
                        if last {
                            response.headers_mut().insert("connection", "close".parse().unwrap());
                        }
                        Ok::<_, Infallible>(response)
                    }
                });
                let mut builder = hyper::server::conn::http1::Builder::new();
                let _ = builder
                    .keep_alive(true)
                    .serve_connection(TokioIo::new(socket), answer)
                    .await;
                open.fetch_sub(1, SeqCst);
            });
        }
    });
    Server {
        address,
        accepted,
        open,
        task,
    }
}

type Plain = Balance<CallMember, Connected<Endpoint<SocketAddr>, Connection, Request<Body>>, LeastLoaded>;

async fn get(mut client: Plain, path: String) -> Result<String, BoxError> {
    let request = Request::get(path).header(HOST, "test").body(Body::default())?;
    let response = client.ready().await?.call(request).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec())?)
}

/// All of so many requests at once.
async fn get_all(client: &Plain, requests: usize) -> Vec<Result<String, BoxError>> {
    let gets = (0..requests).map(|number| get(client.clone(), format!("/{number}")));
    let all = futures_util::future::join_all(gets);
    tokio::time::timeout(seconds(60.0), all).await.expect("it hangs")
}

fn assert_all_answered(answers: Vec<Result<String, BoxError>>) {
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = answer.unwrap();
        assert!(answer.ends_with(&format!("/{number}")), "{answer}");
    }
}

#[tokio::test]
async fn one_connection_a_member_serves_many_requests_one_at_a_time() {
    let servers = [
        serve("a", usize::MAX).await,
        serve("b", usize::MAX).await,
        serve("c", usize::MAX).await,
    ];
    let connector = Connector::new(tower::service_fn(connect));
    let backends = ["a", "b", "c"].iter().zip(&servers);
    let backends = backends.map(|(id, server)| connector.backend(Endpoint::new(*id, server.address)));
    // A lease of a plain protocol ends with the head: the body is still to come, and the connection not ready.
    let pool = Pool::builder()
        .backends(backends.collect::<Vec<_>>())
        .in_flight_limit(1)
        .admission(Admission::Queue {
            capacity: 1000,
            deadline: seconds(50.0),
        })
        .spawn();
    let client: Plain = ServiceBuilder::new()
        .layer(BalanceLayer::new(pool.clone()))
        .service(CallMember);
    assert_all_answered(get_all(&client, 300).await);
    for server in &servers {
        assert_eq!(server.accepted.load(SeqCst), 1);
    }
    let tallies: Vec<_> = pool.members().iter().map(|member| member.tally).collect();
    assert_eq!(
        tallies.iter().map(|tally| tally.succeeded).sum::<u64>(),
        300,
        "{tallies:?}"
    );
    assert!(
        tallies.iter().all(|tally| tally.failed == 0 && tally.cancelled == 0),
        "{tallies:?}"
    );
    // The connection closes with the membership.
    assert!(pool.handle().remove("a").await.unwrap());
    until(|| servers[0].open.load(SeqCst) == 0).await;
    assert_eq!(servers[1].open.load(SeqCst), 1);
}

/// In HTTP's protocol a request is in flight until its body has been read, which is when its connection is free.
#[cfg(feature = "http")]
#[tokio::test]
async fn a_lease_in_the_body_keeps_its_connection_to_itself() {
    let server = serve("a", usize::MAX).await;
    let connector = Connector::new(tower::service_fn(connect));
    let pool = Pool::builder()
        .backend(connector.backend(Endpoint::new("a", server.address)))
        .in_flight_limit(1)
        .admission(Admission::Queue {
            capacity: 1,
            deadline: seconds(50.0),
        })
        .spawn();
    let layer = BalanceLayer::with(
        pool.clone(),
        equipoise::http::Http::default(),
        tower::layer::util::Identity::new(),
    );
    let client = ServiceBuilder::new().layer(layer).service(CallMember);
    let request = || Request::get("/").header(HOST, "test").body(Body::default()).unwrap();
    let first = client.clone().ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(pool.members()[0].in_flight, 1);
    let second = tokio::spawn(async move { client.clone().ready().await?.call(request()).await });
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    assert_eq!(first.into_body().collect().await.unwrap().to_bytes(), "a/");
    let second = tokio::time::timeout(seconds(60.0), second).await.expect("it hangs");
    assert_eq!(
        second.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes(),
        "a/"
    );
    assert_eq!((pool.members()[0].in_flight, server.accepted.load(SeqCst)), (0, 1));
}

#[tokio::test]
async fn connections_that_close_after_each_answer_are_made_anew() {
    let server = serve("a", 1).await;
    let connector = Connector::new(tower::service_fn(connect));
    let pool = Pool::builder()
        .backend(connector.backend(Endpoint::new("a", server.address)))
        .in_flight_limit(1)
        .admission(Admission::Queue {
            capacity: 1000,
            deadline: seconds(50.0),
        })
        .spawn();
    let client: Plain = ServiceBuilder::new().layer(BalanceLayer::new(pool)).service(CallMember);
    assert_all_answered(get_all(&client, 50).await);
    assert!(server.accepted.load(SeqCst) >= 50);
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let server = serve("a", usize::MAX).await;
    let connector = Connector::new(tower::service_fn(connect));
    let pool = Pool::builder()
        .backend(connector.backend(Endpoint::new("a", server.address)))
        .spawn();
    let client: Plain = ServiceBuilder::new()
        .layer(BalanceLayer::new(pool.clone()))
        .service(CallMember);
    assert_eq!(get(client.clone(), "/1".to_owned()).await.unwrap(), "a/1");
    server.task.abort();
    let _ = server.task.await;
    // The last connection is found closed, and nobody listens.
    let failing = || pool.members()[0].condition == Condition::Failing;
    let error = loop {
        match get(client.clone(), "/2".to_owned()).await {
            Err(error) if failing() => break error,
            _ => tokio::time::sleep(seconds(0.005)).await,
        }
    };
    let error = error.downcast_ref::<Error>().unwrap();
    assert_eq!(error.backend(), Some("a"));
    let back = serve_at("b", usize::MAX, server.address).await;
    until(|| pool.members()[0].condition == Condition::Ready).await;
    assert_eq!(get(client.clone(), "/3".to_owned()).await.unwrap(), "b/3");
    assert_eq!(back.accepted.load(SeqCst), 1);
}

/// Waits for what happens on the other side of a socket.
async fn until(condition: impl Fn() -> bool) {
    let polling = async {
        while !condition() {
            tokio::time::sleep(seconds(0.005)).await;
        }
    };
    tokio::time::timeout(seconds(30.0), polling)
        .await
        .expect("it does not happen");
}

#[tokio::test]
async fn requests_wait_for_those_who_are_busy_rather_than_fail_with_one_who_is_dead() {
    let servers = [serve("a", usize::MAX).await, serve("b", usize::MAX).await];
    let dead = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let gone = dead.local_addr().unwrap();
    drop(dead);
    let connector = Connector::new(tower::service_fn(connect));
    let pool = Pool::builder()
        .backend(connector.backend(Endpoint::new("a", servers[0].address)))
        .backend(connector.backend(Endpoint::new("b", servers[1].address)))
        .backend(connector.backend(Endpoint::new("c", gone)))
        .in_flight_limit(1)
        .admission(Admission::Queue {
            capacity: 1000,
            deadline: seconds(50.0),
        })
        .spawn();
    until(|| pool.members()[2].condition == Condition::Failing && pool.members()[1].condition == Condition::Ready)
        .await;
    let client: Plain = ServiceBuilder::new().layer(BalanceLayer::new(pool)).service(CallMember);
    let answers = get_all(&client, 300).await;
    let lost: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(lost.is_empty(), "{} of 300 lost: {:?}", lost.len(), lost.first());
}
