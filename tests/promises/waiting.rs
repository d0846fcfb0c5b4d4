//! Nobody to pick, everybody full: at once or bounded, first come first served, and nothing hangs for ever.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Wake,
    time::{Duration, Instant},
};

use equipoise::{
    Acquire, Admission, Ask, Clock, Driver, ErrorKind, Home, Lease, LeastLoaded, ManualClock, Pool, Timer,
};
use tower::discover::Change;

use super::*;

const DEADLINE: Duration = Duration::from_secs(3);

fn queued(capacity: usize) -> (ManualClock, Pool<Plain>, Driver<Plain, LeastLoaded>) {
    let clock = ManualClock::new();
    let builder = Pool::builder_on(clock.clock())
        .backends(endpoints(&["a"]))
        .in_flight_limit(1);
    let (pool, driver) = builder.admission(queue(capacity)).build();
    (clock, pool, driver)
}

fn queue(capacity: usize) -> Admission {
    let deadline = DEADLINE;
    Admission::Queue { capacity, deadline }
}

fn served(acquire: &mut Acquire<Plain, LeastLoaded>) -> Option<Lease<Arc<Plain>>> {
    match poll_once(acquire) {
        Poll::Ready(lease) => Some(lease.unwrap()),
        Poll::Pending => None,
    }
}

#[test]
fn full_members_shed_at_once() {
    let (mut pool, _driver) = builder(&["a", "b"]).in_flight_limit(2).build();
    let leases: Vec<_> = (0..4).map(|_| pool.pick(&Ask::new()).unwrap()).collect();
    let error = pool.pick(&Ask::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.is_retryable());
    assert!(matches!(poll_once(&mut pool.acquire(Ask::new())), Poll::Ready(Err(_))));
    drop(leases);
    assert!(pool.pick(&Ask::new()).is_ok());
}

#[test]
fn limits_may_differ_by_backend() {
    let clock = ManualClock::new().clock();
    let builder = Pool::builder_on(clock)
        .backend(endpoint("a").with_weight(3))
        .backend(endpoint("b"));
    let limit = |backend: &Plain| Some(equipoise::Backend::weight(backend));
    let (mut pool, _driver) = builder.in_flight_limit_by(limit).build();
    let leases: Vec<_> = (0..4).map(|_| pool.pick(&Ask::new()).unwrap()).collect();
    assert!(pool.pick(&Ask::new()).is_err());
    let members = pool.members();
    assert_eq!((members[0].in_flight, members[1].in_flight), (3, 1));
    drop(leases);
}

#[test]
fn the_queue_is_first_come_first_served() {
    let (_clock, mut pool, _driver) = queued(8);
    let lease = pool.pick(&Ask::new()).unwrap();
    let mut waiting: Vec<_> = (0..3).map(|_| pool.acquire(Ask::new())).collect();
    assert!(waiting.iter_mut().all(|acquire| served(acquire).is_none()));
    drop(lease);
    // Neither who comes now nor who is polled first gets in before the first in the queue.
    assert_eq!(pool.pick(&Ask::new()).unwrap_err().kind(), ErrorKind::Overloaded);
    assert!(served(&mut waiting[2]).is_none());
    assert!(served(&mut waiting[1]).is_none());
    let first = served(&mut waiting[0]).unwrap();
    assert!(served(&mut waiting[1]).is_none());
    drop(first);
    let second = served(&mut waiting[1]).unwrap();
    drop(second);
    assert!(served(&mut waiting[2]).is_some());
    assert!(pool.pick(&Ask::new()).is_ok());
}

#[test]
fn the_queue_has_a_capacity_and_a_deadline() {
    let (clock, mut pool, _driver) = queued(1);
    let lease = pool.pick(&Ask::new()).unwrap();
    let (mut waits, mut turned_away) = (pool.acquire(Ask::new()), pool.acquire(Ask::new()));
    assert!(served(&mut waits).is_none());
    let Poll::Ready(Err(error)) = poll_once(&mut turned_away) else {
        panic!("let in")
    };
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    clock.advance(DEADLINE - Duration::from_nanos(1));
    assert!(served(&mut waits).is_none());
    clock.advance(Duration::from_nanos(1));
    let Poll::Ready(Err(error)) = poll_once(&mut waits) else {
        panic!("past the deadline")
    };
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    drop(lease);
    assert!(pool.pick(&Ask::new()).is_ok(), "who has gone is not waited for");
}

