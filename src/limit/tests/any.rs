//! What holds whatever requests tell.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    super::{Sample, window::Window},
    *,
};
use crate::{clock::Stamp, outcome::Outcome};

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Success),
        1 => Just(Outcome::Failure),
        1 => Just(Outcome::BadGateway),
        1 => Just(Outcome::Unreachable),
        1 => Just(Outcome::Cancelled),
        1 => Just(Outcome::Broken),
    ]
}

fn latencies() -> impl Strategy<Value = Duration> {
    let some = |nanos: std::ops::Range<u64>| nanos.prop_map(Duration::from_nanos);
    prop_oneof![
        4 => some(0..100_000_000),
        1 => some(0..u64::MAX),
        1 => Just(Duration::ZERO),
        1 => Just(Duration::MAX),
    ]
}

/// As many requests of one kind, one after the other.
fn runs() -> impl Strategy<Value = (usize, u64, Outcome, Duration, usize)> {
    let in_flight = prop_oneof![0..5usize, 0..2_000usize, Just(usize::MAX)];
    (1..200usize, 0..50_000_000u64, outcomes(), latencies(), in_flight)
}

fn settings() -> impl Strategy<Value = Settings> {
    (1..50u32, 0..1_000u32, 1.0..10.0f64, 0.0..=1.0f64, 1..1_000u64).prop_map(
        |(min, more, tolerance, failures, interval)| Settings {
            min,
            max: min + more,
            initial: min + more / 2,
            tolerance,
            failures,
            interval: Duration::from_millis(interval),
            remeasure: Duration::from_millis(interval * 100),
        },
    )
}

/// Plays runs; when they end, and each limit on the way.
fn follow(gradient: &mut Gradient, runs: &[(usize, u64, Outcome, Duration, usize)], most: u32) -> (u64, Vec<u32>) {
    let (mut at, mut limits) = (1, Vec::new());
    for (count, apart, outcome, latency, in_flight) in runs.iter().copied() {
        for _ in 0..count {
            at += apart;
            let at = Stamp(at);
            let sample = Sample {
                at,
                outcome,
                latency,
                in_flight,
            };
            limits.extend(gradient.learn(&sample, most));
        }
    }
    (at, limits)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_stays_within_its_bounds(
        settings in settings(),
        runs in prop::collection::vec(runs(), 1..20),
        most in prop_oneof![Just(u32::MAX), 0..100u32],
    ) {
        let (_, limits) = follow(&mut Gradient::new(settings, 3), &runs, most);
        for limit in limits {
            prop_assert!(limit <= settings.max.min(most.max(1)), "{}", limit);
            prop_assert!(limit >= settings.min.min(most.max(1)), "{}", limit);
        }
    }

    #[test]
    fn what_goes_badly_never_raises_it(
        good in prop::collection::vec((20..70usize, latencies()), 1..5),
        bad in prop::collection::vec((20..70usize, outcomes(), latencies()), 1..10),
    ) {
        let mut gradient = Gradient::new(SETTINGS, 3);
        // So many in flight that most limits on the way are reached, and windows that soon are full.
        let (apart, in_flight) = (5_000_000, 40);
        let good: Vec<_> = good
            .into_iter()
            .map(|(count, latency)| (count, apart, Outcome::Success, latency, in_flight))
            .collect();
        follow(&mut gradient, &good, u32::MAX);
        let bad = bad.into_iter().map(|(count, outcome, latency)| match outcome {
            Outcome::Success => (count, apart, Outcome::Cancelled, latency, in_flight),
            _ => (count, apart, outcome, latency, in_flight),
        });
        // Long after all that.
        let bad: Vec<_> = std::iter::once((1, 1 << 40, Outcome::Cancelled, Duration::ZERO, in_flight)).chain(bad).collect();
        let (_, limits) = follow(&mut gradient, &bad, u32::MAX);
        // The first window is closed with what went well before.
        for limits in limits.windows(2) {
            prop_assert!(limits[1] <= limits[0], "{:?}", limits);
        }
    }

    #[test]
    fn one_that_was_given_up_never_makes_a_member_look_faster(
        samples in prop::collection::vec((outcomes(), latencies()), 1..100),
    ) {
        let (mut with, mut without) = (Window::of(25), Window::of(25));
        for (outcome, latency) in samples {
            let sample = Sample { at: Stamp(1), outcome, latency, in_flight: 1 };
            with.add(&sample);
            if outcome != Outcome::Cancelled {
                without.add(&sample);
            }
        }
        prop_assert_eq!(with.good(), without.good());
        prop_assert_eq!(with.is_told(), without.is_told());
        if let Some(latency) = without.latency() {
            prop_assert!(with.latency() >= Some(latency));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Whatever has been, at a good server that is asked for more than it can do it comes to what that can do.
    #[test]
    fn no_past_keeps_it_down(runs in prop::collection::vec(runs(), 1..20)) {
        let mut gradient = Gradient::new(SETTINGS, 3);
        let (past, limits) = follow(&mut gradient, &runs, u32::MAX);
        let initial = limits.last().copied().unwrap_or(SETTINGS.initial);
        let mut rule = rule(gradient);
        let later: Rule = Box::new(move |sample| {
            let at = Stamp(sample.at.0 + past);
            rule(&Sample { at, ..*sample })
        });
        let seen = Station::new(16).play(150, initial, later);
        let (limit, done, p99) = figures(&seen[130..], 16, 0.01);
        prop_assert!(limit > 16.0 && limit < 45.0 && done > 0.9 && p99 < 10.0, "{} {} {}", limit, done, p99);
    }
}

#[test]
fn a_measuring_that_goes_badly_leaves_the_limit_where_it_is() {
    for bad in [Outcome::Cancelled, Outcome::Failure] {
        let mut gradient = Gradient::new(SETTINGS, 3);
        let mut last = SETTINGS.initial;
        let mut at = 1;
        let mut next = |gradient: &mut Gradient, outcome, latency| {
            at += 5_000_000;
            let latency = Duration::from_millis(latency);
            let at = Stamp(at);
            gradient.learn(
                &Sample {
                    at,
                    outcome,
                    latency,
                    in_flight: 40,
                },
                u32::MAX,
            )
        };
        let level = loop {
            match next(&mut gradient, Outcome::Success, 10) {
                Some(limit) if limit < last => break limit,
                limit => last = limit.unwrap_or(last),
            }
        };
        assert_eq!(level, last / 2);
        let later: Vec<u32> = (0..500).filter_map(|_| next(&mut gradient, bad, 0)).collect();
        assert!(
            later.len() > 5 && later.iter().all(|limit| *limit <= level),
            "{level}: {later:?}"
        );
    }
}
