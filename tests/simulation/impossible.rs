//! What can't be simulated is refused, and named, however its values were put together.

use std::time::Duration;

use equipoise::sim::{self, Befalls, Change, Keys, Scenario, ScenarioError, Trace};

use super::{contender, reference, scenario};

/// What both ways to play it say.
fn refused(scenario: Result<Scenario, ScenarioError>) -> String {
    let scenario = scenario.unwrap();
    let told = scenario.check().unwrap_err();
    assert_eq!(sim::reference(&scenario).unwrap_err(), told);
    assert_eq!(sim::simulate(&scenario, &contender("random")).unwrap_err(), told);
    told.to_string()
}

fn trace(lines: impl Iterator<Item = (u32, u32)>) -> Trace {
    let lines: String = lines
        .map(|(arrival, service)| format!("{arrival},{service}\n"))
        .collect();
    Trace::read_csv(lines.as_bytes()).unwrap()
}

#[test]
fn a_value_out_of_its_range() {
    let new = Scenario::new;
    let keys = Keys {
        number: 0,
        exponent: 0.0,
    };
    let refused = [
        new().with_servers(0),
        new().with_servers(10_001),
        new().with_slots(0),
        new().with_slots(1_001),
        new().with_speeds([]),
        new().with_speeds([1.0, f64::NAN]),
        new().with_changes([Change::of(0, 1.5, Befalls::Crashes)]),
        new().with_starting(0),
        new().with_mean(Duration::from_secs(3_601)),
        new().with_keys(keys),
        new().with_load(f64::INFINITY),
        new().with_clients(0),
        new().with_delay(-1.0),
        new().with_timeout(0.0),
        new().with_failures(1.1),
        new().with_changes([Change::of(0, 0.5, Befalls::Slows(0))]),
        new().with_requests(99),
        new().replay(trace((0..99).map(|at| (at, 1)))),
    ];
    for refused in refused {
        let told = refused.unwrap_err().to_string();
        assert!(
            told.starts_with("impossible ") && told.contains(": expected a number from "),
            "{told}"
        );
    }
}

#[test]
fn more_than_a_machine_can_play() {
    let wide = Scenario::new().with_servers(10_000).unwrap();
    assert_eq!(wide.check(), Ok(()));
    assert_eq!(
        refused(wide.clone().with_clients(101)),
        "too large: 1010000 members (servers times clients), expected at most 1000000"
    );
    assert_eq!(
        refused(wide.with_slots(6)),
        "too large: 60000 slots times speeds, expected at most 50000"
    );
    let rare = Scenario::new().with_mean(Duration::from_secs(3_600)).unwrap();
    assert_eq!(rare.check(), Ok(()));
    assert_eq!(
        refused(rare.with_load(0.01)),
        "too large: 216000000 seconds of all clients until the last request, expected at most 100000000"
    );
    // Recorded ones too, if they are stretched.
    let rare = Scenario::new()
        .replay(trace((0..1_000).map(|at| (at * 1_000, 86))))
        .unwrap();
    let rare = rare.with_servers(1).unwrap().with_slots(1).unwrap();
    assert_eq!(rare.check(), Ok(()));
    let told = refused(rare.with_load(0.01).unwrap().with_clients(100));
    assert!(told.starts_with("too large: 860000000 "), "{told}");
}

#[test]
fn a_part_for_a_server_that_there_is_not() {
    for (name, servers) in [
        ("fail_fast", 3),
        ("black_hole", 3),
        ("crash", 3),
        ("flapping", 3),
        ("slow_one", 3),
        ("rolling_restart", 9),
    ] {
        assert_eq!(
            refused(scenario(name).with_servers(servers)),
            format!(
                "too small: {servers} servers where something befalls server {servers}, expected at least {}",
                servers + 1
            )
        );
        assert_eq!(
            scenario(name).with_servers(servers + 1).unwrap().check(),
            Ok(()),
            "{name}"
        );
    }
    let told = refused(scenario("scale_out").with_servers(50));
    assert!(told.ends_with("befalls server 99, expected at least 100"), "{told}");
    let told = refused(Scenario::new().with_starting(101));
    assert!(told.ends_with("befalls server 100, expected at least 101"), "{told}");
}

#[test]
fn a_recording_of_requests_that_ask_for_too_much_or_too_little() {
    let lines = || (0..1_000).map(|at| (at, 100));
    let told = refused(Scenario::new().with_servers(1).unwrap().replay(trace(lines())));
    assert!(told.starts_with("impossible load 25.0"), "{told}");
    // All at one time.
    let told = refused(Scenario::new().replay(trace((0..1_000).map(|_| (0, 100)))));
    assert!(told.starts_with("impossible recorded load inf"), "{told}");
}

#[test]
fn it_is_the_same_in_which_order_values_are_set() {
    let recorded = || trace((0..1_200).map(|at| (at, 1)));
    let before = Scenario::new().with_servers(2).unwrap().with_slots(1).unwrap();
    let before = before.with_requests(500).unwrap().replay(recorded()).unwrap();
    let after = Scenario::new().replay(recorded()).unwrap().with_requests(500).unwrap();
    let after = after.with_slots(1).unwrap().with_servers(2).unwrap();
    assert_eq!(before, after);
    // No time is stretched: half of the servers' is used.
    assert!((after.load() - 0.5).abs() < 0.01, "{}", after.load());
    let figures = reference(&after).figures;
    assert_eq!((figures.requests, figures.p999_ms), (500, 1_000.0));
    assert!((figures.utilization - 0.5).abs() < 0.01, "{}", figures.utilization);
}

#[test]
fn queues_are_measured_once_they_are_what_they_come_to() {
    // At random, with thousands of servers, few requests are few for each: they would find them empty.
    let wide = Scenario::new().with_servers(1_000).unwrap().with_slots(1).unwrap();
    let wide = wide.with_requests(20_000).unwrap();
    let means = sim::simulate(&wide, &contender("random")).unwrap().figures.mean_ms / 10.0;
    // M/M/1: 1 / (1 - 0.8) mean service times.
    assert!((4.6..5.4).contains(&means), "{means}");
}
