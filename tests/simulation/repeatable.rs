//! The same seed gives the same figures, whatever the strategy; all strategies get the same requests.

use equipoise::{
    Strategy,
    sim::{Arrivals, Befalls, Change, Contender, Scenario, Trace},
};

use super::{contender, reference, scenario, simulate};

fn small(name: &str) -> Scenario {
    scenario(name)
        .with_servers(20)
        .unwrap()
        .with_requests(2_000)
        .unwrap()
        .with_clients(3)
        .unwrap()
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let contenders = Strategy::all()
        .map(Contender::new)
        .chain([contender("least_loaded@+1")]);
    // Who is always the first fills one server, and never ends: it has nothing to repeat.
    for contender in contenders.filter(|contender| contender.strategy().name() != "first_available") {
        let scenario = small("antagonists");
        let [once, again] = [(); 2].map(|()| simulate(&scenario, &contender));
        assert_eq!(once.latencies, again.latencies, "{contender}");
        assert_eq!(once.figures, again.figures, "{contender}");
        assert_eq!(once.loads, again.loads, "{contender}");
        let other = simulate(&scenario.with_seed(1), &contender);
        assert_ne!(once.latencies, other.latencies, "{contender}");
    }
}

#[test]
fn every_scenario_goes_by_and_no_request_is_lost() {
    for (name, _) in Scenario::names() {
        let scenario = scenario(name).with_slots(1).unwrap().with_requests(5_000).unwrap();
        for run in [reference(&scenario), simulate(&scenario, &contender("least_loaded"))] {
            let figures = &run.figures;
            assert_eq!(figures.requests, 5_000, "{name}");
            assert_eq!(run.latencies.len() as u64 + figures.errors, 5_000, "{name}");
            let faulty = [
                "fail_fast",
                "black_hole",
                "crash",
                "flapping",
                "slow_one",
                "half_down",
                "most_down",
                "some_fail",
            ];
            let is_faulty = faulty.contains(&name);
            assert!(figures.errors == 0 || is_faulty, "{name}: {} errors", figures.errors);
            assert_eq!(run.loads.len(), 201, "{name}");
            assert!(
                (0.0..=1.0).contains(&figures.utilization),
                "{name}: {}",
                figures.utilization
            );
        }
    }
}

#[test]
fn who_leaves_is_sent_nothing_and_who_joins_is() {
    let changes = [Change::of(3, 0.0, Befalls::Leaves), Change::of(19, 0.5, Befalls::Joins)];
    let scenario = small("equal").with_starting(19).unwrap().with_changes(changes).unwrap();
    for run in [reference(&scenario), simulate(&scenario, &contender("round_robin"))] {
        let fair = 2_000.0 / 19.0;
        // The measured requests begin a little before or after the time at which they should.
        assert!(run.shares[3] as f64 <= 0.2 * fair, "{:?}", run.shares);
        let joined = run.shares[19] as f64 / fair;
        assert!((0.3..0.7).contains(&joined), "{:?}", run.shares);
    }
}

#[test]
fn utilization_is_the_load() {
    for load in [0.3, 0.8] {
        let scenario = scenario("equal")
            .with_load(load)
            .unwrap()
            .with_requests(40_000)
            .unwrap();
        for run in [reference(&scenario), simulate(&scenario, &contender("least_loaded"))] {
            let utilization = run.figures.utilization;
            assert!((utilization / load - 1.0).abs() < 0.02, "{utilization} for {load}");
        }
    }
}

#[test]
fn who_is_far_away_is_waited_for() {
    // Answers are there long after the last request has come.
    let distant = small("equal").with_delay(1_000.0).unwrap();
    for run in [
        reference(&distant),
        simulate(&distant, &contender("random")),
        simulate(&distant, &contender("prequal")),
    ] {
        assert_eq!(run.figures.errors, 0);
        let way = 2_000 * distant.mean().as_nanos() as u64;
        assert!(run.latencies[0] >= way, "{}", run.latencies[0]);
    }
}

#[test]
fn servers_work_until_the_last_look_at_them() {
    // Bursts may bring all that is measured well before its time.
    let bursts = scenario("equal").with_servers(2).unwrap().with_slots(1).unwrap();
    let bursts = bursts.with_arrivals(Arrivals::Bursty(100.0)).unwrap();
    let bursts = bursts.with_requests(1_000).unwrap();
    for seed in 0..20 {
        let run = simulate(&bursts.clone().with_seed(seed), &contender("random"));
        // Between two looks are some mean service times.
        let last = &run.loads[run.loads.len() - 10..];
        let stands = last.iter().all(|load| load.mean == last[0].mean && load.mean > 0.0);
        assert!(!stands, "seed {seed}: {last:?}");
    }
}

#[test]
fn recorded_requests_come_from_all_clients() {
    let lines: String = (0..1_000).map(|index| format!("{index},1\n")).collect();
    let trace = Trace::read_csv(lines.as_bytes()).unwrap();
    let clients = small("equal")
        .with_clients(20)
        .unwrap()
        .replay(trace)
        .unwrap()
        .with_load(0.1)
        .unwrap();
    // Each has a server of its own.
    let shares = simulate(&clients, &contender("subset(random,size=1)")).shares;
    let asked = shares.iter().filter(|share| **share > 0).count();
    assert!(asked > 5, "{shares:?}");
}
