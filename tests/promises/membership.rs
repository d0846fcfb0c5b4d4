//! Identity is the id alone; snapshots are published whole and freed off the request's way; odd sets are defined.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use equipoise::{
    Ask, Backend, Event, Home, ManualClock, Pool, Selector,
    selector::{At, Members, Pick},
};
use std::time::Duration;

use super::*;

#[test]
fn an_update_keeps_live_counts_history_and_drain() {
    let (mut pool, mut driver) = builder(&["a"]).build();
    let before = pool.pick(&Ask::new()).unwrap();
    let member = before.member();
    drop(pool.pick(&Ask::new()).unwrap());
    drop(pool.handle().update(endpoint("a").with_weight(7)));
    run(&mut driver);
    let after = pool.pick(&Ask::new()).unwrap();
    assert_eq!(after.backend().weight(), 7);
    assert_eq!(
        before.backend().weight(),
        1,
        "a lease keeps the backend it was made for"
    );
    assert_eq!(after.member(), member);
    assert_eq!(pool.members()[0].in_flight, 2);
    assert_eq!(pool.members()[0].tally.cancelled, 1);
    drop(before);
    assert_eq!(pool.members()[0].in_flight, 1);
    drop(after);
    assert_eq!(pool.members()[0].in_flight, 0);
    drop(pool.handle().drain("a"));
    drop(pool.handle().insert(endpoint("a")));
    run(&mut driver);
    assert!(
        pool.members()[0].draining,
        "a drain is the operator's, not the backend's"
    );
}

#[test]
fn a_limit_counts_the_leases_of_replaced_backends() {
    let (mut pool, mut driver) = builder(&["a"]).in_flight_limit(2).build();
    let _first = pool.pick(&Ask::new()).unwrap();
    drop(pool.handle().update(endpoint("a")));
    run(&mut driver);
    let second = pool.pick(&Ask::new()).unwrap();
    assert!(pool.pick(&Ask::new()).is_err());
    drop(second);
    assert!(pool.pick(&Ask::new()).is_ok());
}

#[test]
fn the_driver_ends_with_the_last_clone_and_an_aborted_one_leaves_the_last_set() {
    let (pool, mut driver) = builder(&["a"]).build();
    let clone = pool.clone();
    drop(pool);
    assert!(!run(&mut driver));
    let handle = clone.handle();
    drop(clone);
    assert!(run(&mut driver));
    drop(driver);
    assert!(handle.insert(endpoint("b")).now_or_never().unwrap().is_err());

    let (mut pool, driver) = builder(&["a", "b"]).build();
    drop(driver);
    assert_eq!(reached(&mut pool, 50), ["a", "b"]);
    let change = pool.handle().remove("a").now_or_never();
    assert!(change.unwrap().is_err(), "nobody waits for a driver that is no more");
}

/// Counts what becomes of it.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Takes the first; counts the tables it made and those that were freed.
struct First {
    made: Arc<AtomicUsize>,
    freed: Arc<AtomicUsize>,
}

impl<B: Backend> Selector<B> for First {
    type Memory = ();
    type Table = Counted;
    fn memory(&self, _: &B) {}
    fn prepare(&self, _: &Members<'_, B, ()>) -> Counted {
        self.made.fetch_add(1, SeqCst);
        Counted(Arc::clone(&self.freed))
    }
    fn select(&self, _: &Counted, pick: &Pick<'_, B, ()>) -> Option<At> {
        pick.iter().find(|at| pick.is_open(*at))
    }
}

#[test]
fn retired_snapshots_are_freed_by_the_driver() {
    let clock = ManualClock::new();
    let freed = Arc::new(AtomicUsize::new(0));
    let selector = First {
        made: Arc::default(),
        freed: Arc::clone(&freed),
    };
    let builder = Pool::builder_on(clock.clock()).backends(endpoints(&["a", "b"]));
    let (mut pool, mut driver) = builder.selector(selector).build();
    let mut idle = pool.clone();
    drop(pool.handle().remove("a"));
    run(&mut driver);
    // Neither the request that lets go of the old snapshot last frees it, nor does a clone that goes.
    assert_eq!(pool.pick(&Ask::new()).unwrap().backend_id(), "b");
    assert_eq!(idle.pick(&Ask::new()).unwrap().backend_id(), "b");
    assert_eq!(freed.load(SeqCst), 0);
    clock.advance(Duration::from_secs(1));
    run(&mut driver);
    assert_eq!(freed.load(SeqCst), 1);
}

