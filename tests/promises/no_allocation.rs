//! From ready to the response, nothing is allocated.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
    time::Duration,
};

use allocation_counter::measure;
use equipoise::{
    Ask, Assigned, BalanceLayer, BoxError, Dispatch, Home, KeyedLayer, LeastLoaded, Outcome, OutlierDetection, Pool,
    Random, RoundRobin, Selector, Strategy,
    key::{HashFunction, Terminal},
    selector::Choices,
};
use futures_util::future::poll_fn;
use tower::{Layer, Service};

use super::*;

#[derive(Clone)]
struct Bare;

impl Service<Assigned<u32, Plain>> for Bare {
    type Response = u32;
    type Error = BoxError;
    type Future = Ready<Result<u32, BoxError>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, call: Assigned<u32, Plain>) -> Self::Future {
        ready(Ok(call.request))
    }
}

fn allocates_nothing<S: Selector<Plain>>(name: &str, make: impl Fn() -> S) {
    for (members, weighted, limit) in [
        (3, false, None),
        (3, true, Some(9)),
        (100, false, Some(9)),
        (100, true, None),
    ] {
        let weight = |index: u32| if weighted { 1 + index % 5 } else { 1 };
        let backends = (0..members).map(|index| endpoint(&index.to_string()).with_weight(weight(index)));
        let clock = equipoise::ManualClock::new().clock();
        let builder = Pool::builder_on(clock).backends(backends).selector(make());
        let (mut pool, _driver) = match limit {
            Some(limit) => builder.in_flight_limit(limit).build(),
            None => builder.build(),
        };
        let mut balanced = BalanceLayer::new(pool.clone()).layer(Bare);
        let ask = Ask::new().with_key(7);
        let what = format!("{name}, {members} members, weighted: {weighted}, limit: {limit:?}");
        let calls = measure(|| {
            for request in 0..100 {
                let called = async {
                    poll_fn(|cx| Service::<u32>::poll_ready(&mut balanced, cx)).await?;
                    balanced.call(request).await
                };
                assert_eq!(called.now_or_never().unwrap().unwrap(), request);
            }
        });
        assert_eq!(calls.count_total, 0, "calls: {what}");
        let dispatches = measure(|| {
            let answer = balanced.dispatch(&ask, 1).now_or_never().unwrap();
            assert_eq!(answer.lease.unwrap().erase_twice(), 1);
        });
        assert_eq!(dispatches.count_total, 0, "dispatches: {what}");
        let picks = measure(|| pool.pick(&ask).unwrap().settle(Outcome::Failure));
        assert_eq!(picks.count_total, 0, "picks: {what}");
    }
}

/// What a failover does with a lease: reads the id and keeps the member.
trait EraseTwice {
    fn erase_twice(self) -> usize;
}

impl EraseTwice for equipoise::Lease {
    fn erase_twice(self) -> usize {
        let _ = self.member();
        usize::from(!self.backend_id().is_empty())
    }
}

#[test]
fn no_selector_allocates_from_ready_to_the_response() {
    allocates_nothing("random", Random::new);
    allocates_nothing("round robin", RoundRobin::new);
    for d in [1, 2, 3, 8, Choices::MAX] {
        allocates_nothing("least loaded", || LeastLoaded::of(Choices::new(d).unwrap()));
    }
    for strategy in Strategy::all() {
        allocates_nothing(strategy.name(), || strategy.selector());
    }
}

#[test]
fn no_key_allocates_from_ready_to_the_response() {
    let (pool, _driver) = builder(&["a", "b", "c"]).build();
    let hashed = |request: &u32| Some(HashFunction::Xxh3.hash(&request.to_le_bytes()));
    let odd = |request: &u32| (request % 2 == 1).then_some(7);
    let layer = KeyedLayer::new((Terminal(odd), hashed, odd));
    let mut keyed = layer.layer(BalanceLayer::new(pool).layer(Bare));
    let calls = measure(|| {
        for request in 0..100 {
            let called = async {
                poll_fn(|cx| Service::<u32>::poll_ready(&mut keyed, cx)).await?;
                keyed.call(request).await
            };
            assert_eq!(called.now_or_never().unwrap().unwrap(), request);
        }
    });
    assert_eq!(calls.count_total, 0, "calls");
    // What another service around the pick asks for besides: a home, of which the first one makes the index.
    for ask in [Ask::new(), Ask::new().with_key(7), Ask::new().with_home(Home::new("b"))] {
        drop(keyed.dispatch(&ask, 1).now_or_never());
        let dispatches = measure(|| {
            let answer = keyed.dispatch(&ask, 1).now_or_never().unwrap();
            assert_eq!(answer.lease.unwrap().erase_twice(), 1);
        });
        assert_eq!(dispatches.count_total, 0, "{ask:?}");
    }
}

