//! What a probe, a backend or a driver does wrong costs nobody else anything.

use std::{error::Error, fmt};

use super::*;

/// Runs one whose probe goes wrong beside ten others, who are asked and pass all the same. What is heard of the one.
fn beside_others(play: Play, time: Duration) -> (Rig, Joined, Vec<Heard>) {
    let mut rig = Rig::new(|check| check.with_parallelism(2).unwrap());
    let joined = rig.join("wrong", play);
    let others: Vec<_> = (0..10).map(|number| rig.join(name(number), Play::Pass)).collect();
    let heard = rig.run(time);
    for other in &others {
        let asked = rig.asked(other.backend.id);
        assert!(asked[0] <= 5 * SECOND + STEP, "{asked:?}");
        assert!(are_about(5 * SECOND, &gaps(&asked)), "{asked:?}");
        assert_eq!(rig.health(other), Health::Passing);
    }
    let (wrong, right): (Vec<_>, Vec<_>) = heard.into_iter().partition(|heard| heard.id == "wrong");
    assert!(right.iter().all(|heard| heard.passed && heard.changed.is_none()));
    (rig, joined, wrong)
}

#[test]
fn a_probe_that_hangs_ends_at_its_timeout_and_costs_nobody_else_one() {
    for play in [Play::Hang, Play::HangAndPanicInDrop] {
        let (rig, joined, heard) = beside_others(play, 30 * SECOND);
        assert!(heard.len() >= 3);
        for (heard, asked) in heard.iter().zip(rig.asked("wrong")) {
            assert!(
                (asked + SECOND..=asked + SECOND + STEP).contains(&heard.at),
                "{heard:?} {asked:?}"
            );
            assert_eq!(&*heard.reason, "no answer within 1s");
        }
        assert_eq!(heard[2].changed, Some(Health::Failing));
        // None is left but the one that is under way now.
        assert!(rig.under_way() <= 1);
        assert!(Arc::strong_count(&joined.backend) <= 2);
    }
}

#[test]
fn a_probe_that_panics_has_failed_and_costs_nobody_else_one() {
    for (play, reason) in [
        (Play::PanicInCall, "the probe panicked: in the call"),
        (Play::PanicInPoll, r"the probe panicked: in the\npoll"),
        (Play::PanicInDrop, "the probe panicked: in its drop"),
    ] {
        let (rig, joined, heard) = beside_others(play, 30 * SECOND);
        assert!(
            heard.iter().all(|heard| !heard.passed && &*heard.reason == reason),
            "{heard:?}"
        );
        assert_eq!(heard[2].changed, Some(Health::Failing));
        assert_eq!((rig.under_way(), Arc::strong_count(&joined.backend)), (0, 1));
    }
}

/// An error that panics when it is shown.
#[derive(Debug)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("I can't tell");
    }
}

impl Error for Unspeakable {}

/// An error that is due to itself.
#[derive(Debug)]
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("because")
    }
}

impl Error for Endless {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// An error with a cause.
#[derive(Debug)]
struct Due(std::io::Error);

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("can't connect")
    }
}

impl Error for Due {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn reasons_are_whole_and_on_one_line_and_not_too_long() {
    let reason = |error: BoxError| {
        let (_, _, heard) = beside_others(Play::Error(error), 20 * SECOND);
        assert!(!heard[0].passed && heard[1].passed);
        heard[0].reason.to_string()
    };
    let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "refused");
    assert_eq!(reason(Due(refused).into()), "can't connect: refused");
    assert_eq!(reason("a\u{1b}[2J\r\n".into()), r"a\u{1b}[2J\r\n");
    assert_eq!(reason("é".repeat(1 << 20).into()), "é".repeat(200) + "…");
    let endless = reason(Endless.into());
    assert!(
        endless.starts_with("because: because: b") && endless.chars().count() == 201,
        "{endless}"
    );
    assert_eq!(reason(Unspeakable.into()), "the probe's error panicked: I can't tell");
}

#[test]
fn an_answer_that_was_there_in_time_counts_however_late_the_driver_comes() {
    let mut rig = Rig::new(|check| check.with_fall(1).unwrap());
    let (answer, waits) = oneshot::channel();
    let _joined = rig.join("a", Play::Wait(waits));
    rig.clock.advance(5 * SECOND);
    rig.turn();
    answer.send(Ok(Report::new())).unwrap();
    rig.clock.advance(60 * SECOND);
    let heard = rig.turn();
    assert!(heard.iter().all(|heard| heard.passed) && heard.len() == 2, "{heard:?}");
}

