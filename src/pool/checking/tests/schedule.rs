//! Who is asked when, and how many at once.

use super::*;

#[test]
fn first_probes_are_spread_over_the_interval_and_later_ones_stay_apart() {
    let mut rig = Rig::new(|check| check);
    let members: Vec<_> = (0..1000).map(|number| rig.join(name(number), Play::Pass)).collect();
    rig.run(60 * SECOND);
    let (mut places, mut later) = ([0_u32; 20], Vec::new());
    for joined in &members {
        let asked = rig.asked(joined.backend.id);
        places[(asked[0].as_nanos() * 20 / (5 * SECOND).as_nanos()) as usize] += 1;
        let gaps = gaps(&asked);
        assert!(are_about(5 * SECOND, &gaps), "{gaps:?}");
        later.extend(gaps);
    }
    // 20 places of 50 each: of 19 degrees of freedom, 1 in 1,000 is beyond 43.8.
    let chi: f64 = places
        .iter()
        .map(|count| (f64::from(*count) - 50.0).powi(2) / 50.0)
        .sum();
    assert!(chi < 43.8, "{chi} {places:?}");
    // Their mean is the interval, and both ends of its tenth are come near to.
    let mean = later.iter().sum::<Duration>() / later.len() as u32;
    assert!(mean.abs_diff(5 * SECOND) < SECOND / 50, "{mean:?}");
    assert!(later.iter().any(|gap| *gap < 46 * SECOND / 10));
    assert!(later.iter().any(|gap| *gap > 54 * SECOND / 10));
}

#[test]
fn the_timer_is_set_for_steps_and_not_for_each_probe() {
    let mut rig = Rig::new(|check| check);
    let members: Vec<_> = (0..10_000).map(|number| rig.join(name(number), Play::Pass)).collect();
    rig.run(10 * SECOND);
    let asked = rig.log.asked.lock().len();
    assert!(
        (2 * members.len() - 1000..2 * members.len() + 1000).contains(&asked),
        "{asked}"
    );
    assert!(rig.turns <= 10_001, "{} turns", rig.turns);
    // None is asked before its time, and all within a step after it.
    let mut rig = Rig::new(|check| check);
    let _joined = rig.join("a", Play::Pass);
    let due = rig.checking.due.first().unwrap().0;
    let next = rig.checking.next().unwrap();
    assert!(
        due <= next && next < due + STEP,
        "{:?} {:?}",
        due - rig.start,
        next - rig.start
    );
}

#[test]
fn turns_are_had_only_when_there_is_something_to_do() {
    let mut rig = Rig::new(|check| check.with_parallelism(1).unwrap());
    let plays = [Play::Pass, Play::Hang, Play::Fail("no")];
    let _members: Vec<_> = (0..)
        .zip(plays)
        .map(|(number, play)| rig.join(name(number), play))
        .collect();
    rig.run(100 * SECOND);
    let asked = rig.log.asked.lock().len();
    assert!(asked > 50, "{asked}");
    // One to ask and one to give up at most, and the first.
    assert!(rig.turns <= 2 * asked + 1, "{} turns for {asked} probes", rig.turns);
}

#[test]
fn fall_and_rise_are_exact_and_the_interval_is_shorter_while_they_are_under_way() {
    let mut rig = Rig::new(|check| check);
    let joined = rig.join("a", Play::Pass);
    rig.run(20 * SECOND);
    let before = rig.asked("a").len();
    *joined.backend.play.lock() = Play::Fail("no");
    let heard = rig.run(30 * SECOND);
    let changes: Vec<_> = heard.iter().map(|heard| heard.changed).take(4).collect();
    assert_eq!(changes, [None, None, Some(Health::Failing), None]);
    assert!(heard.iter().all(|heard| !heard.passed && &*heard.reason == "no"));
    let gaps_down = gaps(&rig.asked("a")[before..]);
    assert!(are_about(SECOND, &gaps_down[..2]), "{gaps_down:?}");
    assert!(are_about(5 * SECOND, &gaps_down[2..]), "{gaps_down:?}");

    let before = rig.asked("a").len();
    *joined.backend.play.lock() = Play::Pass;
    let heard = rig.run(30 * SECOND);
    let changes: Vec<_> = heard.iter().map(|heard| heard.changed).take(3).collect();
    assert_eq!(changes, [None, Some(Health::Passing), None]);
    assert!(heard.iter().all(|heard| heard.passed));
    let gaps_up = gaps(&rig.asked("a")[before..]);
    assert!(are_about(SECOND, &gaps_up[..1]), "{gaps_up:?}");
    assert!(are_about(5 * SECOND, &gaps_up[1..]), "{gaps_up:?}");
}

