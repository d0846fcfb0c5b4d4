//! Keys: a keyed call goes to where its key goes, whoever else has a say in the pick.

use std::{
    future::ready,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use equipoise::{
    Admission, Answer, Ask, Assigned, Backend, BalanceLayer, BoxError, Dispatch, Error, Home, Keyed, KeyedLayer, Lease,
    key::{HashKey, Terminal},
    selector::{At, Members, Pick},
};
use futures_util::future::poll_fn;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;

/// The member of the key's remainder, or the next open one; without a key the last.
pub(crate) struct Remainder;

impl<B: Backend> Selector<B> for Remainder {
    type Memory = ();
    type Table = ();
    fn memory(&self, _: &B) {}
    fn prepare(&self, _: &Members<'_, B, ()>) {}
    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        if pick.is_empty() {
            return None;
        }
        let index = pick.ask().key().map_or(pick.len() - 1, |key| key as usize % pick.len());
        pick.next_open(pick.at(index))
    }
}

#[derive(Clone, Copy)]
struct Request {
    session: Option<u64>,
    user: Option<u64>,
}

const NOBODY: Request = Request {
    session: None,
    user: None,
};

fn user(key: u64) -> Request {
    Request {
        user: Some(key),
        ..NOBODY
    }
}

fn remainders(limit: Option<u32>) -> Pool<Plain, Remainder> {
    let builder = builder(&["a", "b", "c", "d"]).selector(Remainder);
    let deadline = Duration::from_secs(1);
    let (pool, _driver) = match limit {
        Some(limit) => builder
            .in_flight_limit(limit)
            .admission(Admission::Queue { capacity: 8, deadline })
            .build(),
        None => builder.build(),
    };
    pool
}

/// Answers with the id of the backend.
fn named(call: Assigned<Request, Plain>) -> std::future::Ready<Result<String, BoxError>> {
    ready(Ok(call.backend.id().to_owned()))
}

fn keyed<K: HashKey<Request> + Clone>(
    pool: &Pool<Plain, Remainder>,
    key: K,
) -> impl Dispatch<Request, Response = String, Raw = String, Error = Error> + Clone + use<K> {
    KeyedLayer::new(key).layer(BalanceLayer::new(pool.clone()).layer(service_fn(named)))
}

fn served(balanced: impl Service<Request, Response = String, Error = Error>, request: Request) -> String {
    balanced.oneshot(request).now_or_never().unwrap().unwrap()
}

fn asked(answer: Answer<String, Error>) -> (String, Lease) {
    (answer.result.unwrap(), answer.lease.unwrap())
}

#[test]
fn a_keyed_call_goes_to_where_its_key_goes() {
    let mut pool = remainders(None);
    let balanced = keyed(&pool, |request: &Request| request.user);
    for key in (0..100).chain([u64::MAX, u64::MAX - 1]) {
        let home = pool.pick(&Ask::new().with_key(key)).unwrap().backend_id().to_owned();
        assert_eq!(served(balanced.clone(), user(key)), home, "{key}");
    }
    assert_eq!(
        served(balanced, NOBODY),
        "d",
        "without a key it is the selector's to say"
    );
}

#[test]
fn a_chain_of_keys_is_one_key() {
    let pool = remainders(None);
    let session = |request: &Request| request.session;
    let user_of = |request: &Request| request.user;
    let request = |session, user| Request { session, user };
    let either = keyed(&pool, (Terminal(session), user_of));
    let both = keyed(&pool, (session, user_of));
    assert_eq!(served(either.clone(), request(Some(1), Some(2))), "b");
    assert_eq!(served(either, request(None, Some(2))), "c");
    assert_eq!(served(both, request(Some(1), Some(1))), "d", "1 << 1 ^ 1");
}

#[test]
fn a_key_that_was_given_is_kept_and_all_else_of_an_ask_too() {
    let mut pool = remainders(None);
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = {
        let taken = Arc::clone(&taken);
        move |request: &Request| {
            taken.fetch_add(1, Relaxed);
            request.user
        }
    };
    let mut balanced = keyed(&pool, counted);
    let mut dispatch = |ask: &Ask, request| {
        let (id, lease) = asked(balanced.dispatch(ask, request).now_or_never().unwrap());
        assert_eq!(lease.backend_id(), id);
        id
    };
    assert_eq!(dispatch(&Ask::new(), user(1)), "b");
    assert_eq!(taken.load(Relaxed), 1);
    assert_eq!(dispatch(&Ask::new().with_key(2), user(1)), "c", "the ask's own key");
    assert_eq!(taken.load(Relaxed), 1, "no other was taken");
    assert_eq!(dispatch(&Ask::new().with_home(Home::new("a")), user(1)), "a");
    let tried = pool.pick(&Ask::new().with_key(1)).unwrap().member();
    assert_eq!(
        dispatch(&Ask::new().with_tried(tried), user(1)),
        "c",
        "the next after b"
    );
    let tried = pool.pick(&Ask::new().with_key(3)).unwrap().member();
    assert_eq!(
        dispatch(&Ask::new().with_tried(tried), NOBODY),
        "a",
        "no key, and not d again"
    );
}

#[test]
fn a_call_that_waits_keeps_its_key() {
    let mut pool = remainders(Some(1));
    let mut balanced = keyed(&pool, |request: &Request| request.user);
    let mut leases: Vec<Lease<_>> = (0..4)
        .map(|key| pool.pick(&Ask::new().with_key(key)).unwrap())
        .collect();
    let mut call = pin!(balanced.call(user(1)));
    assert!(call.as_mut().now_or_never().is_none());
    // Two places come free before it is looked at again: its own and another.
    leases.drain(..2);
    assert_eq!(call.now_or_never().unwrap().unwrap(), "b");
}

#[test]
fn it_is_ready_when_the_inner_service_is() {
    let pool = remainders(None);
    let (inner, mut handle) = tower_test::mock::pair::<Request, String>();
    let inner = inner.map_request(|call: Assigned<Request, Plain>| call.request);
    let layer = KeyedLayer::new(|request: &Request| request.user);
    let balanced: Keyed<_, _> = layer.layer(BalanceLayer::new(pool).layer(inner));
    let mut balanced = tower_test::mock::Spawn::new(balanced);
    handle.allow(0);
    assert!(balanced.poll_ready::<Request>().is_pending());
    handle.allow(1);
    assert!(balanced.poll_ready::<Request>().is_ready());
    handle.send_error("broken");
    drop(balanced.call(user(1)));
    assert!(matches!(balanced.poll_ready::<Request>(), Poll::Ready(Err(_))));
}

#[test]
fn layers_of_keys_agree_on_the_outermost() {
    let pool = remainders(None);
    let inner = keyed(&pool, |_: &Request| Some(3));
    let outer = KeyedLayer::new(|request: &Request| request.user).layer(inner);
    assert_eq!(served(outer.clone(), user(1)), "b");
    assert_eq!(served(outer.clone(), NOBODY), "d");
    // A handle that was made ready is the one that is called.
    let mut outer = outer;
    poll_fn(|cx| Service::<Request>::poll_ready(&mut outer, cx))
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(outer.call(user(2)).now_or_never().unwrap().unwrap(), "c");
}
