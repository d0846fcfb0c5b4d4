//! The limit's course at a simulated server, beside the rules of others.

mod any;
mod rivals;
mod station;

use std::time::Duration;

use super::{Settings, gradient::Gradient};
use station::{Rule, Seen, Station};

const SETTINGS: Settings = Settings {
    min: 1,
    max: 1_000,
    initial: 20,
    tolerance: 1.25,
    failures: 0.1,
    interval: Duration::from_millis(100),
    remeasure: Duration::from_secs(30),
};

fn rule(mut gradient: Gradient) -> Rule {
    let mut limit = SETTINGS.initial;
    Box::new(move |sample| {
        limit = gradient.learn(sample, u32::MAX).unwrap_or(limit);
        limit
    })
}

fn ours() -> Rule {
    rule(Gradient::new(SETTINGS, 1))
}

fn play(station: &Station, seconds: usize) -> Vec<Seen> {
    station.play(seconds, SETTINGS.initial, ours())
}

fn together(seconds: &[Seen]) -> Seen {
    let mut all = Seen::default();
    for second in seconds {
        all.latencies.extend(&second.latencies);
        all.limits.extend(&second.limits);
        all.failed += second.failed;
    }
    all
}

/// The mean limit, the part done of what the server can do, and the 99th percentile in units of the mean service time.
fn figures(seconds: &[Seen], slots: usize, service: f64) -> (f64, f64, f64) {
    let seen = together(seconds);
    let done = seen.latencies.len() as f64 * service / slots as f64 / seconds.len() as f64;
    (seen.mean_limit(), done, seen.quantile(0.99) / service)
}

/// Five times slower from 60 s to 90 s, and asked for half as much again as it can do at its best, or more.
fn overloaded(slots: usize) -> Station {
    let mut station = Station::new(slots);
    station.service = |at| if (60.0..90.0).contains(&at) { 0.05 } else { 0.01 };
    station
}

const PHASES: [(usize, usize, f64); 3] = [(10, 60, 0.01), (75, 90, 0.05), (100, 120, 0.01)];

/// Run with `--nocapture` for the table of `docs/limits.md`.
#[test]
fn beside_the_rules_of_others() {
    println!("| slots | rule | limit, done, p99 | 5 × slower | afterwards |\n|---|---|---|---|---|");
    for slots in [4, 16] {
        let few = slots as u32;
        let rules: [(&str, u32, Rule); 7] = [
            ("none", u32::MAX, rivals::fixed(u32::MAX)),
            ("fixed, 2 × slots", 2 * few, rivals::fixed(2 * few)),
            ("`AdaptiveLimit`", SETTINGS.initial, ours()),
            ("Envoy's", 3, rivals::envoy()),
            ("Netflix's Gradient2", 20, rivals::gradient2()),
            ("Netflix's Vegas", 20, rivals::vegas()),
            ("Netflix's AIMD, 100 ms", 20, rivals::aimd(0.1)),
        ];
        let mut best = (0.0, 0.0);
        for (name, initial, rule) in rules {
            let seen = overloaded(slots).play(120, initial, rule);
            let phases = PHASES.map(|(from, to, service)| figures(&seen[from..to], slots, service));
            let cells = phases.map(|(limit, done, p99)| {
                let limit = if initial == u32::MAX {
                    "–".to_owned()
                } else {
                    format!("{limit:.0}")
                };
                format!("{limit}, {:.0} %, {p99:.1}", done * 100.0)
            });
            println!("| {slots} | {name} | {} |", cells.join(" | "));
            let (_, done, p99) = phases[0];
            match name {
                "none" => assert!(p99 > 1_000.0, "without a limit the queue grows for ever"),
                "fixed, 2 × slots" => best = (done, p99),
                "`AdaptiveLimit`" => {
                    for (limit, done, p99) in phases {
                        assert!(limit >= 0.9 * slots as f64 && limit <= 2.5 * slots as f64, "{limit}");
                        assert!(done > best.0 - 0.05, "{done} beside {}", best.0);
                        assert!(p99 < 1.3 * best.1, "{p99} beside {}", best.1);
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn it_finds_one_slot_and_a_hundred() {
    for (slots, most, slowest) in [(1, 6.0, 20.0), (100, 180.0, 6.0)] {
        let seen = play(&overloaded(slots), 120);
        for (from, to, service) in PHASES {
            let (limit, done, p99) = figures(&seen[from..to], slots, service);
            println!(
                "{slots} slots: limit {limit:.1}, done {:.0} %, p99 {p99:.1}",
                done * 100.0
            );
            assert!(limit >= slots as f64 && limit < most, "{limit}");
            assert!(done > 0.8 && p99 < slowest, "{done} {p99}");
        }
    }
}

#[test]
fn a_limit_that_is_not_reached_does_not_grow() {
    let mut station = Station::new(16);
    station.load = |_| 0.2;
    let seen = together(&play(&station, 60));
    assert!(seen.limits.len() > 10_000 && seen.limits.iter().all(|limit| *limit == SETTINGS.initial));
}

#[test]
fn with_less_than_a_server_can_do_nearly_nobody_is_turned_away() {
    for (load, least) in [(0.7, 0.97), (0.9, 0.93)] {
        let mut station = Station::new(16);
        station.load = if load == 0.7 { |_| 0.7 } else { |_| 0.9 };
        let (limit, done, p99) = figures(&play(&station, 60)[10..], 16, 0.01);
        println!(
            "load {load}: limit {limit:.0}, done {:.1} %, p99 {p99:.1}",
            done * 100.0
        );
        assert!(done > least * load, "{done} of {load}");
    }
}

#[test]
fn who_sheds_is_asked_for_less() {
    let mut station = Station::new(16);
    station.queue = 0;
    let failed = |rule: Rule| {
        let seen = station.play(60, SETTINGS.initial, rule);
        let seen = together(&seen[10..]);
        (seen.failed as f64 / seen.limits.len() as f64, seen.mean_limit())
    };
    let (others, _) = failed(rivals::fixed(32));
    let (ours, limit) = failed(ours());
    println!("failed: {ours:.3} at a limit of {limit:.1}, {others:.3} at one of 32");
    assert!(
        ours < 0.5 * others && limit > 12.0 && limit < 18.0,
        "{ours} {others} {limit}"
    );
}

#[test]
fn a_few_failures_at_any_load_are_no_reason() {
    let mut station = Station::new(16);
    station.failing = |_| 0.02;
    let (limit, done, _) = figures(&play(&station, 60)[10..], 16, 0.01);
    assert!(limit > 20.0 && done > 0.95, "{limit} {done}");
}

#[test]
fn an_outage_lowers_it_to_the_least_and_is_over_within_seconds() {
    let mut station = Station::new(16);
    station.failing = |at| if (20.0..25.0).contains(&at) { 1.0 } else { 0.0 };
    let seen = play(&station, 60);
    assert_eq!(
        seen[24].limits.last(),
        Some(&SETTINGS.min),
        "failing fast attracts nobody"
    );
    let done = |from: usize, to: usize| figures(&seen[from..to], 16, 0.01).1;
    println!(
        "done in the 5 s after: {:.2}, and then: {:.2}",
        done(25, 30),
        done(30, 60)
    );
    assert!(done(25, 30) > 0.5 && done(30, 60) > 0.95);
}
