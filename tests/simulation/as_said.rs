//! What a scenario says is what is played: by what can be counted, or reckoned by hand.

use equipoise::sim::{Antagonists, Arrivals, Befalls, Change, Discipline, Keys, Run, Scenario, ServiceTime, Trace};

use super::{contender, reference, scenario, simulate};

/// Requests that come, and are served, within so many seconds each.
fn recorded(requests: impl IntoIterator<Item = (f64, f64)>) -> Trace {
    let lines: String = (requests.into_iter())
        .map(|(arrival, service)| format!("{arrival},{service}\n"))
        .collect();
    Trace::read_csv(lines.as_bytes()).unwrap()
}

/// One server of so many slots.
fn one(slots: u32) -> Scenario {
    scenario("equal").with_servers(1).unwrap().with_slots(slots).unwrap()
}

/// One server of two slots, and each second one of 120 requests that take three: the last hundred are measured, from the
/// 19th second on.
fn overloaded() -> Scenario {
    one(2)
        .replay(recorded((0..120).map(|second| (f64::from(second), 3.0))))
        .unwrap()
}

/// How many of the measured requests took so many milliseconds, within a part in a million.
fn took(run: &Run, millis: f64) -> usize {
    let nanos = millis * 1e6;
    let is_near = |latency: &&u64| (**latency as f64 / nanos - 1.0).abs() < 1e-6;
    run.latencies.iter().filter(is_near).count()
}

#[test]
fn who_crashes_loses_what_it_works_on_and_what_waits_there() {
    let crashes = [39.5, 59.5, 79.5].into_iter().flat_map(|second| {
        let at = (second - 19.0) / 100.0;
        [Befalls::Crashes, Befalls::Serves].map(|what| Change::of(0, at, what))
    });
    let crashing = overloaded().with_changes(crashes.collect::<Vec<_>>()).unwrap();
    // Who is told of a loss sends the next: not before the server is back.
    let crashing = crashing.with_delay(0.001).unwrap();
    let errors = |run: Run| run.figures.errors;
    // Until the first 40 have come and 25 are served: every third second from the third and from the fourth on; until each of
    // the others 20 more, of which 12 are.
    let all = errors(simulate(&crashing, &contender("random")));
    assert_eq!(all, 15 + 8 + 8);
    // What waits elsewhere is not lost.
    for (limit, there) in [("@2", 2), ("@+1", 3), ("@5", 5)] {
        let run = simulate(&crashing, &contender(&format!("random{limit}")));
        assert_eq!(errors(run), 3 * there, "{limit}");
    }
    assert_eq!(errors(reference(&crashing)), 3 * 2);
}

#[test]
fn what_is_lost_is_no_load_to_who_goes_by_reports() {
    let busy = scenario("equal").with_servers(2).unwrap().with_slots(50).unwrap();
    let busy = busy.with_requests(3_000).unwrap().with_delay(0.01).unwrap();
    let crashes = [0.1, 0.2].map(|at| [Befalls::Crashes, Befalls::Serves].map(|what| Change::of(0, at, what)));
    let crashing = busy.with_changes(crashes.concat()).unwrap();
    for strategy in ["prequal", "fleet_least_loaded", "reported_load"] {
        let run = simulate(&crashing, &contender(strategy));
        assert!(run.figures.errors > 50, "{strategy}: {}", run.figures.errors);
        assert!(run.shares[0] > 1_200, "{strategy}: {:?}", run.shares);
    }
}

#[test]
fn who_waits_longer_than_the_time_out_has_failed() {
    // A tenth takes each from one second to ten; 5.5 on average.
    let requests = (0..120).map(|index| (f64::from(index), f64::from(index % 10 + 1)));
    let mixed = one(1_000).replay(recorded(requests)).unwrap().with_load(0.05).unwrap();
    let after = |seconds: f64| mixed.clone().with_timeout(seconds / 5.5).unwrap();
    let figures = |scenario: &Scenario| {
        let figures = simulate(scenario, &contender("random")).figures;
        (figures.errors, figures.p999_ms.round())
    };
    assert_eq!(figures(&mixed), (0, 10_000.0));
    assert_eq!(figures(&after(3.5)), (70, 3_000.0));
    assert_eq!(figures(&after(6.5)), (40, 6_000.0));
    // The way there and back is waited for, too.
    let distant = after(6.5).with_delay(1.0 / 5.5).unwrap();
    assert_eq!(figures(&distant), (60, 6_000.0));
}

