//! The same zone first, and what spills.

use equipoise::Locality;

use super::*;

fn at(id: &str, region: &str, zone: &str) -> Plain {
    endpoint(id).with_locality(Locality::new(region, zone))
}

fn stage(backends: Vec<Plain>) -> Stage {
    Stage::new("random", backends, |pool, check| {
        pool.health_check(check).locality(Locality::new("eu", "eu-1"))
    })
}

fn share(stage: &mut Stage, prefix: &str) -> f64 {
    let shares = stage.shares(20_000);
    shares
        .iter()
        .filter(|(id, _)| id.starts_with(prefix))
        .map(|(_, share)| share)
        .sum()
}

fn is_all(share: f64) -> bool {
    share > 0.999_999
}

/// Ten in each of four zones, of which two are in the same region.
fn zones() -> Vec<Plain> {
    let zone = |region: &'static str, zone: &'static str| {
        (0..10).map(move |index| at(&format!("{zone}.{index}"), region, zone))
    };
    zone("eu", "eu-1")
        .chain(zone("eu", "eu-2"))
        .chain(zone("us", "us-1"))
        .chain(zone("us", "us-2"))
        .collect()
}

#[test]
fn the_same_zone_serves_as_long_as_it_is_able_to() {
    let mut stage = stage(zones());
    assert!(is_all(share(&mut stage, "eu-1")));
    for index in 0..2 {
        stage.answers.set(&format!("eu-1.{index}"), Err("no"));
    }
    stage.pass(8 * SECOND);
    // 38 are fit: a zone's part is 9.5, 1.4 times 8 are more.
    assert!(is_all(share(&mut stage, "eu-1")));
}

#[test]
fn what_it_can_t_take_spills_to_the_region_and_then_further() {
    let mut stage = stage(zones());
    for index in 0..6 {
        stage.answers.set(&format!("eu-1.{index}"), Err("no"));
    }
    stage.pass(8 * SECOND);
    // 34 are fit, 8.5 for a zone: 1.4 times 4 of these, and the rest to the region's other zone.
    let here = 1.4 * 4.0 / 8.5;
    let shares = [
        share(&mut stage, "eu-1"),
        share(&mut stage, "eu-2"),
        share(&mut stage, "us-"),
    ];
    assert!(
        is_near(shares[0], here) && is_near(shares[1], 1.0 - here) && shares[2] == 0.0,
        "{shares:?}"
    );
    for index in 0..10 {
        stage.answers.set(&format!("eu-1.{index}"), Err("no"));
        stage.answers.set(&format!("eu-2.{index}"), Err("no"));
    }
    stage.answers.set("eu-1.9", Ok(Report::new()));
    stage.pass(8 * SECOND);
    // 21 fit in three zones that have any: 7 each.
    let here = 1.4 / 7.0;
    let shares = [
        share(&mut stage, "eu-1"),
        share(&mut stage, "eu-2"),
        share(&mut stage, "us-"),
    ];
    assert!(
        is_near(shares[0], here) && shares[1] == 0.0 && is_near(shares[2], 1.0 - here),
        "{shares:?}"
    );
}

#[test]
fn a_small_zone_is_not_flooded() {
    // One of ten here: with two zones it has to do with half of the requests, and is able to take 28 % of these.
    let mut backends = vec![at("here", "eu", "eu-1")];
    backends.extend((0..9).map(|index| at(&format!("there.{index}"), "eu", "eu-2")));
    let mut stage = stage(backends);
    let share = share(&mut stage, "here");
    assert!(is_near(share, 1.4 / 5.0), "{share}");
}

#[test]
fn without_places_nobody_is_near() {
    let mut stage = stage(vec![endpoint("a"), endpoint("b"), at("c", "us", "us-1")]);
    assert_eq!(reached(&mut stage.pool, 60), ["a", "b", "c"]);
}