#[test]
fn who_gives_up_lets_the_next_one_in() {
    let (_clock, mut pool, _driver) = queued(8);
    let lease = pool.pick(&Ask::new()).unwrap();
    let (mut first, mut second) = (pool.acquire(Ask::new()), pool.acquire(Ask::new()));
    assert!(served(&mut first).is_none() && served(&mut second).is_none());
    drop(lease);
    drop(first);
    assert!(served(&mut second).is_some());
}

#[test]
fn who_cannot_use_room_lets_one_behind_have_it() {
    let admission = Admission::Queue {
        capacity: 8,
        deadline: DEADLINE,
    };
    let (mut pool, _driver) = builder(&["a", "b"]).in_flight_limit(1).admission(admission).build();
    let mut leases = [pool.pick(&Ask::new()).unwrap(), pool.pick(&Ask::new()).unwrap()].map(Some);
    let mut picky = pool.acquire(Ask::new().with_tried(leases[0].as_ref().unwrap().member()));
    let mut easy = pool.acquire(Ask::new());
    assert!(served(&mut picky).is_none() && served(&mut easy).is_none());
    leases[0] = None;
    assert!(served(&mut picky).is_none());
    let place = served(&mut easy).unwrap();
    leases[1] = None;
    assert_ne!(served(&mut picky).unwrap().member(), place.member());
}

/// Waiting for a home among others is waiting for anybody until the home drains; from then on for the home alone.
#[test]
fn who_waits_for_a_home_that_begins_to_drain_is_let_in_there() {
    let admission = Admission::Queue {
        capacity: 8,
        deadline: DEADLINE,
    };
    let (mut pool, mut driver) = builder(&["a", "b"]).in_flight_limit(1).admission(admission).build();
    let [b, a] = [pool.pick(&Ask::new().with_home(Home::new("b"))), pool.pick(&Ask::new())].map(Result::unwrap);
    assert_eq!((a.backend_id(), b.backend_id()), ("a", "b"));
    let (mut easy, mut stays) = (
        pool.acquire(Ask::new()),
        pool.acquire(Ask::new().with_home(Home::new("b"))),
    );
    assert!(served(&mut easy).is_none() && served(&mut stays).is_none());
    drop(pool.handle().drain("b"));
    assert!(poll_once(&mut driver).is_pending());
    assert!(served(&mut easy).is_none() && served(&mut stays).is_none());
    drop(b);
    assert!(served(&mut easy).is_none(), "nothing new at who drains");
    assert_eq!(served(&mut stays).unwrap().backend_id(), "b");
}

#[test]
fn who_has_tried_all_is_turned_away_at_once() {
    let (_clock, mut pool, _driver) = queued(8);
    let lease = pool.pick(&Ask::new()).unwrap();
    let mut picky = pool.acquire(Ask::new().with_tried(lease.member()));
    assert!(matches!(poll_once(&mut picky), Poll::Ready(Err(error)) if error.kind() == ErrorKind::Unavailable));
}

#[test]
fn a_new_member_serves_those_who_wait() {
    let (_clock, mut pool, mut driver) = queued(8);
    let _lease = pool.pick(&Ask::new()).unwrap();
    let mut waits = pool.acquire(Ask::new());
    assert!(served(&mut waits).is_none());
    drop(pool.handle().insert(endpoint("b")));
    run(&mut driver);
    assert_eq!(served(&mut waits).unwrap().backend_id(), "b");
}

/// A discovery that has nothing to say yet.
fn silent() -> impl tokio_stream::Stream<Item = Result<Change<u32, Plain>, std::convert::Infallible>> + Send {
    tokio_stream::pending()
}

