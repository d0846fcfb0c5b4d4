//! Limits that follow what requests tell, in a pool: when they are asked for, kept, shown, and who is woken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Wake,
    time::Duration,
};

use allocation_counter::measure;
use equipoise::{
    AdaptiveLimit, Admission, Closed, ErrorKind, Lease, LeastLoaded, ManualClock, Outcome, Pool, PoolBuilder,
};

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

fn limited(limit: AdaptiveLimit) -> (ManualClock, PoolBuilder<Plain, LeastLoaded>) {
    let clock = ManualClock::new();
    let builder = Pool::builder_on(clock.clock()).backends(endpoints(&["a"])).seed(1);
    (clock, builder.adaptive_limit(limit.with_interval(MILLISECOND).unwrap()))
}

fn limit(pool: &Pool<Plain>) -> u32 {
    pool.members()[0].limit.unwrap()
}

fn fill(pool: &mut Pool<Plain>) -> Vec<Lease<Arc<Plain>>> {
    std::iter::from_fn(|| pool.pick(&Ask::new()).ok()).collect()
}

/// All that fit at once take a millisecond and end so, so many times.
fn rounds(pool: &mut Pool<Plain>, clock: &ManualClock, rounds: usize, outcome: Outcome) {
    for _ in 0..rounds {
        let mut leases = fill(pool);
        clock.advance(MILLISECOND);
        leases.iter_mut().for_each(|lease| lease.settle(outcome));
    }
}

#[test]
fn it_grows_while_requests_are_fast_and_is_kept_under_the_same_id() {
    let (clock, builder) = limited(AdaptiveLimit::new().with_bounds(2, 200).unwrap());
    let (mut pool, mut driver) = builder.build();
    assert_eq!((limit(&pool), fill(&mut pool).len()), (20, 20));
    let mut last = 0;
    for _ in 0..100 {
        rounds(&mut pool, &clock, 10, Outcome::Success);
        last = last.max(limit(&pool));
    }
    assert_eq!(last, 200, "requests that take the same time are in no queue");
    rounds(&mut pool, &clock, 20, Outcome::Unreachable);
    assert_eq!((limit(&pool), fill(&mut pool).len()), (2, 2));
    // A change of weight keeps it; who comes anew begins anew.
    drop(pool.handle().update(endpoint("a").with_weight(3)));
    run(&mut driver);
    assert_eq!(limit(&pool), 2);
    drop(pool.handle().remove("a"));
    run(&mut driver);
    drop(pool.handle().insert(endpoint("a")));
    run(&mut driver);
    assert_eq!(limit(&pool), 20);
}

#[test]
fn a_fixed_limit_is_the_most_that_it_becomes() {
    let (clock, builder) = limited(AdaptiveLimit::new());
    let fixed = Arc::new(AtomicUsize::new(30));
    let asked = Arc::clone(&fixed);
    let by = move |_: &Plain| Some(asked.load(SeqCst) as u32);
    let (mut pool, mut driver) = builder.in_flight_limit_by(by).build();
    let mut most = 0;
    for _ in 0..500 {
        rounds(&mut pool, &clock, 1, Outcome::Success);
        most = most.max(limit(&pool));
    }
    assert_eq!((most, limit(&pool), fill(&mut pool).len()), (30, 30, 30));
    // Nor has it gone on above that.
    fixed.store(1_000, SeqCst);
    drop(pool.handle().update(endpoint("a")));
    run(&mut driver);
    assert_eq!(limit(&pool), 30);
    let (_, builder) = limited(AdaptiveLimit::new());
    let (mut pool, _driver) = builder.in_flight_limit(0).build();
    assert_eq!((limit(&pool), fill(&mut pool).len()), (0, 0));
}

#[test]
fn what_was_given_up_lowers_it_and_never_raises_it() {
    let (clock, builder) = limited(AdaptiveLimit::new());
    let (mut pool, _driver) = builder.build();
    rounds(&mut pool, &clock, 300, Outcome::Success);
    let before = limit(&pool);
    // Given up at once: nothing is known of how long they would have taken.
    for _ in 0..300 {
        drop(fill(&mut pool));
        clock.advance(MILLISECOND / 10);
    }
    assert!(limit(&pool) <= before);
    for _ in 0..30 {
        let leases = fill(&mut pool);
        clock.advance(20 * MILLISECOND);
        drop(leases);
    }
    assert_eq!(
        limit(&pool),
        4,
        "half at a time, until the root of what is left is as much"
    );
}

