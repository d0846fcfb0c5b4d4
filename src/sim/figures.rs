//! What a simulation measured.

use serde::Serialize;

use super::Scenario;

/// What a simulation measured of one strategy, or of the reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Figures {
    /// How many requests were measured.
    pub requests: u64,
    /// How many of them failed, or had no answer in the end.
    pub errors: u64,
    /// The mean latency of those that did not fail, in milliseconds, as all that follow.
    pub mean_ms: f64,
    /// The median.
    pub p50_ms: f64,
    /// Nine in ten took no longer.
    pub p90_ms: f64,
    /// 99 in a hundred took no longer.
    pub p99_ms: f64,
    /// 999 in a thousand took no longer.
    pub p999_ms: f64,
    /// Requests at the server that had the most, over the mean of all: averages over the time.
    pub max_over_mean: f64,
    /// How much of what the servers' slots could do was used, on average.
    pub utilization: f64,
    /// Which part of the requests went to another server than the last of the same key.
    pub moved_keys: f64,
    /// How often balancers ejected a server, before and after what is measured included.
    pub ejections: u64,
    /// How often they found one failing its health check, likewise.
    pub failing: u64,
}

/// What a simulation measured, with all that figures are made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run {
    /// The figures.
    pub figures: Figures,
    /// The latencies of all requests that did not fail, in nanoseconds, the least first.
    pub latencies: Vec<u64>,
    /// How many requests were at the servers, over time.
    pub loads: Vec<Load>,
    /// How many of the measured requests each server was sent.
    pub shares: Vec<u64>,
}

/// How many requests were at the servers at some time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Load {
    /// When, in seconds since requests are measured.
    pub seconds: f64,
    /// On average.
    pub mean: f64,
    /// At the server that had the most.
    pub max: f64,
}

/// Strategies beside each other, and beside the reference: one central first-come queue before the same servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The scenario's name.
    pub scenario: String,
    /// Where all that is random began.
    pub seed: u64,
    /// How many balancers there were.
    pub clients: u32,
    /// How much was asked of the servers.
    pub load: f64,
    /// One central first-come queue.
    pub reference: Figures,
    /// Each strategy.
    pub strategies: Vec<Compared>,
}

/// A strategy's figures, beside those of the reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Compared {
    /// The strategy, as text.
    pub strategy: String,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
    /// The 99th percentile over that of the reference.
    pub p99_over_reference: f64,
}

impl Comparison {
    /// Of runs of one scenario, each with the strategy's name.
    pub fn new<'a>(scenario: &Scenario, reference: &Run, runs: impl IntoIterator<Item = (String, &'a Run)>) -> Self {
        let compared = |(strategy, run): (String, &Run)| Compared {
            strategy,
            p99_over_reference: run.figures.p99_ms / reference.figures.p99_ms,
            figures: run.figures.clone(),
        };
        Self {
            scenario: scenario.name().to_owned(),
            seed: scenario.seed(),
            clients: scenario.clients(),
            load: scenario.load(),
            reference: reference.figures.clone(),
            strategies: runs.into_iter().map(compared).collect(),
        }
    }
}
