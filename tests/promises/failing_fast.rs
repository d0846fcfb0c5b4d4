//! Failing fast attracts nothing.

use std::{collections::VecDeque, time::Duration};

use equipoise::{Ask, Lease, ManualClock, Outcome, Pool, Selector, Strategy};

use super::{
    farm::{Conduct, Farm},
    *,
};

/// What a member that fails at once draws of 20,000 requests, so many open at once, when each of the others takes its
/// time.
fn drawn<S: Selector<Plain>>(members: usize, at_once: usize, selector: S) -> f64 {
    let clock = ManualClock::new();
    let ids: Vec<String> = (0..members).map(|index| index.to_string()).collect();
    let builder = Pool::builder_on(clock.clock()).backends(ids.iter().map(|id| endpoint(id)));
    let (mut pool, _driver) = builder.selector(selector).seed(3).build();
    let mut open: VecDeque<Lease<_>> = VecDeque::new();
    let mut failed = 0;
    for _ in 0..20_000 {
        let mut lease = pool.pick(&Ask::new()).unwrap();
        if lease.backend_id() == "0" {
            failed += 1;
            lease.settle(Outcome::Failure);
            continue;
        }
        open.push_back(lease);
        if open.len() == at_once {
            clock.advance(Duration::from_millis(1));
            open.pop_front().unwrap().settle(Outcome::Success);
        }
    }
    f64::from(failed) / 20_000.0
}

#[test]
fn a_member_that_fails_at_once_draws_no_more_than_its_share() {
    for members in [3, 10, 40] {
        for strategy in [
            "least_loaded",
            "least_loaded(d=2)",
            "least_loaded(d=3)",
            "fleet_least_loaded",
            "peak_ewma",
            "peak_ewma(d=8)",
            "least_time",
            "least_time(d=2)",
        ] {
            let strategy: Strategy = strategy.parse().unwrap();
            let share = drawn(members, 20, strategy.selector());
            assert!(
                share <= 1.0 / members as f64,
                "{strategy}: {share} of {members} members"
            );
        }
    }
    assert!(drawn(10, 20, LeastLoaded::new()) <= 0.1);
}

#[test]
fn however_many_requests_are_open_who_fails_draws_little() {
    for strategy in [
        "least_loaded",
        "least_loaded(d=2)",
        "fleet_least_loaded",
        "peak_ewma",
        "least_time",
    ] {
        let strategy: Strategy = strategy.parse().unwrap();
        // From one after the other to a hundred at each.
        for at_once in [1, 10, 100, 1_000] {
            let share = drawn(10, at_once, strategy.selector());
            assert!(share <= 0.05, "{strategy}, {at_once} at once: {share}");
        }
    }
}

#[test]
fn a_member_that_serves_again_gets_its_share_back() {
    let clock = ManualClock::new();
    let (mut pool, _driver) = Pool::builder_on(clock.clock()).backends(endpoints(&["a", "b"])).build();
    let failed = (0..10).filter(|_| {
        let mut lease = pool.pick(&Ask::new()).unwrap();
        let fails = lease.backend_id() == "a";
        lease.settle(if fails { Outcome::Failure } else { Outcome::Success });
        fails
    });
    assert!(failed.count() <= 2);
    // By requests, not by the clock: who fails is no better for having been left alone.
    clock.advance(Duration::from_secs(3600));
    assert_eq!(reached(&mut pool, 5), ["b"]);
    reached(&mut pool, 100);
    assert_eq!(reached(&mut pool, 50), ["a", "b"]);
}

/// What goes by load or latency.
const STRATEGIES: [&str; 11] = [
    "least_loaded",
    "least_loaded(d=2)",
    "least_loaded(d=all)",
    "fleet_least_loaded",
    "fleet_least_loaded(clients=1)",
    "peak_ewma",
    "peak_ewma(d=8)",
    "least_time",
    "least_time(d=2)",
    "prequal",
    REPORTED,
];
const REPORTED: &str = "reported_load(blackout=500ms)";
const LOADS: [f64; 2] = [0.5, 0.9];

#[test]
fn who_fails_fast_among_ten_draws_no_more_than_its_share_at_any_load() {
    for strategy in STRATEGIES {
        // Ten seconds: more than any bound on how long a failure is remembered that would be given in seconds.
        for (load, millis) in LOADS
            .iter()
            .flat_map(|load| [10.0, 200.0, 10_000.0].map(|millis| (*load, millis)))
        {
            let mut farm = Farm::new(strategy, load, millis);
            farm.run(1_000);
            farm.conducts[0] = farm::FAILS;
            let share = farm.run(farm.requests_in(3.0).max(3_000)).share(0);
            let fair = 1.0 / farm::SERVERS as f64;
            assert!(share <= fair, "{strategy} at {load}, {millis} ms: {share}");
        }
    }
}

#[test]
fn a_black_hole_among_ten_draws_next_to_nothing_once_its_requests_time_out() {
    for strategy in STRATEGIES {
        for (load, millis) in LOADS
            .iter()
            .flat_map(|load| [10.0, 200.0].map(|millis| (*load, millis)))
        {
            let mut farm = Farm::new(strategy, load, millis);
            farm.run(1_000);
            farm.conducts[0] = Conduct::Swallows;
            // Who goes by reports does so each second.
            farm.run(farm.requests_in(if strategy == REPORTED { 3.0 } else { 1.0 }));
            let share = farm.run(farm.requests_in(3.0).max(3_000)).share(0);
            assert!(share < 0.02, "{strategy} at {load}, {millis} ms: {share}");
        }
    }
}

/// Steadily, a part of the requests to all fails, and 0.7 of the places are used: some 1,000 requests a second.
fn failing_now_and_then(strategy: &str, part: f64) -> Farm {
    let mut farm = Farm::new(strategy, 0.7, 28.0);
    farm.conducts = [Conduct::Serves(part); farm::SERVERS];
    farm
}

/// What failures weigh where all fail now and then is not to outweigh what there is to do.
#[test]
fn where_all_fail_now_and_then_load_tells_where_to_go() {
    for strategy in STRATEGIES {
        let found = |part| {
            let mut farm = failing_now_and_then(strategy, part);
            // One is slow, which load tells, and latency.
            farm.slowness[0] = 5.0;
            farm.run(2_000);
            farm.run(10_000).mean_found()
        };
        let without = found(0.0);
        for part in [0.01, 0.1] {
            let with = found(part);
            assert!(
                with <= 1.3 * without,
                "{strategy}: {with} where {part} fail, {without} without"
            );
        }
    }
}

#[test]
fn who_fails_a_little_more_draws_a_little_less() {
    // Who goes by latency sends more here and less there by chance.
    for strategy in STRATEGIES {
        let mut farm = failing_now_and_then(strategy, 0.01);
        farm.conducts[0] = Conduct::Serves(0.03);
        farm.run(2_000);
        let share = farm.run(20_000).share(0);
        assert!((0.07..0.12).contains(&share), "{strategy}: {share}");
    }
}

#[test]
fn who_has_mended_is_sought_again() {
    for strategy in ["least_loaded", "least_loaded(d=2)", "fleet_least_loaded"] {
        let mut farm = Farm::new(strategy, 0.7, 28.0);
        farm.conducts[0] = farm::FAILS;
        farm.run(5_000);
        farm.conducts[0] = Conduct::Serves(0.0);
        farm.run(2_000);
        let share = farm.run(10_000).share(0);
        assert!((0.08..0.12).contains(&share), "{strategy}: {share}");
    }
}
