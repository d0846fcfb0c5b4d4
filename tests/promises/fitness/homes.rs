//! A session's home: when it is taken, when its session is a guest elsewhere, and when it moves.

use equipoise::{Admission, Error, ErrorKind, Home, Standing};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Two that are checked; `b` is the home.
fn stage() -> Stage {
    Stage::new("round_robin", endpoints(&["a", "b"]), |pool, check| {
        pool.health_check(check).panic_threshold(0)
    })
}

fn limited(admission: Admission) -> Stage {
    Stage::new("round_robin", endpoints(&["a", "b"]), |pool, _| {
        pool.in_flight_limit(1).admission(admission)
    })
}

fn at_home() -> Ask {
    Ask::new().with_home(Home::new("b"))
}

/// Who serves, and whether the session keeps another home; or why nobody does.
fn visit(stage: &mut Stage, ask: &Ask) -> Result<(String, bool), Error> {
    let lease = stage.pool.pick(ask)?;
    Ok((lease.backend_id().to_owned(), lease.keeps_home()))
}

fn went(stage: &mut Stage, ask: &Ask) -> (String, bool) {
    visit(stage, ask).unwrap()
}

fn home() -> (String, bool) {
    ("b".to_owned(), false)
}

fn guest() -> (String, bool) {
    ("a".to_owned(), true)
}

fn moved() -> (String, bool) {
    ("a".to_owned(), false)
}

