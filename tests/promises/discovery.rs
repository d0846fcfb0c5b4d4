//! Discovery: one publish for all that is ready, the last good set through failures, no panic stops the driver.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use equipoise::{
    Ask, Backend, BoxError, Event, ManualClock, Pool, Selector,
    selector::{At, Members, Pick},
};
use tokio_stream::Stream;
use tower::discover::Change;

use super::*;

type Found = Option<Result<Change<u32, Plain>, BoxError>>;

/// A discovery that says what it is told to; `Err("panic")` is a panic.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<(VecDeque<Found>, Option<Waker>)>>);

impl Script {
    fn say(&self, found: impl IntoIterator<Item = Found>) {
        let mut script = self.0.lock().unwrap();
        script.0.extend(found);
        script.1.take().into_iter().for_each(Waker::wake);
    }
}

impl Stream for Script {
    type Item = Result<Change<u32, Plain>, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut script = self.0.lock().unwrap();
        let Some(found) = script.0.pop_front() else {
            script.1 = Some(cx.waker().clone());
            return Poll::Pending;
        };
        drop(script);
        if let Some(Err(error)) = &found {
            assert_ne!(error.to_string(), "panic", "as scripted");
        }
        Poll::Ready(found)
    }
}

fn insert(key: u32, id: &str) -> Found {
    Some(Ok(Change::Insert(key, endpoint(id))))
}

fn remove(key: u32) -> Found {
    Some(Ok(Change::Remove(key)))
}

fn fail(why: &str) -> Found {
    Some(Err(why.into()))
}

fn ids(pool: &Pool<Plain>) -> Vec<String> {
    pool.members()
        .iter()
        .map(|member| member.backend.id().to_owned())
        .collect()
}

fn scripted() -> (Script, ManualClock, Pool<Plain>, equipoise::Driver<Plain, LeastLoaded>) {
    let (script, clock) = (Script::default(), ManualClock::new());
    let (pool, driver) = Pool::builder_on(clock.clock()).discover(script.clone()).build();
    (script, clock, pool, driver)
}

#[test]
fn keys_may_change_their_ids_and_share_them() {
    let (script, _, pool, mut driver) = scripted();
    script.say([insert(1, "a"), insert(2, "b"), insert(1, "c")]);
    run(&mut driver);
    assert_eq!(ids(&pool), ["b", "c"], "key 1 left a for c");
    // Two keys bring one id: the later owns it, and the earlier's removal takes nothing away.
    script.say([insert(3, "b"), remove(2)]);
    run(&mut driver);
    assert_eq!(ids(&pool), ["b", "c"]);
    script.say([remove(3), remove(1), remove(99)]);
    run(&mut driver);
    assert!(ids(&pool).is_empty());
}

#[test]
fn many_wait_for_discovery_at_once() {
    let (script, _, pool, mut driver) = scripted();
    let mut waiting: Vec<_> = (0..3).map(|_| pool.acquire(Ask::new())).collect();
    run(&mut driver);
    assert!(waiting.iter_mut().all(|acquire| poll_once(acquire).is_pending()));
    script.say([insert(1, "a")]);
    run(&mut driver);
    assert!(waiting.iter_mut().all(|acquire| poll_once(acquire).is_ready()));
}

#[test]
fn a_failing_discovery_keeps_the_last_good_set_and_is_asked_again() {
    let (script, clock, mut pool, mut driver) = scripted();
    let mut events = pool.events();
    script.say([insert(1, "a"), fail("no route"), insert(2, "b")]);
    run(&mut driver);
    assert_eq!(reached(&mut pool, 20), ["a"]);
    assert!(told(&mut events).contains(&Event::DiscoveryFailed {
        error: "no route".into()
    }));
    // Left alone for a while, then asked again.
    run(&mut driver);
    assert_eq!(ids(&pool), ["a"]);
    clock.advance(Duration::from_millis(100));
    run(&mut driver);
    assert_eq!(ids(&pool), ["a", "b"]);
    script.say([None]);
    run(&mut driver);
    assert_eq!(ids(&pool), ["a", "b"]);
    assert_eq!(told(&mut events).last(), Some(&Event::DiscoveryEnded));
}

