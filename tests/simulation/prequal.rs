//! Prequal: what probes come to.

use super::{SEEDS, play, scenario};

#[test]
fn the_fullest_server_is_far_below_that_of_random_choice() {
    // Equal servers; and every fifth takes three times as long.
    for speeds in [vec![1.0], vec![1.0 / 3.0, 1.0, 1.0, 1.0, 1.0]] {
        for seed in SEEDS {
            let servers = scenario("equal")
                .with_servers(50)
                .unwrap()
                .with_speeds(speeds.clone())
                .unwrap();
            let busy = servers
                .with_load(0.85)
                .unwrap()
                .with_requests(20_000)
                .unwrap()
                .with_seed(seed);
            let [random, prequal, by_rif] = play(&busy, ["random", "prequal", "prequal(q_rif=0)"]);
            assert!(prequal.fullest * 2.0 < random.fullest);
            assert!(by_rif.fullest * 3.0 < random.fullest);
            assert!(prequal.waited < random.waited && by_rif.waited * 4.0 < random.waited);
        }
    }
}
