//! What requests show.

use std::sync::atomic::{AtomicUsize, Ordering};

use equipoise::{Ejection, EjectionReason, OutlierDetection};

use super::*;

type Builder = PoolBuilder<Plain, AnySelector<Plain>>;

fn judged(count: usize, settings: OutlierDetection) -> Stage {
    let backends = (0..count).map(|index| endpoint(&index.to_string())).collect();
    Stage::new("round_robin", backends, |pool, check| {
        pool.health_check(check).outlier_detection(settings)
    })
}

fn bad(id: &'static str, outcome: Outcome) -> impl Fn(&str) -> Outcome {
    move |asked| if asked == id { outcome } else { Outcome::Success }
}

/// Round robin until this one has been asked so often.
fn ask(stage: &mut Stage, id: &'static str, outcome: Outcome, times: usize) {
    let mut asked = 0;
    while asked < times {
        asked += usize::from(stage.request(bad(id, outcome)) == id);
    }
}

fn ejections(told: &[Event]) -> Vec<(String, EjectionReason, Duration)> {
    let ejected = told.iter().filter_map(|event| match event {
        Event::Ejected { id, reason, time } => Some((id.to_string(), reason.clone(), *time)),
        _ => None,
    });
    ejected.collect()
}

#[test]
fn five_failures_in_a_row_eject_at_once_for_thirty_seconds() {
    let mut stage = judged(10, OutlierDetection::new());
    ask(&mut stage, "3", Outcome::Failure, 4);
    ask(&mut stage, "3", Outcome::Success, 1);
    ask(&mut stage, "3", Outcome::Failure, 4);
    assert_eq!(stage.told(), []);
    ask(&mut stage, "3", Outcome::Failure, 1);
    assert_eq!(stage.member("3").ejection, Ejection::Ejected);
    let reason = EjectionReason::ConsecutiveFailures { count: 5 };
    assert_eq!(ejections(&stage.told()), [("3".to_owned(), reason, 30 * SECOND)]);
    for _ in 0..20 {
        assert_ne!(stage.request(|_| Outcome::Success), "3");
    }
    // A probe that passes, which it has all the time, is no reason to take it back.
    stage.pass(29 * SECOND);
    assert_eq!(stage.member("3").ejection, Ejection::Ejected);
    stage.pass(SECOND);
    assert_eq!(stage.member("3").ejection, Ejection::Probation);
    assert_eq!(stage.told(), [Event::ProbationStarted { id: "3".into() }]);
}

#[test]
fn on_probation_it_gets_one_request_at_a_time_however_that_ends() {
    let mut stage = judged(10, OutlierDetection::new());
    ask(&mut stage, "3", Outcome::Unreachable, 5);
    stage.pass(30 * SECOND);
    let hold = |stage: &mut Stage| {
        let leases: Vec<_> = (0..30).map(|_| stage.pool.pick(&Ask::new()).unwrap()).collect();
        let mut its = leases.into_iter().filter(|lease| lease.backend_id() == "3");
        let lease = its.next().unwrap();
        assert!(its.next().is_none(), "two at a time");
        lease
    };
    // Given up: nothing is known, and the next may come.
    drop(hold(&mut stage));
    run(&mut stage.driver);
    assert_eq!(stage.member("3").ejection, Ejection::Probation);
    hold(&mut stage).settle(Outcome::Success);
    run(&mut stage.driver);
    assert_eq!(stage.member("3").ejection, Ejection::None);
    let reason = "its requests succeeded on probation";
    assert!(stage.told().contains(&Event::EjectionEnded { id: "3".into(), reason }));
}

/// How many of ten requests at once find somebody, at whom, while `a` is on probation.
fn ten_during_probation(
    backends: Vec<Plain>,
    build: impl FnOnce(Builder, HealthCheck<Plain>) -> Builder,
) -> HashMap<String, usize> {
    let settings = OutlierDetection::new();
    let mut stage = Stage::new("least_loaded", backends, |pool, check| {
        build(pool.outlier_detection(settings), check)
    });
    while stage.member("a").ejection != Ejection::Ejected {
        stage.request(bad("a", Outcome::Failure));
    }
    stage.answers.set("b", Err("no"));
    stage.pass(30 * SECOND);
    assert_eq!(stage.member("a").ejection, Ejection::Probation);
    let leases = (0..10).filter_map(|_| stage.pool.pick(&Ask::new()).ok());
    let leases: Vec<_> = leases.collect();
    let mut counts = HashMap::new();
    for lease in &leases {
        *counts.entry(lease.backend_id().to_owned()).or_default() += 1;
    }
    counts
}