#[test]
fn an_idle_clone_keeps_no_removed_backend_alive() {
    let gone = Arc::new(AtomicUsize::new(0));
    let connected = Endpoint::new("a", Counted(Arc::clone(&gone)));
    let other = Endpoint::new("b", Counted(Arc::default()));
    let clock = ManualClock::new().clock();
    let (pool, mut driver) = Pool::builder_on(clock).backend(connected).backend(other).build();
    let _idle = pool.clone();
    drop(pool.handle().remove("a"));
    assert!(poll_once(&mut driver).is_pending());
    assert_eq!(gone.load(SeqCst), 1);
}

#[test]
fn zero_weights_are_closed_and_all_zero_is_unavailable() {
    let clock = ManualClock::new().clock();
    let builder = Pool::builder_on(clock).backend(endpoint("a").with_weight(0));
    let (mut pool, mut driver) = builder.backend(endpoint("b")).build();
    assert_eq!(reached(&mut pool, 50), ["b"]);
    drop(pool.handle().update(endpoint("b").with_weight(0)));
    run(&mut driver);
    let error = pool.pick(&Ask::new()).unwrap_err();
    assert_eq!(error.kind(), equipoise::ErrorKind::Unavailable);
    assert!(!error.is_retryable());
    assert_eq!(pool.members().len(), 2);
    assert!(pool.members().iter().all(|member| !member.open));
}

#[test]
fn the_later_of_two_with_one_id_replaces_the_earlier_once() {
    let (mut pool, mut driver) = builder(&["a", "b", "a"]).backend(endpoint("b").with_weight(3)).build();
    assert_eq!(pool.members().len(), 2);
    let mut events = pool.events();
    let first = pool.handle().insert(endpoint("c"));
    let second = pool.handle().insert(endpoint("c").with_weight(5));
    run(&mut driver);
    assert!(first.now_or_never().unwrap().unwrap());
    assert!(!second.now_or_never().unwrap().unwrap());
    let (id, weights) = (
        "c".into(),
        pool.members().iter().map(|m| m.backend.weight()).collect::<Vec<_>>(),
    );
    assert_eq!(weights, [1, 3, 5]);
    let added = Event::Added { id: Arc::clone(&id) };
    assert_eq!(told(&mut events), [added, Event::Updated { id }]);
    assert_eq!(reached(&mut pool, 200), ["a", "b", "c"]);
}

#[test]
fn sets_of_none_of_one_and_of_a_hundred_thousand() {
    let (mut pool, mut driver) = builder(&[]).build();
    assert!(pool.pick(&Ask::new()).is_err());
    drop(pool.handle().insert(endpoint("a")));
    run(&mut driver);
    assert_eq!(reached(&mut pool, 10), ["a"]);
    for index in 0..100_000 {
        drop(pool.handle().insert(endpoint(&index.to_string())));
    }
    run(&mut driver);
    assert_eq!(pool.members().len(), 100_001);
    let leases: Vec<_> = (0..1000).map(|_| pool.pick(&Ask::new()).unwrap()).collect();
    assert_eq!(
        pool.members().iter().map(|member| member.in_flight).sum::<usize>(),
        leases.len()
    );
    for index in 0..100_000 {
        drop(pool.handle().remove(index.to_string()));
    }
    run(&mut driver);
    assert_eq!(reached(&mut pool, 10), ["a"]);
}

#[test]
fn the_lowest_priority_that_has_a_weight_serves() {
    let clock = ManualClock::new().clock();
    let builder = Pool::builder_on(clock).backend(endpoint("backup").with_priority(1));
    let (mut pool, mut driver) = builder.backend(endpoint("first")).build();
    assert_eq!(reached(&mut pool, 20), ["first"]);
    drop(pool.handle().drain("first"));
    run(&mut driver);
    assert_eq!(reached(&mut pool, 20), ["backup"]);
}