#[test]
fn a_full_home_keeps_its_sessions() {
    let mut stage = limited(Admission::Shed);
    for ask in [at_home(), at_home().with_grace(SECOND)] {
        let open = stage.pool.pick(&ask).unwrap();
        assert_eq!(went(&mut stage, &ask), guest());
        drop(open);
        assert_eq!(went(&mut stage, &ask), home());
    }
    let open = stage.pool.pick(&at_home()).unwrap();
    let refused = stage.pool.pick(&at_home().strictly()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    drop(open);
    assert_eq!(went(&mut stage, &at_home().strictly()), home());
}

#[test]
fn strictly_a_session_waits_in_the_queue_for_its_home_alone() {
    let mut stage = limited(Admission::Queue {
        capacity: 4,
        deadline: MINUTE,
    });
    let [a, b] = ["a", "b"].map(|id| stage.pool.pick(&Ask::new().with_home(Home::new(id))).unwrap());
    let mut strict = stage.pool.acquire(at_home().strictly());
    let mut other = stage.pool.acquire(Ask::new());
    assert!(poll_once(&mut strict).is_pending() && poll_once(&mut other).is_pending());
    // It does not hold up who may go elsewhere.
    drop(a);
    assert!(poll_once(&mut strict).is_pending());
    let Poll::Ready(Ok(served)) = poll_once(&mut other) else {
        panic!("the other waits")
    };
    assert_eq!(served.backend_id(), "a");
    drop(b);
    let Poll::Ready(Ok(served)) = poll_once(&mut strict) else {
        panic!("it waits, and its home is free")
    };
    assert_eq!(served.backend_id(), "b");
    assert!(!served.keeps_home());
}

#[test]
fn strictly_nobody_waits_in_the_queue_for_a_home_that_is_unfit() {
    let mut stage = Stage::new("round_robin", endpoints(&["a", "b"]), |pool, check| {
        let pool = pool.health_check(check).panic_threshold(0).in_flight_limit(1);
        pool.admission(Admission::Queue {
            capacity: 4,
            deadline: MINUTE,
        })
    });
    stage.answers.set("b", Err("no"));
    stage.pass(20 * SECOND);
    let _open = stage.pool.pick(&Ask::new()).unwrap();
    let mut waiting = stage.pool.acquire(Ask::new());
    assert!(poll_once(&mut waiting).is_pending());
    // Others wait, but it would do so in vain.
    let mut acquire = stage.pool.acquire(at_home().strictly());
    let Poll::Ready(Err(refused)) = poll_once(&mut acquire) else {
        panic!("it waits, or is served")
    };
    for refused in [refused, stage.pool.pick(&at_home().strictly()).unwrap_err()] {
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    }
}

#[test]
fn an_unfit_home_loses_its_sessions_at_once_after_a_grace_or_never() {
    let mut stage = stage();
    let with_grace = at_home().with_grace(MINUTE);
    for ask in [at_home(), with_grace.clone(), at_home().strictly()] {
        assert_eq!(went(&mut stage, &ask), home());
    }
    stage.answers.set("b", Err("no"));
    let failing = |event: &Event| matches!(event, Event::HealthChanged { .. });
    while !stage.told().iter().any(failing) {
        stage.pass(Duration::from_millis(50));
    }
    assert_eq!(went(&mut stage, &at_home()), moved());
    assert_eq!(went(&mut stage, &with_grace), guest());
    let refused = visit(&mut stage, &at_home().strictly()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(
        refused.to_string(),
        "unavailable: the session's home can't be had, and no other will do"
    );
    // It counts from when the home became unfit, whatever is published meanwhile.
    stage.pass(MINUTE / 2);
    drop(stage.pool.handle().insert(endpoint("c")));
    drop(stage.pool.handle().remove("c"));
    stage.pass(MINUTE / 2 - SECOND);
    assert_eq!(went(&mut stage, &with_grace), guest());
    stage.pass(SECOND);
    assert_eq!(went(&mut stage, &with_grace), moved());
    assert!(visit(&mut stage, &at_home().strictly()).is_err());
    // And begins anew once it was fit.
    stage.answers.set("b", Ok(Report::new()));
    stage.pass(20 * SECOND);
    assert_eq!(went(&mut stage, &with_grace), home());
    assert_eq!(went(&mut stage, &at_home().strictly()), home());
    stage.answers.set("b", Err("no"));
    stage.pass(20 * SECOND);
    assert_eq!(went(&mut stage, &with_grace), guest());
}

#[test]
fn a_home_in_maintenance_is_as_one_that_is_unfit() {
    let mut stage = stage();
    let report = Report::new().with_standing(Standing::Maintenance);
    stage.answers.set("b", Ok(report));
    stage.pass(6 * SECOND);
    assert_eq!(went(&mut stage, &at_home()), moved());
    assert_eq!(went(&mut stage, &at_home().with_grace(MINUTE)), guest());
    assert!(visit(&mut stage, &at_home().strictly()).is_err());
}

#[test]
fn a_home_that_has_failed_the_request_is_left_unless_there_is_a_grace() {
    let mut stage = stage();
    let tried = stage.pool.pick(&at_home()).unwrap().member();
    let after = |ask: Ask| ask.with_tried(tried);
    assert_eq!(went(&mut stage, &after(at_home())), moved());
    assert_eq!(went(&mut stage, &after(at_home().with_grace(SECOND))), guest());
    assert!(visit(&mut stage, &after(at_home().strictly())).is_err());
}

#[test]
fn in_panic_sessions_stay_at_home() {
    let mut stage = Stage::new("round_robin", endpoints(&["a", "b"]), |pool, check| {
        pool.health_check(check)
    });
    for id in ["a", "b"] {
        stage.answers.set(id, Err("no"));
    }
    stage.pass(20 * SECOND);
    for ask in [at_home(), at_home().strictly()] {
        assert_eq!(went(&mut stage, &ask), home());
    }
}

#[test]
fn who_drains_keeps_its_sessions_and_gets_no_new_ones() {
    let mut stage = stage();
    drop(stage.pool.handle().drain("b"));
    stage.pass(3600 * SECOND);
    for _ in 0..100 {
        assert_eq!(went(&mut stage, &at_home()), home());
        assert_eq!(went(&mut stage, &Ask::new()), moved());
    }
}

#[test]
fn who_drains_within_a_time_keeps_its_sessions_for_so_long() {
    let mut stage = stage();
    let handle = stage.pool.handle();
    drop(handle.drain_within("b", MINUTE));
    run(&mut stage.driver);
    stage.pass(MINUTE - SECOND);
    let asks = [at_home(), at_home().with_grace(2 * MINUTE), at_home().strictly()];
    for ask in &asks {
        assert_eq!(went(&mut stage, ask), home());
    }
    stage.pass(SECOND);
    for ask in &asks {
        // It has ended them: there is nothing to come back to.
        assert_eq!(went(&mut stage, ask), moved());
    }
    drop(handle.undrain("b"));
    run(&mut stage.driver);
    for ask in &asks {
        assert_eq!(went(&mut stage, ask), home());
    }
}

#[test]
fn the_time_of_a_drain_can_be_changed() {
    let mut stage = stage();
    let handle = stage.pool.handle();
    drop(handle.drain_within("b", MINUTE));
    run(&mut stage.driver);
    stage.pass(MINUTE / 2);
    // Longer, for ever, and at last no more.
    drop(handle.drain_within("b", MINUTE));
    run(&mut stage.driver);
    stage.pass(MINUTE - SECOND);
    assert_eq!(went(&mut stage, &at_home()), home());
    drop(handle.drain("b"));
    stage.pass(2 * MINUTE);
    assert_eq!(went(&mut stage, &at_home()), home());
    let mut applied = handle.drain_within("b", Duration::ZERO);
    run(&mut stage.driver);
    assert_eq!(poll_once(&mut applied).map(Result::unwrap), Poll::Ready(true));
    assert_eq!(went(&mut stage, &at_home()), moved());
    let started = |event: &&Event| matches!(event, Event::DrainStarted { .. });
    assert_eq!(stage.told().iter().filter(started).count(), 1);
    // A drain that begins anew has its own time.
    drop(handle.undrain("b"));
    drop(handle.drain("b"));
    stage.pass(MINUTE);
    assert_eq!(went(&mut stage, &at_home()), home());
}

#[test]
fn a_home_that_has_left_the_pool_has_ended_its_sessions() {
    let mut stage = stage();
    drop(stage.pool.handle().remove("b"));
    run(&mut stage.driver);
    for ask in [at_home(), at_home().with_grace(MINUTE), at_home().strictly()] {
        assert_eq!(went(&mut stage, &ask), moved());
    }
}

#[test]
fn an_explanation_says_why_a_strict_session_has_nobody() {
    let mut stage = stage();
    stage.answers.set("b", Err("no"));
    stage.pass(20 * SECOND);
    let decision = stage.pool.explain(&at_home().strictly());
    assert_eq!(decision.chosen, None);
    let text = decision.to_string();
    assert!(
        text.ends_with("nobody: unavailable: the session's home can't be had, and no other will do\n"),
        "{text}"
    );
}

#[test]
fn a_grace_counts_from_when_the_home_became_unfit_whatever_its_drain() {
    let mut stage = stage();
    let handle = stage.pool.handle();
    drop(handle.drain_within("b", Duration::ZERO));
    run(&mut stage.driver);
    stage.pass(2 * MINUTE);
    stage.answers.set("b", Err("no"));
    stage.pass(20 * SECOND);
    // Its sessions may stay after all, but it is unfit by now.
    drop(handle.drain("b"));
    run(&mut stage.driver);
    assert_eq!(went(&mut stage, &at_home().with_grace(MINUTE)), guest());
}

#[test]
fn who_gives_its_sessions_a_time_has_not_come_to_rest_before_it_is_over() {
    let mut stage = stage();
    let handle = stage.pool.handle();
    drop(handle.drain_within("b", MINUTE));
    run(&mut stage.driver);
    let mut drained = handle.drained("b", 3 * MINUTE);
    let is_told = |event: &Event| matches!(event, Event::Drained { .. });
    stage.pass(MINUTE - SECOND);
    assert!(poll_once(&mut drained).is_pending());
    assert!(!stage.told().iter().any(is_told));
    // And then not before the last of them is.
    let last = stage.pool.pick(&at_home()).unwrap();
    stage.pass(2 * SECOND);
    assert!(poll_once(&mut drained).is_pending());
    drop(last);
    stage.pass(SECOND);
    assert_eq!(poll_once(&mut drained).map(Result::unwrap), Poll::Ready(0));
    assert!(stage.told().iter().any(is_told));
    // A drain without a time waits for what is in flight alone, and one that has none is not held up by that.
    drop(handle.undrain("b"));
    drop(handle.drain("b"));
    let mut drained = handle.drained("b", MINUTE);
    stage.pass(SECOND);
    assert_eq!(poll_once(&mut drained).map(Result::unwrap), Poll::Ready(0));
}
