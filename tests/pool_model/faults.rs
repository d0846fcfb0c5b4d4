//! Faults and strange wishes of a selector or a backend, as the driver meets them.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use equipoise::{
    Ask, Backend, Clock, Driver, ManualClock, Pool, Selector, Timer,
    selector::{At, Members, Pick},
};

use crate::edges::{Node, node, poll};

/// A clock that counts how often it is looked at, and loses patience.
struct Patience {
    clock: ManualClock,
    looks: AtomicUsize,
}

impl Timer for Patience {
    fn now(&self) -> Instant {
        assert!(
            self.looks.fetch_add(1, SeqCst) < 10_000,
            "the driver spins within one poll"
        );
        self.clock.now()
    }
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.clock.clock().sleep_until(deadline))
    }
}

/// Prepares anew so often; fails or panics in `refresh` itself when told to.
#[derive(Clone)]
struct Refreshing {
    every: Duration,
    prepare_fails: Arc<AtomicBool>,
    refresh_fails: Arc<AtomicBool>,
}

impl Refreshing {
    fn every(every: Duration) -> Self {
        Self {
            every,
            prepare_fails: Arc::default(),
            refresh_fails: Arc::default(),
        }
    }
}

impl<B: Backend> Selector<B> for Refreshing {
    type Memory = ();
    type Table = ();
    fn memory(&self, _: &B) {}
    fn prepare(&self, _: &Members<'_, B, ()>) {
        assert!(!self.prepare_fails.load(SeqCst), "planted in prepare");
    }
    fn refresh(&self) -> Option<Duration> {
        assert!(!self.refresh_fails.load(SeqCst), "planted in refresh");
        Some(self.every)
    }
    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        pick.any_open()
    }
}

fn patient(selector: Refreshing) -> (ManualClock, Pool<Node, Refreshing>, Driver<Node, Refreshing>) {
    let clock = ManualClock::new();
    let patience = Patience {
        clock: clock.clone(),
        looks: AtomicUsize::new(0),
    };
    let (pool, driver) = Pool::builder_on(Clock::custom(patience))
        .selector(selector)
        .backend(node("a"))
        .build();
    (clock, pool, driver)
}

/// The refresh stays due while publishing backs off: no reason to look again before that is over.
#[test]
fn the_driver_does_not_spin_when_a_refresh_fails() {
    let selector = Refreshing::every(Duration::from_secs(1));
    let (clock, _pool, mut driver) = patient(selector.clone());
    assert!(poll(&mut driver).is_pending());
    selector.prepare_fails.store(true, SeqCst);
    clock.advance(Duration::from_secs(1));
    assert!(poll(&mut driver).is_pending());
}

#[test]
fn the_driver_does_not_spin_when_refresh_is_zero() {
    let (_clock, _pool, mut driver) = patient(Refreshing::every(Duration::ZERO));
    assert!(poll(&mut driver).is_pending());
}

#[test]
fn a_refresh_of_for_ever_is_no_panic() {
    let (_clock, _pool, mut driver) = patient(Refreshing::every(Duration::MAX));
    assert!(poll(&mut driver).is_pending());
}

#[test]
fn the_driver_outlives_a_panic_in_refresh() {
    let selector = Refreshing::every(Duration::from_secs(1));
    let (_clock, pool, mut driver) = patient(selector.clone());
    selector.refresh_fails.store(true, SeqCst);
    let _inserted = pool.handle().insert(node("b"));
    assert!(poll(&mut driver).is_pending());
}

/// Its id cannot be had.
struct Nameless(Arc<AtomicBool>);

impl Backend for Nameless {
    fn id(&self) -> &str {
        assert!(!self.0.load(SeqCst), "planted in id");
        "a"
    }
}

#[test]
fn the_driver_outlives_a_panic_in_the_id_of_an_update() {
    let (pool, mut driver) = Pool::builder_on(ManualClock::new().clock())
        .backend(Nameless(Arc::default()))
        .build();
    let _updated = pool.handle().update(Nameless(Arc::new(true.into())));
    assert!(poll(&mut driver).is_pending());
}

/// What is replaced, but whose replacement is not in force, serves: it is part of the last good set.
#[test]
fn the_last_good_set_serves_on_when_a_driver_is_dropped_after_a_failed_publish() {
    let selector = Refreshing::every(Duration::from_secs(3600));
    let (_clock, mut pool, mut driver) = patient(selector.clone());
    selector.prepare_fails.store(true, SeqCst);
    let _updated = pool.handle().update(node("a"));
    assert!(poll(&mut driver).is_pending());
    assert!(pool.pick(&Ask::new()).is_ok());
    drop(driver);
    pool.pick(&Ask::new()).expect("the last good set");
}

/// Retired tables are the driver's to free.
#[test]
fn the_driver_outlives_a_panic_in_the_drop_of_a_table() {
    struct Fragile;
    struct Table(bool);
    impl Drop for Table {
        fn drop(&mut self) {
            assert!(!self.0, "planted in drop");
        }
    }
    impl<B: Backend> Selector<B> for Fragile {
        type Memory = ();
        type Table = Table;
        fn memory(&self, _: &B) {}
        fn prepare(&self, members: &Members<'_, B, ()>) -> Table {
            Table(members.len() == 1)
        }
        fn select(&self, _: &Table, pick: &Pick<'_, B, ()>) -> Option<At> {
            pick.any_open()
        }
    }
    let clock = ManualClock::new();
    let (mut pool, mut driver) = Pool::builder_on(clock.clock())
        .selector(Fragile)
        .backend(node("a"))
        .build();
    let _inserted = pool.handle().insert(node("b"));
    assert!(poll(&mut driver).is_pending());
    let _ = pool.pick(&Ask::new());
    clock.advance(Duration::from_secs(1));
    assert!(poll(&mut driver).is_pending());
}
