//! What keeps requests off bad servers does so, and harms nobody where nothing is wrong.

use std::time::Duration;

use equipoise::sim::{Contender, Figures, Scenario};

use super::{SEEDS, contender, scenario, simulate};

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

#[test]
fn both_are_as_good_as_either() {
    for name in ["crash", "fail_fast", "black_hole", "slow_one"] {
        let both = "health(depth=deep)+outliers";
        let errors =
            [both, "health(depth=deep)", "outliers"].map(|fitness| play(&minutes(name), "round_robin", fitness).errors);
        assert!(errors[0] <= errors[1].min(errors[2]) + 2, "{name}: {errors:?}");
    }
}

#[test]
fn where_nothing_is_wrong_nobody_is_found_bad_and_nobody_waits_longer() {
    let equal = minutes("equal").with_servers(10).unwrap();
    for strategy in STRATEGIES {
        let without = play(&equal, strategy, "none");
        for fitness in ["health+outliers+slow_start", "health(depth=deep)+outliers"] {
            let with = play(&equal, strategy, fitness);
            assert_eq!((with.ejections, with.failing), (0, 0), "{strategy}+{fitness}");
            assert_eq!(with.errors, without.errors, "{strategy}+{fitness}");
            let ratio = with.p99_ms / without.p99_ms;
            assert!((ratio - 1.0).abs() < 0.03, "{strategy}+{fitness}: {ratio}");
        }
    }
}

/// What fails does so anywhere: to eject whom it befalls costs his part of the work and saves nothing.
#[test]
fn what_fails_by_chance_ejects_nobody() {
    // Three failures an interval at each of ten members, and at all of twenty.
    for (servers, failures) in [(10, 0.01), (20, 0.0005)] {
        for seed in SEEDS {
            let some_fail = minutes("some_fail").with_servers(servers).unwrap();
            let some_fail = some_fail.with_failures(failures).unwrap().with_seed(seed);
            let without = play(&some_fail, "round_robin", "none");
            let with = play(&some_fail, "round_robin", "outliers");
            assert_eq!(with.ejections, 0, "{servers} servers, seed {seed}");
            assert_eq!((with.errors, with.p99_ms), (without.errors, without.p99_ms));
        }
    }
}

#[test]
fn who_joins_cold_is_brought_in_slowly() {
    let cold = minutes("cold_restart");
    let played = |strategy| ["none", "slow_start(window=10s)"].map(|fitness| play(&cold, strategy, fitness));
    // Who sends it as much as others waits for it until it is too late.
    let [without, with] = played("round_robin");
    assert!(with.errors * 20 < without.errors && with.p99_ms < 0.8 * without.p99_ms);
    let [without, with] = played("least_loaded");
    assert!(with.errors * 3 < without.errors && with.p99_ms < 0.97 * without.p99_ms);
}
