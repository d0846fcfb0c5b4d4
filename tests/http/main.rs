//! Real HTTP/1.1 over loopback sockets: hyper servers, and hyper-util's client under `BalanceLayer::http`.
//!
//! Client and servers share the one thread of a test's runtime. What a request leaves behind in its pool is asserted at
//! once, without waiting: a lease is settled within the poll, or the drop, that ends its request.
#![cfg(all(feature = "http", feature = "tokio"))]

mod exhaustion;
mod failover;
mod keyed;
mod reqwest_client;

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use equipoise::{
    Backend, Balance, BalanceLayer, BoxError, Error, ErrorKind, LeastLoaded, Pool, RoundRobin, Selector,
    http::{Http, HttpEndpoint, LeasedBody, ToOrigin},
};
use futures_channel::{mpsc, oneshot};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body as _, Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::{TcpListener, TcpSocket};
use tower::{Layer, Service, ServiceExt};

type Body = UnsyncBoxBody<Bytes, BoxError>;
type Balanced<S = LeastLoaded> = Balance<ToOrigin<Client<HttpConnector, Body>>, HttpEndpoint, S, Http>;

/// What is to be read of a body next.
type Chunks = mpsc::UnboundedSender<Result<Frame<Bytes>, BoxError>>;

fn empty() -> Body {
    Empty::new().map_err(BoxError::from).boxed_unsync()
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(BoxError::from).boxed_unsync()
}

/// A body of unknown length that yields what the test sends, and ends with its sender.
fn streamed() -> (Chunks, Body) {
    let (chunks, body) = mpsc::unbounded();
    (chunks, StreamBody::new(body).boxed_unsync())
}

fn send_data(chunks: &Chunks, text: &'static str) {
    chunks.unbounded_send(Ok(Frame::data(Bytes::from(text)))).unwrap();
}

/// Sockets are involved: whatever hangs ends the test.
async fn soon<F: Future>(future: F) -> F::Output {
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, future).await.expect("within 20 s")
}

/// Serves for as long as the test runs.
async fn serve<A, R>(answer: A) -> SocketAddr
where
    A: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| answer(request).map(Ok::<_, Infallible>));
            // A connection that breaks off is what some tests are about.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// Gives these answers, in order.
async fn serve_all(answers: impl IntoIterator<Item = Response<Body>>) -> SocketAddr {
    let answers = Arc::new(Mutex::new(VecDeque::from_iter(answers)));
    serve(move |_| {
        let next = answers.lock().unwrap().pop_front().expect("an answer for each request");
        async move { next }
    })
    .await
}

fn endpoint(id: &str, address: SocketAddr) -> HttpEndpoint {
    format!("http://{address},id={id}").parse().unwrap()
}

/// A pool of this one backend, `a`, and a client over it.
fn only(address: SocketAddr) -> (Pool<HttpEndpoint>, Balanced) {
    let pool = Pool::builder().backend(endpoint("a", address)).spawn();
    let client = balanced(&pool);
    (pool, client)
}

fn balanced<S: Selector<HttpEndpoint>>(pool: &Pool<HttpEndpoint, S>) -> Balanced<S> {
    BalanceLayer::http(pool.clone()).layer(Client::builder(TokioExecutor::new()).build_http())
}

async fn send<S: Selector<HttpEndpoint>>(
    client: &mut Balanced<S>,
    request: Request<Body>,
) -> Result<Response<LeasedBody<Incoming>>, Error> {
    soon(async { client.ready().await?.call(request).await }).await
}

async fn get<S: Selector<HttpEndpoint>>(client: &mut Balanced<S>, uri: &str) -> Response<LeasedBody<Incoming>> {
    send(client, request(uri, empty())).await.unwrap()
}

fn request(uri: &str, body: Body) -> Request<Body> {
    Request::builder().uri(uri).body(body).unwrap()
}

async fn text(response: Response<LeasedBody<Incoming>>) -> String {
    let body = soon(response.into_body().collect()).await.unwrap();
    String::from_utf8(body.to_bytes().into()).unwrap()
}

async fn next_data(body: &mut (impl hyper::body::Body<Data = Bytes, Error: std::fmt::Debug> + Unpin)) -> Bytes {
    soon(body.frame()).await.unwrap().unwrap().into_data().unwrap()
}

