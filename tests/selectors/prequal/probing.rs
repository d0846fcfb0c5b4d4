//! The probes that the driver makes: how many, of whom, and what becomes of those that go wrong.

use std::{collections::BTreeSet, sync::Weak};

use equipoise::{
    Prequal,
    selector::{At, Demand, Members, Pick},
};

use super::*;

fn distinct(ids: &[String]) -> usize {
    ids.iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn each_request_has_three_distinct_members_probed_and_waits_for_none() {
    let script = Script::default();
    let mut bench = Bench::probed(Prequal::new(), &[1; 50], &script);
    bench.run();
    // The first are made unasked.
    assert_eq!(distinct(&script.asked()), 3);
    for requests in [1, 1, 4] {
        (0..requests).for_each(|_| drop(bench.pick()));
        assert_eq!(script.asked().len(), 0);
        bench.run();
        let asked = script.asked();
        assert_eq!((asked.len(), distinct(&asked)), (3 * requests, 3 * requests));
    }
    bench.run();
    assert!(script.asked().is_empty());
}

#[test]
fn a_selector_that_is_erased_or_within_another_is_heard() {
    for strategy in ["prequal", "bounded(prequal)"] {
        let script = Script::default();
        let strategy: equipoise::Strategy = strategy.parse().unwrap();
        let mut bench = Bench::probed(strategy.selector(), &[1; 50], &script);
        bench.run();
        drop(bench.pick());
        bench.run();
        assert_eq!(script.asked().len(), 6, "{strategy}");
    }
}

#[test]
fn every_member_is_probed_as_often_as_its_weight_says() {
    for weights in [[1; 12], [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]] {
        let script = Script::default();
        let selector = Prequal::new().with_r_probe(1.0).unwrap();
        let mut bench = Bench::probed(selector, &weights, &script);
        bench.run();
        script.asked();
        for _ in 0..6_000 {
            drop(bench.pick());
            bench.run();
        }
        let asked = script.asked();
        assert_eq!(asked.len(), 6_000);
        let total: u32 = weights.iter().sum();
        for (index, weight) in weights.iter().enumerate() {
            let share = f64::from(*weight) / f64::from(total);
            let count = asked.iter().filter(|asked| **asked == id(index)).count() as f64;
            let deviation = (6_000.0 * share * (1.0 - share)).sqrt();
            assert!(
                (count - 6_000.0 * share).abs() < 5.0 * deviation,
                "{} was asked {count} times",
                id(index)
            );
        }
    }
}

#[test]
fn the_driver_is_woken_once_and_only_when_a_whole_probe_is_due() {
    let script = Script::default();
    let selector = Prequal::new().with_r_probe(0.375).unwrap();
    let mut bench = Bench::probed(selector, &[1; 50], &script);
    bench.run();
    let mut woken = 0;
    let mut count = |bench: &Bench<Prequal>| {
        let now = bench.woken.0.load(SeqCst);
        now - std::mem::replace(&mut woken, now)
    };
    script.asked();
    count(&bench);
    let mut wakes = |bench: &mut Bench<Prequal>, picks| -> Vec<usize> {
        (0..picks)
            .map(|_| {
                drop(bench.pick());
                count(bench)
            })
            .collect()
    };
    // 0.375, 0.75, 1.125: the third; then it is awake until it has run.
    assert_eq!(wakes(&mut bench, 5), [0, 0, 1, 0, 0]);
    bench.run();
    assert_eq!(script.asked().len(), 1);
    // 1.875 were due; 2.25, 2.625, 3
    assert_eq!(wakes(&mut bench, 2), [1, 0]);
    bench.run();
    assert_eq!(script.asked().len(), 1);
    assert_eq!(wakes(&mut bench, 1), [1]);
}

#[test]
fn while_it_is_idle_the_pool_is_kept_fresh() {
    let script = Script::default();
    script.set("a", Answer::Load(0.0, 0.5));
    let mut bench = Bench::probed(Prequal::new(), &[1; 3], &script);
    bench.run();
    assert_eq!(distinct(&script.asked()), 3);
    for _ in 0..10 {
        bench.advance(499);
        assert!(script.asked().is_empty());
        bench.advance(1);
        assert_eq!(distinct(&script.asked()), 3);
        assert_eq!(
            bench.clock.next_deadline(),
            Some(bench.clock.now() + Duration::from_millis(500))
        );
    }
    // After however long, the first request has a choice.
    assert_eq!(bench.word(1), "a");
}

#[test]
fn members_that_come_first_are_probed_at_once() {
    let script = Script::default();
    let mut bench = Bench::probed(Prequal::new(), &[], &script);
    bench.run();
    bench.advance(100);
    for id in ["x", "y"] {
        drop(bench.pool.handle().insert(Endpoint::new(id, ())));
    }
    bench.run();
    assert_eq!(distinct(&script.asked()), 2);
}

#[test]
fn a_pool_that_has_lost_all_members_is_looked_at_no_more_often() {
    let script = Script::default();
    let mut bench = Bench::probed(Prequal::new(), &[1; 2], &script);
    bench.run();
    ["a", "b"].iter().for_each(|id| drop(bench.pool.handle().remove(*id)));
    bench.run();
    // Past all that a change leaves to be swept.
    (0..10).for_each(|_| bench.advance(500));
    let next = bench.clock.next_deadline().map(|next| next - bench.clock.now());
    assert_eq!(next, Some(Duration::from_millis(500)));
    // Who comes then is asked at once.
    script.asked();
    drop(bench.pool.handle().insert(Endpoint::new("c", ())));
    bench.run();
    assert_eq!(script.asked(), ["c"]);
}

#[test]
fn weights_are_those_of_the_members_there_are_now() {
    let script = Script::default();
    let selector = Prequal::new().with_r_probe(1.0).unwrap();
    let mut bench = Bench::probed(selector, &[1, 2, 3], &script);
    bench.run();
    for id in ["a", "b", "c"] {
        drop(bench.pool.handle().remove(id));
    }
    for (id, weight) in [("d", 9), ("e", 1)] {
        drop(bench.pool.handle().insert(Endpoint::new(id, ()).with_weight(weight)));
    }
    bench.run();
    script.asked();
    for _ in 0..200 {
        drop(bench.pick());
        bench.run();
    }
    let asked = script.asked();
    let often = asked.iter().filter(|id| *id == "d").count();
    assert_eq!(asked.len(), 200);
    assert!((160..=198).contains(&often), "{often} of 180");
}

/// Wants to know of nobody unasked.
struct Patient(Arc<Demand>);

impl Selector<Plain> for Patient {
    type Memory = ();
    type Table = ();
    fn memory(&self, _: &Plain) {}
    fn prepare(&self, _: &Members<'_, Plain, ()>) {}
    fn demand(&self) -> Option<&Arc<Demand>> {
        Some(&self.0)
    }
    fn select(&self, (): &(), pick: &Pick<'_, Plain, ()>) -> Option<At> {
        self.0.asked();
        (0..pick.len()).map(|index| pick.at(index)).find(|at| pick.is_open(*at))
    }
}

#[test]
fn the_longest_time_of_idling_is_no_harm() {
    let script = Script::default();
    let selector = Patient(Arc::new(Demand::new(1.0, Duration::MAX)));
    let mut bench = Bench::probed(selector, &[1; 3], &script);
    bench.run();
    script.asked();
    drop(bench.pick());
    bench.run();
    assert_eq!(script.asked().len(), 1);
}

#[test]
fn requests_go_where_the_probes_say() {
    let script = Script::default();
    for index in 0..8 {
        let queue = if index == 5 { 0.0 } else { 7.0 };
        script.set(id(index), Answer::Load(queue, 9.0));
    }
    let mut bench = Bench::probed(Prequal::new().with_q_rif(0.0).unwrap(), &[1; 8], &script);
    // As it would be after some time: everybody has answered.
    for _ in 0..20 {
        drop(bench.pick());
        bench.run();
    }
    let word: String = (0..20)
        .map(|_| {
            bench.run();
            bench.pick().backend_id().to_owned()
        })
        .collect();
    assert!(word.matches('f').count() >= 12, "{word}");
}

#[test]
fn probes_that_fail_or_panic_are_no_replies_and_stop_nothing() {
    let script = Script::default();
    for (id, answer) in [
        ("a", Answer::Error),
        ("b", Answer::Panic),
        ("c", Answer::PanicAtOnce),
        ("d", Answer::Nothing),
    ] {
        script.set(id, answer);
    }
    let mut bench = Bench::probed(Prequal::new(), &[1; 6], &script);
    for _ in 0..50 {
        assert!(!bench.run());
        drop(bench.pick());
    }
    bench.run();
    let asked = script.asked();
    for index in 0..6 {
        let times = asked.iter().filter(|asked| **asked == id(index)).count();
        assert!(times > 10, "{} was asked {times} times", id(index));
    }
    assert_eq!(script.open(), 0);
    assert_eq!(bench.spread(50), 2, "only e and f have answered");
    // If none answers, the choice is random.
    for id in ["e", "f"] {
        script.set(id, Answer::Error);
    }
    bench.advance(1_500);
    assert_eq!(bench.spread(100), 6);
}

#[test]
fn who_hangs_is_asked_once_until_its_time_is_over() {
    let script = Script::default();
    script.set("a", Answer::Never);
    let mut bench = Bench::probed(Prequal::new(), &[1; 3], &script);
    let hanging = |asked: Vec<String>| asked.iter().filter(|id| *id == "a").count();
    bench.run();
    assert_eq!(hanging(script.asked()), 1);
    for _ in 0..50 {
        drop(bench.pick());
        bench.run();
    }
    let asked = script.asked();
    assert!(asked.len() > 50, "the others are asked");
    assert_eq!((hanging(asked), script.open()), (0, 1));
    assert_eq!(bench.pool.members()[0].in_flight, 0);
    bench.advance(999);
    assert_eq!(script.open(), 1);
    bench.advance(1);
    drop(bench.pick());
    bench.run();
    assert_eq!((hanging(script.asked()), script.open()), (1, 1));
}

#[test]
fn there_are_at_most_256_at_once() {
    let script = Script::default();
    (0..1_000).for_each(|index| script.set(id(index), Answer::Never));
    let mut bench = Bench::probed(Prequal::new(), &[1; 1_000], &script);
    for _ in 0..1_000 {
        drop(bench.pick());
    }
    bench.run();
    assert_eq!(script.open(), 256);
    // Nor is the driver woken for more.
    let woken = bench.woken.0.load(SeqCst);
    bench.word(100);
    assert_eq!(bench.woken.0.load(SeqCst), woken);
    bench.advance(1_000);
    assert!((1..=256).contains(&script.open()));
    (0..1_000).for_each(|index| script.set(id(index), Answer::Error));
    bench.advance(1_000);
    bench.advance(1_000);
    assert_eq!(script.open(), 0);
}

#[test]
fn a_probe_keeps_nobody_who_has_left() {
    let script = Script::default();
    ["a", "b"].iter().for_each(|id| script.set(*id, Answer::Never));
    let mut bench = Bench::probed(Prequal::new(), &[1; 2], &script);
    bench.run();
    assert_eq!(script.open(), 2);
    let backends: Vec<Weak<Plain>> = bench
        .pool
        .members()
        .iter()
        .map(|member| Arc::downgrade(&member.backend))
        .collect();
    drop(bench.pool.handle().remove("a"));
    drop(bench.pool.handle().update(Endpoint::new("b", ())));
    bench.run();
    assert_eq!(script.open(), 0);
    // Who was replaced may still have got a request until now, and goes soon.
    bench.advance(100);
    assert!(backends.iter().all(|backend| backend.strong_count() == 0));
    // The new b is asked when next somebody is.
    script.asked();
    drop(bench.pick());
    bench.run();
    assert_eq!(script.asked(), ["b"]);
}

#[test]
fn probes_end_with_the_pool() {
    let hanging = || {
        let script = Script::default();
        ["a", "b"].iter().for_each(|id| script.set(*id, Answer::Never));
        let mut bench = Bench::probed(Prequal::new(), &[1; 2], &script);
        bench.run();
        assert_eq!(script.open(), 2);
        (script, bench)
    };
    // Closed.
    let (script, mut bench) = hanging();
    let closed = bench.pool.close();
    assert!(bench.run());
    assert_eq!(script.open(), 0);
    drop(closed);
    // Dropped: the driver is woken, and ends.
    let (script, bench) = hanging();
    let Bench {
        pool,
        mut driver,
        woken,
        ..
    } = bench;
    let before = woken.0.load(SeqCst);
    drop(pool);
    assert!(woken.0.load(SeqCst) > before);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut driver).poll(&mut cx).is_ready());
    assert_eq!(script.open(), 0);
    // The driver itself.
    let (script, bench) = hanging();
    let Bench { mut pool, driver, .. } = bench;
    drop(driver);
    assert_eq!(script.open(), 0);
    pool.pick(&Ask::new()).unwrap();
}

#[test]
fn no_wish_is_lost_between_threads() {
    // A driver on a thread of its own that runs only when it is woken; and a request at a time from another. Each makes a
    // whole probe due, so that each must have it run.
    struct Thread(std::thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let script = Script::default();
    let selector = Prequal::new().with_r_probe(1.0).unwrap();
    let clock = ManualClock::new();
    let (mut pool, mut driver) = builder(&clock, selector, &[1; 40]).probe(script.clone()).build();
    let driving = std::thread::spawn(move || {
        let waker = Waker::from(Arc::new(Thread(std::thread::current())));
        while Pin::new(&mut driver)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            std::thread::park();
        }
    });
    let mut asked = 0;
    while asked < 2 {
        asked += script.asked().len();
        std::thread::yield_now();
    }
    for request in 0..20_000 {
        drop(pool.pick(&Ask::new()).unwrap());
        let start = std::time::Instant::now();
        while asked < request + 3 {
            asked += script.asked().len();
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "nobody was asked after request {request}"
            );
            std::hint::spin_loop();
        }
    }
    drop(pool);
    driving.join().unwrap();
}
