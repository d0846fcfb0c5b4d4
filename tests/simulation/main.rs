//! The simulator: it agrees with what is known of queues, repeats itself, and its figures hold what the documentation
//! promises of strategies.
#![cfg(not(loom))]

mod as_said;
mod failing;
mod fitness;
mod fleet;
mod impossible;
mod known;
mod prequal;
mod recovery;
mod repeatable;
mod standard;

use equipoise::sim::{self, Contender, Run, Scenario};

fn scenario(name: &str) -> Scenario {
    Scenario::named(name).unwrap()
}

fn simulate(scenario: &Scenario, contender: &Contender) -> Run {
    sim::simulate(scenario, contender).unwrap()
}

fn reference(scenario: &Scenario) -> Run {
    sim::reference(scenario).unwrap()
}

fn contender(text: &str) -> Contender {
    text.parse().unwrap()
}

/// At least three, as one may be lucky.
const SEEDS: [u64; 3] = [11, 12, 13];

/// What one strategy comes to.
struct Played {
    /// How long requests waited on average, in mean service times: latencies themselves are service for the most part.
    waited: f64,
    p99_ms: f64,
    /// Requests at the server that had the most, on average over the time.
    fullest: f64,
}

fn play<const N: usize>(scenario: &Scenario, strategies: [&str; N]) -> [Played; N] {
    strategies.map(|strategy| {
        let Run { figures, loads, .. } = simulate(scenario, &contender(strategy));
        assert_eq!(figures.errors, 0, "{strategy}");
        let played = Played {
            waited: figures.mean_ms / (scenario.mean().as_secs_f64() * 1e3) - 1.0,
            p99_ms: figures.p99_ms,
            fullest: loads.iter().map(|load| load.max).sum::<f64>() / loads.len() as f64,
        };
        println!(
            "{strategy:30} seed {}: waited {:.4}, p99 {:.2} ms, fullest {:.2}",
            scenario.seed(),
            played.waited,
            played.p99_ms,
            played.fullest
        );
        played
    })
}
