//! What was found out.

use equipoise::sim::{Comparison, Figures};
use serde::Serialize;

use crate::play::Played;

/// How strategies did, beside the reference.
pub(crate) struct Report {
    /// Those that differ in nothing but the seed, of which there are so many, follow each other.
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) seeds: usize,
}

/// How a strategy did over several comparisons.
#[derive(Serialize)]
pub(crate) struct Mean {
    pub(crate) strategy: String,
    /// The geometric mean.
    pub(crate) p99_over_reference: f64,
    /// The sum.
    pub(crate) errors: u64,
}

impl Report {
    pub(crate) fn new(played: Vec<Played>, seeds: usize) -> Self {
        let comparisons = played.into_iter().map(|played| played.comparison).collect();
        Self { comparisons, seeds }
    }

    /// The one comparison, if it is one.
    pub(crate) fn single(&self) -> Option<&Comparison> {
        match &*self.comparisons {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The comparisons of each scenario.
    pub(crate) fn scenarios(&self) -> impl Iterator<Item = &[Comparison]> {
        self.comparisons.chunks(self.seeds)
    }
}

/// Of each strategy, over comparisons of the same strategies.
pub(crate) fn means(comparisons: &[Comparison]) -> Vec<Mean> {
    let Some(first) = comparisons.first() else {
        return Vec::new();
    };
    let strategies = first.strategies.iter().enumerate();
    strategies
        .map(|(index, compared)| {
            let all = || comparisons.iter().map(move |comparison| &comparison.strategies[index]);
            let logarithms: f64 = all().map(|compared| compared.p99_over_reference.ln()).sum();
            Mean {
                strategy: compared.strategy.clone(),
                p99_over_reference: (logarithms / comparisons.len() as f64).exp(),
                errors: all().map(|compared| compared.figures.errors).sum(),
            }
        })
        .collect()
}

/// Which strategies have the least 99th percentile over the reference's in all of these: none with more than one failure
/// in a hundred requests, as with those counted no percentile would be left.
pub(crate) fn best(comparisons: &[Comparison]) -> Vec<usize> {
    let means = means(comparisons);
    let serves = |index: &usize| {
        let figures = |comparison: &Comparison| is_served(&comparison.strategies[*index].figures);
        comparisons.iter().all(figures)
    };
    let ratio = |index: &usize| means[*index].p99_over_reference;
    let candidates: Vec<usize> = (0..means.len())
        .filter(serves)
        .filter(|index| ratio(index).is_finite())
        .collect();
    let least = candidates.iter().map(ratio).fold(f64::INFINITY, f64::min);
    candidates.into_iter().filter(|index| ratio(index) == least).collect()
}

fn is_served(figures: &Figures) -> bool {
    figures.errors.saturating_mul(100) <= figures.requests
}
