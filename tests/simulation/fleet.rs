//! Many clients in front of few servers, which report their queues: what each of the clients cannot know by itself.

use equipoise::sim::Scenario;

use super::{SEEDS, play, scenario};

/// Equal servers of four slots, busy for nine tenths of the time, before so many clients: at each seed.
fn scenarios(clients: u32, servers: u32, requests: u32) -> impl Iterator<Item = Scenario> {
    let equal = scenario("equal").with_servers(servers).unwrap();
    let equal = equal.with_clients(clients).unwrap().with_load(0.9).unwrap();
    let equal = equal.with_requests(requests).unwrap();
    SEEDS.into_iter().map(move |seed| equal.clone().with_seed(seed))
}

#[test]
fn twenty_clients_find_shorter_queues_by_what_servers_report() {
    for scenario in scenarios(20, 10, 20_000) {
        let strategies = ["least_loaded", "fleet_least_loaded", "fleet_least_loaded(clients=20)"];
        let [least, estimating, told] = play(&scenario, strategies);
        for fleet in [estimating, told] {
            assert!(fleet.waited < 0.65 * least.waited);
            assert!(fleet.fullest < 0.8 * least.fullest);
            assert!(fleet.p99_ms < 0.95 * least.p99_ms);
        }
    }
}

/// Reports add nothing to what it knows of its own requests, and take nothing from it.
#[test]
fn a_client_alone_does_as_well_as_least_loaded() {
    for scenario in scenarios(1, 10, 40_000) {
        let [least, fleet] = play(&scenario, ["least_loaded", "fleet_least_loaded"]);
        assert!(fleet.waited < 1.1 * least.waited);
        assert!(fleet.fullest < least.fullest + 0.3);
        assert!(fleet.p99_ms < 1.02 * least.p99_ms);
    }
}

/// However long or short reports stand, they do no harm: what is old is taken for the mean, not for nothing.
#[test]
fn a_hundred_clients_bear_any_time_to_fade() {
    for scenario in scenarios(100, 50, 20_000) {
        let [least, fades @ ..] = play(
            &scenario,
            [
                "least_loaded",
                "fleet_least_loaded(fade=10ms)",
                "fleet_least_loaded(fade=1s)",
                "fleet_least_loaded(fade=100s)",
            ],
        );
        for fleet in &fades {
            assert!(fleet.waited < 0.65 * least.waited);
        }
        // They do fade: within a service time there is less to go by.
        let [service, second, _] = fades;
        assert!(service.waited > 1.2 * second.waited);
    }
}

/// With nothing told, many clients do as if they were told how many they are; at once, and not after a while: who begins
/// with too few finds out within some seconds, so the run is over after two.
#[test]
fn the_number_of_clients_is_found_out() {
    for scenario in scenarios(100, 50, 30_000) {
        let strategies = [
            "fleet_least_loaded",
            "fleet_least_loaded(clients=100)",
            "fleet_least_loaded(clients=1)",
        ];
        let [found, told, wrong] = play(&scenario, strategies);
        assert!(found.waited < 1.05 * told.waited);
        assert!(found.waited < 0.5 * wrong.waited);
    }
}
