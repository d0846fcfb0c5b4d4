//! Randomness is injectable: one seed, one sequence of picks.

use equipoise::{Ask, Pool, Strategy};

use super::*;

fn picks(seed: u64, strategy: &Strategy) -> [Vec<String>; 2] {
    let ids: Vec<String> = (0..40).map(|index| index.to_string()).collect();
    let clock = ManualClock::new().clock();
    let builder = Pool::builder_on(clock)
        .backends(ids.iter().map(|id| endpoint(id)))
        .seed(seed);
    let (pool, _driver) = builder.selector(strategy.selector()).build();
    // Each clone draws numbers of its own.
    [pool.clone(), pool.clone()].map(|mut pool| {
        (0..100)
            .map(|_| pool.pick(&Ask::new()).unwrap().backend_id().to_owned())
            .collect()
    })
}

#[test]
fn the_same_seed_makes_the_same_picks_and_clones_differ() {
    for strategy in ["random", "least_loaded"].map(|name| name.parse::<Strategy>().unwrap()) {
        assert_eq!(picks(7, &strategy), picks(7, &strategy));
        assert_ne!(picks(7, &strategy), picks(8, &strategy));
        let [one, other] = picks(7, &strategy);
        assert_ne!(one, other);
    }
}