/// With an ask that wants something, and with all that a failover may watch.
#[test]
fn a_failover_that_is_not_needed_allocates_nothing() {
    use equipoise::{FailoverLayer, Hedge, balance::Repeatable};
    let plain = FailoverLayer::new(Repeatable);
    let timed = FailoverLayer::new(Repeatable)
        .try_timeout(Duration::from_secs(1))
        .deadline(Duration::from_secs(9))
        .hedge(Hedge::after_quantile(0.95).unwrap());
    for layer in [plain, timed] {
        let (pool, _driver) = builder(&["a", "b", "c"]).build();
        let mut failover = layer.layer(BalanceLayer::new(pool).layer(Bare));
        let home = Home::new("b");
        // The first home that is asked for has the pool make a list of where members are.
        let ask = Ask::new().with_home(home.clone());
        assert!(failover.dispatch(&ask, 0).now_or_never().unwrap().result.is_ok());
        let calls = measure(|| {
            for request in 0..200 {
                assert_eq!(failover.call(request).now_or_never().unwrap().unwrap(), request);
                let ask = Ask::new().with_key(7).with_home(home.clone());
                let answer = failover.dispatch(&ask, request).now_or_never().unwrap();
                assert_eq!(answer.lease.unwrap().backend_id(), "b");
            }
        });
        assert_eq!(calls.count_total, 0, "{layer:?}");
    }
}

#[test]
fn the_counter_counts() {
    let counted = measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1);
}

/// Members that fail are told of; where nobody takes it in, that is not kept for ever.
#[test]
fn a_pool_without_its_driver_does_not_grow() {
    for is_dropped in [false, true] {
        let clock = equipoise::ManualClock::new().clock();
        let builder = Pool::builder_on(clock).backends(endpoints(&["a", "b"]));
        let (mut pool, driver) = builder.outlier_detection(OutlierDetection::new()).build();
        let _driver = (!is_dropped).then_some(driver);
        let mut fail = || pool.pick(&Ask::new()).unwrap().settle(Outcome::Failure);
        (0..100_000).for_each(|_| fail());
        let more = measure(|| (0..100_000).for_each(|_| fail()));
        assert_eq!(more.bytes_current, 0, "dropped: {is_dropped}");
    }
}

/// With all that may keep a request off a member: groups of two priorities of which one panics, members on probation,
/// members that are brought in.
#[test]
fn fitness_allocates_nothing() {
    use equipoise::{Event, HealthCheck, SlowStart, health::Report};
    let time = equipoise::ManualClock::new();
    struct Bad;
    impl equipoise::HealthProbe<Plain> for Bad {
        type Error = &'static str;
        async fn probe(&self, backend: &Plain) -> Result<Report, &'static str> {
            let is_bad = equipoise::Backend::id(backend).starts_with("bad");
            (!is_bad).then(Report::new).ok_or("no")
        }
    }
    for strategy in [
        "round_robin",
        "least_loaded",
        "random",
        "ring(size=2000)",
        "prequal",
        "peak_ewma",
    ] {
        let named = |name: &'static str, count: u32, priority: u8| {
            (0..count).map(move |index| endpoint(&format!("{name}{index}")).with_priority(priority))
        };
        let members = named("bad", 9, 0)
            .chain(named("good", 1, 0))
            .chain(named("spare", 4, 1));
        let members = members.chain(named("bad-spare", 6, 1));
        let strategy: Strategy = strategy.parse().unwrap();
        let builder = Pool::builder_on(time.clock())
            .backends(members)
            .selector(strategy.selector::<Plain>());
        let (mut pool, mut driver) = builder
            .health_check(HealthCheck::new(Bad))
            .outlier_detection(OutlierDetection::new())
            .slow_start(SlowStart::over(Duration::from_secs(60)))
            .build();
        let mut events = pool.events();
        for _ in 0..200 {
            time.advance(Duration::from_millis(50));
            run(&mut driver);
        }
        let told = told(&mut events);
        assert!(
            told.contains(&Event::PanicStarted { priority: 0 }),
            "{strategy}: {told:?}"
        );
        drop(pool.handle().insert(endpoint("new").with_priority(1)));
        run(&mut driver);
        // Each has failed once, and is to be good again.
        for key in 0..1_000 {
            pool.pick(&Ask::new().with_key(key << 32))
                .unwrap()
                .settle(Outcome::Failure);
            pool.pick(&Ask::new().with_key(key << 32))
                .unwrap()
                .settle(Outcome::Success);
        }
        run(&mut driver);
        let picks = measure(|| {
            for key in 0..1_000 {
                pool.pick(&Ask::new().with_key(key << 32))
                    .unwrap()
                    .settle(Outcome::Success);
            }
        });
        assert_eq!(picks.count_total, 0, "{strategy}");
    }
}
