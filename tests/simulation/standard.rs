//! Over the standard set, the 99th percentile against that of one central first-come queue: the geometric mean over 28
//! scenarios, each at three seeds.
//!
//! Together some minutes of a fast processor, and many times that unless optimized, so `.ci/run simulation` plays them:
//! `cargo test --release --features sim --test simulation -- --ignored`.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use equipoise::sim::{Antagonists, Contender, Scenario};

use super::{SEEDS, contender, reference, scenario, simulate};

/// The geometric mean of the 99th percentile over the reference's, for each contender.
fn over_reference<const N: usize>(set: &[Scenario], contenders: [&str; N], clients: u32) -> [f64; N] {
    let contenders: Vec<Contender> = contenders.map(contender).to_vec();
    let plays: Vec<Scenario> = set
        .iter()
        .flat_map(|scenario| SEEDS.map(|seed| scenario.clone().with_seed(seed).with_clients(clients).unwrap()))
        .collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut logs = [0.0; N];
        while let Some(scenario) = plays.get(next.fetch_add(1, Relaxed)) {
            let best = reference(scenario).figures;
            for (log, contender) in logs.iter_mut().zip(&contenders) {
                let figures = simulate(scenario, contender).figures;
                assert_eq!((figures.errors, best.errors), (0, 0), "{}", scenario.name());
                *log += (figures.p99_ms / best.p99_ms).ln();
            }
        }
        logs
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let logs: Vec<[f64; N]> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    std::array::from_fn(|contender| {
        let sum: f64 = logs.iter().map(|logs| logs[contender]).sum();
        let mean = (sum / plays.len() as f64).exp();
        println!(
            "{:30} {clients:4} clients: {mean:.3}",
            contenders[contender].to_string()
        );
        mean
    })
}

fn standard() -> Vec<Scenario> {
    let set = Scenario::standard().unwrap();
    assert_eq!(set.len(), 28);
    set
}

#[test]
#[ignore = "minutes unless optimized: .ci/run simulation"]
fn one_balancer_is_nearly_as_good_as_one_queue() {
    let [default, bounded] = over_reference(&standard(), ["least_loaded", "least_loaded(d=all)@+1"], 1);
    assert!(default <= 1.15, "{default}");
    assert!(bounded <= 1.10, "{bounded}");
    let equal: Vec<Scenario> = standard()
        .into_iter()
        .filter(|scenario| scenario.name().contains("equal"))
        .collect();
    assert_eq!(equal.len(), 12);
    let [bounded] = over_reference(&equal, ["least_loaded(d=all)@+1"], 1);
    assert!(bounded <= 1.02, "{bounded}");
}

#[test]
#[ignore = "minutes unless optimized: .ci/run simulation"]
fn many_balancers_are_nearly_as_good_where_servers_report() {
    let [ten] = over_reference(&standard(), ["fleet_least_loaded(d=all)"], 10);
    assert!(ten <= 1.2, "{ten}");
    let [hundred, sampled] = over_reference(&standard(), ["fleet_least_loaded(d=all)", "fleet_least_loaded"], 100);
    assert!(hundred <= 1.3, "{hundred}");
    assert!(sampled <= 1.3, "{sampled}");
}

/// One that can be run always: with fewer requests, of two scenarios.
#[test]
fn the_default_is_better_than_turns_and_worse_than_one_queue() {
    let set = ["equal", "antagonists"].map(|name| scenario(name).with_requests(20_000).unwrap());
    let [default, turns, random] = over_reference(&set, ["least_loaded", "round_robin", "random"], 1);
    assert!(0.95 < default && default < 1.3, "{default}");
    assert!(2.0 * default < turns && turns < random, "{turns} {random}");
}

#[test]
fn the_reference_suffers_least_from_antagonists() {
    let antagonists = Antagonists {
        speed: 0.1,
        every: 50.0,
    };
    let slowed = scenario("equal")
        .with_antagonists(antagonists)
        .unwrap()
        .with_requests(20_000)
        .unwrap();
    let [default] = over_reference(&[slowed], ["least_loaded"], 1);
    assert!(default > 1.0, "{default}");
}
