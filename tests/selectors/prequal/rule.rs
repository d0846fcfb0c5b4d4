//! The hot-cold rule and the pool of replies, on replies made by hand.

use equipoise::{Outcome, Prequal, Strategy};

use super::*;

/// Five members: nearly all are in the pool, so that replies are used until there is a newer one.
fn five() -> Bench<Prequal> {
    let mut bench = Bench::unprobed(Prequal::new().with_q_rif(0.8).unwrap(), &[1; 5]);
    for (id, queue, millis) in [
        ("a", 1.0, 50.0),
        ("b", 2.0, 40.0),
        ("c", 3.0, 10.0),
        ("d", 9.0, 1.0),
        ("e", 4.0, 30.0),
    ] {
        bench.says(id, queue, millis);
    }
    bench
}

#[test]
fn of_the_cold_the_fastest_and_of_the_hot_the_emptiest() {
    // Four fifths of the RIFs are at most 4: beyond is hot. With each use a RIF is one more.
    let mut bench = five();
    // c is the fastest of the cold until it has 5, then e, b and a; d is faster than all, and hot.
    assert_eq!(bench.word(10), "ccebbbaaaa");
    // All are hot: the least RIF, and of equals the fastest.
    assert_eq!(bench.word(17), "cebacebacebacebad");
}

#[test]
fn a_quantile_of_0_goes_by_rif_alone_and_of_1_by_latency_alone() {
    let replies = |q_rif| {
        let mut bench = Bench::unprobed(Prequal::new().with_q_rif(q_rif).unwrap(), &[1; 3]);
        bench.says("a", 5.0, 1.0);
        bench.says("b", 3.0, 2.0);
        bench.says("c", 1.0, 3.0);
        bench.word(6)
    };
    assert_eq!(replies(0.0), "ccbcbc");
    // None is beyond the greatest of those reported; used, it is.
    assert_eq!(replies(1.0), "abbbcc");
}

#[test]
fn with_fewer_than_two_replies_the_choice_is_random() {
    let mut bench = Bench::unprobed(Prequal::new(), &[1; 5]);
    assert_eq!(bench.spread(100), 5);
    bench.says("a", 0.0, 1.0);
    assert_eq!(bench.spread(100), 5);
    // What says nothing of a queue is no reply.
    bench.at("b").report(&LoadReport::new().with_utilization(0.1).unwrap());
    assert_eq!(bench.spread(100), 5);
    bench.says("b", 0.0, 2.0);
    assert_eq!(bench.word(4), "abab");
    assert_eq!(bench.spread(100), 2);
}

#[test]
fn without_a_probe_nobody_starves() {
    let clock = ManualClock::new();
    let mut bench = Bench::new(clock.clone(), builder(&clock, Prequal::new(), &[1; 5]));
    bench.says("a", 0.0, 1.0);
    bench.says("b", 0.0, 1.0);
    // Replies come with answers alone: each renews its sender's.
    let mut word = String::new();
    for _ in 0..400 {
        let id = bench.word(1);
        bench.says(&id, 0.0, 1.0);
        word += &id;
    }
    for id in ["a", "b", "c", "d", "e"] {
        assert!(word.matches(id).count() > 5, "{id} in {word}");
    }
}

#[test]
fn a_newer_reply_of_a_member_takes_the_place_of_its_last() {
    let mut bench = five();
    bench.says("a", 0.0, 5.0);
    assert_eq!(bench.word(2), "aa");
    bench.says("a", 4.0, 60.0);
    assert_eq!(bench.word(2), "cc");
}

#[test]
fn replies_grow_too_old() {
    let mut bench = five();
    bench.advance(600);
    bench.says("d", 0.0, 1.0);
    bench.says("e", 0.0, 2.0);
    bench.advance(400);
    // As old as they may be.
    assert_eq!(bench.word(1), "d");
    assert!(bench.word(20).contains('a'));
    bench.advance(1);
    let word = bench.word(20);
    assert!(!word.contains(['a', 'b', 'c']), "{word}");
    bench.advance(600);
    assert_eq!(bench.spread(100), 5);
}

#[test]
fn replies_of_members_that_cannot_be_picked_are_passed_by() {
    let mut bench = five();
    let drained = bench.pool.handle().drain("c");
    let removed = bench.pool.handle().remove("e");
    let added = bench.pool.handle().insert(Endpoint::new("f", ()));
    bench.run();
    drop((drained, removed, added));
    // The replies of the others are there as before, though their places have changed.
    assert_eq!(bench.word(7), "bbbaaaa");
    drop(bench.pool.handle().undrain("c"));
    bench.run();
    assert_eq!(bench.word(2), "cc");
    // A member of the same id is another one.
    drop(bench.pool.handle().insert(Endpoint::new("e", ())));
    bench.run();
    assert!(!bench.word(10).contains('e'));
    // One that was tried.
    let tried = bench.at("b").member();
    bench.says("b", 0.0, 1.0);
    bench.says("a", 0.0, 2.0);
    let chosen = bench.pool.pick(&Ask::new().with_tried(tried)).unwrap();
    assert_eq!(chosen.backend_id(), "a");
}

/// A hundred members of which the first 16 have spoken, each a millisecond after the one before and 10 ms slower.
fn sixteen(selector: Prequal) -> Bench<Prequal> {
    let mut bench = Bench::unprobed(selector, &[1; 100]);
    for index in 0..16 {
        bench.says(&id(index), 0.0, 10.0 * (index + 1) as f64);
        bench.advance(1);
    }
    bench
}

