//! Every interleaving of what threads do to a pool at once: publish and pick, release and wait, call and cancel.
//!
//! loom does not see into `Arc`'s counts: limits under racing picks are `pool_model.rs`'s to hold.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release --no-default-features --test loom`.
#![cfg(loom)]

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use equipoise::{
    AdaptiveLimit, Admission, Ask, Backend, Condition, Driver, Endpoint, LeastLoaded, ManualClock, Outcome, Pool,
    Readiness,
};
use loom::{future::block_on, thread};

type Members = Pool<Endpoint<()>>;

fn pool(ids: &[&str], limit: Option<u32>) -> (Members, Driver<Endpoint<()>, LeastLoaded>) {
    let backends = ids.iter().map(|id| Endpoint::new(*id, ()));
    let builder = Pool::builder_on(ManualClock::new().clock()).backends(backends).seed(1);
    match limit {
        None => builder,
        Some(limit) => builder.in_flight_limit(limit).admission(Admission::Queue {
            capacity: 8,
            // The clock stands still: who is not woken waits for ever, which loom reports as a deadlock.
            deadline: Duration::from_secs(1),
        }),
    }
    .build()
}

/// All schedules with up to three preemptions: without a bound the one with three threads takes more than minutes.
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

fn run(driver: &mut Driver<Endpoint<()>, LeastLoaded>) {
    let polled = std::pin::Pin::new(driver).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}

#[test]
fn a_removed_member_is_not_picked_after_the_publish() {
    model(|| {
        let (pool, mut driver) = pool(&["a", "b"], None);
        let mut picker = pool.clone();
        let handle = pool.handle();
        let publisher = thread::spawn(move || {
            let removed = handle.remove("a");
            run(&mut driver);
            assert!(block_on(removed).unwrap());
            driver
        });
        // Before, during or after: always a member, and never half of a change.
        let lease = picker.pick(&Ask::new()).unwrap();
        let during = lease.backend_id().to_owned();
        assert!(during == "a" || during == "b");
        drop(lease);
        let _driver = publisher.join().unwrap();
        assert_eq!(picker.pick(&Ask::new()).unwrap().backend_id(), "b");
    });
}

#[test]
fn a_release_wakes_who_waits() {
    model(|| {
        let (pool, _driver) = pool(&["a"], Some(1));
        let lease = pool.clone().pick(&Ask::new()).unwrap();
        let waiter = thread::spawn(move || {
            let lease = block_on(pool.acquire(Ask::new())).unwrap();
            drop(lease);
            pool
        });
        drop(lease);
        let pool = waiter.join().unwrap();
        assert_eq!(pool.members()[0].in_flight, 0);
    });
}

#[test]
fn a_limit_that_rises_wakes_who_waits() {
    model(|| {
        let clock = ManualClock::new();
        let limit = AdaptiveLimit::new().with_bounds(1, 2).unwrap();
        let (mut pool, _driver) = Pool::builder_on(clock.clock())
            .backend(Endpoint::new("a", ()))
            .seed(1)
            .adaptive_limit(limit.with_initial(1).unwrap())
            .admission(Admission::Queue {
                capacity: 8,
                deadline: Duration::from_secs(1),
            })
            .build();
        // The last of the requests that a window takes is still open.
        let mut pick = || {
            let lease = pool.pick(&Ask::new()).unwrap();
            clock.advance(Duration::from_millis(10));
            lease
        };
        (0..24).for_each(|_| pick().settle(Outcome::Success));
        let mut lease = pick();
        let waiter = thread::spawn(move || {
            let lease = block_on(pool.acquire(Ask::new())).unwrap();
            drop(lease);
            pool
        });
        lease.settle(Outcome::Success);
        // It is not given back before the other has been served.
        let pool = waiter.join().unwrap();
        assert_eq!(pool.members()[0].limit, Some(2));
        drop(lease);
    });
}

#[test]
fn two_releases_wake_two_who_wait() {
    model(|| {
        let (pool, _driver) = pool(&["a"], Some(2));
        let leases = [(); 2].map(|()| pool.clone().pick(&Ask::new()).unwrap());
        let waiters = [(); 2].map(|()| {
            let pool = pool.clone();
            thread::spawn(move || block_on(pool.acquire(Ask::new())).map(|lease| lease.backend_id().to_owned()))
        });
        leases.into_iter().for_each(drop);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap(), "a");
        }
    });
}

#[test]
fn who_is_called_and_leaves_calls_the_next() {
    model(|| {
        let (pool, _driver) = pool(&["a"], Some(1));
        let lease = pool.clone().pick(&Ask::new()).unwrap();
        // The first in the queue gives up, perhaps after it was called.
        let mut first = pool.acquire(Ask::new());
        assert!(poll_once(&mut first).is_pending());
        let mut second = pool.acquire(Ask::new());
        assert!(poll_once(&mut second).is_pending());
        let releaser = thread::spawn(move || drop(lease));
        drop(first);
        assert_eq!(block_on(second).unwrap().backend_id(), "a");
        releaser.join().unwrap();
    });
}

#[test]
fn a_new_member_wakes_who_waits() {
    model(|| {
        let (pool, mut driver) = pool(&["a"], Some(1));
        let _lease = pool.clone().pick(&Ask::new()).unwrap();
        let handle = pool.handle();
        let publisher = thread::spawn(move || {
            drop(handle.insert(Endpoint::new("b", ())));
            run(&mut driver);
            driver
        });
        assert_eq!(block_on(pool.acquire(Ask::new())).unwrap().backend_id(), "b");
        let _driver = publisher.join().unwrap();
    });
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A backend that says whether it is ready.
struct Link(Readiness);

impl Backend for Link {
    fn id(&self) -> &str {
        "a"
    }
    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.0)
    }
}

#[test]
fn becoming_ready_wakes_all_who_wait() {
    model(|| {
        let readiness = Readiness::new(Condition::Waiting);
        let link = Link(readiness.clone());
        let (pool, _driver) = Pool::builder_on(ManualClock::new().clock()).backend(link).build();
        let waiters = [pool.clone(), pool].map(|pool| {
            thread::spawn(move || {
                let lease = block_on(pool.acquire(Ask::new())).unwrap();
                drop(lease);
            })
        });
        readiness.set(Condition::Ready);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}
