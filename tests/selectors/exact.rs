//! What each selector does exactly: the order of round robin, the shares of random, whom least loaded takes.

use std::collections::{BTreeMap, BTreeSet};

use equipoise::{
    Ask, Driver, Endpoint, FirstAvailable, Home, LeastLoaded, ManualClock, Outcome, Pool, Random, RoundRobin, Selector,
    selector::{At, Choices, Start},
};
use futures_util::FutureExt;

type Backend = Endpoint<()>;
type Held = equipoise::Lease<std::sync::Arc<Backend>>;

/// A pool and its driver, which runs when polled.
struct Bench<S: Selector<Backend>> {
    pool: Pool<Backend, S>,
    driver: Driver<Backend, S>,
}

/// Members `a`, `b`, … of these weights. The first `limited` of them take one request at a time.
fn bench_of<S: Selector<Backend>>(selector: S, weights: &[u32], limited: usize) -> Bench<S> {
    let members = weights.iter().enumerate();
    let (pool, driver) = Pool::builder_on(ManualClock::new().clock())
        .selector(selector)
        .seed(7)
        .backends(members.map(|(index, weight)| Endpoint::new(id(index), ()).with_weight(*weight)))
        .in_flight_limit_by(move |backend: &Backend| {
            let is_limited = (0..limited).any(|index| id(index) == equipoise::Backend::id(backend));
            is_limited.then_some(1)
        })
        .build();
    Bench { pool, driver }
}

fn bench<S: Selector<Backend>>(selector: S, weights: &[u32]) -> Bench<S> {
    bench_of(selector, weights, 0)
}