#[test]
fn a_late_answer_of_an_earlier_backend_is_ignored_and_the_verdict_stays() {
    let once = |check: HealthCheck<_>| check.with_fall(1).unwrap().with_rise(1).unwrap();
    let mut rig = Rig::new(once);
    let mut joined = rig.join("a", Play::Fail("no"));
    rig.run(5 * SECOND);
    assert_eq!(rig.health(&joined), Health::Failing);
    let (answer, waits) = oneshot::channel();
    *joined.backend.play.lock() = Play::Wait(waits);
    while rig.under_way() == 0 {
        rig.run(STEP);
    }
    let earlier = Arc::downgrade(&joined.backend);
    let (hint, next) = oneshot::channel();
    assert_eq!(rig.replace(&mut joined, Play::Wait(next)), Health::Failing);
    // Its answer may already be on its way.
    let _ = answer.send(Ok(Report::new()));
    assert_eq!(rig.turn(), []);
    assert_eq!(rig.health(&joined), Health::Failing);
    assert!(earlier.upgrade().is_none(), "the earlier backend is kept");
    let replaced = rig.clock.now() - rig.start;
    rig.run(SECOND + STEP);
    let asked = *rig.asked("a").last().unwrap();
    assert!(asked > replaced, "the new one is asked within the transition interval");
    hint.send(Ok(Report::new())).unwrap();
    assert_eq!(rig.turn()[0].changed, Some(Health::Passing));
}

#[test]
fn being_replaced_again_and_again_puts_no_probe_off() {
    let mut rig = Rig::new(|check| check);
    let mut joined = rig.join("a", Play::Pass);
    for _ in 0..600 {
        rig.replace(&mut joined, Play::Pass);
        rig.run(SECOND / 10);
    }
    let gaps = gaps(&rig.asked("a"));
    assert!(
        gaps.len() >= 60 && gaps.iter().all(|gap| *gap <= SECOND + STEP),
        "{gaps:?}"
    );
}

#[test]
fn to_be_told_twice_of_the_same_backend_changes_nothing() {
    let mut rig = Rig::new(|check| check);
    let joined = rig.join("a", Play::Hang);
    rig.clock.advance(5 * SECOND);
    rig.turn();
    for _ in 0..10 {
        assert_eq!(rig.checking.watch(&joined.live, &joined.backend), Health::Passing);
        rig.turn();
    }
    assert_eq!((rig.under_way(), rig.asked("a").len()), (1, 1));
}

#[test]
fn nothing_is_kept_of_who_has_left() {
    let mut rig = Rig::new(|check| check.with_timeout(60 * SECOND).unwrap());
    let (first, second) = (rig.join("a", Play::Hang), rig.join("b", Play::Hang));
    let passes = rig.join("c", Play::Pass);
    rig.run(10 * SECOND);
    assert_eq!(rig.under_way(), 2);
    assert_eq!(Arc::strong_count(&passes.backend), 1, "held between probes");
    for joined in [first, second, passes] {
        rig.checking.forget(joined.live.member);
        rig.checking.forget(joined.live.member);
        rig.turn();
        assert_eq!(
            (Arc::strong_count(&joined.backend), Arc::strong_count(&joined.live)),
            (1, 1)
        );
    }
    assert_eq!((rig.under_way(), rig.checking.next()), (0, None));
    assert!(rig.checking.flights.is_empty() && rig.checking.watched.is_empty());
    let before = rig.log.asked.lock().len();
    assert_eq!(rig.run(60 * SECOND), []);
    assert_eq!(rig.log.asked.lock().len(), before);
}

#[test]
fn a_backend_that_is_gone_already_is_not_asked() {
    let mut rig = Rig::new(|check| check);
    let Joined { live, backend } = rig.join("a", Play::Pass);
    drop(backend);
    assert_eq!(rig.run(60 * SECOND), []);
    assert!(rig.turns < 20, "{} turns", rig.turns);
    rig.checking.forget(live.member);
    assert_eq!(rig.checking.next(), None);
}

#[test]
fn who_comes_back_under_the_same_id_is_another_member() {
    let mut rig = Rig::new(|check| check);
    let first = rig.join("a", Play::Fail("no"));
    rig.run(20 * SECOND);
    assert_eq!(rig.health(&first), Health::Failing);
    *first.backend.play.lock() = Play::Hang;
    while rig.under_way() == 0 {
        rig.run(STEP);
    }
    rig.checking.forget(first.live.member);
    let second = rig.join("a", Play::Pass);
    assert_eq!(rig.health(&second), Health::Passing);
    let heard = rig.run(20 * SECOND);
    assert!(heard.len() >= 3 && heard.iter().all(|heard| heard.passed), "{heard:?}");
}

#[test]
fn a_closed_pool_asks_nobody() {
    let mut rig = Rig::new(|check| check);
    let mut members: Vec<_> = (0..10)
        .map(|number| rig.join(name(number), Play::HangAndPanicInDrop))
        .collect();
    rig.run(5 * SECOND);
    assert!(rig.under_way() > 0);
    rig.checking.end();
    assert_eq!((rig.under_way(), rig.checking.next()), (0, None));
    let before = rig.log.asked.lock().len();
    rig.replace(&mut members[0], Play::Pass);
    let _late = rig.join("late", Play::Pass);
    assert_eq!(rig.run(60 * SECOND), []);
    assert_eq!(rig.log.asked.lock().len(), before);
}
