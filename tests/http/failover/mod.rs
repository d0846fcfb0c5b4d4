//! HTTP requests, and gRPC calls, are sent to another backend only when that is safe.

mod content;
mod grpc;

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use equipoise::{
    BalanceLayer, BoxError, Error, ErrorKind, FailoverLayer, ManualClock, Pool, RoundRobin, Unsent,
    http::{Attempt, GrpcFailover, HttpEndpoint, HttpFailover, Replay},
};
use futures_util::FutureExt;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Bytes, Frame};
use tower::{Layer, Service};

type Content = Full<Bytes>;
type Reply = Result<Response<Content>, BoxError>;
/// What a client's body is.
type Sent = Replay<Content>;

/// A request as it came to a backend.
#[derive(Clone, Debug)]
struct Seen {
    host: String,
    body: Bytes,
    attempt: u32,
    previous: Option<String>,
}

/// A client of backends that answer by a script: the so manieth request, from 0.
#[derive(Clone)]
struct Backends {
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<dyn Fn(usize) -> Reply + Send + Sync>,
}

impl Service<Request<Sent>> for Backends {
    type Response = Response<Content>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Sent>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let text = |name| {
                request
                    .headers()
                    .get(name)
                    .map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned())
            };
            let mut seen = Seen {
                host: request.uri().host().unwrap().to_owned(),
                body: Bytes::new(),
                attempt: request.extensions().get::<Attempt>().unwrap().number(),
                previous: text("grpc-previous-rpc-attempts"),
            };
            let reply = (this.script)(this.seen.lock().unwrap().len());
            // Who refuses a connection reads nothing.
            if !matches!(&reply, Err(error) if error.is::<Unsent>() || error.is::<io::Error>()) {
                seen.body = request.into_body().collect().await?.to_bytes();
            }
            this.seen.lock().unwrap().push(seen);
            reply
        })
    }
}

fn status(code: u16) -> Reply {
    Ok(Response::builder().status(code).body(Content::default())?)
}

fn with(code: u16, name: &'static str, value: &str) -> Reply {
    Ok(Response::builder()
        .status(code)
        .header(name, value)
        .body(Content::default())?)
}

fn refused() -> Reply {
    Err(io::Error::from(io::ErrorKind::ConnectionRefused).into())
}

fn broken() -> Reply {
    Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
}

struct World {
    clock: ManualClock,
    backends: Backends,
    pool: Pool<HttpEndpoint, RoundRobin>,
}

impl World {
    /// Of three backends.
    fn new(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let clock = ManualClock::new();
        let endpoints = ["a", "b", "c"].map(|id| format!("http://{id}").parse::<HttpEndpoint>().unwrap());
        let builder = Pool::builder_on(clock.clock()).selector(RoundRobin::new());
        let backends = Backends {
            seen: Arc::default(),
            script: Arc::new(script),
        };
        let pool = builder.backends(endpoints).build().0;
        Self { clock, backends, pool }
    }

    /// What a request comes to, and after how many milliseconds.
    fn send<P>(&self, layer: FailoverLayer<P>, request: Request<Content>) -> (Result<u16, Error>, u32)
    where
        P: equipoise::balance::Judge<Request<Content>, Response<Content>>
            + equipoise::FailoverPolicy<Request<Content>, Sent = Request<Sent>>,
    {
        let inner = BalanceLayer::http(self.pool.clone()).layer(self.backends.clone());
        let mut call = pin!(layer.layer(inner).call(request));
        for passed in 0..1_000_000 {
            if let Poll::Ready(result) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return (result.map(|response| response.status().as_u16()), passed);
            }
            self.clock.advance(Duration::from_millis(1));
        }
        panic!("it never ends");
    }

    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.backends.seen.lock().unwrap())
    }

    /// How often a backend was sent it.
    fn times(&self) -> usize {
        self.seen().len()
    }
}

fn request(method: &Method) -> Request<Content> {
    let request = Request::builder().method(method).uri("/path?query");
    request.body(Content::default()).unwrap()
}

