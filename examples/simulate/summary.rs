//! The figures of several scenarios, for people.

use crate::{
    report::{Report, best, means},
    table::{aligned, number, setting},
};

pub(crate) fn write(report: &Report) -> String {
    let means = means(&report.comparisons);
    let mut wins = vec![Vec::new(); means.len()];
    for scenario in report.scenarios() {
        for best in best(scenario) {
            wins[best].push(format!("{}, {}", scenario[0].scenario, setting(&scenario[0])));
        }
    }
    let heads = ["strategy", "p99/ref", "worst", "errors", "wins"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for (index, mean) in means.iter().enumerate() {
        rows.push(vec![
            mean.strategy.clone(),
            number(mean.p99_over_reference),
            number(worst(report, index)),
            mean.errors.to_string(),
            wins[index].len().to_string(),
        ]);
    }
    let scenarios = report.scenarios().count();
    let mut text = format!(
        "{scenarios} scenario{}, {} seed{} each\n\n{}\n\
         p99/ref: the 99th percentile over that of one central first-come queue, as geometric mean; worst: at most\n\
         wins: scenarios with the least p99 of those that failed at most 1 request in 100\n",
        plural(scenarios),
        report.seeds,
        plural(report.seeds),
        aligned(&rows)
    );
    for (mean, wins) in means.iter().zip(&wins).filter(|(_, wins)| !wins.is_empty()) {
        text += &format!("\n{} wins\n", mean.strategy);
        for scenario in wins {
            text += &format!("  {scenario}\n");
        }
    }
    text
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// The most that a strategy has in any comparison; what is no number is more than any.
fn worst(report: &Report, index: usize) -> f64 {
    let ratios = report
        .comparisons
        .iter()
        .map(|comparison| comparison.strategies[index].p99_over_reference);
    ratios
        .map(|ratio| if ratio.is_finite() { ratio } else { f64::INFINITY })
        .fold(0.0, f64::max)
}
