//! Priorities: what one can't take spills to the next.

use super::*;

/// So many members of each of two priorities.
fn two_tiers(strategy: &str, each: usize) -> Stage {
    let tier =
        |priority: u8| (0..each).map(move |index| endpoint(&format!("{priority}-{index}")).with_priority(priority));
    Stage::new(strategy, tier(0).chain(tier(1)).collect(), |pool, check| {
        pool.health_check(check)
    })
}

/// From now on so many of a priority fail their probes.
fn fail(stage: &Stage, priority: u8, count: usize) {
    for index in 0..count {
        stage.answers.set(&format!("{priority}-{index}"), Err("no"));
    }
}

fn first_share(stage: &mut Stage) -> f64 {
    let shares = stage.shares(20_000);
    shares
        .iter()
        .filter(|(id, _)| id.starts_with("0-"))
        .map(|(_, share)| share)
        .sum()
}

#[test]
fn a_tier_spills_as_envoy_s_tables_say() {
    for (strategy, failing, expected, panics) in [
        ("random", (28, 0), 1.00, 0),
        ("random", (29, 0), 0.994, 0),
        ("random", (50, 0), 0.70, 0),
        ("round_robin", (50, 40), 0.70, 0),
        ("random", (75, 0), 0.35, 0),
        ("random", (100, 0), 0.00, 0),
        ("random", (75, 75), 0.50, 2),
        ("random", (95, 35), 0.0714, 1),
        // By the key.
        ("maglev(size=1009)", (50, 0), 0.70, 0),
        ("ring(size=2000)", (75, 0), 0.35, 0),
        ("least_loaded", (50, 0), 0.70, 0),
    ] {
        let mut stage = two_tiers(strategy, 100);
        fail(&stage, 0, failing.0);
        fail(&stage, 1, failing.1);
        stage.pass(8 * SECOND);
        let share = first_share(&mut stage);
        assert!((share - expected).abs() < 0.012, "{strategy} {failing:?}: {share}");
        let told = stage.told();
        let panicking = told
            .iter()
            .filter(|event| matches!(event, Event::PanicStarted { .. }))
            .count();
        assert_eq!(panicking, panics, "{strategy} {failing:?}");
        // Nobody that fails serves, but for panic.
        if panics == 0 {
            let shares = stage.shares(5_000);
            assert!(
                (0..failing.0).all(|index| !shares.contains_key(&format!("0-{index}"))),
                "{strategy}"
            );
        }
    }
}

#[test]
fn a_key_stays_in_its_tier() {
    let mut stage = two_tiers("maglev(size=1009)", 10);
    fail(&stage, 0, 5);
    stage.pass(8 * SECOND);
    for key in 0..100 {
        let ask = Ask::new().with_key(key);
        let [once, again] = [(); 2].map(|()| stage.pool.pick(&ask).unwrap().backend_id().to_owned());
        assert_eq!(once, again);
    }
}

#[test]
fn a_bound_is_one_of_what_comes_to_a_tier() {
    let mut stage = two_tiers("bounded(maglev(size=1009))", 10);
    fail(&stage, 0, 5);
    stage.pass(8 * SECOND);
    let mut tier = |key: u64| {
        stage
            .pool
            .pick(&Ask::new().with_key(key))
            .unwrap()
            .backend_id()
            .starts_with("0-")
    };
    let hot = (0..100).map(key_of).find(|key| tier(*key)).unwrap();
    let others: Vec<u64> = (0..2_000).map(key_of).filter(|key| !tier(*key)).collect();
    // Seven of ten come to the first tier, all with one key.
    let keys = (0..1_000).map(|turn| {
        if turn % 10 < 7 {
            hot
        } else {
            others[turn % others.len()]
        }
    });
    let leases: Vec<_> = keys
        .map(|key| stage.pool.pick(&Ask::new().with_key(key)).unwrap())
        .collect();
    let members = stage.pool.members().into_iter();
    let first = members.filter(|member| equipoise::Backend::id(&*member.backend).starts_with("0-"));
    let most = first.map(|member| member.in_flight).max().unwrap();
    // A fifth of 700, and a quarter more.
    assert!((170..=180).contains(&most), "{most}");
    drop(leases);
}

#[test]
fn a_full_tier_is_passed_by() {
    let backends = vec![
        endpoint("a"),
        endpoint("b").with_priority(1),
        endpoint("c"),
        endpoint("d"),
    ];
    let mut stage = Stage::new("random", backends, |pool, check| {
        pool.health_check(check).in_flight_limit(1)
    });
    // Of three one serves: 47 % of the requests.
    stage.answers.set("c", Err("no"));
    stage.answers.set("d", Err("no"));
    stage.pass(8 * SECOND);
    let leases: Vec<_> = (0..2).map(|_| stage.pool.pick(&Ask::new()).unwrap()).collect();
    let mut ids: Vec<_> = leases.iter().map(|lease| lease.backend_id()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b"]);
    assert!(stage.pool.pick(&Ask::new()).is_err());
}

#[test]
fn who_does_not_serve_counts_for_nobody() {
    // A drain, and a weight of nothing, are no failure: nothing spills.
    let backends = vec![
        endpoint("a"),
        endpoint("b"),
        endpoint("c").with_weight(0),
        endpoint("d").with_priority(1),
    ];
    let mut stage = Stage::new("random", backends, |pool, check| pool.health_check(check));
    drop(stage.pool.handle().drain("b"));
    run(&mut stage.driver);
    assert_eq!(reached(&mut stage.pool, 50), ["a"]);
}