/// `a` to `z`, then `a1` and so on.
fn id(index: usize) -> String {
    let letter = char::from(b'a' + (index % 26) as u8);
    match index / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

impl<S: Selector<Backend>> Bench<S> {
    /// The next requests, each ended before the next begins, as one word.
    fn word(&mut self, picks: usize) -> String {
        (0..picks)
            .map(|_| {
                let mut lease = self.pool.pick(&Ask::new()).unwrap();
                lease.settle(Outcome::Success);
                lease.backend_id().to_owned()
            })
            .collect()
    }

    /// Requests that stay at the member.
    fn load(&mut self, index: usize, count: usize) -> Vec<Held> {
        let home = Ask::new().with_home(Home::new(id(index)));
        (0..count).map(|_| self.pool.pick(&home).unwrap()).collect()
    }

    fn selected(&mut self) -> At {
        self.pool.select(&Ask::new()).unwrap()
    }

    /// How often each member is selected, by position.
    fn shares(&mut self, picks: usize) -> Vec<u64> {
        let mut counts = vec![0; self.pool.members().len()];
        let places: BTreeMap<String, usize> = (0..counts.len()).map(|index| (id(index), index)).collect();
        let mut taken: BTreeMap<At, u64> = BTreeMap::new();
        (0..picks).for_each(|_| *taken.entry(self.selected()).or_default() += 1);
        for (at, count) in taken {
            counts[places[self.pool.id_at(at).unwrap()]] = count;
        }
        counts
    }
}

/// How many standard deviations a chi-square statistic is above what is expected (Wilson and Hilferty, "The
/// distribution of chi-square", PNAS 17, 1931).
fn chi_square(counts: &[u64], weights: &[u32]) -> f64 {
    let picks = counts.iter().sum::<u64>() as f64;
    let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    let statistic: f64 = (counts.iter().zip(weights))
        .map(|(count, weight)| {
            let due = picks * f64::from(*weight) / total;
            (*count as f64 - due).powi(2) / due
        })
        .sum();
    let freedom = (counts.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    ((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

/// Whether `count` of `picks` is as likely as `chance` says, within five standard deviations.
#[track_caller]
fn likely(count: u64, picks: usize, chance: f64) {
    let (picks, count) = (picks as f64, count as f64);
    let deviation = (picks * chance * (1.0 - chance)).sqrt();
    assert!(
        (count - picks * chance).abs() <= 5.0 * deviation,
        "{count} of {picks}, expected {chance}"
    );
}

fn least_of(d: usize) -> LeastLoaded {
    LeastLoaded::of(Choices::new(d).unwrap())
}

#[test]
fn round_robin_takes_turns_and_by_weight_smoothly() {
    assert_eq!(bench(RoundRobin::new(), &[1, 1, 1]).word(7), "abcabca");
    assert_eq!(bench(RoundRobin::new(), &[5, 1, 1]).word(14), "aabacaaaabacaa");
    // Only what the weights are to each other counts; who has none has no turn.
    assert_eq!(bench(RoundRobin::new(), &[500, 0, 100, 100]).word(7), "aacadaa");
    assert_eq!(bench(RoundRobin::new(), &[u32::MAX; 2]).word(3), "aba");
}

#[test]
fn round_robin_shares_stay_even_when_one_is_closed_by_its_limit() {
    let mut bench = bench_of(RoundRobin::new(), &[1; 4], 2);
    let full = bench.load(1, 1);
    let word = bench.word(300);
    assert_eq!(word, "acd".repeat(100));
    drop(full);
    assert!(bench.word(4).contains('b'));
}

#[test]
fn round_robin_keeps_its_weights_when_one_is_closed_by_its_limit() {
    let mut bench = bench_of(RoundRobin::new(), &[2, 3, 5, 1], 1);
    let _full = bench.load(0, 1);
    let word = bench.word(900);
    let count = |letter| word.chars().filter(|other| *other == letter).count();
    assert_eq!(['a', 'b', 'c', 'd'].map(count), [0, 300, 500, 100]);
}

#[test]
fn round_robin_s_position_survives_a_rebuild_and_is_shared_by_clones() {
    let mut bench = bench(RoundRobin::new(), &[1; 3]);
    assert_eq!(bench.word(2), "ab");
    let mut inserted = bench.pool.handle().insert(Endpoint::new("d", ()));
    assert!((&mut bench.driver).now_or_never().is_none());
    assert!((&mut inserted).now_or_never().unwrap().unwrap());
    let mut clone = bench.pool.clone();
    let turn = |pool: &mut Pool<Backend, RoundRobin>| pool.pick(&Ask::new()).unwrap().backend_id().to_owned();
    let turns: String = (0..3).flat_map(|_| [turn(&mut bench.pool), turn(&mut clone)]).collect();
    assert_eq!(turns, "cdabcd");
}

#[test]
fn round_robin_may_start_anywhere_and_goes_on_from_there() {
    let start = |seed| {
        let members = (0..26).map(|index| Endpoint::new(id(index), ()));
        let selector = RoundRobin::starting(Start::Random);
        let builder = Pool::builder_on(ManualClock::new().clock()).selector(selector);
        let (pool, driver) = builder.seed(seed).backends(members).build();
        let word = Bench { pool, driver }.word(52);
        let first = word.chars().next().unwrap();
        let order: String = ('a'..='z')
            .cycle()
            .skip_while(|letter| *letter != first)
            .take(52)
            .collect();
        assert_eq!(word, order);
        first
    };
    let starts: BTreeSet<char> = (0..64).map(start).collect();
    assert!(starts.len() > 13, "replicas march in step: {starts:?}");
}

#[test]
fn round_robin_is_exact_even_with_large_weights() {
    // The sum over the greatest common divisor is 100,003.
    let weights = [70_001, 30_000, 2];
    let mut plain = bench(RoundRobin::new(), &weights);
    assert_eq!(plain.shares(100_003), [70_001, 30_000, 2]);
    assert_eq!(
        plain.shares(100_003),
        [70_001, 30_000, 2],
        "the second cycle as the first"
    );
    let mut multiplied = bench(RoundRobin::new(), &weights.map(|weight| weight * 40_000));
    assert_eq!(multiplied.shares(100_003), [70_001, 30_000, 2]);
    // No cycle of the largest ends within a test; half of one share is half of any number of picks, nearly.
    let shares = bench(RoundRobin::new(), &[u32::MAX, u32::MAX - 1, 1]).shares(10_000);
    assert!(
        shares[0].abs_diff(5_000) <= 32 && shares[1].abs_diff(5_000) <= 32,
        "{shares:?}"
    );
}

#[test]
fn random_goes_by_weight_and_by_chance() {
    for weights in [
        vec![1; 10],
        vec![5, 1, 1],
        (1..=40).collect(),
        vec![1_000_000, 2_000_000, 3_000_000],
    ] {
        let shares = bench(Random::new(), &weights).shares(100_000);
        let deviations = chi_square(&shares, &weights);
        // Too even would not be random either.
        assert!(deviations.abs() < 4.0, "{deviations} for {weights:?}: {shares:?}");
    }
}

#[test]
fn least_loaded_sends_idle_members_their_weight_s_share() {
    let picks = 100_000;
    let shares = bench(LeastLoaded::new(), &[198, 1, 1]).shares(picks);
    likely(shares[0], picks, 0.99);
    likely(shares[1], picks, 0.005);
    likely(shares[2], picks, 0.005);
    // By weight too where only some are compared.
    let weights: Vec<u32> = (1..=40).collect();
    for d in [1, 2, 8, 32] {
        let deviations = chi_square(&bench(least_of(d), &weights).shares(50_000), &weights);
        assert!(deviations < 4.0, "{deviations} at d = {d}");
    }
}

#[test]
fn least_loaded_takes_the_least_loaded_of_up_to_16() {
    for count in 1..=16 {
        for round in 0..20 {
            let mut bench = bench(LeastLoaded::new(), &vec![3; count]);
            let loads: Vec<usize> = (0..count).map(|index| 1 + (index * 7 + round * 5) % 11).collect();
            let _held: Vec<_> = loads
                .iter()
                .enumerate()
                .map(|(index, load)| bench.load(index, *load))
                .collect();
            let least = loads.iter().min().unwrap();
            for _ in 0..50 {
                let lease = bench.pool.pick(&Ask::new()).unwrap();
                let index = (0..count).find(|index| id(*index) == lease.backend_id()).unwrap();
                assert_eq!(loads[index], *least, "{loads:?}");
            }
        }
    }
}

#[test]
fn least_loaded_of_all_finds_the_one_among_many_and_shares_ties_by_weight() {
    let weights: Vec<u32> = (0..150).map(|index| 1 + index % 3).collect();
    let all = || LeastLoaded::of(Choices::all());
    let mut full = bench(all(), &weights);
    let _held: Vec<_> = (0..150)
        .filter(|index| *index != 131)
        .map(|index| full.load(index, 1))
        .collect();
    assert_eq!(full.shares(100)[131], 100);
    for weights in [weights, vec![7; 150]] {
        let deviations = chi_square(&bench(all(), &weights).shares(50_000), &weights);
        assert!(deviations.abs() < 4.0, "{deviations}");
        // Those that tie may stand anywhere among those that do not.
        let mut some = bench(all(), &weights);
        let _held: Vec<_> = (0..150)
            .filter(|index| index % 5 > 1)
            .map(|index| some.load(index, 1))
            .collect();
        let tied = |index: usize| index % 5 <= 1;
        let due: Vec<u32> = (0..150)
            .filter(|index| tied(*index))
            .map(|index| weights[index])
            .collect();
        let shares: Vec<u64> = some
            .shares(30_000)
            .into_iter()
            .enumerate()
            .filter(|(index, _)| tied(*index))
            .map(|(_, share)| share)
            .collect();
        assert_eq!(shares.iter().sum::<u64>(), 30_000);
        let deviations = chi_square(&shares, &due);
        assert!(deviations.abs() < 4.0, "{deviations}");
    }
}

#[test]
fn least_loaded_goes_by_load_over_weight() {
    let mut bench = bench(LeastLoaded::new(), &[4, 1]);
    let _b = bench.load(1, 2);
    let mut a = bench.load(0, 7);
    assert_eq!(bench.word(50), "a".repeat(50), "7 of 4 is less than 2 of 1");
    a.extend(bench.load(0, 2));
    assert_eq!(bench.word(50), "b".repeat(50), "9 of 4 is more than 2 of 1");
    a.pop();
    // 8 of 4 is 2 of 1: a tie, which goes by weight.
    let ties = bench.word(10_000);
    likely(ties.chars().filter(|letter| *letter == 'a').count() as u64, 10_000, 0.8);
}

#[test]
fn least_loaded_keeps_load_over_weight_even_among_many() {
    let weights: Vec<u32> = (0..100).map(|index| 1 + 2 * (index % 2)).collect();
    let mut bench = bench(LeastLoaded::new(), &weights);
    let held: Vec<Held> = (0..20_000).map(|_| bench.pool.pick(&Ask::new()).unwrap()).collect();
    for (member, weight) in bench.pool.members().iter().zip(weights) {
        // 20,000 over a weight of 200 in all. Of d choices the fullest is ln ln n ∕ ln d + O(1) above that.
        let each = member.in_flight as f64 / f64::from(weight);
        assert!((97.0..=103.0).contains(&each), "{each} at weight {weight}");
    }
    drop(held);
}

#[test]
fn members_drawn_by_weight_are_different_ones() {
    // One that is drawn every other time, and is not idle.
    let weights: Vec<u32> = [40].into_iter().chain([1; 40]).collect();
    let mut bench = bench(least_of(2), &weights);
    let _held = bench.load(0, 1);
    let picks = 20_000;
    // It is alone only if all draws but one in 2⁷ come to it; drawn twice, it would be one time in four.
    assert!(bench.shares(picks)[0] < 400);
}

#[test]
fn the_first_available_is_filled_before_the_next() {
    let mut bench = bench_of(FirstAvailable::new(), &[1, 9, 5, 2], 3);
    assert_eq!(bench.word(5), "aaaaa");
    let [a, b, c, d, e] = [(); 5].map(|()| bench.pool.pick(&Ask::new()).unwrap());
    let ids = [&a, &b, &c, &d, &e].map(|lease| lease.backend_id().to_owned());
    assert_eq!(ids, ["a", "b", "c", "d", "d"]);
    drop(b);
    assert_eq!(bench.pool.pick(&Ask::new()).unwrap().backend_id(), "b");
}

#[test]
fn two_choices_never_take_the_more_loaded_of_the_two() {
    let mut bench = bench(least_of(2), &[1; 3]);
    let _held = [bench.load(0, 1), bench.load(1, 50)];
    let picks = 30_000;
    let shares = bench.shares(picks);
    // The most loaded loses to whomever it is compared with; the next wins one comparison of the three.
    assert_eq!(shares[1], 0);
    likely(shares[0], picks, 1.0 / 3.0);
    likely(shares[2], picks, 2.0 / 3.0);
}

#[test]
fn the_least_loaded_is_found_when_it_is_drawn() {
    for d in [1, 2, 3, 8, 32] {
        let mut bench = bench(least_of(d), &[1; 100]);
        let _held: Vec<_> = (0..100)
            .filter(|index| *index != 41)
            .map(|index| bench.load(index, 1))
            .collect();
        let picks = 20_000;
        likely(bench.shares(picks)[41], picks, d as f64 / 100.0);
    }
}

#[test]
fn the_most_loaded_is_taken_only_where_it_is_alone() {
    let mut one = bench(least_of(1), &[1; 4]);
    let _held = one.load(2, 9);
    likely(one.shares(10_000)[2], 10_000, 0.25);
    for d in [2, 3, 8, 32] {
        let mut bench = bench(least_of(d), &[1; 100]);
        let _held = bench.load(2, 9);
        assert_eq!(bench.shares(10_000)[2], 0, "at d = {d}");
    }
}

#[test]
fn ties_are_even_across_all_members() {
    for count in [10, 17, 100, 1_000] {
        for d in [1, 2, 3, 8, 32] {
            let weights = vec![1; count];
            let mut bench = bench(least_of(d), &weights);
            let shares = bench.shares(100 * count);
            let deviations = chi_square(&shares, &weights);
            assert!(deviations < 4.0, "{deviations} among {count} at d = {d}: {shares:?}");
            assert!(
                shares.iter().all(|share| *share > 0),
                "everybody is reached, among {count} at d = {d}"
            );
        }
    }
}

#[test]
fn ties_are_even_across_those_that_are_not_full() {
    for count in [10, 17, 100] {
        for d in [1, 2, 3, 8, 32] {
            let mut bench = bench_of(least_of(d), &vec![1; count], count / 4);
            let _full: Vec<_> = (0..count / 4).map(|index| bench.load(index, 1)).collect();
            let shares = bench.shares(200 * count);
            let (full, open) = shares.split_at(count / 4);
            assert!(full.iter().all(|share| *share == 0));
            let deviations = chi_square(open, &vec![1; open.len()]);
            assert!(deviations < 4.0, "{deviations} among {count} at d = {d}: {open:?}");
        }
    }
}

/// "Drawn at random without replacement": nobody's chance depends on who joined before or after.
#[test]
fn two_choices_compare_every_pair_as_often() {
    let mut bench = bench(least_of(2), &[1; 10]);
    // The first is taken only where it meets the second: one pair of 45. Then the same of two that are far apart.
    for other in [1, 5] {
        let _held = [bench.load(0, 1), bench.load(other, 2)];
        likely(bench.shares(45_000)[0], 45_000, 1.0 / 45.0);
    }
}
