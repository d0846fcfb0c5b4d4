//! Failing fast attracts nothing.

use std::{collections::VecDeque, time::Duration};

use equipoise::{Ask, Lease, ManualClock, Outcome, Pool, Selector, Strategy};

use super::*;

/// What a member that fails at once draws of 20,000 requests, 20 open at once, when each of the others takes its time.
fn drawn<S: Selector<Plain>>(members: usize, selector: S) -> f64 {
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
        if open.len() == 20 {
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
            "peak_ewma",
            "peak_ewma(d=8)",
            "least_time",
            "least_time(d=2)",
        ] {
            let strategy: Strategy = strategy.parse().unwrap();
            let share = drawn(members, strategy.selector());
            assert!(
                share <= 1.0 / members as f64,
                "{strategy}: {share} of {members} members"
            );
        }
    }
    assert!(drawn(10, LeastLoaded::new()) <= 0.1);
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
    assert_eq!(reached(&mut pool, 50), ["b"]);
    clock.advance(Duration::from_secs(2));
    assert_eq!(reached(&mut pool, 50), ["a", "b"]);
}
