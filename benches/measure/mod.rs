//! How a bench is run: each case by criterion, which knows how it did last time, and then all beside each other for a
//! table in units. `cargo bench --bench NAME -- units` gives criterion a filter that nothing passes: the table alone.

pub(crate) mod ratio;

use std::time::Duration;

use criterion::Criterion;

use self::ratio::{Case, figures, unit};

/// Runs the cases; whether this was a measurement, and not only a trial or a listing.
pub(crate) fn run(title: &str, mut cases: Vec<Case>) -> bool {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .configure_from_args();
    for case in &mut cases {
        criterion.bench_function(&format!("{title}/{}", case.name), |bencher| {
            bencher.iter_custom(|times| (case.run)(times));
        });
    }
    criterion.final_summary();
    let is_measured =
        std::env::args().any(|arg| arg == "--bench") && !std::env::args().any(|arg| arg == "--test" || arg == "--list");
    if is_measured {
        cases.insert(0, unit());
        let width = cases.iter().map(|case| case.name.len() + 2).max().unwrap_or(0);
        println!("\n{title:<width$}{:>14}{:>14}{:>10}", "ns", "units", "budget");
        let figures = figures(&mut cases);
        for (case, figure) in cases.iter().zip(figures) {
            let budget = case.budget.map_or(String::new(), |budget| format!("{budget:.1}"));
            println!(
                "{:<width$}{:>14.1}{:>14.2}{budget:>10}",
                case.name, figure.nanos, figure.units
            );
        }
    }
    is_measured
}