/// Such as a tunnel: it began before the ejection, and says nothing of what became of the member since.
#[test]
fn what_is_open_from_before_keeps_nobody_on_probation() {
    let mut stage = judged(3, OutlierDetection::new());
    let mut leases: Vec<_> = (0..6).map(|_| stage.pool.pick(&Ask::new()).unwrap()).collect();
    leases.retain(|lease| lease.backend_id() == "1");
    ask(&mut stage, "1", Outcome::Failure, 5);
    stage.pass(30 * SECOND);
    assert_eq!(
        (stage.member("1").ejection, stage.member("1").in_flight),
        (Ejection::Probation, 2)
    );
    // One at a time all the same, whether or not those end.
    for held in [2, 1, 0] {
        leases.truncate(held);
        let asked: Vec<_> = (0..30).map(|_| stage.pool.pick(&Ask::new()).unwrap()).collect();
        let its = asked.iter().filter(|lease| lease.backend_id() == "1");
        assert_eq!(its.count(), 1, "{held}");
        assert_eq!(stage.member("1").in_flight, held + 1);
    }
    ask(&mut stage, "1", Outcome::Success, 1);
    assert_eq!(
        (stage.member("1").ejection, stage.member("1").in_flight),
        (Ejection::None, 0)
    );
}

/// Nor does it say anything of it when it ends.
#[test]
fn what_is_open_from_before_decides_no_probation() {
    for outcome in [Outcome::Success, Outcome::Unreachable] {
        let mut stage = judged(3, OutlierDetection::new());
        let mut leases: Vec<_> = (0..6).map(|_| stage.pool.pick(&Ask::new()).unwrap()).collect();
        leases.retain(|lease| lease.backend_id() == "1");
        ask(&mut stage, "1", Outcome::Failure, 5);
        stage.pass(30 * SECOND);
        leases.iter_mut().for_each(|lease| lease.settle(outcome));
        run(&mut stage.driver);
        assert_eq!(stage.member("1").ejection, Ejection::Probation, "{outcome:?}");
        drop(leases);
        ask(&mut stage, "1", Outcome::Success, 1);
        assert_eq!(stage.member("1").ejection, Ejection::None, "{outcome:?}");
        ask(&mut stage, "1", Outcome::Failure, 5);
        assert_eq!(stage.member("1").ejection, Ejection::Ejected, "{outcome:?}");
    }
}

#[test]
fn probation_keeps_requests_off_nobody_else() {
    let counts = |counts: &[(&str, usize)]| counts.iter().map(|(id, count)| (id.to_string(), *count)).collect();
    // Nobody else: to turn all but one away would be worse.
    let alone = ten_during_probation(endpoints(&["a"]), |pool, _| pool);
    assert_eq!(alone, counts(&[("a", 10)]));
    // Nobody else that is fit: all count.
    let unfit = ten_during_probation(endpoints(&["a", "b"]), |pool, check| pool.health_check(check));
    assert_eq!(unfit, counts(&[("a", 1), ("b", 9)]));
    // Whoever was there while it was ejected.
    let backup = vec![endpoint("a"), endpoint("c").with_priority(1)];
    assert_eq!(
        ten_during_probation(backup, |pool, _| pool),
        counts(&[("a", 1), ("c", 9)])
    );
    let [here, there] = ["1", "2"].map(|zone| equipoise::Locality::new("eu", zone));
    let far = vec![
        endpoint("a").with_locality(here.clone()),
        endpoint("c").with_locality(there),
    ];
    assert_eq!(
        ten_during_probation(far, |pool, _| pool.locality(here)),
        counts(&[("a", 1), ("c", 9)])
    );
}

#[test]
fn a_failure_on_probation_ejects_for_longer_and_time_in_peace_makes_it_shorter() {
    let mut stage = judged(10, OutlierDetection::new());
    ask(&mut stage, "3", Outcome::Failure, 5);
    let mut times = Vec::new();
    for round in 1..=11 {
        let ejected = ejections(&stage.told());
        let [(_, _, time)] = &ejected[..] else {
            panic!("{ejected:?}")
        };
        times.push(time.as_secs());
        stage.pass(*time);
        assert_eq!(stage.member("3").ejection, Ejection::Probation, "round {round}");
        ask(&mut stage, "3", Outcome::Failure, 1);
        assert_eq!(stage.member("3").ejection, Ejection::Ejected, "round {round}");
    }
    assert_eq!(times, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300]);
    stage.pass(300 * SECOND);
    ask(&mut stage, "3", Outcome::Success, 1);
    // A sweep comes each 10 s.
    stage.pass(200 * SECOND);
    stage.told();
    ask(&mut stage, "3", Outcome::Failure, 5);
    assert_eq!(ejections(&stage.told())[0].2, 30 * SECOND);
}

#[test]
fn no_more_than_a_tenth_is_ejected_and_one_always_may_be() {
    for (count, most) in [(1, 1), (2, 1), (10, 1), (19, 1), (20, 2), (30, 3)] {
        let mut stage = judged(count, OutlierDetection::new());
        for _ in 0..20 * count {
            stage.request(|_| Outcome::Failure);
        }
        let ejected = stage
            .pool
            .members()
            .iter()
            .filter(|member| member.ejection == Ejection::Ejected)
            .count();
        assert_eq!(ejected, most, "of {count}");
        assert_eq!(ejections(&stage.told()).len(), most, "of {count}");
    }
}