/// What a member has in flight and how its other requests have ended, such as `1 in flight, 2 failed`.
fn state<S: Selector<HttpEndpoint>>(pool: &Pool<HttpEndpoint, S>, id: &str) -> String {
    let members = pool.members();
    let member = members.iter().find(|member| member.backend.id() == id).unwrap();
    let tally = member.tally;
    let counts = [
        (member.in_flight as u64, "in flight"),
        (tally.succeeded, "succeeded"),
        (tally.failed, "failed"),
        (tally.cancelled, "cancelled"),
        (tally.broken, "broken"),
    ];
    let told = counts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<_> = told.map(|(count, what)| format!("{count} {what}")).collect();
    told.join(", ")
}

/// A server that answers with the backend's id.
async fn named(id: &'static str) -> HttpEndpoint {
    endpoint(id, serve(move |_| async move { Response::new(full(id)) }).await)
}

/// Who serves the next nine requests, in alphabetical order.
async fn nine<S: Selector<HttpEndpoint>>(client: &mut Balanced<S>) -> String {
    let mut served = Vec::new();
    for _ in 0..9 {
        served.push(text(get(client, "/").await).await);
    }
    served.sort();
    served.concat()
}

#[tokio::test]
async fn requests_spread_over_backends_that_come_and_go() {
    let backends = [named("a").await, named("b").await, named("c").await];
    let pool = Pool::builder().selector(RoundRobin::new()).backends(backends).spawn();
    let mut client = balanced(&pool);
    assert_eq!(nine(&mut client).await, "aaabbbccc");

    pool.handle().remove("a").await.unwrap();
    pool.handle().insert(named("d").await).await.unwrap();
    assert_eq!(nine(&mut client).await, "bbbcccddd");
    let states = ["b", "c", "d"].map(|id| state(&pool, id));
    assert_eq!(states, ["6 succeeded", "6 succeeded", "3 succeeded"]);
}

/// What the server sees of a request's address.
async fn echo_address(request: Request<Incoming>) -> Response<Body> {
    let host = request.headers()[header::HOST].to_str().unwrap();
    Response::new(full(format!("{host} {}", request.uri())))
}

#[tokio::test]
async fn the_authority_is_the_backends_and_path_and_query_are_the_requests() {
    let address = serve(echo_address).await;
    let (_pool, mut client) = only(address);
    for (uri, path) in [
        ("/p/q?r=1&s=%20", "/p/q?r=1&s=%20"),
        ("http://elsewhere.example:81/p?q", "/p?q"),
        ("http://elsewhere.example", "/"),
        // The client's connector refuses any scheme but `http`.
        ("https://elsewhere.example/p", "/p"),
    ] {
        let seen = text(get(&mut client, uri).await).await;
        assert_eq!(seen, format!("{address} {path}"), "{uri}");
    }
    let named = Request::get("/p").header(header::HOST, "shop.example");
    let response = send(&mut client, named.body(empty()).unwrap()).await.unwrap();
    assert_eq!(
        text(response).await,
        "shop.example /p",
        "a host that the caller names stays"
    );
}

#[tokio::test]
async fn the_scheme_is_the_backends() {
    let address = serve(echo_address).await;
    let secure: HttpEndpoint = format!("https://{address},id=a").parse().unwrap();
    let pool = Pool::builder().backend(secure).spawn();
    let error = send(&mut balanced(&pool), request("http://elsewhere.example/", empty()))
        .await
        .unwrap_err();
    assert!(format!("{error:?}").contains("scheme is not http"), "{error:?}");
}

#[tokio::test]
async fn a_request_is_in_flight_until_its_body_has_ended() {
    let (chunks, body) = streamed();
    let (pool, mut client) = only(serve_all([Response::new(body)]).await);
    let mut response = get(&mut client, "/").await;
    assert_eq!(state(&pool, "a"), "1 in flight", "after the head");

    send_data(&chunks, "half");
    assert_eq!(next_data(response.body_mut()).await, "half");
    assert_eq!(state(&pool, "a"), "1 in flight", "half read");

    send_data(&chunks, ", whole");
    drop(chunks);
    assert_eq!(text(response).await, ", whole");
    assert_eq!(state(&pool, "a"), "1 succeeded");
}

