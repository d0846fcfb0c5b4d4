//! Turns by what servers report: weights, blackout, expiry, and who says nothing or too much.

use std::{collections::BTreeMap, time::Duration};

use equipoise::{Ask, Driver, Endpoint, LoadReport, ManualClock, Outcome, Pool, ReportedLoad, selector::At};
use futures_util::FutureExt;

const SECOND: Duration = Duration::from_secs(1);

/// A pool on a manual clock.
struct Bench {
    time: ManualClock,
    pool: Pool<Endpoint<()>, ReportedLoad>,
    driver: Driver<Endpoint<()>, ReportedLoad>,
}

/// What a server says: utilization, qps, eps.
type Said = (f64, f64, f64);

fn report((utilization, qps, eps): Said) -> LoadReport {
    let report = LoadReport::new().with_utilization(utilization).unwrap();
    report.with_qps(qps).unwrap().with_eps(eps).unwrap()
}

/// Members `a`, `b`, … of these weights.
fn bench(selector: ReportedLoad, weights: &[u32]) -> Bench {
    let time = ManualClock::new();
    let ids = ["a", "b", "c", "d", "e"];
    let members = ids.iter().zip(weights);
    let (pool, driver) = Pool::builder_on(time.clock())
        .selector(selector)
        .seed(7)
        .backends(members.map(|(id, weight)| Endpoint::new(*id, ()).with_weight(*weight)))
        .build();
    Bench { time, pool, driver }
}

impl Bench {
    fn advance(&mut self, by: Duration) {
        self.time.advance(by);
        assert!((&mut self.driver).now_or_never().is_none());
    }

    /// One request to each member, in answer to which it says this, if anything.
    fn hear(&mut self, said: &[Option<Said>]) {
        for (id, said) in ["a", "b", "c", "d", "e"].iter().zip(said) {
            let home = Ask::new().with_home(equipoise::Home::new(*id));
            let mut lease = self.pool.pick(&home).unwrap();
            assert_eq!(lease.backend_id(), *id);
            if let Some(said) = said {
                lease.report(&report(*said));
            }
            lease.settle(Outcome::Success);
        }
    }

    /// Members say so each second for so long.
    fn hear_for(&mut self, seconds: usize, said: &[Option<Said>]) {
        for _ in 0..seconds {
            self.hear(said);
            self.advance(SECOND);
        }
    }

    /// Whom the next turns are, as one word.
    fn word(&mut self, turns: usize) -> String {
        (0..turns)
            .map(|_| {
                let at = self.pool.select(&Ask::new()).unwrap();
                self.pool.id_at(at).unwrap().to_owned()
            })
            .collect()
    }

    /// How often each member is taken.
    fn shares(&mut self, picks: usize) -> Vec<usize> {
        let mut taken: BTreeMap<At, usize> = BTreeMap::new();
        for _ in 0..picks {
            *taken.entry(self.pool.select(&Ask::new()).unwrap()).or_default() += 1;
        }
        let ids: Vec<_> = self
            .pool
            .members()
            .iter()
            .map(|member| member.backend.clone())
            .collect();
        let mut shares = vec![0; ids.len()];
        for (at, count) in taken {
            let id = self.pool.id_at(at).unwrap();
            let place = ids.iter().position(|backend| equipoise::Backend::id(&**backend) == id);
            shares[place.unwrap()] = count;
        }
        shares
    }

    /// Of a hundred picks for each unit of weight, each member has its hundreds, but for the order's discrepancy.
    #[track_caller]
    fn assert_weights(&mut self, weights: &[usize]) {
        let shares = self.shares(100 * weights.iter().sum::<usize>());
        for (share, weight) in shares.iter().zip(weights) {
            assert!(share.abs_diff(100 * weight) <= 8, "{shares:?}, expected {weights:?}");
        }
    }
}

/// The cases of grpc/grpc, test/core/load_balancing/weighted_round_robin_test.cc, by the names of its tests.
#[test]
fn weights_are_grpc_s() {
    type Case<'a> = (&'a str, &'a [Option<Said>], [usize; 3]);
    let cases: [Case<'_>; 4] = [
        (
            "Basic",
            &[Some((0.9, 100.0, 0.0)), Some((0.3, 100.0, 0.0)), None],
            [1, 3, 2],
        ),
        (
            "Basic, later",
            &[
                Some((0.9, 100.0, 0.0)),
                Some((0.3, 100.0, 0.0)),
                Some((0.3, 100.0, 0.0)),
            ],
            [1, 3, 3],
        ),
        (
            "Eps",
            &[
                Some((0.1, 100.0, 50.0)),
                Some((0.1, 100.0, 20.0)),
                Some((0.1, 100.0, 10.0)),
            ],
            [1, 2, 3],
        ),
        ("FallsBackToRoundRobinWithoutWeights", &[None, None, None], [1, 1, 1]),
    ];
    for (name, said, weights) in cases {
        println!("{name}");
        let mut bench = bench(ReportedLoad::new(), &[1; 3]);
        bench.hear_for(11, said);
        bench.assert_weights(&weights);
    }
}