#[test]
fn only_idempotent_requests_are_sent_twice() {
    for (method, is_idempotent) in [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::OPTIONS, true),
        (Method::TRACE, true),
        (Method::PUT, true),
        (Method::DELETE, true),
        (Method::POST, false),
        (Method::PATCH, false),
        (Method::CONNECT, false),
        (Method::from_bytes(b"PURGE").unwrap(), false),
    ] {
        for reply in [broken, || status(500)] {
            let world = World::new(move |times| if times == 0 { reply() } else { status(200) });
            let (result, _) = world.send(FailoverLayer::http(), request(&method));
            assert_eq!(
                (result.ok() == Some(200), world.times()),
                (is_idempotent, 1 + usize::from(is_idempotent)),
                "{method}"
            );
        }
        // Of this nothing was sent.
        let world = World::new(|times| if times == 0 { refused() } else { status(200) });
        assert_eq!(
            world.send(FailoverLayer::http(), request(&method)).0.unwrap(),
            200,
            "{method}"
        );
    }
}

/// A connection on which a request was sent may end so as well: Linux reports what a router has said of it, or that there is
/// no route any more, once it has given up to send again (`tcp_write_err`, net/ipv4/tcp_timer.c).
#[test]
fn a_host_that_is_out_of_reach_may_have_been_within_it() {
    for kind in [io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable] {
        let world = World::new(move |_| Err(io::Error::from(kind).into()));
        let (result, _) = world.send(FailoverLayer::http(), request(&Method::POST));
        assert!(!result.unwrap_err().is_unsent());
        assert_eq!(world.times(), 1, "{kind}");
        // Who makes connections knows better.
        let unsent = move || Err(Unsent::new(io::Error::from(kind)).into());
        let world = World::new(move |times| if times == 0 { unsent() } else { status(200) });
        assert_eq!(
            world.send(FailoverLayer::http(), request(&Method::POST)).0.unwrap(),
            200
        );
    }
}

#[test]
fn what_is_said_to_be_repeatable_is_repeated() {
    let policy = HttpFailover::new().repeatable(|_, headers| headers.contains_key("idempotency-key"));
    for (key, times) in [(false, 1), (true, 2)] {
        let world = World::new(|times| if times == 0 { broken() } else { status(200) });
        let mut request = request(&Method::POST);
        if key {
            request.headers_mut().insert("idempotency-key", "1".parse().unwrap());
        }
        let (result, _) = world.send(FailoverLayer::new(policy.clone()), request);
        assert_eq!((result.is_ok(), world.times()), (key, times));
    }
}

#[test]
fn answers_that_would_be_the_same_elsewhere_are_passed_on() {
    for (code, times) in [
        (200, 1),
        (301, 1),
        (404, 1),
        (408, 1),
        (429, 1),
        (500, 3),
        (501, 1),
        (502, 3),
        (503, 3),
        (504, 3),
        (505, 1),
        (599, 3),
    ] {
        let world = World::new(move |_| status(code));
        let (result, _) = world.send(FailoverLayer::http(), request(&Method::GET));
        // The last answer is the client's, whatever it is.
        assert_eq!((result.unwrap(), world.times()), (code, times));
    }
}

#[test]
fn each_try_goes_to_another_backend_with_the_whole_request() {
    let world = World::new(|times| if times < 2 { status(503) } else { status(200) });
    let mut put = request(&Method::PUT);
    *put.body_mut() = Full::from("content");
    assert_eq!(world.send(FailoverLayer::http(), put).0.unwrap(), 200);
    let seen = world.seen();
    let mut hosts: Vec<_> = seen.iter().map(|seen| &*seen.host).collect();
    hosts.sort();
    assert_eq!(hosts, ["a", "b", "c"]);
    for (seen, attempt) in seen.iter().zip(1..) {
        assert_eq!((&*seen.body, seen.attempt), (&b"content"[..], attempt));
        assert_eq!(seen.previous, None);
    }
}

#[test]
fn content_that_is_not_kept_is_not_sent_again() {
    let put = || {
        let mut put = request(&Method::PUT);
        *put.body_mut() = Full::from(vec![7; 10_000]);
        put
    };
    for (limit, times) in [(9_999, 1), (10_000, 3)] {
        let layer = FailoverLayer::new(HttpFailover::new().replay(limit));
        let world = World::new(|_| status(503));
        assert_eq!(world.send(layer.clone(), put()).0.unwrap(), 503);
        assert_eq!(world.times(), times);
        // But of a connection that was refused nothing was read.
        let world = World::new(|times| if times == 0 { refused() } else { status(200) });
        assert_eq!(world.send(layer, put()).0.unwrap(), 200);
        let seen = world.seen();
        assert_eq!((seen.len(), seen[1].body.len()), (2, 10_000));
    }
}

