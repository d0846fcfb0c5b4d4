//! What keeps requests off bad servers does so, and harms nobody where nothing is wrong.

use std::time::Duration;

use equipoise::sim::{Contender, Figures, Scenario};

use super::{contender, scenario, simulate};

const STRATEGIES: [&str; 2] = ["round_robin", "least_loaded"];

/// As many requests as come in two minutes at a load of 0.8: a probe comes each 5 s, and an ejection lasts for 30.
fn minutes(name: &str) -> Scenario {
    let long = scenario(name).with_mean(Duration::from_millis(100)).unwrap();
    let requests = (50_000.0 * long.load()) as u32;
    // Two seconds: hardly anything that is served takes as long.
    long.with_requests(requests).unwrap().with_timeout(20.0).unwrap()
}

fn play(scenario: &Scenario, strategy: &str, fitness: &str) -> Figures {
    let contender: Contender = contender(strategy).with_fitness(fitness.parse().unwrap());
    let figures = simulate(scenario, &contender).figures;
    println!(
        "{:12} {contender:50} {:5} errors, p99 {:6.1} ms, {} ejections, {} failing",
        scenario.name(),
        figures.errors,
        figures.p99_ms,
        figures.ejections,
        figures.failing
    );
    figures
}

/// So many times fewer requests fail than without.
fn helps(name: &str, fitness: &str, [turns, least_loaded]: [f64; 2]) {
    for (strategy, times) in STRATEGIES.into_iter().zip([turns, least_loaded]) {
        let scenario = minutes(name);
        let [without, with] = ["none", fitness].map(|fitness| play(&scenario, strategy, fitness).errors as f64);
        assert!(without > 0.0, "{name} with {strategy}: nothing goes wrong");
        assert!(
            with * times <= without,
            "{name} with {strategy}+{fitness}: {with} of {without}"
        );
    }
}

/// It makes no difference.
fn is_blind(name: &str, fitness: &str) {
    for strategy in STRATEGIES {
        let scenario = minutes(name);
        let [without, with] = ["none", fitness].map(|fitness| play(&scenario, strategy, fitness).errors as f64);
        assert!((with / without - 1.0).abs() < 0.1, "{name}: {with} of {without}");
    }
}

#[test]
fn a_shallow_check_finds_who_is_gone_and_not_who_fails_or_takes_long() {
    helps("crash", "health", [4.0, 4.0]);
    helps("black_hole", "health", [8.0, 4.0]);
    helps("half_down", "health", [4.0, 4.0]);
    is_blind("fail_fast", "health");
    is_blind("slow_one", "health");
}

#[test]
fn a_deep_check_finds_them_all() {
    for name in ["crash", "fail_fast", "black_hole", "slow_one", "half_down"] {
        helps(name, "health(depth=deep)", [4.0, 4.0]);
    }
}

#[test]
fn outlier_detection_finds_any_one_of_ten_and_is_not_outpaced() {
    for name in ["crash", "fail_fast", "flapping"] {
        helps(name, "outliers", [100.0, 20.0]);
    }
    // Until the first have timed out, others have been sent.
    for name in ["black_hole", "slow_one"] {
        helps(name, "outliers", [20.0, 2.0]);
    }
}
