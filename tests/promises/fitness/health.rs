//! What probes say.

use equipoise::{Health, Home, LoadReport, Standing, health::Initial};

use super::*;

fn checked() -> Stage {
    Stage::new("round_robin", endpoints(&["a", "b", "c", "d"]), |pool, check| {
        pool.health_check(check)
    })
}

#[test]
fn who_fails_probes_gets_nothing_until_it_passes_again() {
    let mut stage = checked();
    assert_eq!(reached(&mut stage.pool, 8), ["a", "b", "c", "d"]);
    stage.answers.set("b", Err("no"));
    // The interval is 5 s, and 1 s in transition; three failures count.
    stage.pass(8 * SECOND);
    assert_eq!(reached(&mut stage.pool, 8), ["a", "c", "d"]);
    assert_eq!(stage.member("b").health, Health::Failing);
    let told = stage.told();
    let [Event::HealthChanged { id, health, reason }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((&**id, *health, &**reason), ("b", Health::Failing, "no"));
    stage.answers.set("b", Ok(Report::new()));
    stage.pass(7 * SECOND);
    assert_eq!(reached(&mut stage.pool, 8), ["a", "b", "c", "d"]);
    assert!(matches!(
        &stage.told()[..],
        [Event::HealthChanged {
            health: Health::Passing,
            ..
        }]
    ));
}

#[test]
fn one_probe_that_fails_is_not_enough() {
    let mut stage = checked();
    stage.answers.set("b", Err("no"));
    stage.pass(5 * SECOND);
    // It was probed at least once, and at most twice.
    stage.answers.set("b", Ok(Report::new()));
    stage.pass(20 * SECOND);
    assert_eq!(stage.told(), []);
}

#[test]
fn who_comes_is_up_or_down_or_waited_for_as_was_said() {
    for (initial, at_first) in [
        (Initial::UpUntilFailing, Health::Passing),
        (Initial::DownUntilPassing, Health::Failing),
        (Initial::FirstProbeDecides, Health::Unchecked),
    ] {
        let mut stage = Stage::new("round_robin", endpoints(&["a", "b"]), |pool, check| {
            pool.health_check(check.with_initial(initial)).panic_threshold(0)
        });
        assert_eq!(stage.member("a").health, at_first, "{initial:?}");
        let is_up = at_first == Health::Passing;
        assert_eq!(stage.pool.pick(&Ask::new()).is_ok(), is_up, "{initial:?}");
        stage.pass(7 * SECOND);
        assert_eq!(reached(&mut stage.pool, 4), ["a", "b"], "{initial:?}");
        drop(stage.pool.handle().insert(endpoint("c")));
        run(&mut stage.driver);
        assert_eq!(
            reached(&mut stage.pool, 6).contains(&"c".to_owned()),
            is_up,
            "{initial:?}"
        );
        stage.pass(7 * SECOND);
        assert_eq!(reached(&mut stage.pool, 6), ["a", "b", "c"], "{initial:?}");
    }
}

#[test]
fn an_update_keeps_what_probes_have_found() {
    let mut stage = checked();
    stage.answers.set("b", Err("no"));
    stage.pass(8 * SECOND);
    drop(stage.pool.handle().update(endpoint("b").with_weight(3)));
    run(&mut stage.driver);
    assert_eq!(stage.member("b").health, Health::Failing);
    // A new member of the same id begins anew.
    drop(stage.pool.handle().remove("b"));
    drop(stage.pool.handle().insert(endpoint("b")));
    run(&mut stage.driver);
    assert_eq!(stage.member("b").health, Health::Passing);
}

#[test]
fn a_report_sets_weight_and_standing() {
    let mut stage = checked();
    stage.answers.set("a", Ok(Report::new().with_percent(50)));
    stage
        .answers
        .set("b", Ok(Report::new().with_standing(Standing::Draining)));
    stage
        .answers
        .set("c", Ok(Report::new().with_standing(Standing::Maintenance)));
    stage.pass(6 * SECOND);
    let shares = stage.shares(3_000);
    assert!(
        is_near(shares["a"], 1.0 / 3.0) && is_near(shares["d"], 2.0 / 3.0),
        "{shares:?}"
    );
    assert_eq!(shares.len(), 2);
    let told = stage.told();
    for (id, standing) in [("b", Standing::Draining), ("c", Standing::Maintenance)] {
        let id = id.into();
        assert!(told.contains(&Event::StandingChanged { id, standing }), "{told:?}");
    }
    let id = "a".into();
    assert!(told.contains(&Event::WeightChanged { id, percent: 50 }), "{told:?}");
    assert_eq!(told.len(), 3, "{told:?}");
    // A session may come home to who drains, to nobody in maintenance.
    let home = |id: &str| Ask::new().with_home(Home::new(id));
    assert_eq!(stage.pool.pick(&home("b")).unwrap().backend_id(), "b");
    assert_ne!(stage.pool.pick(&home("c")).unwrap().backend_id(), "c");
    stage.answers.set("c", Ok(Report::new().with_standing(Standing::Ready)));
    // Nothing said of it: it stays as it was.
    stage.answers.set("a", Ok(Report::new()));
    stage.pass(6 * SECOND);
    assert_eq!(reached(&mut stage.pool, 9), ["a", "c", "d"]);
    assert_eq!(stage.member("a").percent, 50);
}

#[test]
fn a_load_that_is_reported_comes_to_the_selector() {
    let mut stage = Stage::new("reported_load", endpoints(&["a", "b"]), |pool, check| {
        pool.health_check(check)
    });
    for (id, utilization) in [("a", 0.9), ("b", 0.3)] {
        let load = LoadReport::new().with_utilization(utilization).unwrap();
        let load = load.with_qps(100.0).unwrap();
        stage.answers.set(id, Ok(Report::new().with_load(load)));
    }
    // It believes reports 10 s after the first.
    stage.pass(20 * SECOND);
    let shares = stage.shares(3_000);
    assert!(is_near(shares["b"], 0.75), "{shares:?}");
}

#[test]
fn a_home_that_fails_is_left() {
    let mut stage = checked();
    let home = Ask::new().with_home(Home::new("b"));
    assert_eq!(stage.pool.pick(&home).unwrap().backend_id(), "b");
    stage.answers.set("b", Err("no"));
    stage.pass(8 * SECOND);
    assert_ne!(stage.pool.pick(&home).unwrap().backend_id(), "b");
}

#[test]
fn panic_is_told_and_asks_first_whose_last_request_did_not_fail() {
    let mut stage = checked();
    for id in ["a", "b", "c"] {
        stage.answers.set(id, Err("no"));
    }
    stage.pass(8 * SECOND);
    let panic = |event: &Event| matches!(event, Event::PanicStarted { priority: 0 });
    assert_eq!(stage.told().iter().filter(|event| panic(event)).count(), 1);
    // Two are dead, whatever probes say of the third.
    let dead = ["a", "b"];
    let outcome = |id: &str| {
        if dead.contains(&id) {
            Outcome::Unreachable
        } else {
            Outcome::Success
        }
    };
    let asked: Vec<String> = (0..40).map(|_| stage.request(outcome)).collect();
    let failed = asked.iter().filter(|id| dead.contains(&&***id)).count();
    assert_eq!(failed, 2, "{asked:?}");
    assert!(
        asked.iter().any(|id| id == "c") && asked.iter().any(|id| id == "d"),
        "{asked:?}"
    );
    // Nobody is left that has not failed: all are asked again.
    let asked: Vec<String> = (0..40).map(|_| stage.request(|_| Outcome::Unreachable)).collect();
    assert!(
        ["a", "b", "c", "d"]
            .iter()
            .all(|id| asked.iter().filter(|asked| asked == id).count() > 3),
        "{asked:?}"
    );
    stage.answers.set("a", Ok(Report::new()));
    stage.pass(8 * SECOND);
    assert!(stage.told().contains(&Event::PanicEnded { priority: 0 }));
    assert_eq!(reached(&mut stage.pool, 20), ["a", "d"]);
}

#[test]
fn without_a_threshold_nobody_serves_while_nobody_is_fit() {
    let mut stage = Stage::new("random", endpoints(&["a", "b"]), |pool, check| {
        pool.health_check(check).panic_threshold(0)
    });
    stage.answers.set("a", Err("no"));
    stage.pass(8 * SECOND);
    assert_eq!(reached(&mut stage.pool, 20), ["b"]);
    stage.answers.set("b", Err("no"));
    stage.pass(8 * SECOND);
    assert_eq!(
        stage.pool.pick(&Ask::new()).unwrap_err().to_string(),
        "unavailable: no member can be picked"
    );
}
