//! Why a request goes where it goes.

use equipoise::{Closed, Decision, Home, Locality, OutlierDetection, SlowStart, Standing};

use super::*;

fn closed(decision: &Decision, id: &str) -> Option<Closed> {
    decision.members.iter().find(|member| member.id == id).unwrap().closed
}

fn levels(decision: &Decision) -> Vec<(&str, Option<&str>)> {
    let levels = decision.levels.iter();
    levels.map(|level| (&*level.name, level.chosen.as_deref())).collect()
}

#[test]
fn every_reason_is_told() {
    let mut backends = endpoints(&["drained", "drains", "maintained", "failing", "ejected", "tried", "open"]);
    backends.push(endpoint("weightless").with_weight(0));
    backends.push(endpoint("second").with_priority(1));
    let mut stage = Stage::new("round_robin", backends, |pool, check| {
        pool.health_check(check)
            .outlier_detection(OutlierDetection::new())
            .panic_threshold(0)
    });
    drop(stage.pool.handle().drain("drained"));
    stage
        .answers
        .set("drains", Ok(Report::new().with_standing(Standing::Draining)));
    stage
        .answers
        .set("maintained", Ok(Report::new().with_standing(Standing::Maintenance)));
    stage.answers.set("failing", Err("no"));
    stage.pass(8 * SECOND);
    for _ in 0..20 {
        stage.request(|id| {
            if id == "ejected" {
                Outcome::Failure
            } else {
                Outcome::Success
            }
        });
    }
    // Half of four are fit, which are able to take 70 %: the rest spills.
    drop(stage.pool.handle().insert(endpoint("fifth").with_weight(2)));
    run(&mut stage.driver);
    let tried = stage
        .pool
        .members()
        .into_iter()
        .find(|member| equipoise::Backend::id(&*member.backend) == "tried");
    drop(tried);
    let lease = loop {
        let lease = stage.pool.pick(&Ask::new()).unwrap();
        if lease.backend_id() == "tried" {
            break lease;
        }
    };
    let ask = Ask::new().with_tried(lease.member());
    let decision = stage.pool.explain(&ask);
    for (id, reason) in [
        ("drained", Some(Closed::Draining)),
        ("drains", Some(Closed::WantsToDrain)),
        ("maintained", Some(Closed::Maintenance)),
        ("failing", Some(Closed::Failing)),
        ("ejected", Some(Closed::Ejected)),
        ("tried", Some(Closed::Tried)),
        ("weightless", Some(Closed::NoWeight)),
        ("open", None),
    ] {
        assert_eq!(closed(&decision, id), reason, "{decision}");
    }
    assert!(
        ["open", "fifth", "second"].contains(&decision.chosen.as_deref().unwrap()),
        "{decision}"
    );
    assert_eq!(stage.member("open").in_flight, 0, "it takes no place");
}

#[test]
fn each_level_tells_what_it_chose() {
    let mut stage = Stage::new(
        "subset(bounded(ring,factor=1.5),size=2)",
        endpoints(&["a", "b", "c"]),
        |pool, _| pool,
    );
    let decision = stage.pool.explain(&Ask::new().with_key(5));
    let chosen = decision.chosen.as_deref();
    assert_eq!(
        levels(&decision),
        [("Ring", chosen), ("Bounded", chosen), ("Subset", chosen)],
        "{decision}"
    );
    // And a home is one of its own.
    let decision = stage.pool.explain(&Ask::new().with_home(Home::new("c")));
    assert_eq!(levels(&decision), [("home", Some("c"))]);
    assert_eq!(decision.chosen.as_deref(), Some("c"));
}

#[test]
fn priorities_and_places_are_levels() {
    let near = |id: &str, zone: &str| endpoint(id).with_locality(Locality::new("eu", zone));
    let backends = vec![
        near("near", "eu-1"),
        near("far", "eu-2"),
        near("second", "eu-1").with_priority(1),
    ];
    let mut stage = Stage::new("random", backends, |pool, check| {
        pool.health_check(check).locality(Locality::new("eu", "eu-1"))
    });
    let decision = stage.pool.explain(&Ask::new());
    assert_eq!(decision.chosen.as_deref(), Some("near"));
    assert_eq!(closed(&decision, "far"), Some(Closed::NotPreferred));
    for id in ["near", "far"] {
        stage.answers.set(id, Err("no"));
    }
    stage.answers.set("second", Err("no"));
    stage.pass(8 * SECOND);
    let decision = stage.pool.explain(&Ask::new());
    let (name, chosen) = levels(&decision).last().copied().unwrap();
    assert!(
        name.starts_with("priority ") && name.ends_with(", in panic"),
        "{decision}"
    );
    assert_eq!(chosen, decision.chosen.as_deref());
}

#[test]
fn who_is_brought_in_or_full_is_told() {
    let mut stage = Stage::new("maglev(size=1009)", endpoints(&["a"]), |pool, _| {
        pool.slow_start(SlowStart::over(30 * SECOND)).in_flight_limit(1)
    });
    drop(stage.pool.handle().insert(endpoint("b")));
    run(&mut stage.driver);
    let reasons: Vec<_> = (0..50)
        .map(|key| closed(&stage.pool.explain(&Ask::new().with_key(key_of(key))), "b"))
        .collect();
    let brought_in = reasons
        .iter()
        .filter(|reason| **reason == Some(Closed::BroughtIn))
        .count();
    assert!((35..50).contains(&brought_in) && reasons.contains(&None), "{reasons:?}");
    let _leases: Vec<_> = (0..2)
        .map(|key| stage.pool.pick(&Ask::new().with_key(key)).unwrap())
        .collect();
    let decision = stage.pool.explain(&Ask::new());
    assert_eq!(
        (closed(&decision, "a"), decision.chosen.as_deref()),
        (Some(Closed::Full), None)
    );
    assert_eq!(
        decision.error.as_deref(),
        Some("overloaded: every member is at its in-flight limit")
    );
}

#[cfg(feature = "serde")]
#[test]
fn it_is_serialized() {
    let mut stage = Stage::new(
        "random",
        vec![endpoint("a"), endpoint("b").with_weight(0)],
        |pool, _| pool,
    );
    let json = serde_json::to_value(stage.pool.explain(&Ask::new())).unwrap();
    assert_eq!(json["members"][1]["closed"], "no_weight");
    assert_eq!(json["levels"][0], serde_json::json!({"name": "Random", "chosen": "a"}));
    assert_eq!(json["chosen"], "a");
}
