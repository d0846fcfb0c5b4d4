//! The tables of `docs/failover.md`.

use std::time::Duration;

use super::{
    rules::Retries,
    scene::Scene,
    servers::{Outage, Queue},
};

const ALL: [Retries; 5] = [
    Retries::None,
    Retries::Unbounded,
    Retries::OfRequests,
    Retries::OfSuccesses,
    Retries::Default,
];

fn row(what: &str, scene: Scene, contenders: &[Retries]) {
    let scene = Scene {
        after: Duration::from_secs(300),
        ..scene
    };
    let cells = contenders.iter().map(|retries| {
        let played = scene.play(*retries);
        match (played.before > 0.99, played.back) {
            (false, _) => format!("overloaded before ({:.0} %)", played.before * 100.0),
            (true, Some(seconds)) => format!("{seconds} s"),
            (true, None) => format!("**never** ({:.0} %)", played.end * 100.0),
        }
    });
    println!("| {what} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn heading(first: &str, contenders: &[Retries]) {
    let names: Vec<String> = contenders.iter().map(|retries| retries.name()).collect();
    println!(
        "\n| {first} | {} |\n|---|{}",
        names.join(" | "),
        "---|".repeat(names.len())
    );
}

#[test]
#[ignore = "asserts nothing: prints the tables of docs/failover.md, minutes even in a release build"]
fn tables() {
    let scene = Scene::default;
    let outage = |seconds, servers, slowness| Scene {
        outage: Outage {
            lasts: Duration::from_secs(seconds),
            servers,
            slowness,
            ..scene().outage
        },
        ..scene()
    };
    println!(
        "\n| | before | during | 0–20 s after | 280–300 s after | asked for then | back after |\n|---|---|---|---|---|---|---|"
    );
    for retries in ALL {
        let after = Duration::from_secs(300);
        println!("| {} | {} |", retries.name(), Scene { after, ..scene() }.play(retries));
    }
    heading("back after", &ALL);
    for load in [0.7, 0.8, 0.85, 0.9, 0.95, 0.98] {
        row(&format!("load {load}"), Scene { load, ..scene() }, &ALL);
    }
    for seconds in [1, 5, 20] {
        row(&format!("outage of {seconds} s"), outage(seconds, 10, u32::MAX), &ALL);
    }
    row("half of the servers stand still", outage(2, 5, u32::MAX), &ALL);
    row("all take ten times as long for 5 s", outage(5, 10, 10), &ALL);
    for tries in [2, 5] {
        row(&format!("up to {tries} tries"), Scene { tries, ..scene() }, &ALL);
    }
    for (what, queue) in [
        ("200 wait at a server, others are refused", Queue::Refuses(200)),
        ("200 wait, others are answered with a failure", Queue::Fails(200)),
        ("20 wait, others are refused", Queue::Refuses(20)),
        ("20 wait, others are answered with a failure", Queue::Fails(20)),
    ] {
        row(what, Scene { queue, ..scene() }, &ALL);
    }
    for clients in [5, 20, 100] {
        row(&format!("{clients} clients"), Scene { clients, ..scene() }, &ALL);
    }
    let small = [
        Retries::Default,
        Retries::Budget(0.2, 1.0),
        Retries::Budget(0.2, 0.1),
        Retries::Budget(0.1, 10.0),
    ];
    heading("clients", &small);
    for clients in [1, 20, 100] {
        row(&clients.to_string(), Scene { clients, ..scene() }, &small);
    }
    let hedging = [
        Retries::Default,
        Retries::Budget(0.05, 0.0),
        Retries::OfRequests,
        Retries::OfSuccesses,
    ];
    heading("hedging after the quantile of 0.95", &hedging);
    for load in [0.7, 0.8, 0.85, 0.9] {
        let hedge = Some(0.95);
        row(&format!("load {load}"), Scene { load, hedge, ..scene() }, &hedging);
    }
}