#[test]
fn a_limit_is_how_many_a_server_has_at_most() {
    for (limit, most) in [("@1", 1.0), ("@5", 5.0), ("@+0", 2.0), ("@+1", 3.0), ("@+4", 6.0)] {
        let run = simulate(&overloaded(), &contender(&format!("random{limit}")));
        // The others wait: nobody is sent away.
        assert_eq!(run.figures.errors, 0, "{limit}");
        let fullest = run.loads.iter().map(|load| load.max).fold(0.0, f64::max);
        assert_eq!(fullest, most, "{limit}");
    }
}

#[test]
fn the_way_there_and_the_way_back_are_part_of_each_latency() {
    let distant = one(1_000).with_service(ServiceTime::Constant).with_load(0.05).unwrap();
    let distant = distant.with_requests(500).unwrap().with_delay(0.25).unwrap();
    for run in [reference(&distant), simulate(&distant, &contender("random"))] {
        // Of 10 ms on the server.
        assert_eq!(took(&run, 15.0), 500, "{:?}", run.figures);
    }
}

#[test]
fn a_short_request_behind_a_long_one_waits_for_it_or_shares_its_slot() {
    let pairs = (0..120)
        .map(|pair| 100.0 * f64::from(pair))
        .flat_map(|at| [(at, 10.0), (at + 1.0, 1.0)]);
    let pairs = one(1).replay(recorded(pairs)).unwrap();
    let first_come = simulate(&pairs, &contender("random"));
    assert_eq!(took(&first_come, 10_000.0), 200);
    let shared = pairs.with_discipline(Discipline::ProcessorSharing);
    let run = simulate(&shared, &contender("random"));
    assert_eq!((took(&run, 2_000.0), took(&run, 11_000.0)), (100, 100));
}

#[test]
fn scenarios_named_shared_are_the_others_with_shared_slots() {
    for name in ["equal", "antagonists"] {
        for service in ["", "_normal", "_bimodal"] {
            let shared = scenario(&format!("shared_{name}{service}"));
            let other = scenario(&format!("{name}{service}")).with_name(shared.name());
            assert_ne!(shared, other);
            assert_eq!(shared, other.with_discipline(Discipline::ProcessorSharing));
        }
    }
}

/// Servers of which hardly anybody finds all slots in use: a request takes 10 ms or, slowed, 100.
fn slowed(servers: u32, every: f64) -> Scenario {
    let servers = scenario("equal").with_servers(servers).unwrap().with_slots(10).unwrap();
    let servers = servers.with_service(ServiceTime::Constant).with_load(0.01).unwrap();
    let antagonists = Antagonists { speed: 0.1, every };
    servers.with_antagonists(antagonists).unwrap()
}

#[test]
fn antagonists_slow_some_servers_and_leave_others() {
    for seed in 0..3 {
        // Drawn once, as nobody waits for so long.
        let scenario = slowed(20, 1e6).with_requests(2_000).unwrap().with_seed(seed);
        for run in [reference(&scenario), simulate(&scenario, &contender("round_robin"))] {
            let (fast, slow) = (took(&run, 10.0), took(&run, 100.0));
            assert_eq!(fast + slow, 2_000);
        }
        let run = simulate(&scenario, &contender("round_robin"));
        // A hundred of each of the twenty.
        let fast = took(&run, 10.0) / 100;
        assert!((4..=16).contains(&fast), "seed {seed}: {fast} of 20");
    }
}

#[test]
fn antagonists_come_and_go() {
    let requests = 4_000;
    let one = slowed(1, 50.0).with_requests(requests).unwrap();
    let run = simulate(&one, &contender("random"));
    let part = |count: usize| count as f64 / f64::from(requests);
    let (fast, slow) = (part(took(&run, 10.0)), part(took(&run, 100.0)));
    // Of those that meet a server of full speed one in 50 is there when it is drawn anew, of the others one in five; half of the
    // draws change nothing.
    assert!((fast - 0.495).abs() < 0.05, "{fast}");
    assert!((slow - 0.45).abs() < 0.05, "{slow}");
    let changed = 1.0 - fast - slow;
    assert!((changed - 0.055).abs() < 0.01, "{changed}");
}

