//! What requests take while backends fail: the drills of `tests/outages/failover`, optimized, with latencies.
//!
//! Three backends, which are processes, 2,000 GETs a second and 200 POSTs, each at its time, and one fault after the other.
//! Latency is that of GETs which were answered well, from when it was their time to be sent, over three spans: before the
//! fault, its first second, and all after that, its end included. `cargo bench --features probes --bench failover` takes a
//! minute and a half and wants a quiet machine; with `-- --test` it only tries that all of it works.

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use equipoise::{LeastLoaded, RoundRobin, Selector, http::HttpEndpoint};

use crate::{
    drill::{Drill, Report},
    fault::Fault,
};

#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../tests/outages/backend.rs"]
mod backend;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../tests/outages/failover/caller.rs"]
mod caller;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../tests/outages/check.rs"]
mod check;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../tests/outages/failover/drill.rs"]
mod drill;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../tests/outages/failover/fault.rs"]
mod fault;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../tests/installed/program.rs"]
mod program;

/// But that of all who fail, of which no answer is good.
const FAULTS: [Fault; 9] = [
    Fault::Killed,
    Fault::Stopped,
    Fault::Reset,
    Fault::BrokenOff,
    Fault::Failing,
    Fault::Slow,
    Fault::Flapping,
    Fault::TwoKilled,
    Fault::AllKilled,
];
/// The first requests have to make connections.
const WARM_UP: Duration = Duration::from_millis(200);
/// How long a fault may show.
const FIRST: Duration = Duration::from_secs(1);
/// How many times the undisturbed p99 it may be after that.
const MOST: f64 = 2.0;

fn main() -> ExitCode {
    if backend::serve_if_told() {
        return ExitCode::SUCCESS;
    }
    let is_trial =
        !env::args().any(|argument| argument == "--bench") || env::args().any(|argument| argument == "--test");
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        if is_trial {
            try_all().await;
        } else {
            measure("least_loaded", LeastLoaded::new).await;
            measure("round_robin", RoundRobin::new).await;
        }
    });
    ExitCode::SUCCESS
}

async fn try_all() {
    let drill = Drill {
        before: Duration::from_millis(200),
        during: Duration::from_millis(300),
        after: Duration::from_millis(100),
    };
    for fault in FAULTS {
        println!("Testing failover/{fault:?}");
        let report = drill.hold(fault, LeastLoaded::new()).await;
        if report.answers.iter().any(|answer| answer.is_well()) {
            println!("Success");
        }
    }
}

async fn measure<S: Selector<HttpEndpoint>>(name: &str, selector: fn() -> S) {
    let drill = Drill {
        before: Duration::from_millis(1200),
        during: Duration::from_millis(2500),
        after: Duration::from_millis(800),
    };
    println!(
        "{name:<14}{:>24}{:>24}{:>24}{:>9}{:>9}{:>9}",
        "before, ms", "first second", "after that", "p99", "budget", "failed"
    );
    let quantiles = "p50 / p99 / p99.9";
    println!("{:<14}{quantiles:>24}{quantiles:>24}{quantiles:>24}", "");
    for fault in FAULTS {
        let report = drill.hold(fault, selector()).await;
        let began = report.spell.began;
        let before = Latency::of(&report, |due, ended| due >= report.first() + WARM_UP && ended < began);
        let first = Latency::of(&report, |due, ended| ended >= began && due < began + FIRST);
        let after = Latency::of(&report, |due, _| due >= began + FIRST);
        let failed = report
            .answers
            .iter()
            .filter(|answer| !answer.is_post() && !answer.is_well());
        println!(
            "{:<14}{:>24}{:>24}{:>24}{:>9.2}{MOST:>9.1}{:>9}",
            format!("{fault:?}"),
            before.told(),
            first.told(),
            after.told(),
            after.at(0.99) / before.at(0.99),
            failed.count(),
        );
    }
}

impl Report {
    /// When the first request was sent.
    fn first(&self) -> Instant {
        let due = self.answers.iter().map(|answer| answer.due);
        due.min().unwrap_or(self.spell.began)
    }
}

/// Those of one span, in ms, the shortest first.
struct Latency(Vec<f64>);

impl Latency {
    fn of(report: &Report, is_within: impl Fn(Instant, Instant) -> bool) -> Self {
        let good = report
            .answers
            .iter()
            .filter(|answer| !answer.is_post() && answer.is_well());
        let within = good.filter(|answer| is_within(answer.due, answer.ended));
        let mut all: Vec<_> = within
            .map(|answer| answer.ended.saturating_duration_since(answer.due).as_secs_f64() * 1e3)
            .collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// Not a number if there is none.
    fn at(&self, quantile: f64) -> f64 {
        let at = (self.0.len() as f64 * quantile) as usize;
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }

    fn told(&self) -> String {
        format!("{:.1} / {:.1} / {:.1}", self.at(0.5), self.at(0.99), self.at(0.999))
    }
}