#[test]
fn before_discovery_has_spoken_a_request_waits_no_longer_than_its_patience() {
    let clock = ManualClock::new();
    let builder = Pool::builder_on(clock.clock()).discover(silent()).patience(DEADLINE);
    let (mut pool, mut driver) = builder.build();
    run(&mut driver);
    assert_eq!(
        pool.pick(&Ask::new()).unwrap_err().kind(),
        ErrorKind::Unavailable,
        "a pick does not wait"
    );
    let mut waits = pool.acquire(Ask::new());
    assert!(served(&mut waits).is_none());
    clock.advance(DEADLINE);
    let Poll::Ready(Err(error)) = poll_once(&mut waits) else {
        panic!("past its patience")
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn once_discovery_has_spoken_nobody_waits_for_members() {
    let spoken = tokio_stream::iter([Ok::<_, std::convert::Infallible>(Change::Remove(1))]);
    let (pool, mut driver) = Pool::builder_on(ManualClock::new().clock()).discover(spoken).build();
    let mut waits = pool.acquire(Ask::new());
    assert!(served(&mut waits).is_none());
    run(&mut driver);
    assert!(matches!(poll_once(&mut waits), Poll::Ready(Err(error)) if error.kind() == ErrorKind::Unavailable));
    assert!(matches!(poll_once(&mut pool.acquire(Ask::new())), Poll::Ready(Err(_))));
}

#[test]
fn closing_turns_away_those_who_wait() {
    let (_clock, mut pool, mut driver) = queued(8);
    let lease = pool.pick(&Ask::new()).unwrap();
    let mut waiting: Vec<_> = (0..3).map(|_| pool.acquire(Ask::new())).collect();
    assert!(waiting.iter_mut().all(|acquire| served(acquire).is_none()));
    drop(pool.close());
    run(&mut driver);
    for waits in &mut waiting {
        assert!(matches!(poll_once(waits), Poll::Ready(Err(error)) if error.kind() == ErrorKind::Unavailable));
    }
    drop(lease);
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_home_that_only_one_request_may_have_wakes_that_request() {
    let clock = ManualClock::new();
    let backends = [endpoint("a"), endpoint("x").with_weight(0)];
    let builder = Pool::builder_on(clock.clock()).backends(backends).in_flight_limit(1);
    let (mut pool, _driver) = builder.admission(queue(8)).build();
    let home = Ask::new().with_home(Home::new("x"));
    let _a = pool.pick(&Ask::new()).unwrap();
    let x = pool.pick(&home).unwrap();
    let woken = Arc::new(Woken::default());
    let (mut plain, mut homed) = (pool.acquire(Ask::new()), pool.acquire(home));
    assert!(poll_once(&mut plain).is_pending());
    let waker = Waker::from(Arc::clone(&woken));
    assert!(homed.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    drop(x);
    assert!(poll_once(&mut plain).is_pending());
    assert_eq!(woken.0.load(SeqCst), 1);
    assert!(matches!(poll_once(&mut homed), Poll::Ready(Ok(lease)) if lease.backend_id() == "x"));
}

#[test]
fn who_does_not_look_after_its_request_holds_up_nobody_past_its_deadline() {
    let (clock, mut pool, _driver) = queued(8);
    let lease = pool.pick(&Ask::new()).unwrap();
    let mut forgotten = pool.acquire(Ask::new());
    assert!(poll_once(&mut forgotten).is_pending());
    drop(lease);
    clock.advance(DEADLINE);
    assert!(matches!(poll_once(&mut pool.acquire(Ask::new())), Poll::Ready(Ok(_))));
}

/// Runs a driver at the moment when a timer is set.
#[derive(Clone)]
struct Interposed {
    driver: Arc<Mutex<Option<Driver<Plain, LeastLoaded>>>>,
    now: Instant,
}

impl Timer for Interposed {
    fn now(&self) -> Instant {
        self.now
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // Taken out first: the driver sets timers as well.
        let driver = self.driver.lock().unwrap().take();
        if let Some(mut driver) = driver {
            run(&mut driver);
            *self.driver.lock().unwrap() = Some(driver);
        }
        Box::pin(std::future::pending())
    }
}

#[test]
fn a_pool_closed_on_the_way_to_the_queue_turns_away_at_once() {
    let now = Instant::now();
    let timer = Interposed {
        driver: Arc::default(),
        now,
    };
    let clock = Clock::custom(timer.clone());
    let builder = Pool::builder_on(clock).backends(endpoints(&["a"])).in_flight_limit(1);
    let (mut pool, driver) = builder.admission(queue(8)).build();
    let _lease = pool.pick(&Ask::new()).unwrap();
    drop(pool.close());
    *timer.driver.lock().unwrap() = Some(driver);
    // It saw a full pool, and finds it closed once it is in the queue.
    let mut waits = pool.acquire(Ask::new());
    assert!(matches!(poll_once(&mut waits), Poll::Ready(Err(error)) if error.kind() == ErrorKind::Unavailable));
    timer.driver.lock().unwrap().take();
}