#[test]
fn a_failover_within_a_failover_leaves_it_to_the_outer_one() {
    let world = World::new(|_| status(503));
    let inner = BalanceLayer::http(world.pool.clone()).layer(Nested(world.backends.clone()));
    let nested = FailoverLayer::http().layer(FailoverLayer::http().layer(inner));
    let mut nested = nested;
    let response = nested.call(request(&Method::GET)).now_or_never().unwrap().unwrap();
    assert_eq!((response.status().as_u16(), world.times()), (503, 3));
}

/// A client of what two layers of failovers send.
#[derive(Clone)]
struct Nested(Backends);

impl Service<Request<Replay<Sent>>> for Nested {
    type Response = Response<Content>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Replay<Sent>>) -> Self::Future {
        self.0.call(request.map(|_| Replay::new(Content::default(), 0)))
    }
}

#[test]
fn retry_after_keeps_others_off_who_says_it_and_nobody_else() {
    let world = World::new(|times| {
        if times == 0 {
            with(503, "retry-after", "120")
        } else {
            status(200)
        }
    });
    let (result, passed) = world.send(FailoverLayer::http(), request(&Method::GET));
    assert_eq!((result.unwrap(), passed), (200, 0), "another is there");
    // All say it: the first to be back is waited for, and not longer than 300 s.
    for (said, waited) in [("2", 2_000), ("3600", 300_000)] {
        let world = World::new(move |times| {
            if times < 3 {
                with(503, "retry-after", said)
            } else {
                status(200)
            }
        });
        let (result, passed) = world.send(FailoverLayer::http().tries(4), request(&Method::GET));
        assert_eq!((result.unwrap(), passed), (200, waited));
    }
    // Past the deadline: what there is.
    let world = World::new(|_| with(503, "retry-after", "2"));
    let layer = FailoverLayer::http().tries(9).deadline(Duration::from_secs(1));
    let (result, passed) = world.send(layer, request(&Method::GET));
    assert_eq!((result.unwrap(), passed, world.times()), (503, 0, 3));
}

#[test]
fn who_is_not_there_is_told_with_all_who_were_tried() {
    let world = World::new(|_| refused());
    let error = world
        .send(FailoverLayer::http().tries(1), request(&Method::POST))
        .0
        .unwrap_err();
    let mut tried: Vec<_> = error.tried().collect();
    tried.sort();
    assert_eq!(tried, ["http://a", "http://b", "http://c"]);
    assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Backend, true));
}

/// An error of another balanced call that was sent something is no refused connection, whatever its last one was.
#[test]
fn the_error_of_a_nested_call_speaks_for_all_its_tries() {
    let within = World::new(|times| if times == 0 { broken() } else { refused() });
    let within = move || {
        let (result, _) = within.send(FailoverLayer::http().tries(2), request(&Method::GET));
        within.seen();
        BoxError::from(result.unwrap_err())
    };
    let world = World::new(move |_| Err(within()));
    let (result, _) = world.send(FailoverLayer::http(), request(&Method::POST));
    assert!(!result.unwrap_err().is_unsent());
    assert_eq!(world.times(), 1);
}

#[test]
fn two_run_at_once_only_if_the_content_is_there() {
    use equipoise::{FailoverPolicy, balance::Judge};
    let policy = HttpFailover::new();
    let (_sent, kept) = policy.keep(request(&Method::GET));
    assert!(FailoverPolicy::<Request<Content>>::may_hedge(&policy, &kept.unwrap()));
    let (_sent, kept) = policy.keep(request(&Method::POST));
    assert!(!FailoverPolicy::<Request<Content>>::may_hedge(&policy, &kept.unwrap()));
    // Content that is still to come.
    let stream = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let put = Request::put("/").body(stream).unwrap();
    let (mut sent, kept) = policy.keep(put);
    let kept = kept.unwrap();
    let polled = Pin::new(sent.body_mut()).poll_frame(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    assert!(!may_hedge(&policy, &kept));

    fn may_hedge<Req, P: Judge<Req, Response<Content>>>(policy: &P, kept: &P::Kept) -> bool {
        policy.may_hedge(kept)
    }
}