#[test]
fn a_drain_takes_nothing_new_but_serves_its_sessions_and_tells_when_it_rests() {
    let clock = ManualClock::new();
    let builder = Pool::builder_on(clock.clock()).backends(endpoints(&["a", "b"]));
    let (mut pool, mut driver) = builder.build();
    let mut events = pool.events();
    let home = Ask::new().with_home(Home::new("a"));
    let lease = pool.pick(&home).unwrap();
    let drain = pool.handle().drain("a");
    run(&mut driver);
    assert!(drain.now_or_never().unwrap().unwrap());
    let id: Arc<str> = "a".into();
    assert_eq!(told(&mut events), [Event::DrainStarted { id: Arc::clone(&id) }]);
    assert_eq!(reached(&mut pool, 50), ["b"]);
    assert_eq!(pool.pick(&home).unwrap().backend_id(), "a");
    clock.advance(Duration::from_millis(100));
    run(&mut driver);
    assert_eq!(told(&mut events), []);
    drop(lease);
    clock.advance(Duration::from_millis(100));
    run(&mut driver);
    assert_eq!(told(&mut events), [Event::Drained { id: Arc::clone(&id) }]);
    drop(pool.handle().undrain("a"));
    run(&mut driver);
    assert_eq!(told(&mut events), [Event::DrainEnded { id }]);
    assert_eq!(reached(&mut pool, 50), ["a", "b"]);
}

#[test]
fn drained_is_not_told_before_the_drain_is_in_force() {
    let clock = ManualClock::new();
    let builder = Pool::builder_on(clock.clock()).backends(endpoints(&["a", "b"]));
    let (pool, mut driver) = builder.build();
    let mut events = pool.events();
    drop(pool.handle().drain("a"));
    run(&mut driver);
    // Until now a pick could still take it: nobody can say yet that it rests.
    let id: Arc<str> = "a".into();
    assert_eq!(told(&mut events), [Event::DrainStarted { id: Arc::clone(&id) }]);
    clock.advance(Duration::from_millis(10));
    run(&mut driver);
    assert_eq!(told(&mut events), [Event::Drained { id }]);
}

#[test]
fn a_closing_pool_waits_for_members_that_were() {
    let clock = ManualClock::new();
    let builder = Pool::builder_on(clock.clock()).backends(endpoints(&["a", "b", "c"]));
    let (mut pool, mut driver) = builder.build();
    let removed = pool.pick(&Ask::new().with_home(Home::new("a"))).unwrap();
    let replaced = pool.pick(&Ask::new().with_home(Home::new("b"))).unwrap();
    drop(pool.handle().remove("a"));
    drop(pool.handle().update(endpoint("b")));
    run(&mut driver);
    drop(pool.handle().remove("b"));
    let mut closed = pool.close();
    for lease in [Some(removed), Some(replaced), None] {
        clock.advance(Duration::from_millis(100));
        assert_eq!(run(&mut driver), lease.is_none());
        assert_eq!(poll_once(&mut closed).is_ready(), lease.is_none());
    }
}

#[test]
fn what_changes_nothing_says_so_and_tells_nothing() {
    let (pool, mut driver) = builder(&["a"]).build();
    let mut events = pool.events();
    let handle = pool.handle();
    let vain = [
        handle.remove("x"),
        handle.drain("x"),
        handle.undrain("a"),
        handle.update(endpoint("x")),
    ];
    run(&mut driver);
    for change in vain {
        assert!(!change.now_or_never().unwrap().unwrap());
    }
    assert_eq!(told(&mut events), []);
}

#[test]
fn a_tried_member_is_not_picked_again() {
    let (mut pool, _driver) = builder(&["a", "b"]).build();
    let first = pool.pick(&Ask::new()).unwrap();
    let ask = Ask::new().with_tried(first.member());
    for _ in 0..50 {
        assert_ne!(pool.pick(&ask).unwrap().backend_id(), first.backend_id());
    }
    // Not even as a home.
    let home = ask.clone().with_home(Home::new(first.backend_id()));
    let second = pool.pick(&home).unwrap();
    assert_ne!(second.backend_id(), first.backend_id());
    let both = ask.with_tried(second.member());
    assert_eq!(pool.pick(&both).unwrap_err().kind(), equipoise::ErrorKind::Unavailable);
}