#[test]
fn a_server_is_believed_after_the_blackout_and_until_its_reports_expire() {
    let said = [Some((0.9, 100.0, 0.0)), Some((0.3, 100.0, 0.0))];
    let mut bench = bench(ReportedLoad::new(), &[1; 2]);
    // First heard at 0 s.
    bench.hear_for(9, &said);
    bench.assert_weights(&[1, 1]);
    bench.hear_for(1, &said);
    bench.assert_weights(&[1, 3]);
    // Last heard at 9 s: silent for 3 minutes at 189 s.
    bench.advance(SECOND * 178);
    bench.assert_weights(&[1, 3]);
    bench.advance(SECOND);
    bench.assert_weights(&[1, 1]);
    // The blackout begins anew.
    bench.hear_for(9, &said);
    bench.assert_weights(&[1, 1]);
    bench.hear_for(1, &said);
    bench.assert_weights(&[1, 3]);
}

#[test]
fn weights_are_made_anew_each_second_and_not_before() {
    let mut bench = bench(ReportedLoad::new().with_blackout(Duration::ZERO), &[1; 2]);
    bench.hear(&[Some((0.2, 10.0, 0.0)), Some((0.1, 10.0, 0.0))]);
    bench.advance(SECOND - Duration::from_millis(1));
    bench.assert_weights(&[1, 1]);
    bench.advance(Duration::from_millis(1));
    bench.assert_weights(&[1, 2]);
}

#[test]
fn the_backend_s_own_weight_multiplies_and_stands_alone_while_nothing_is_reported() {
    let mut bench = bench(ReportedLoad::new().with_blackout(Duration::ZERO), &[1, 2, 3]);
    bench.assert_weights(&[1, 2, 3]);
    // One that reports is not enough to compare.
    bench.hear_for(1, &[Some((0.1, 100.0, 0.0)), None, None]);
    bench.assert_weights(&[1, 2, 3]);
    // Twice as able, and the mean for the one that is silent: 2 × 1, 1 × 2, 1.5 × 3.
    bench.hear_for(1, &[Some((0.1, 100.0, 0.0)), Some((0.2, 100.0, 0.0)), None]);
    bench.assert_weights(&[4, 4, 9]);
}

#[test]
fn with_one_report_alone_the_order_is_round_robin_s_own() {
    let mut bench = bench(ReportedLoad::new().with_blackout(Duration::ZERO), &[5, 1, 1]);
    // nginx's order, from a random turn on.
    let before = bench.word(7);
    assert!("aabacaaaabacaa".contains(&before), "{before}");
    bench.hear_for(1, &[Some((0.1, 100.0, 0.0)), None, None]);
    assert_eq!(bench.word(7), before);
}

#[test]
fn reports_that_say_too_little_are_no_reports() {
    let mut bench = bench(ReportedLoad::new().with_blackout(Duration::ZERO), &[1; 2]);
    bench.hear_for(1, &[Some((0.0, 100.0, 0.0)), Some((0.5, 0.0, 0.0))]);
    bench.assert_weights(&[1, 1]);
    bench.hear_for(1, &[Some((0.1, 100.0, 0.0)), Some((0.2, 100.0, 0.0))]);
    bench.assert_weights(&[2, 1]);
    // What was known stays known.
    bench.hear_for(1, &[Some((0.0, 100.0, 0.0)), Some((0.5, 0.0, 0.0))]);
    bench.assert_weights(&[2, 1]);
}

/// What a server does not say of its failures, is seen from here.
#[test]
fn who_fails_here_counts_by_the_part_that_does_not() {
    let said = (0.5, 100.0, 0.0);
    let mut bench = bench(ReportedLoad::new().with_blackout(Duration::ZERO), &[1; 3]);
    let mut half = 0;
    for _ in 0..30 {
        for _ in 0..100 {
            let mut lease = bench.pool.pick(&Ask::new()).unwrap();
            let outcome = match lease.backend_id() {
                // It says that it is idle, and of its failures nothing.
                "a" => {
                    lease.report(&report((0.01, 100.0, 0.0)));
                    Outcome::Failure
                }
                "b" if half % 2 == 0 => Outcome::Failure,
                _ => Outcome::Success,
            };
            half += usize::from(lease.backend_id() == "b");
            if lease.backend_id() != "a" {
                lease.report(&report(said));
            }
            lease.settle(outcome);
        }
        bench.advance(SECOND);
    }
    let shares = bench.shares(10_000);
    assert!((10..=1_000).contains(&shares[0]), "{shares:?}");
    // Of two good requests it does one.
    assert!((2_500..3_500).contains(&shares[1]), "{shares:?}");
    // Both mend: the one that is sent next to nothing takes longer.
    for _ in 0..90 {
        bench.hear(&[Some(said); 3]);
        bench.advance(SECOND);
    }
    let shares = bench.shares(9_000);
    assert!(shares.iter().all(|share| (2_800..3_200).contains(share)), "{shares:?}");
}

