//! What may happen between two steps of the pool, made to happen there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use equipoise::{
    Acquire, Admission, Ask, Backend, Driver, Home, LeastLoaded, ManualClock, Pool, Selector,
    selector::{At, Members, Pick},
};
use futures_util::FutureExt;
use parking_lot::Mutex;

use crate::edges::{Node, node, poll};

/// Runs once, when its time has come.
type Hook = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// Takes anybody; once it has chosen, and before the pool has made a lease of that, something may happen.
#[derive(Clone, Default)]
struct Hooked(Hook);

impl<B: Backend> Selector<B> for Hooked {
    type Memory = ();
    type Table = ();
    fn memory(&self, _: &B) {}
    fn prepare(&self, _: &Members<'_, B, ()>) {}
    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        let at = pick.any_open();
        let hook = self.0.lock().take();
        if let Some(hook) = hook {
            hook();
        }
        at
    }
}

fn hooked(limit: Option<u32>) -> (Hooked, ManualClock, Pool<Node, Hooked>, Driver<Node, Hooked>) {
    let (selector, clock) = (Hooked::default(), ManualClock::new());
    let (pool, driver) = Pool::builder_on(clock.clock())
        .selector(selector.clone())
        .in_flight_limit_by(move |_| limit)
        .backend(node("a"))
        .build();
    (selector, clock, pool, driver)
}

/// The selector saw one place left, and another takes it: its choice is looked at again.
#[test]
fn a_limit_holds_when_another_pick_comes_first() {
    let (selector, _clock, mut pool, _driver) = hooked(Some(1));
    let (other, held) = (Mutex::new(pool.clone()), Arc::new(Mutex::new(Vec::new())));
    let taken = Arc::clone(&held);
    *selector.0.lock() = Some(Box::new(move || {
        taken.lock().push(other.lock().pick(&Ask::new()).unwrap())
    }));
    assert!(pool.pick(&Ask::new()).is_err(), "a second request at a member of 1");
    assert_eq!(pool.members()[0].in_flight, 1);
    assert_eq!(
        pool.members()[0].tally.total(),
        0,
        "who gave its lease back is in no count"
    );
    held.lock().clear();
    assert!(pool.pick(&Ask::new()).is_ok());
}

/// A pick that chose by the old snapshot sees leases of the old incarnation alone; the new one has some too.
#[test]
fn a_limit_holds_across_an_update_during_a_pick() {
    let (selector, _clock, mut pool, mut driver) = hooked(Some(2));
    let _first = pool.pick(&Ask::new()).unwrap();
    let (other, held) = (Mutex::new(pool.clone()), Arc::new(Mutex::new(Vec::new())));
    let taken = Arc::clone(&held);
    *selector.0.lock() = Some(Box::new(move || {
        let updated = other.lock().handle().update(node("a"));
        assert!(poll(&mut driver).is_pending());
        assert!(updated.now_or_never().unwrap().unwrap());
        taken.lock().push(other.lock().pick(&Ask::new()).unwrap());
        std::mem::forget(driver);
    }));
    let third = pool.pick(&Ask::new());
    assert!(third.is_err(), "a third request at a member of 2");
}

/// The member is gone, and that is published, before the lease is made; another lease keeps its backend alive.
#[test]
fn a_removed_member_is_not_picked_by_a_pick_that_its_removal_overtook() {
    let (selector, _clock, mut pool, mut driver) = hooked(None);
    let _first = pool.pick(&Ask::new()).unwrap();
    let handle = pool.handle();
    *selector.0.lock() = Some(Box::new(move || {
        let removed = handle.remove("a");
        assert!(poll(&mut driver).is_pending());
        assert!(removed.now_or_never().unwrap().unwrap());
        std::mem::forget(driver);
    }));
    assert!(
        pool.pick(&Ask::new()).is_err(),
        "the removal was in force before there was a lease"
    );
}

fn queueing(ids: &[&str], deadline: Duration) -> (Pool<Node>, Driver<Node, LeastLoaded>) {
    Pool::builder_on(ManualClock::new().clock())
        .backends(ids.iter().map(|id| node(id)))
        .in_flight_limit(1)
        .admission(Admission::Queue { capacity: 8, deadline })
        .build()
}

#[test]
fn a_queue_without_deadline_is_no_panic() {
    let (mut pool, _driver) = queueing(&["a"], Duration::MAX);
    let _held = pool.pick(&Ask::new()).unwrap();
    assert!(pool.acquire(Ask::new()).now_or_never().is_none());
}

/// Who comes after one that may not have what is free has no release to wait for.
#[test]
fn a_waiter_that_tried_the_free_member_does_not_hold_up_the_next() {
    let (mut pool, _driver) = queueing(&["a", "b"], Duration::from_secs(60));
    let at = |id: &str| Ask::new().with_home(Home::new(id));
    let tried = pool.pick(&at("a")).unwrap().member();
    let _b = pool.pick(&at("b")).unwrap();
    let mut first = pool.acquire(Ask::new().with_tried(tried));
    assert!((&mut first).now_or_never().is_none(), "it waits for b");
    let second = pool.acquire(Ask::new());
    assert!(
        second.now_or_never().is_some(),
        "a is free, and the first cannot have it"
    );
}