#[test]
fn each_priority_has_a_cap_of_its_own() {
    let tier =
        |priority: u8| (0..10).map(move |index| endpoint(&format!("{priority}-{index}")).with_priority(priority));
    let mut stage = Stage::new("round_robin", tier(0).chain(tier(1)).collect(), |pool, check| {
        pool.health_check(check).outlier_detection(OutlierDetection::new())
    });
    // A part of the first fails its probes, so that both serve.
    for index in 5..10 {
        stage.answers.set(&format!("0-{index}"), Err("no"));
    }
    stage.pass(8 * SECOND);
    for _ in 0..2_000 {
        stage.request(|_| Outcome::Failure);
    }
    let ejected: Vec<String> = ejections(&stage.told()).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ejected.len(), 2, "{ejected:?}");
    assert!(
        ejected.iter().any(|id| id.starts_with("0-")) && ejected.iter().any(|id| id.starts_with("1-")),
        "{ejected:?}"
    );
}

#[test]
fn who_does_worse_than_the_others_is_found_by_a_sweep() {
    let mut stage = judged(20, OutlierDetection::new());
    // Half of its requests fail, never five in a row.
    for turn in 0..20 * 120 {
        let outcome = move |id: &str| match id {
            "3" if turn / 20 % 2 == 0 => Outcome::Failure,
            _ => Outcome::Success,
        };
        stage.request(outcome);
    }
    assert_eq!(stage.told(), []);
    stage.pass(11 * SECOND);
    let ejected = ejections(&stage.told());
    let [(id, EjectionReason::SuccessRate { percent, .. }, _)] = &ejected[..] else {
        panic!("{ejected:?}")
    };
    assert_eq!(id, "3");
    assert!((45.0..55.0).contains(percent), "{percent}");
}

#[test]
fn a_probe_ends_an_ejection_only_if_it_may() {
    for ends in [false, true] {
        let mut stage = judged(10, OutlierDetection::new().with_ended_by_probe(ends));
        ask(&mut stage, "3", Outcome::Failure, 5);
        stage.pass(6 * SECOND);
        let state = if ends { Ejection::None } else { Ejection::Ejected };
        assert_eq!(stage.member("3").ejection, state);
    }
}

#[test]
fn without_outlier_detection_nobody_is_ejected() {
    let mut stage = Stage::new("round_robin", endpoints(&["a", "b"]), |pool, _| pool);
    for _ in 0..100 {
        stage.request(bad("a", Outcome::Failure));
    }
    stage.pass(20 * SECOND);
    assert_eq!(reached(&mut stage.pool, 4), ["a", "b"]);
    assert_eq!(stage.told(), []);
}

#[test]
fn an_update_keeps_an_ejection_and_a_new_member_has_none() {
    let mut stage = judged(10, OutlierDetection::new());
    ask(&mut stage, "3", Outcome::Failure, 5);
    drop(stage.pool.handle().update(endpoint("3").with_weight(2)));
    run(&mut stage.driver);
    assert_eq!(stage.member("3").ejection, Ejection::Ejected);
    drop(stage.pool.handle().remove("3"));
    drop(stage.pool.handle().insert(endpoint("3")));
    run(&mut stage.driver);
    assert_eq!(stage.member("3").ejection, Ejection::None);
    // Its time comes to nothing.
    stage.pass(40 * SECOND);
    assert_eq!(stage.member("3").ejection, Ejection::None);
}

/// Of which it is told how often it was asked for its weight.
struct Asked(String, Arc<AtomicUsize>);

impl equipoise::Backend for Asked {
    fn id(&self) -> &str {
        &self.0
    }
    fn weight(&self) -> u32 {
        self.1.fetch_add(1, Ordering::Relaxed);
        1
    }
}

/// Were each compared with all others, the driver would have no time for anything else.
#[test]
fn where_everybody_fails_all_are_counted_once() {
    const MEMBERS: usize = 2_000;
    let asked = Arc::new(AtomicUsize::new(0));
    let backends = (0..MEMBERS).map(|index| Asked(index.to_string(), Arc::clone(&asked)));
    let (mut pool, mut driver) = Pool::builder_on(ManualClock::new().clock())
        .backends(backends)
        .outlier_detection(OutlierDetection::new())
        .build();
    let mut events = pool.events();
    assert!(poll_once(&mut driver).is_pending());
    asked.store(0, Ordering::Relaxed);
    for _ in 0..5 * MEMBERS * 2 {
        pool.pick(&Ask::new()).unwrap().settle(Outcome::Failure);
    }
    assert!(poll_once(&mut driver).is_pending());
    assert_eq!(ejections(&told(&mut events)).len(), MEMBERS / 10);
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked < 6 * MEMBERS, "{asked}");
}
