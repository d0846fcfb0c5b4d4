//! The limit's course at a simulated server, beside the rules of others.

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

fn ours() -> Rule {
    let mut gradient = Gradient::new(SETTINGS, 1);
    let mut limit = SETTINGS.initial;
    Box::new(move |sample| {
        limit = gradient.learn(sample, u32::MAX).unwrap_or(limit);
        limit
    })
}

fn rules(slots: u32) -> Vec<(&'static str, u32, Rule)> {
    vec![
        ("none", 1_000_000, rivals::fixed(1_000_000)),
        ("fixed, slots + 1", slots + 1, rivals::fixed(slots + 1)),
        ("fixed, 2 × slots", 2 * slots, rivals::fixed(2 * slots)),
        ("gradient", 20, ours()),
        ("Envoy", 3, rivals::envoy()),
        ("Gradient2", 20, rivals::gradient2()),
        ("Vegas", 20, rivals::vegas()),
        ("AIMD, 100 ms", 20, rivals::aimd(0.1)),
    ]
}

fn together(seconds: &[Seen]) -> Seen {
    let mut all = Seen::default();
    for second in seconds {
        all.latencies.extend(&second.latencies);
        all.limits.extend(&second.limits);
        all.failed += second.failed;
        all.cancelled += second.cancelled;
    }
    all
}

/// Of what the server can do in that time.
fn part_done(seen: &Seen, slots: usize, service: f64, seconds: usize) -> f64 {
    seen.latencies.len() as f64 * service / slots as f64 / seconds as f64
}

#[test]
fn compared() {
    for slots in [1, 4, 16, 100] {
        println!("\n{slots} slots, 1.5 × what it can do; then 5 × slower from 60 s to 90 s");
        println!("rule | limit 10..60 s | done | p99 | 75..90: limit | done | p99 | 100..120: limit | done | p99");
        for (name, initial, rule) in rules(slots as u32) {
            let mut station = Station::new(slots);
            station.service = |at| if (60.0..90.0).contains(&at) { 0.05 } else { 0.01 };
            let seen = station.play(120, initial, rule);
            let mut row = format!("{name:18}");
            for (from, to, service) in [(10, 60, 0.01), (75, 90, 0.05), (100, 120, 0.01)] {
                let seen = together(&seen[from..to]);
                let done = part_done(&seen, slots, service, to - from);
                row += &format!(
                    " | {:6.1} {:5.1}% {:7.0} ms",
                    seen.mean_limit(),
                    done * 100.0,
                    seen.quantile(0.99) * 1e3
                );
            }
            println!("{row}");
        }
    }
}
