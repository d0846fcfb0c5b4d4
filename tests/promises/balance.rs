//! The tower face: readiness, cancellation at every await point, and what services around a pick may rely on.

use std::{
    future::{Pending, Ready, pending, ready},
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use equipoise::{
    Admission, Answer, Ask, Assigned, Balance, BalanceLayer, BoxError, Dispatch, Error, ErrorKind, Home, ManualClock,
    Outcome, Pool,
};
use futures_util::future::poll_fn;
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_test::{assert_request_eq, mock};

use super::*;

type Call = Assigned<&'static str, Plain>;

fn is_service<S: Clone + Send + Sync>(_: &S) {}

#[tokio::test]
async fn a_call_goes_to_a_member_and_errors_name_it() {
    let (pool, _driver) = builder(&["a", "b"]).build();
    let inner = service_fn(|call: Call| {
        ready(match call.request {
            "ok" => Ok(equipoise::Backend::id(&*call.backend).to_owned()),
            _ => Err::<_, BoxError>("refused".into()),
        })
    });
    let mut balanced = BalanceLayer::new(pool.clone()).layer(inner);
    is_service(&balanced);
    let answer = ServiceExt::<&str>::ready(&mut balanced)
        .await
        .unwrap()
        .call("ok")
        .await
        .unwrap();
    assert!(["a", "b"].contains(&&*answer));
    let error = balanced.clone().oneshot("fail").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert!(error.is_retryable() && ["a", "b"].contains(&error.backend().unwrap()));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "refused");
    let total = |of: fn(&equipoise::Tally) -> u64| pool.members().iter().map(|member| of(&member.tally)).sum::<u64>();
    assert_eq!((total(|tally| tally.succeeded), total(|tally| tally.failed)), (1, 1));
}

#[tokio::test]
async fn it_is_ready_when_the_inner_service_is() {
    let (pool, _driver) = builder(&["a"]).build();
    let (inner, mut handle) = mock::pair::<&'static str, ()>();
    let inner = inner.map_request(|call: Call| call.request);
    let mut balanced = tower_test::mock::Spawn::new(BalanceLayer::new(pool).layer(inner));
    handle.allow(0);
    assert!(balanced.poll_ready::<&str>().is_pending());
    handle.allow(1);
    assert!(balanced.poll_ready::<&str>().is_ready());
    let call = balanced.call("hello");
    assert_request_eq!(handle, "hello").send_response(());
    call.await.unwrap();
    handle.send_error("broken");
    let Poll::Ready(Err(error)) = balanced.poll_ready::<&str>() else {
        panic!("ready after all")
    };
    assert_eq!((error.kind(), error.backend()), (ErrorKind::Backend, None));
}

/// An inner service of which only a handle that was made ready may be called, as `ConcurrencyLimit`'s.
struct Strict(bool);

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<Call> for Strict {
    type Response = ();
    type Error = BoxError;
    type Future = Ready<Result<(), BoxError>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Call) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "called without having been ready");
        ready(Ok(()))
    }
}

fn queue() -> Admission {
    let deadline = Duration::from_secs(1);
    Admission::Queue { capacity: 8, deadline }
}

#[tokio::test]
async fn the_clone_that_was_ready_is_the_one_that_is_called_even_after_waiting() {
    let (mut pool, _driver) = builder(&["a"]).in_flight_limit(1).admission(queue()).build();
    let mut balanced = BalanceLayer::new(pool.clone()).layer(Strict(false));
    let lease = pool.pick(&Ask::new()).unwrap();
    poll_fn(|cx| Service::<&str>::poll_ready(&mut balanced, cx))
        .await
        .unwrap();
    let mut call = pin!(balanced.call("waits"));
    assert!(call.as_mut().now_or_never().is_none());
    drop(lease);
    call.await.unwrap();
    // What is left behind has to be made ready anew.
    poll_fn(|cx| Service::<&str>::poll_ready(&mut balanced, cx))
        .await
        .unwrap();
    balanced.call("again").await.unwrap();
}

#[derive(Clone)]
struct Never;

impl Service<Call> for Never {
    type Response = ();
    type Error = BoxError;
    type Future = Pending<Result<(), BoxError>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Call) -> Self::Future {
        pending()
    }
}

#[test]
fn a_call_dropped_at_any_point_leaves_nothing_behind() {
    let (pool, _driver) = builder(&["a"]).in_flight_limit(1).admission(queue()).build();
    let mut balanced = BalanceLayer::new(pool.clone()).layer(Never);
    let state = || (pool.members()[0].in_flight, pool.members()[0].tally.cancelled);
    // Never polled.
    drop(balanced.call("unpolled"));
    assert_eq!(state(), (0, 1));
    // While the backend has it.
    let mut sent = Box::pin(balanced.call("sent"));
    assert!(sent.as_mut().now_or_never().is_none());
    assert_eq!(state(), (1, 1));
    // While it waits: never polled, in the queue, and called out of it.
    drop(balanced.call("unpolled in the queue"));
    let mut waits = Box::pin(balanced.call("waits"));
    let mut called = Box::pin(balanced.call("called"));
    assert!(waits.as_mut().now_or_never().is_none() && called.as_mut().now_or_never().is_none());
    drop(waits);
    assert_eq!(state(), (1, 1));
    drop(sent);
    drop(called);
    assert_eq!(state(), (0, 2));
    assert!(pool.clone().pick(&Ask::new()).is_ok(), "the queue is empty");
}