#[test]
fn a_panic_in_discovery_is_told_and_the_driver_goes_on() {
    let (script, clock, pool, mut driver) = scripted();
    let mut events = pool.events();
    script.say([insert(1, "a"), fail("panic"), insert(2, "b")]);
    run(&mut driver);
    let failed = |event: &Event| matches!(event, Event::DiscoveryFailed { error } if error.contains("as scripted"));
    assert!(told(&mut events).iter().any(failed));
    drop(pool.handle().insert(endpoint("c")));
    run(&mut driver);
    assert_eq!(ids(&pool), ["a", "c"]);
    clock.advance(Duration::from_secs(1));
    run(&mut driver);
    assert_eq!(ids(&pool), ["a", "c", "b"]);
}

/// Any, by chance of order; counts its tables and panics on demand.
#[derive(Clone, Default)]
struct Touchy {
    prepared: Arc<AtomicUsize>,
    panics_in_prepare: Arc<AtomicBool>,
}

impl<B: Backend> Selector<B> for Touchy {
    type Memory = ();
    type Table = ();
    fn memory(&self, backend: &B) {
        assert_ne!(backend.id(), "unwelcome", "as scripted");
    }
    fn prepare(&self, _: &Members<'_, B, ()>) {
        assert!(!self.panics_in_prepare.load(SeqCst), "as scripted");
        self.prepared.fetch_add(1, SeqCst);
    }
    fn select(&self, _: &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        pick.any_open()
    }
}

#[test]
fn all_that_is_ready_is_published_once() {
    let (script, touchy) = (Script::default(), Touchy::default());
    let builder = Pool::builder_on(ManualClock::new().clock()).discover(script.clone());
    let (pool, mut driver) = builder.selector(touchy.clone()).build();
    script.say((0..500).map(|key| insert(key, &key.to_string())));
    script.say((0..499).map(remove));
    drop(pool.handle().insert(endpoint("by hand")));
    let before = touchy.prepared.load(SeqCst);
    run(&mut driver);
    assert_eq!(touchy.prepared.load(SeqCst) - before, 1);
    assert_eq!(pool.members().len(), 2);
}

#[test]
fn a_panic_while_publishing_leaves_the_last_set_in_force_and_is_tried_again() {
    let (clock, touchy) = (ManualClock::new(), Touchy::default());
    let builder = Pool::builder_on(clock.clock()).backends(endpoints(&["a", "b"]));
    let (mut pool, mut driver) = builder.selector(touchy.clone()).build();
    let mut events = pool.events();
    touchy.panics_in_prepare.store(true, SeqCst);
    let removed = pool.handle().remove("a");
    run(&mut driver);
    assert!(removed.now_or_never().unwrap().is_err(), "not in force");
    assert_eq!(reached(&mut pool, 50), ["a", "b"]);
    let failed = |event: &Event| matches!(event, Event::PublishFailed { error } if error.contains("as scripted"));
    assert!(matches!(&told(&mut events)[..], [event] if failed(event)));
    touchy.panics_in_prepare.store(false, SeqCst);
    clock.advance(Duration::from_millis(100));
    run(&mut driver);
    assert_eq!(reached(&mut pool, 50), ["b"]);
    assert_eq!(told(&mut events), [Event::Removed { id: "a".into() }]);
}

#[test]
fn a_backend_whose_arrival_panics_is_left_out() {
    let (mut pool, mut driver) = builder(&["a"]).selector(Touchy::default()).build();
    let unwelcome = pool.handle().insert(endpoint("unwelcome"));
    let welcome = pool.handle().insert(endpoint("b"));
    run(&mut driver);
    assert!(unwelcome.now_or_never().unwrap().is_err());
    assert!(welcome.now_or_never().unwrap().unwrap());
    assert_eq!(reached(&mut pool, 50), ["a", "b"]);
}
