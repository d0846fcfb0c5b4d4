//! The figures of one scenario, for people.

use equipoise::sim::{Comparison, Figures};

use crate::report::best;

const HEADS: [&str; 12] = [
    "strategy", "requests", "errors", "mean", "p50", "p90", "p99", "p99.9", "max/mean", "used", "moved", "p99/ref",
];
/// Behind the best one.
const BEST: &str = "*";
const LEGEND: &str = "* the least p99 of those that failed at most 1 request in 100";

pub(crate) fn write(comparison: &Comparison) -> String {
    let mut rows = vec![HEADS.map(str::to_owned).to_vec()];
    rows.push(row("reference", &comparison.reference, 1.0));
    for compared in &comparison.strategies {
        rows.push(row(&compared.strategy, &compared.figures, compared.p99_over_reference));
    }
    let best = best(std::slice::from_ref(comparison));
    for (index, row) in rows.iter_mut().enumerate() {
        // Behind the heads and the reference.
        let is_best = best.iter().any(|best| index == best + 2);
        row.extend([if is_best { BEST } else { "" }.to_owned()]);
    }
    let legend = if best.is_empty() { "" } else { LEGEND };
    format!(
        "{}; latencies in ms\n\n{}\n{EXPLAINED}\n{legend}\n",
        title(comparison),
        aligned(&rows)
    )
}

const EXPLAINED: &str = "reference: one central first-come queue before the same servers\n\
    max/mean: requests at the fullest server over the mean of all; used: of what the slots could do; moved: requests\n\
    that went to another server than the last of the same key";

/// What was played.
pub(crate) fn title(comparison: &Comparison) -> String {
    let Comparison { scenario, seed, .. } = comparison;
    format!("{scenario}, {}, seed {seed}", setting(comparison))
}

/// What was played but for name and seed.
pub(crate) fn setting(comparison: &Comparison) -> String {
    let Comparison { load, clients, .. } = comparison;
    let several = if *clients == 1 { "" } else { "s" };
    // What a trace makes is no round number.
    let load = (load * 1e4).round() / 1e4;
    format!("load {load}, {clients} client{several}")
}

fn row(name: &str, figures: &Figures, ratio: f64) -> Vec<String> {
    vec![
        name.to_owned(),
        figures.requests.to_string(),
        figures.errors.to_string(),
        number(figures.mean_ms),
        number(figures.p50_ms),
        number(figures.p90_ms),
        number(figures.p99_ms),
        number(figures.p999_ms),
        number(figures.max_over_mean),
        part(figures.utilization),
        part(figures.moved_keys),
        number(ratio),
    ]
}

/// Four digits, or a dash where there is no number.
pub(crate) fn number(number: f64) -> String {
    let decimals = match number.abs() {
        ..10.0 => 3,
        10.0..100.0 => 2,
        100.0..1000.0 => 1,
        1000.0.. => 0,
        _ => return "-".to_owned(),
    };
    if number.is_finite() {
        format!("{number:.decimals$}")
    } else {
        "-".to_owned()
    }
}

fn part(part: f64) -> String {
    if part.is_finite() {
        format!("{:.1}%", part * 100.0)
    } else {
        "-".to_owned()
    }
}

/// Columns beside each other: the first begins at the left, others end at the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let line: String = cells
            .map(|(column, (cell, width))| match column {
                0 => format!("{cell:width$}"),
                _ if *width == 0 => String::new(),
                _ => format!("  {cell:>width$}"),
            })
            .collect();
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}