#[tokio::test]
async fn nobody_to_pick_fails_at_once_and_sheds_when_full() {
    let (pool, _driver) = builder(&[]).build();
    let error = BalanceLayer::new(pool)
        .layer(Never)
        .oneshot("x")
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let (mut pool, _driver) = builder(&["a"]).in_flight_limit(1).build();
    let _lease = pool.pick(&Ask::new()).unwrap();
    let error = BalanceLayer::new(pool)
        .layer(Never)
        .oneshot("x")
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
}

#[tokio::test]
async fn a_call_before_discovery_has_spoken_waits_for_it() {
    let clock = ManualClock::new();
    let found = tower::discover::Change::Insert(1, endpoint("a"));
    let discovered = tokio_stream::iter([Ok::<_, std::convert::Infallible>(found)]);
    let (pool, mut driver) = Pool::builder_on(clock.clock()).discover(discovered).build();
    let mut balanced = BalanceLayer::new(pool).layer(Strict(true));
    let mut call = pin!(balanced.call("early"));
    assert!(call.as_mut().now_or_never().is_none());
    run(&mut driver);
    call.await.unwrap();
}

/// A service around a pick, such as an affinity or a failover: sends a request whose answer it does not like to the
/// next, and the session home that it knows; then tells who served.
#[derive(Clone)]
struct Insistent<D> {
    inner: D,
    home: Option<Home>,
}

impl<D> Insistent<D> {
    async fn insist<Req: Clone>(&mut self, request: Req) -> (Vec<String>, Answer<D::Raw, Error>)
    where
        D: Dispatch<Req, Error = Error>,
    {
        let mut tried = Vec::new();
        let mut ask = self.home.clone().map_or(Ask::new(), |home| Ask::new().with_home(home));
        loop {
            poll_fn(|cx| self.inner.poll_ready(cx)).await.unwrap();
            let answer = self.inner.dispatch(&ask, request.clone()).await;
            let lease = answer.lease.as_ref().expect("a member was picked");
            tried.push(lease.backend_id().to_owned());
            if answer.result.is_ok() {
                return (tried, answer);
            }
            // On an error too, the lease says who it was.
            ask = ask.with_tried(lease.member());
        }
    }
}

#[tokio::test]
async fn the_ask_flows_inward_and_the_lease_outward_on_success_and_on_error() {
    let (pool, _driver) = builder(&["a", "b", "c"]).build();
    let only_c = service_fn(|call: Call| {
        let id = equipoise::Backend::id(&*call.backend);
        ready(if id == "c" {
            Ok("served")
        } else {
            Err::<_, BoxError>("refused".into())
        })
    });
    let inner = BalanceLayer::new(pool.clone()).layer(only_c);
    let mut insistent = Insistent {
        inner,
        home: Some(Home::new("b")),
    };
    let (tried, answer) = insistent.insist("x").await;
    assert_eq!((tried[0].as_str(), tried.last().unwrap().as_str()), ("b", "c"));
    assert!(tried.len() <= 3);
    assert_eq!(*answer.result.as_ref().unwrap(), "served");
    let member = |id| {
        pool.members()
            .into_iter()
            .find(|m| equipoise::Backend::id(&*m.backend) == id)
            .unwrap()
    };
    assert_eq!(member("c").in_flight, 1, "the lease is in the answer");
    // The outermost concludes: the lease goes to where the protocol keeps it, for `Plain` to its end.
    let response = conclude(&insistent.inner, answer);
    assert_eq!(response.unwrap(), "served");
    assert_eq!((member("c").in_flight, member("c").tally.succeeded), (0, 1));
    assert_eq!(member("b").tally.failed, 1);
}

fn conclude<D: Dispatch<&'static str>>(_: &D, answer: Answer<D::Raw, D::Error>) -> Result<D::Response, D::Error> {
    D::conclude(answer)
}

#[tokio::test]
async fn an_answer_that_nobody_concludes_is_cancelled() {
    let (pool, _driver) = builder(&["a"]).build();
    let inner = service_fn(|_: Call| ready(Ok::<_, BoxError>(())));
    let mut balanced = BalanceLayer::new(pool.clone()).layer(inner);
    drop(Dispatch::<&str>::dispatch(&mut balanced, &Ask::new(), "x").await);
    assert_eq!((pool.members()[0].tally.cancelled, pool.members()[0].in_flight), (1, 0));
    let _: &Balance<_, _, _, _> = &balanced;
    let _ = Outcome::Cancelled;
}

#[tokio::test]
async fn a_call_that_fails_gives_the_inner_services_readiness_back() {
    let (pool, _driver) = builder(&[]).build();
    let inner = service_fn(async |_: Assigned<&str, Plain>| Ok::<_, BoxError>(()));
    let mut one = BalanceLayer::new(pool).layer(ConcurrencyLimit::new(inner, 1));
    let mut other = one.clone();
    let ready = |service: &mut _| Service::<&str>::poll_ready(service, &mut Context::from_waker(Waker::noop()));
    assert!(ready(&mut one).is_ready());
    assert!(ready(&mut other).is_pending());
    assert!(one.call("nobody is there").await.is_err());
    assert!(ready(&mut other).is_ready());
}