#[tokio::test]
async fn a_body_of_known_length_ends_with_its_last_byte() {
    let (pool, mut client) = only(serve_all([Response::new(full("hello"))]).await);
    let mut response = get(&mut client, "/").await;
    assert_eq!(response.body().size_hint().exact(), Some(5));
    assert_eq!(state(&pool, "a"), "1 in flight");
    assert_eq!(next_data(response.body_mut()).await, "hello");
    assert!(response.body().is_end_stream());
    assert_eq!(state(&pool, "a"), "1 succeeded", "and is not dropped yet");
}

#[tokio::test]
async fn a_body_dropped_early_is_cancelled() {
    let (chunks, body) = streamed();
    let (pool, mut client) = only(serve_all([Response::new(body)]).await);
    let mut response = get(&mut client, "/").await;
    send_data(&chunks, "half");
    next_data(response.body_mut()).await;
    drop(response);
    assert_eq!(state(&pool, "a"), "1 cancelled");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_neither_a_success_nor_a_failure() {
    let (chunks, body) = streamed();
    let (pool, mut client) = only(serve_all([Response::new(body)]).await);
    let mut response = get(&mut client, "/").await;
    send_data(&chunks, "half");
    next_data(response.body_mut()).await;
    // hyper's server closes the connection in the middle of the body.
    chunks.unbounded_send(Err("the disk is gone".into())).unwrap();
    soon(response.body_mut().frame()).await.unwrap().unwrap_err();
    assert_eq!(state(&pool, "a"), "1 broken");
    drop(response);
    assert_eq!(state(&pool, "a"), "1 broken", "and once only");
}

#[tokio::test]
async fn a_server_error_is_a_failure_and_a_client_error_is_none() {
    for (status, open, ended) in [
        // A bad head is the verdict; its body keeps the backend busy nevertheless.
        (500, "1 in flight, 1 failed", "1 failed"),
        (599, "1 in flight, 1 failed", "1 failed"),
        (301, "1 in flight", "1 succeeded"),
        (404, "1 in flight", "1 succeeded"),
        (499, "1 in flight", "1 succeeded"),
    ] {
        let answer = Response::builder().status(status).body(full("why")).unwrap();
        let (pool, mut client) = only(serve_all([answer]).await);
        let response = get(&mut client, "/").await;
        assert_eq!(response.status(), status);
        assert_eq!(state(&pool, "a"), open, "{status}");
        assert_eq!(text(response).await, "why");
        assert_eq!(state(&pool, "a"), ended, "{status}");
    }
}

#[tokio::test]
async fn a_failures_body_that_breaks_off_is_not_counted_again() {
    let (chunks, body) = streamed();
    let answer = Response::builder().status(StatusCode::BAD_GATEWAY).body(body).unwrap();
    let (pool, mut client) = only(serve_all([answer]).await);
    let response = get(&mut client, "/").await;
    chunks.unbounded_send(Err("the disk is gone".into())).unwrap();
    soon(response.into_body().collect()).await.unwrap_err();
    assert_eq!(state(&pool, "a"), "1 failed");
}

#[tokio::test]
async fn a_refused_connection_is_a_typed_error_of_its_backend() {
    // Bound, so that nobody else gets the port, and not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let (pool, mut client) = only(socket.local_addr().unwrap());
    let error = send(&mut client, request("/", empty())).await.unwrap_err();
    assert_eq!((error.kind(), error.backend()), (ErrorKind::Backend, Some("a")));
    assert!(error.is_retryable());
    let source = std::error::Error::source(&error).expect("a source");
    let source = source
        .downcast_ref::<hyper_util::client::legacy::Error>()
        .expect("the client's own error");
    assert!(source.is_connect(), "{source:?}");
    assert_eq!(state(&pool, "a"), "1 failed");
}

#[tokio::test]
async fn a_connection_closed_before_the_head_is_a_typed_error_of_its_backend() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (pool, mut client) = only(listener.local_addr().unwrap());
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        drop(stream);
    };
    let (answer, ()) = tokio::join!(send(&mut client, request("/", empty())), soon(server));
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), error.backend()), (ErrorKind::Backend, Some("a")));
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(state(&pool, "a"), "1 failed");
}

