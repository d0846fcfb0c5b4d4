//! Who fails fast, or never answers, draws nothing.

use equipoise::sim::{Run, Scenario, simulate};

use super::{SEEDS, contender, scenario};

/// All that go by load or latency, one way or another.
const AWARE: [&str; 8] = [
    "least_loaded",
    "least_loaded(d=2)",
    "least_loaded(d=all)",
    "fleet_least_loaded",
    "reported_load",
    "peak_ewma",
    "least_time",
    "prequal",
];

/// Three quarters of the run are after the fault.
const AFTER: f64 = 0.75;

fn plays(name: &str, strategy: &str) -> Vec<(Scenario, Run)> {
    let loads = [0.5, 0.9].iter();
    let plays = loads.flat_map(|load| SEEDS.map(|seed| (*load, seed)));
    plays
        .map(|(load, seed)| {
            let scenario = scenario(name).with_load(load).unwrap().with_seed(seed);
            let scenario = scenario.with_requests(20_000).unwrap();
            let run = simulate(&scenario, &contender(strategy));
            (scenario, run)
        })
        .collect()
}

#[test]
fn who_fails_fast_draws_no_more_than_its_fair_share() {
    for strategy in AWARE {
        for (scenario, run) in plays("fail_fast", strategy) {
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
    for strategy in AWARE {
        for (scenario, run) in plays("black_hole", strategy) {
            let share = run.figures.errors as f64 / (AFTER * run.figures.requests as f64);
            println!("{strategy} at {}: {:.2} %", scenario.load(), share * 100.0);
            assert!(share < 0.02, "{strategy} at {}: {share}", scenario.load());
        }
    }
}

#[test]
fn who_serves_again_is_asked_again() {
    for strategy in AWARE {
        // Serves again for the second half.
        for (scenario, run) in plays("crash", strategy) {
            let fair = run.figures.requests as f64 / 10.0;
            let share = run.shares[3] as f64 / fair;
            println!("{strategy} at {}: {share:.2} of its fair share", scenario.load());
            assert!(share > 0.6, "{strategy} at {}: {share}", scenario.load());
        }
    }
}