/// Polls its future when woken, there and then, as an executor on another core may.
struct Eager {
    acquire: Mutex<Option<Acquire<Node, LeastLoaded>>>,
    served: AtomicBool,
}

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let Some(mut acquire) = self.acquire.try_lock() else {
            return;
        };
        let polled = acquire
            .as_mut()
            .map(|acquire| acquire.poll_unpin(&mut Context::from_waker(&waker)));
        if polled.is_some_and(|polled| polled.is_ready()) {
            self.served.store(true, SeqCst);
            *acquire = None;
        }
    }
}

/// Waiters are called when an update is published; what it replaced must not count as a request by then, or they look in
/// vain, and nobody calls them again.
#[test]
fn a_waiter_called_by_an_update_finds_the_place_that_it_frees() {
    let (mut pool, mut driver) = Pool::builder_on(ManualClock::new().clock())
        .backend(node("a"))
        .in_flight_limit_by({
            let asked = AtomicUsize::new(0);
            move |_: &Node| Some(1 + u32::from(asked.fetch_add(1, SeqCst) > 0))
        })
        .admission(Admission::Queue {
            capacity: 8,
            deadline: Duration::from_secs(60),
        })
        .build();
    let _held = pool.pick(&Ask::new()).unwrap();
    let eager = Arc::new(Eager {
        acquire: Mutex::new(Some(pool.acquire(Ask::new()))),
        served: AtomicBool::new(false),
    });
    Arc::clone(&eager).wake();
    assert!(!eager.served.load(SeqCst), "the member is full");
    // From now on the limit is 2.
    let _updated = pool.handle().update(node("a"));
    assert!(poll(&mut driver).is_pending());
    assert!(
        eager.served.load(SeqCst),
        "1 of 2 is in flight, somebody waits, and nobody will call"
    );
}

/// Until the update is in force, the last set serves: none of it is let go before.
#[test]
fn picks_go_on_while_an_update_is_prepared() {
    let picker: Arc<Mutex<Option<Pool<Node>>>> = Arc::default();
    let picked = Arc::new(AtomicUsize::new(0));
    let (pool, mut driver) = Pool::builder_on(ManualClock::new().clock())
        .backend(node("a"))
        .in_flight_limit_by({
            let (picker, picked) = (Arc::clone(&picker), Arc::clone(&picked));
            // Asked while the next snapshot is made.
            move |_: &Node| {
                if let Some(pool) = picker.lock().as_mut() {
                    picked.fetch_add(usize::from(pool.pick(&Ask::new()).is_ok()), SeqCst);
                }
                None
            }
        })
        .build();
    *picker.lock() = Some(pool.clone());
    let _updated = pool.handle().update(node("a"));
    assert!(poll(&mut driver).is_pending());
    assert_eq!(picked.load(SeqCst), 1);
}

/// Two threads, no way to stop one at the right moment: thousands of updates find it.
#[test]
fn a_member_that_is_updated_is_never_missing_from_the_list() {
    let (_selector, clock, pool, mut driver) = hooked(None);
    let stop = AtomicBool::new(false);
    let missing = std::thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let mut missing = 0;
            while !stop.load(SeqCst) {
                missing += usize::from(pool.members().len() != 1);
            }
            missing
        });
        for _ in 0..30_000 {
            // Time for the driver to forget what was replaced.
            clock.advance(Duration::from_millis(20));
            let _updated = pool.handle().update(node("a"));
            assert!(poll(&mut driver).is_pending());
        }
        stop.store(true, SeqCst);
        looker.join().unwrap()
    });
    assert_eq!(missing, 0, "looks that did not see it");
}

/// One thread picks and gives back, one at a time, where one is allowed: there is always a place.
#[test]
fn an_update_makes_nobody_look_full() {
    let (_selector, clock, pool, mut driver) = hooked(Some(1));
    let stop = AtomicBool::new(false);
    let refused = std::thread::scope(|scope| {
        let picker = scope.spawn(|| {
            let (mut pool, mut refused) = (pool.clone(), 0);
            while !stop.load(SeqCst) {
                refused += usize::from(pool.pick(&Ask::new()).is_err());
            }
            refused
        });
        for _ in 0..30_000 {
            // Time for the driver to forget what was replaced.
            clock.advance(Duration::from_millis(20));
            let _updated = pool.handle().update(node("a"));
            assert!(poll(&mut driver).is_pending());
        }
        stop.store(true, SeqCst);
        picker.join().unwrap()
    });
    assert_eq!(refused, 0, "picks that were refused though nothing was in flight");
}
