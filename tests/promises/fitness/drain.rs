//! Nothing new, and what is open goes on.

use equipoise::{Drained, Standing};

use super::*;

fn stage() -> Stage {
    Stage::new("round_robin", endpoints(&["a", "b"]), |pool, check| {
        pool.health_check(check)
    })
}

fn left(stage: &mut Stage, drained: &mut Drained) -> Option<usize> {
    run(&mut stage.driver);
    match poll_once(drained) {
        Poll::Ready(left) => Some(left.unwrap()),
        Poll::Pending => None,
    }
}

/// Two requests that are open at `a`.
fn open(stage: &mut Stage) -> Vec<equipoise::Lease<Arc<Plain>>> {
    let leases: Vec<_> = (0..4).map(|_| stage.pool.pick(&Ask::new()).unwrap()).collect();
    leases.into_iter().filter(|lease| lease.backend_id() == "a").collect()
}

#[test]
fn who_drains_is_waited_for_until_its_last_request_has_ended() {
    let mut stage = stage();
    let mut leases = open(&mut stage);
    let handle = stage.pool.handle();
    drop(handle.drain("a"));
    let mut drained = handle.drained("a", 60 * SECOND);
    stage.pass(SECOND);
    assert_eq!(left(&mut stage, &mut drained), None);
    leases.pop();
    stage.pass(SECOND);
    assert_eq!(left(&mut stage, &mut drained), None);
    leases.pop();
    stage.pass(SECOND);
    assert_eq!(left(&mut stage, &mut drained), Some(0));
}

#[test]
fn who_was_removed_is_waited_for_as_well() {
    let mut stage = stage();
    let leases = open(&mut stage);
    let handle = stage.pool.handle();
    drop(handle.remove("a"));
    let mut drained = handle.drained("a", 60 * SECOND);
    // A new member of the same id is another.
    drop(handle.insert(endpoint("a")));
    run(&mut stage.driver);
    let _new = open(&mut stage);
    stage.pass(SECOND);
    assert_eq!(left(&mut stage, &mut drained), None);
    drop(leases);
    stage.pass(SECOND);
    assert_eq!(left(&mut stage, &mut drained), Some(0));
}

#[test]
fn a_deadline_tells_what_is_left() {
    let mut stage = stage();
    let _leases = open(&mut stage);
    let handle = stage.pool.handle();
    drop(handle.drain("a"));
    let mut drained = handle.drained("a", 10 * SECOND);
    stage.pass(Duration::from_millis(9_900));
    assert_eq!(left(&mut stage, &mut drained), None);
    stage.pass(Duration::from_millis(200));
    assert_eq!(left(&mut stage, &mut drained), Some(2));
}

#[test]
fn a_drain_by_a_backend_s_own_word_is_one() {
    let mut stage = stage();
    let leases = open(&mut stage);
    stage
        .answers
        .set("a", Ok(Report::new().with_standing(Standing::Draining)));
    stage.pass(6 * SECOND);
    assert_eq!(reached(&mut stage.pool, 4), ["b"]);
    let mut drained = stage.pool.handle().drained("a", 60 * SECOND);
    stage.pass(SECOND);
    assert_eq!(left(&mut stage, &mut drained), None);
    drop(leases);
    stage.pass(SECOND);
    assert_eq!(left(&mut stage, &mut drained), Some(0));
}

#[test]
fn nobody_of_that_name_is_at_rest_and_without_a_driver_it_is_told() {
    let mut stage = stage();
    let handle = stage.pool.handle();
    let mut drained = handle.drained("nobody", 10 * SECOND);
    stage.pass(Duration::from_millis(100));
    assert_eq!(left(&mut stage, &mut drained), Some(0));
    drop(stage);
    let mut drained = handle.drained("a", SECOND);
    assert!(matches!(poll_once(&mut drained), Poll::Ready(Err(_))));
}

#[test]
fn those_who_keep_asking_keep_nobody_from_being_told() {
    let mut stage = stage();
    let handle = stage.pool.handle();
    drop(handle.drain("a"));
    let mut drained = handle.drained("a", 60 * SECOND);
    for _ in 0..100 {
        stage.pass(Duration::from_millis(5));
        drop(handle.drained("b", SECOND));
        run(&mut stage.driver);
    }
    assert_eq!(left(&mut stage, &mut drained), Some(0));
    assert!(stage.told().contains(&Event::Drained { id: "a".into() }));
}
