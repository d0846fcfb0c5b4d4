//! What goes wrong around a pool stays where it went wrong.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Wake,
    time::Duration,
};

use equipoise::{
    Admission, Ask, Backend, BalanceLayer, BoxError, Home, ManualClock, Pool, Selector,
    selector::{At, Members, Needs, Pick},
};
use tower::{Layer, Service, limit::ConcurrencyLimit, service_fn};

use super::*;

fn queue() -> Admission {
    let deadline = Duration::from_secs(1);
    Admission::Queue { capacity: 8, deadline }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
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

#[tokio::test]
async fn a_call_that_fails_gives_the_inner_services_readiness_back() {
    let (pool, _driver) = builder(&[]).build();
    let inner = service_fn(async |_: equipoise::Assigned<&str, Plain>| Ok::<_, BoxError>(()));
    let mut one = BalanceLayer::new(pool).layer(ConcurrencyLimit::new(inner, 1));
    let mut other = one.clone();
    let ready = |service: &mut _| Service::<&str>::poll_ready(service, &mut Context::from_waker(Waker::noop()));
    assert!(ready(&mut one).is_ready());
    assert!(ready(&mut other).is_pending());
    assert!(one.call("nobody is there").await.is_err());
    assert!(ready(&mut other).is_ready());
}

#[test]
fn a_home_that_only_one_request_may_have_wakes_that_request() {
    let clock = ManualClock::new();
    let backends = [endpoint("a"), endpoint("x").with_weight(0)];
    let builder = Pool::builder_on(clock.clock()).backends(backends).in_flight_limit(1);
    let (mut pool, _driver) = builder.admission(queue()).build();
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
            .any(|event| matches!(event, equipoise::Event::Drained { .. }))
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
fn who_does_not_look_after_its_request_holds_up_nobody_past_its_deadline() {
    let clock = ManualClock::new();
    let builder = Pool::builder_on(clock.clock())
        .backends(endpoints(&["a"]))
        .in_flight_limit(1);
    let (mut pool, _driver) = builder.admission(queue()).build();
    let lease = pool.pick(&Ask::new()).unwrap();
    let mut forgotten = pool.acquire(Ask::new());
    assert!(poll_once(&mut forgotten).is_pending());
    drop(lease);
    clock.advance(Duration::from_secs(1));
    assert!(matches!(poll_once(&mut pool.acquire(Ask::new())), Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn the_latency_of_a_call_is_that_of_its_head() {
    use equipoise::{Assigned, Outcome, Selector, selector::*};

    type Seen = Vec<(Outcome, Option<Duration>)>;
    #[derive(Clone, Default)]
    struct Timed(Arc<Mutex<Seen>>);
    impl Selector<Plain> for Timed {
        type Memory = ();
        type Table = ();
        fn needs(&self) -> Needs {
            Needs::nothing().completions()
        }
        fn memory(&self, _: &Plain) {}
        fn prepare(&self, _: &Members<'_, Plain, ()>) {}
        fn select(&self, _: &(), pick: &Pick<'_, Plain, ()>) -> Option<At> {
            pick.now();
            pick.any_open()
        }
        fn observe(&self, _: &(), completion: &Completion) {
            self.0.lock().unwrap().push((completion.outcome, completion.latency));
        }
    }

    let (clock, timed) = (ManualClock::new(), Timed::default());
    let builder = Pool::builder_on(clock.clock()).backends(endpoints(&["a"]));
    let (pool, _driver) = builder.selector(timed.clone()).build();
    let server = clock.clone();
    let inner = service_fn(move |_: Assigned<&'static str, Plain>| {
        server.advance(Duration::from_millis(5));
        std::future::ready(Ok::<_, BoxError>(()))
    });
    let mut balanced = BalanceLayer::new(pool.clone()).layer(inner);
    let answer = equipoise::Dispatch::dispatch(&mut balanced, &Ask::new(), "x").await;
    // The head was good, and whoever holds the answer takes its time and then drops it.
    clock.advance(Duration::from_millis(100));
    drop(answer);
    assert_eq!(
        *timed.0.lock().unwrap(),
        [(Outcome::Success, Some(Duration::from_millis(5)))]
    );
    assert_eq!(pool.members()[0].tally.cancelled, 1);
}

/// Runs a driver at the moment when a timer is set.
#[derive(Clone)]
struct Interposed {
    driver: Arc<Mutex<Option<Driver<Plain, LeastLoaded>>>>,
    now: std::time::Instant,
}

impl equipoise::Timer for Interposed {
    fn now(&self) -> std::time::Instant {
        self.now
    }

    fn sleep_until(&self, _: std::time::Instant) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
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
    let now = std::time::Instant::now();
    let timer = Interposed {
        driver: Arc::default(),
        now,
    };
    let clock = equipoise::Clock::custom(timer.clone());
    let builder = Pool::builder_on(clock).backends(endpoints(&["a"])).in_flight_limit(1);
    let (mut pool, driver) = builder.admission(queue()).build();
    let _lease = pool.pick(&Ask::new()).unwrap();
    drop(pool.close());
    *timer.driver.lock().unwrap() = Some(driver);
    // It saw a full pool, and finds it closed once it is in the queue.
    let mut waits = pool.acquire(Ask::new());
    assert!(
        matches!(poll_once(&mut waits), Poll::Ready(Err(error)) if error.kind() == equipoise::ErrorKind::Unavailable)
    );
    timer.driver.lock().unwrap().take();
}

/// Its drop panics if it is told to.
struct Fragile(&'static str, bool);

impl Backend for Fragile {
    fn id(&self) -> &str {
        self.0
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!self.1, "as told");
    }
}

/// Takes the first, and tells how many are in flight.
struct Counting(Arc<AtomicUsize>);

impl<B: Backend> Selector<B> for Counting {
    type Memory = ();
    type Table = ();
    fn memory(&self, _: &B) {}
    fn prepare(&self, _: &Members<'_, B, ()>) {}
    fn needs(&self) -> Needs {
        Needs::nothing().total_in_flight()
    }
    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        self.0.store(pick.total_in_flight() as usize, SeqCst);
        (0..pick.len()).map(|index| pick.at(index)).find(|at| pick.is_open(*at))
    }
}

#[test]
fn a_backend_whose_drop_panics_is_in_flight_no_more() {
    let total = Arc::<AtomicUsize>::default();
    let (mut pool, mut driver) = Pool::builder_on(ManualClock::new().clock())
        .selector(Counting(Arc::clone(&total)))
        .backend(Fragile("a", true))
        .build();
    let lease = pool.pick(&Ask::new()).unwrap();
    drop(pool.handle().remove("a"));
    drop(pool.handle().insert(Fragile("b", false)));
    assert!(poll_once(&mut driver).is_pending());
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(lease)));
    assert!(dropped.is_err(), "the last to hold it drops it");
    drop(pool.pick(&Ask::new()).unwrap());
    assert_eq!(total.load(SeqCst), 0);
}