#[test]
fn bursts_are_geometric_and_of_one_client() {
    let requests = 20_000;
    let idle = scenario("equal").with_servers(20).unwrap().with_slots(1).unwrap();
    let idle = idle.with_service(ServiceTime::Constant).with_load(0.01).unwrap();
    let idle = idle.with_clients(200).unwrap().with_requests(requests).unwrap();
    for mean in [1.0, 5.0, 20.0] {
        let bursts = idle.clone().with_arrivals(Arrivals::Bursty(mean)).unwrap();
        // Each client has a server of its own, whose queue a burst is.
        let run = simulate(&bursts, &contender("subset(random,size=1)"));
        // Of bursts and of those longer than one: a part of 1 − 1 ∕ mean.
        let [first, second] = [10.0, 20.0].map(|millis| took(&run, millis) as f64);
        let size = f64::from(requests) / first;
        assert!((size / mean - 1.0).abs() < 0.1, "{size} for {mean}");
        let longer = second / first;
        assert!((longer - (1.0 - 1.0 / mean)).abs() < 0.03, "{longer} for {mean}");
    }
}

#[test]
fn keys_are_as_many_and_as_unlike_as_said() {
    // Each key has a server of its own among so many.
    let scenario = scenario("equal").with_requests(4_000).unwrap().with_load(0.01).unwrap();
    for number in [1_u32, 2, 3] {
        for exponent in [0.0, 1.0, 2.0] {
            let keys = scenario.clone().with_keys(Keys { number, exponent }).unwrap();
            let mut shares = simulate(&keys, &contender("rendezvous")).shares;
            shares.sort_unstable_by(|one, other| other.cmp(one));
            let weights: Vec<f64> = (1..=number).map(|key| f64::from(key).powf(-exponent)).collect();
            let total: f64 = weights.iter().sum();
            for (share, weight) in shares.iter().zip(&weights) {
                let part = *share as f64 / 4_000.0;
                assert!((part - weight / total).abs() < 0.03, "{number} {exponent}: {shares:?}");
            }
            assert_eq!(shares[weights.len()..].iter().sum::<u64>(), 0, "{shares:?}");
        }
    }
}

#[test]
fn every_client_is_told_who_joins_and_who_leaves() {
    // Two come and two go, half a second after the middle.
    let change = |servers, what| Change {
        at: 0.5005,
        servers,
        what,
    };
    let changes = [change(2..4, Befalls::Joins), change(0..2, Befalls::Leaves)];
    let four = scenario("equal").with_servers(4).unwrap().with_starting(2).unwrap();
    let four = four.with_changes(changes).unwrap().with_load(0.3).unwrap();
    // One each second.
    let trace = || recorded((0..1_200).map(|second| (f64::from(second), 0.1)));
    for clients in [1, 5] {
        let four = four.clone().with_clients(clients).unwrap().replay(trace()).unwrap();
        for run in [reference(&four), simulate(&four, &contender("round_robin"))] {
            // Who knows only those that have left asks nobody.
            assert_eq!(run.figures.errors, 0);
            let [before, after] = [&run.shares[..2], &run.shares[2..]].map(|shares| shares.iter().sum::<u64>());
            assert_eq!((before, after), (500, 500), "{:?}", run.shares);
            assert!(run.shares.iter().all(|share| *share > 200), "{:?}", run.shares);
        }
    }
}

#[test]
fn all_clients_use_what_is_scaled_out() {
    let out = scenario("scale_out").with_requests(4_000).unwrap();
    let joined = |clients| {
        let run = simulate(&out.clone().with_clients(clients).unwrap(), &contender("round_robin"));
        assert!(run.shares[50..].iter().all(|share| *share > 0), "{:?}", run.shares);
        run.shares[50..].iter().sum::<u64>() as f64 / 4_000.0
    };
    let (one, four) = (joined(1), joined(4));
    // Half of them for about half of the time: the same requests come to both.
    assert!((0.2..0.3).contains(&one), "{one}");
    assert!((four - one).abs() < 0.01, "{four} {one}");
}
