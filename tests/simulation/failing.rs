//! Who fails fast, or never answers, draws nothing.

use std::time::Duration;

use equipoise::sim::{Run, Scenario};

use super::{SEEDS, contender, scenario, simulate};

/// All that go by load or latency, one way or another.
const AWARE: [&str; 9] = [
    "least_loaded",
    "least_loaded(d=2)",
    "least_loaded(d=all)",
    "fleet_least_loaded",
    "reported_load",
    "peak_ewma",
    "least_time",
    "prequal",
    "bounded",
];

/// Three quarters of the run are after the fault.
const AFTER: f64 = 0.75;

fn plays(name: &str, strategy: &str, loads: &[f64]) -> Vec<(Scenario, Run)> {
    let plays = loads.iter().flat_map(|load| SEEDS.map(|seed| (*load, seed)));
    plays
        .map(|(load, seed)| {
            let scenario = scenario(name).with_load(load).unwrap().with_seed(seed);
            // Some have seconds of their own, ten of them or more: the run lasts some times as long.
            let is_slow = ["reported_load", "least_time"].contains(&strategy);
            let mean = Duration::from_millis(if is_slow { 100 } else { 10 });
            let scenario = scenario.with_requests(20_000).unwrap().with_mean(mean).unwrap();
            // Twice what nearly all that are served take at most: so only the first requests of the run are lost before any
            // has timed out.
            let scenario = scenario.with_timeout(20.0).unwrap();
            let run = simulate(&scenario, &contender(strategy));
            (scenario, run)
        })
        .collect()
}

#[test]
fn who_fails_fast_draws_no_more_than_its_fair_share() {
    for strategy in AWARE {
        for (scenario, run) in plays("fail_fast", strategy, &[0.5, 0.9]) {
            let errors = run.figures.errors as f64;
            assert!(errors > 0.0, "nobody has asked it");
            let share = errors / (AFTER * run.figures.requests as f64);
            println!("{strategy} at {}: {:.2} %", scenario.load(), share * 100.0);
            // A tenth, of ten servers.
            assert!(share <= 0.1, "{strategy} at {}: {share}", scenario.load());
        }
    }
}

#[test]
fn who_never_answers_keeps_less_than_one_in_fifty_once_requests_time_out() {
    // Who minds nothing loses a tenth.
    for (_, run) in plays("black_hole", "round_robin", &[0.5]) {
        let share = run.figures.errors as f64 / (AFTER * run.figures.requests as f64);
        assert!((0.09..0.11).contains(&share), "{share}");
    }
    for strategy in AWARE {
        for (scenario, run) in plays("black_hole", strategy, &[0.5, 0.9]) {
            let share = run.figures.errors as f64 / (AFTER * run.figures.requests as f64);
            println!("{strategy} at {}: {:.2} %", scenario.load(), share * 100.0);
            assert!(share < 0.02, "{strategy} at {}: {share}", scenario.load());
        }
    }
}

#[test]
fn who_serves_again_is_asked_again() {
    for strategy in AWARE {
        // It serves for the first quarter and the second half. With less to do than this, some choose a few of the idle ones
        // even of those that never failed.
        for (scenario, run) in plays("crash", strategy, &[0.9]) {
            let fair = run.figures.requests as f64 / 10.0;
            let share = run.shares[3] as f64 / fair;
            println!("{strategy} at {}: {share:.2} of its fair share", scenario.load());
            assert!(share > 0.5, "{strategy} at {}: {share}", scenario.load());
        }
    }
}
