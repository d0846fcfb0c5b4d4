//! The simulator: it agrees with what is known of queues, repeats itself, and its figures hold what the documentation
//! promises of strategies.
#![cfg(not(loom))]

mod failing;
mod fleet;
mod known;
mod repeatable;
mod standard;

use equipoise::sim::{Contender, Scenario};

fn scenario(name: &str) -> Scenario {
    Scenario::named(name).unwrap()
}

fn contender(text: &str) -> Contender {
    text.parse().unwrap()
}

/// At least three, as one may be lucky.
const SEEDS: [u64; 3] = [11, 12, 13];