#[tokio::test]
async fn a_request_given_up_before_the_head_is_cancelled() {
    let (arrived, arrival) = oneshot::channel();
    let arrived = Arc::new(Mutex::new(Some(arrived)));
    let address = serve(move |_| {
        arrived.lock().unwrap().take().unwrap().send(()).unwrap();
        std::future::pending()
    });
    let (pool, mut client) = only(address.await);
    let mut call = soon(client.ready()).await.unwrap().call(request("/", empty()));
    tokio::select! {
        answer = &mut call => panic!("no head was sent: {answer:?}"),
        arrived = soon(arrival) => arrived.unwrap(),
    }
    assert_eq!(state(&pool, "a"), "1 in flight");
    drop(call);
    assert_eq!(state(&pool, "a"), "1 cancelled");

    drop(client.ready().await.unwrap().call(request("/", empty())));
    assert_eq!(state(&pool, "a"), "2 cancelled", "without being polled");
}

#[tokio::test]
async fn an_answer_without_a_body_is_over_with_its_head() {
    let none = Response::builder()
        .status(StatusCode::NO_CONTENT)
        .body(empty())
        .unwrap();
    for (method, answer) in [
        (Method::HEAD, Response::new(full("five!"))),
        (Method::GET, none),
        (Method::GET, Response::new(empty())),
    ] {
        let (pool, mut client) = only(serve_all([answer]).await);
        let request = Request::builder().method(&method).body(empty()).unwrap();
        let response = send(&mut client, request).await.unwrap();
        let context = format!("{method} {}", response.status());
        assert_eq!(state(&pool, "a"), "1 succeeded", "{context}");
        drop(response);
        assert_eq!(state(&pool, "a"), "1 succeeded", "{context}, dropped");
    }
}

#[tokio::test]
async fn an_upload_streams_through() {
    // The server returns what it is sent, while it is sent.
    let address = serve(|request| async { Response::new(request.into_body().map_err(BoxError::from).boxed_unsync()) });
    let (pool, mut client) = only(address.await);
    let (chunks, body) = streamed();
    let upload = Request::post("/").body(body).unwrap();
    let mut response = send(&mut client, upload).await.unwrap();
    for text in ["one", "two", "three"] {
        send_data(&chunks, text);
        assert_eq!(next_data(response.body_mut()).await, text);
        assert_eq!(state(&pool, "a"), "1 in flight");
    }
    drop(chunks);
    assert_eq!(text(response).await, "");
    assert_eq!(state(&pool, "a"), "1 succeeded");
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let address = serve(|request: Request<Incoming>| async {
        let received = request.into_body().collect().await.unwrap();
        let trailers = received.trailers().unwrap().clone();
        let frames = [Frame::data(Bytes::from("body")), Frame::trailers(trailers)];
        let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok))).boxed_unsync();
        Response::builder().header(header::TRAILER, "x-sum").body(body).unwrap()
    });
    let (pool, mut client) = only(address.await);
    let (chunks, body) = streamed();
    let upload = Request::post("/")
        .header(header::TE, "trailers")
        .header(header::TRAILER, "x-sum");
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("42"))]);
    send_data(&chunks, "body");
    chunks.unbounded_send(Ok(Frame::trailers(trailers))).unwrap();
    drop(chunks);
    let mut response = send(&mut client, upload.body(body).unwrap()).await.unwrap();
    assert_eq!(next_data(response.body_mut()).await, "body");
    assert_eq!(state(&pool, "a"), "1 in flight", "the trailers are still to come");
    let rest = soon(response.into_body().collect()).await.unwrap();
    assert_eq!(rest.trailers().unwrap()["x-sum"], "42");
    assert_eq!(state(&pool, "a"), "1 succeeded");
}

#[tokio::test]
async fn a_removed_backend_finishes_the_body_that_is_open() {
    let (chunks, body) = streamed();
    let (pool, mut client) = only(serve_all([Response::new(body)]).await);
    let response = get(&mut client, "/").await;
    assert!(pool.handle().remove("a").await.unwrap());
    let error = send(&mut client, request("/", empty())).await.unwrap_err();
    assert_eq!((error.kind(), error.backend()), (ErrorKind::Unavailable, None));
    send_data(&chunks, "the rest");
    drop(chunks);
    assert_eq!(text(response).await, "the rest");
}