#[test]
fn a_backend_is_never_asked_twice_at_once() {
    let brief = |check: HealthCheck<_>| check.with_interval(SECOND / 10).unwrap();
    let mut rig = Rig::new(brief);
    let mut joined = rig.join("a", Play::Hang);
    rig.run(10 * SECOND);
    // The end of one is the beginning of the next.
    let gaps = gaps(&rig.asked("a"));
    assert!(
        gaps.len() >= 8 && gaps.iter().all(|gap| *gap >= SECOND && *gap <= SECOND + STEP),
        "{gaps:?}"
    );
    for _ in 0..50 {
        rig.replace(&mut joined, Play::Hang);
        rig.run(SECOND / 20);
    }
    assert!(rig.asked("a").len() > 25);
    assert_eq!(rig.log.most.load(Relaxed), 1);
}

#[test]
fn so_many_are_asked_at_once_and_who_was_due_first_before_the_others() {
    let mut rig = Rig::new(|check| check.with_parallelism(3).unwrap());
    let members: Vec<_> = (0..10).map(|number| rig.join(name(number), Play::Hang)).collect();
    let id = |member: MemberId| {
        members
            .iter()
            .find(|joined| joined.live.member == member)
            .unwrap()
            .backend
            .id
    };
    let order: Vec<_> = rig.checking.due.iter().map(|(_, member)| id(*member)).collect();
    let asked = |rig: &Rig| rig.log.asked.lock().iter().map(|(_, id)| *id).collect::<Vec<_>>();
    rig.clock.advance(5 * SECOND);
    rig.turn();
    assert_eq!(asked(&rig), order[..3]);
    // There is nothing to do for the others until the first are given up.
    assert_eq!(rig.checking.next(), Some(rig.clock.now() + SECOND));
    for round in 1..4 {
        rig.run(SECOND - STEP);
        assert_eq!(asked(&rig).len(), 3 * round);
        rig.clock.advance(STEP);
        rig.turn();
        // Those who were given up come after whoever has not been asked yet.
        let asked = asked(&rig);
        let end = (3 * round + 3).min(order.len());
        assert_eq!(asked[3 * round..end], order[3 * round..end], "round {round}");
    }
    assert_eq!(rig.log.most_of_all.load(Relaxed), 3);
}

#[test]
fn room_is_used_as_soon_as_there_is() {
    let mut rig = Rig::new(|check| check.with_parallelism(1).unwrap());
    let (answer, waits) = oneshot::channel();
    let _first = rig.join("a", Play::Wait(waits));
    rig.clock.advance(5 * SECOND);
    rig.turn();
    let _second = rig.join("b", Play::Pass);
    rig.clock.advance(5 * SECOND);
    // Its time is not up: nobody has had a turn.
    rig.clock.advance(Duration::ZERO);
    assert!(rig.asked("b").is_empty());
    answer.send(Ok(Report::new())).unwrap();
    assert!(rig.bell.0.load(Relaxed), "nobody is woken by an answer");
    rig.turn();
    assert_eq!(rig.asked("b").len(), 1);
}

#[test]
fn what_a_member_is_before_its_first_answer_is_what_was_asked_for() {
    for (initial, before, first_pass, first_failure) in [
        (
            Initial::UpUntilFailing,
            Health::Passing,
            Health::Passing,
            Health::Passing,
        ),
        (
            Initial::DownUntilPassing,
            Health::Failing,
            Health::Failing,
            Health::Failing,
        ),
        (
            Initial::FirstProbeDecides,
            Health::Unchecked,
            Health::Passing,
            Health::Failing,
        ),
    ] {
        let mut rig = Rig::new(|check| check.with_initial(initial));
        let (good, bad) = (rig.join("good", Play::Pass), rig.join("bad", Play::Fail("no")));
        assert_eq!((rig.health(&good), rig.health(&bad)), (before, before));
        let one = |rig: &mut Rig, id: &str| {
            while rig.asked(id).is_empty() {
                rig.run(STEP);
            }
        };
        one(&mut rig, "good");
        assert_eq!(rig.health(&good), first_pass, "{initial:?}");
        one(&mut rig, "bad");
        assert_eq!(rig.health(&bad), first_failure, "{initial:?}");
        rig.run(30 * SECOND);
        assert_eq!(
            (rig.health(&good), rig.health(&bad)),
            (Health::Passing, Health::Failing)
        );
        // Who is sent nothing before does not have to wait for it for long.
        let window = if initial == Initial::UpUntilFailing {
            5 * SECOND
        } else {
            SECOND
        };
        let mut rig = Rig::new(|check| check.with_initial(initial));
        let _all: Vec<_> = (0..100).map(|number| rig.join(name(number), Play::Pass)).collect();
        rig.run(5 * SECOND);
        let last = (0..100).map(|number| rig.asked(name(number))[0]).max().unwrap();
        assert!(last <= window + STEP && last > window * 9 / 10, "{initial:?}: {last:?}");
    }
}