#[test]
fn replies_are_used_up() {
    // b_reuse = max(1, 2 ∕ (0.84 × 3)) = 1
    let once = || Prequal::new().with_r_remove(0.0).unwrap();
    let mut bench = sixteen(once());
    assert_eq!(bench.word(15), "abcdefghijklmno");
    assert!(bench.spread(100) > 40);
    // 8.56 ∕ 2.52 = 3.4 on average.
    let mut bench = sixteen(once().with_delta(7.56).unwrap());
    let word = bench.word(16 * 3);
    for index in 0..16 {
        let uses = word.matches(&id(index)).count();
        assert!(
            (3..=4).contains(&uses) || index == 15,
            "{index} was used {uses} times: {word}"
        );
    }
}

#[test]
fn the_worst_and_the_oldest_are_removed_in_turn() {
    // 101 ∕ (0.84 × 3 − 1) = 66 uses: what leaves is removed.
    let selector = || Prequal::new().with_delta(100.0).unwrap();
    // One has a RIF that all the others stay below, so that none is hot and the latency alone decides. The worst, p, leaves
    // with the first request and the oldest, a, with the second; then o and b; and so on.
    let mut bench = Bench::unprobed(selector().with_q_rif(1.0).unwrap(), &[1; 100]);
    for index in 0..16 {
        let queue = if index == 15 { 50.0 } else { 0.0 };
        bench.says(&id(index), queue, 10.0 * (index + 1) as f64);
        bench.advance(1);
    }
    assert_eq!(bench.word(15), "aabbccddeeffggh");
    assert!(bench.spread(100) > 40);
    // Half as many.
    let mut bench = sixteen(selector().with_r_remove(0.5).unwrap());
    let word = bench.word(28);
    assert!(word.chars().all(|id| id <= 'p'), "{word}");
    assert!(bench.spread(100) > 40);
    // None.
    let mut bench = sixteen(selector().with_r_remove(0.0).unwrap());
    assert!(bench.spread(200) <= 16);
}

#[test]
fn a_rif_counts_over_the_weight() {
    let mut bench = Bench::unprobed(Prequal::new().with_q_rif(0.0).unwrap(), &[3, 1]);
    // 6 ∕ 3 against 3 ∕ 1.
    bench.says("a", 6.0, 1.0);
    bench.says("b", 3.0, 1.0);
    assert_eq!(bench.word(2), "aa");
    let word = bench.word(40);
    let heavy = word.matches('a').count();
    assert!((29..=31).contains(&heavy), "{word}");
}

#[test]
fn a_member_that_fails_is_not_sought() {
    let mut bench = five();
    let mut lease = bench.at("c");
    lease.settle(Outcome::Failure);
    assert_eq!(bench.word(1), "e");
    // It says that it is idle and quick, since it fails at once: each failure counts as one open.
    (0..5).for_each(|_| bench.at("c").settle(Outcome::Failure));
    bench.says("c", 0.0, 0.1);
    assert!(!bench.word(8).contains('c'));
    // Some requests later it is believed again; by the clock it is not.
    bench.advance(60_000);
    bench.says("a", 0.0, 50.0);
    bench.says("c", 0.0, 0.1);
    assert_eq!(bench.word(1), "a");
    bench.word(2_000);
    bench.says("a", 0.0, 50.0);
    bench.says("c", 0.0, 0.1);
    assert_eq!(bench.word(1), "c");
}

#[test]
fn parameters_have_ranges_and_are_read_as_they_are_printed() {
    let text = "prequal(r_probe=1.5,m=8,q_rif=0.6,r_remove=0.25,delta=2,age=2s,idle=250ms)";
    assert_eq!(text.parse::<Strategy>().unwrap().to_string(), text);
    for (text, error) in [
        (
            "r_probe=0",
            "invalid r_probe '0' of strategy prequal: expected a number from 0.01 to 100",
        ),
        (
            "m=17",
            "invalid m '17' of strategy prequal: expected a whole number from 2 to 16",
        ),
        (
            "q_rif=1.01",
            "invalid q_rif '1.01' of strategy prequal: expected a number from 0 to 1",
        ),
        (
            "r_remove=-1",
            "invalid r_remove '-1' of strategy prequal: expected a number from 0 to 16",
        ),
        (
            "delta=0",
            "invalid delta '0' of strategy prequal: expected a number from 0.01 to 100",
        ),
        (
            "age=9ms",
            "invalid age '9ms' of strategy prequal: expected a time from 10ms to 60m",
        ),
        (
            "idle=61m",
            "invalid idle '61m' of strategy prequal: expected a time from 10ms to 60m",
        ),
    ] {
        let wrong = format!("prequal({text})").parse::<Strategy>().unwrap_err();
        assert_eq!(wrong.to_string(), error);
    }
    assert!(Prequal::new().with_q_rif(f64::NAN).is_err());
    assert!(Prequal::new().with_r_probe(f64::NAN).is_err());
    assert_eq!(
        Prequal::new().with_m(4).unwrap().clone(),
        Prequal::new().with_m(4).unwrap()
    );
    assert_ne!(Prequal::new().with_m(4).unwrap(), Prequal::new());
}