#[test]
fn who_fails_is_left_before_anybody_is_believed() {
    let mut bench = bench(ReportedLoad::new(), &[1, 2, 3]);
    for _ in 0..50 {
        let home = Ask::new().with_home(equipoise::Home::new("c"));
        bench.pool.pick(&home).unwrap().settle(Outcome::Failure);
    }
    bench.assert_weights(&[1, 2, 3]);
    bench.advance(SECOND);
    let shares = bench.shares(3_030);
    // A twentieth of the mean, by its weight.
    assert!((100..=200).contains(&shares[2]), "{shares:?}");
    assert!(shares[1].abs_diff(2 * shares[0]) <= 20, "{shares:?}");
}

/// A black hole says nothing more, and what it said stands for minutes.
#[test]
fn who_says_nothing_more_and_fails_is_left() {
    let said = Some((0.5, 100.0, 0.0));
    let mut bench = bench(ReportedLoad::new().with_blackout(Duration::ZERO), &[1; 3]);
    bench.hear_for(3, &[said; 3]);
    bench.assert_weights(&[1, 1, 1]);
    for _ in 0..100 {
        let home = Ask::new().with_home(equipoise::Home::new("a"));
        bench.pool.pick(&home).unwrap().settle(Outcome::Failure);
        // Given up is not failed.
        drop(
            bench
                .pool
                .pick(&Ask::new().with_home(equipoise::Home::new("b")))
                .unwrap(),
        );
    }
    bench.hear_for(1, &[None, said, said]);
    let shares = bench.shares(2_010);
    assert!(
        (20..=50).contains(&shares[0]) && shares[1].abs_diff(shares[2]) <= 30,
        "{shares:?}"
    );
}

#[test]
fn nobody_s_report_draws_everything_or_ends_in_nothing() {
    let mut bench = bench(ReportedLoad::new().with_blackout(Duration::ZERO), &[1; 5]);
    let usual = Some((1.0, 100.0, 0.0));
    let [boaster, weakling] = [Some((1e-9, 1e8, 0.0)), Some((100.0, 1e-6, 0.0))];
    bench.hear_for(1, &[boaster, usual, usual, usual, usual]);
    let shares = bench.shares(5_000);
    // All but the boaster are at a hundredth of the mean, it at ten times that, though a fifth of the sum is the mean.
    assert!(shares[1..].iter().all(|share| (5..=20).contains(share)), "{shares:?}");
    bench.hear_for(1, &[weakling, usual, usual, usual, usual]);
    let shares = bench.shares(40_000);
    // The mean is 80: a hundredth of it is 0.8, of 400.8.
    assert!((70..=90).contains(&shares[0]), "{shares:?}");
}

#[test]
fn parameters_out_of_range_are_refused() {
    let selector = ReportedLoad::new;
    for (error, words) in [
        (
            selector().with_expiry(Duration::ZERO).unwrap_err(),
            "invalid expiry '0s' of strategy reported_load: expected a time above 0 such as 10s, 250ms or 3m",
        ),
        (
            selector().with_update(Duration::from_millis(99)).unwrap_err(),
            "invalid update '99ms' of strategy reported_load: expected a time from 100ms on",
        ),
        (
            selector().with_error_utilization_penalty(f64::NAN).unwrap_err(),
            "invalid error_utilization_penalty 'NaN' of strategy reported_load: expected a number from 0 to 1000000",
        ),
        (
            selector().with_error_utilization_penalty(-0.5).unwrap_err(),
            "invalid error_utilization_penalty '-0.5' of strategy reported_load: expected a number from 0 to 1000000",
        ),
    ] {
        assert_eq!(error.to_string(), words);
    }
    let text = "reported_load(blackout=0s,expiry=90s,update=100ms,error_utilization_penalty=0.25)";
    let strategy: equipoise::Strategy = text.parse().unwrap();
    assert_eq!(strategy.to_string(), text);
    let set = selector()
        .with_blackout(Duration::ZERO)
        .with_expiry(90 * SECOND)
        .unwrap();
    let set = set.with_update(Duration::from_millis(100)).unwrap();
    let set = set.with_error_utilization_penalty(0.25).unwrap();
    assert_eq!(strategy, equipoise::Strategy::ReportedLoad(set));
}