#[test]
fn a_closed_pool_picks_nothing_and_waits_for_what_is_open() {
    let clock = ManualClock::new();
    let (mut pool, mut driver) = Pool::builder_on(clock.clock()).backends(endpoints(&["a"])).build();
    let mut events = pool.events();
    let lease = pool.pick(&Ask::new()).unwrap();
    let mut closed = pool.close();
    assert!(!run(&mut driver));
    assert_eq!(told(&mut events), [Event::Closed]);
    assert!(poll_once(&mut closed).is_pending());
    let home = Ask::new().with_home(Home::new("a"));
    assert!(pool.pick(&Ask::new()).is_err() && pool.pick(&home).is_err());
    drop(lease);
    clock.advance(Duration::from_millis(100));
    assert!(run(&mut driver), "a closed pool's driver ends");
    assert!(poll_once(&mut closed).is_ready());
    drop(driver);
    assert_eq!(events.next().now_or_never(), Some(None));
}

#[test]
fn drained_is_not_told_while_the_drain_cannot_be_published() {
    let clock = ManualClock::new();
    let fails = Arc::new(AtomicUsize::new(0));
    let failing = Arc::clone(&fails);
    let limit = move |_: &Plain| {
        assert_eq!(failing.load(SeqCst), 0, "as scripted");
        None
    };
    let builder = Pool::builder_on(clock.clock()).backends(endpoints(&["a"]));
    let (mut pool, mut driver) = builder.in_flight_limit_by(limit).build();
    let mut events = pool.events();
    fails.store(1, SeqCst);
    drop(pool.handle().drain("a"));
    run(&mut driver);
    clock.advance(Duration::from_millis(50));
    run(&mut driver);
    let lease = pool.pick(&Ask::new()).unwrap();
    assert!(
        !told(&mut events)
            .iter()
            .any(|event| matches!(event, Event::Drained { .. }))
    );
    drop(lease);
    // A pool that cannot publish can be closed all the same.
    let mut closed = pool.close();
    clock.advance(Duration::from_secs(1));
    run(&mut driver);
    assert!(poll_once(&mut closed).is_ready());
    assert!(pool.pick(&Ask::new()).is_err());
}

#[test]
fn a_pick_while_an_update_is_prepared_is_counted() {
    let picker: Arc<Mutex<Option<Pool<Plain>>>> = Arc::default();
    let lease = Arc::new(Mutex::new(None));
    let (within, held) = (Arc::clone(&picker), Arc::clone(&lease));
    // The limit is asked for while the snapshot is built: here somebody picks just then.
    let limit = move |_: &Plain| {
        if let Some(pool) = within.lock().unwrap().as_mut() {
            *held.lock().unwrap() = Some(pool.pick(&Ask::new()).unwrap());
        }
        Some(1)
    };
    let (mut pool, mut driver) = builder(&["a"]).in_flight_limit_by(limit).build();
    *picker.lock().unwrap() = Some(pool.clone());
    drop(pool.handle().update(endpoint("a")));
    run(&mut driver);
    *picker.lock().unwrap() = None;
    assert!(lease.lock().unwrap().is_some());
    assert_eq!(pool.members()[0].in_flight, 1);
    assert!(pool.pick(&Ask::new()).is_err(), "two leases at a limit of one");
}

#[test]
fn listing_members_counts_as_no_request() {
    let (mut pool, mut driver) = builder(&["a"]).in_flight_limit(1).build();
    let members = pool.members();
    assert!(pool.pick(&Ask::new()).is_ok());
    // Nor does what was listed keep anything from coming to rest.
    let mut closed = pool.close();
    run(&mut driver);
    drop(driver);
    assert!(poll_once(&mut closed).is_ready());
    drop(members);
}