#[test]
fn it_is_shown() {
    let (_, builder) = limited(AdaptiveLimit::new().with_initial(2).unwrap());
    let (mut pool, _driver) = builder.build();
    let _first = pool.pick(&Ask::new()).unwrap();
    let decision = pool.explain(&Ask::new());
    assert_eq!(decision.members[0].limit, Some(2));
    assert!(
        decision
            .to_string()
            .starts_with("a: open, 1 in flight of 2, weight 1\n"),
        "{decision}"
    );
    let _second = pool.pick(&Ask::new()).unwrap();
    let decision = pool.explain(&Ask::new());
    assert_eq!(decision.members[0].closed, Some(Closed::Full));
    assert!(
        decision
            .to_string()
            .starts_with("a: closed, is full, 2 in flight of 2\n"),
        "{decision}"
    );
    assert_eq!(pool.pick(&Ask::new()).unwrap_err().kind(), ErrorKind::Overloaded);
    let (mut pool, _driver) = builder_of_no_limit().build();
    assert_eq!(
        (pool.members()[0].limit, pool.explain(&Ask::new()).members[0].limit),
        (None, None)
    );
}

fn builder_of_no_limit() -> PoolBuilder<Plain, LeastLoaded> {
    builder(&["a"])
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_limit_that_rises_wakes_who_waits_and_they_wake_each_other() {
    let queue = Admission::Queue {
        capacity: 8,
        deadline: Duration::from_secs(1_000),
    };
    let settings = AdaptiveLimit::new().with_bounds(1, 3).unwrap().with_initial(1).unwrap();
    let (clock, builder) = limited(settings);
    let (mut pool, _driver) = builder.admission(queue).build();
    // All but one of the requests that a window takes.
    for _ in 0..24 {
        let mut lease = pool.pick(&Ask::new()).unwrap();
        clock.advance(MILLISECOND);
        lease.settle(Outcome::Success);
    }
    assert_eq!(limit(&pool), 1);
    let mut lease = pool.pick(&Ask::new()).unwrap();
    let bells: [Arc<Bell>; 2] = Default::default();
    let mut waiters = [(); 2].map(|()| pool.acquire(Ask::new()));
    let mut poll = |index: usize| {
        let waker = Waker::from(Arc::clone(&bells[index]));
        Pin::new(&mut waiters[index]).poll(&mut Context::from_waker(&waker))
    };
    assert!(poll(0).is_pending() && poll(1).is_pending());
    clock.advance(MILLISECOND);
    lease.settle(Outcome::Success);
    // Not yet given back: it is the limit alone that makes room.
    let rung = || [0, 1].map(|index: usize| bells[index].0.load(SeqCst));
    assert_eq!((limit(&pool), rung()), (2, [1, 0]));
    let served = poll(0);
    assert!(matches!(served, Poll::Ready(Ok(_))));
    assert_eq!(rung(), [1, 1], "who leaves calls the next");
    assert!(poll(1).is_pending());
    drop(lease);
    assert_eq!(rung(), [1, 2]);
    assert!(matches!(poll(1), Poll::Ready(Ok(_))));
}

#[test]
fn nothing_is_allocated_for_it() {
    let (clock, builder) = limited(AdaptiveLimit::new());
    let (mut pool, _driver) = builder.build();
    let allocated = measure(|| {
        for _ in 0..2_000 {
            let mut lease = pool.pick(&Ask::new()).unwrap();
            clock.advance(MILLISECOND);
            lease.settle(Outcome::Success);
        }
    });
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let good = AdaptiveLimit::new();
    for refused in [
        good.clone().with_bounds(0, 5),
        good.clone().with_bounds(6, 5),
        good.clone().with_bounds(1, 1_000_001),
        good.clone().with_initial(0),
        good.clone().with_initial(1_001),
        good.clone().with_tolerance(0.99),
        good.clone().with_tolerance(f64::NAN),
        good.clone().with_failures(-0.1),
        good.clone().with_failures(f64::NAN),
        good.clone().with_interval(Duration::ZERO),
        good.clone().with_remeasure(Duration::from_secs(86_401)),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.strategy(), "adaptive limit");
        assert!(error.to_string().contains(error.allowed()), "{error}");
    }
    let least = good.clone().with_bounds(50, 60).unwrap();
    assert_eq!(least, least.clone().with_initial(50).unwrap());
    assert_eq!(AdaptiveLimit::default(), good);
}
