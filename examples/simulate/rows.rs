//! Figures for other programs: JSON and CSV.

use equipoise::sim::{Comparison, Figures};
use serde::Serialize;

use crate::report::{Mean, Report, means};

/// Several comparisons.
#[derive(Serialize)]
struct Several<'a> {
    comparisons: &'a [Comparison],
    geometric_mean: Vec<Mean>,
}

const COLUMNS: [&str; 18] = [
    "scenario",
    "seed",
    "clients",
    "load",
    "strategy",
    "requests",
    "errors",
    "mean_ms",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "p999_ms",
    "max_over_mean",
    "utilization",
    "moved_keys",
    "ejections",
    "failing",
    "p99_over_reference",
];

/// One comparison as it is, several in an object. A number that is none is null.
pub(crate) fn json(report: &Report) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = match report.single() {
        Some(comparison) => serde_json::to_vec_pretty(comparison),
        None => serde_json::to_vec_pretty(&Several {
            comparisons: &report.comparisons,
            geometric_mean: means(&report.comparisons),
        }),
    }?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A row for each strategy, and before those of a scenario one named `reference`. A number that is none is left empty.
pub(crate) fn csv(comparisons: &[Comparison]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for comparison in comparisons {
        writer.write_record(row(comparison, "reference", &comparison.reference, 1.0))?;
        for compared in &comparison.strategies {
            let ratio = compared.p99_over_reference;
            writer.write_record(row(comparison, &compared.strategy, &compared.figures, ratio))?;
        }
    }
    Ok(writer.into_inner()?)
}

fn row(comparison: &Comparison, strategy: &str, figures: &Figures, ratio: f64) -> [String; COLUMNS.len()] {
    let number = |number: f64| {
        if number.is_finite() {
            number.to_string()
        } else {
            String::new()
        }
    };
    [
        comparison.scenario.clone(),
        comparison.seed.to_string(),
        comparison.clients.to_string(),
        number(comparison.load),
        strategy.to_owned(),
        figures.requests.to_string(),
        figures.errors.to_string(),
        number(figures.mean_ms),
        number(figures.p50_ms),
        number(figures.p90_ms),
        number(figures.p99_ms),
        number(figures.p999_ms),
        number(figures.max_over_mean),
        number(figures.utilization),
        number(figures.moved_keys),
        figures.ejections.to_string(),
        figures.failing.to_string(),
        number(ratio),
    ]
}
