//! Bounded loads: nobody far above the fair share, and keys at home as long as there is room.

use std::collections::{BTreeMap, VecDeque};

use equipoise::{
    Ask, Backend, Endpoint, Home, Lease, LeastLoaded, ManualClock, Pool, Selector, Strategy,
    selector::{
        Bounded,
        hash::{Maglev, Ring},
    },
};

use super::keyed::Keyed;

type Member = Endpoint<()>;
type Held = Lease<std::sync::Arc<Member>>;

fn members(weights: impl Iterator<Item = u32>) -> Vec<(String, u32)> {
    let named = |(index, weight)| (format!("10.0.0.{index}:80"), weight);
    weights.enumerate().map(named).collect()
}

fn pool<S: Selector<Member>>(selector: S, members: &[(String, u32)]) -> Pool<Member, S> {
    let endpoint = |(id, weight): &(String, u32)| Endpoint::new(id.as_str(), ()).with_weight(*weight);
    let builder = Pool::builder_on(ManualClock::new().clock()).selector(selector).seed(1);
    builder.backends(members.iter().map(endpoint)).build().0
}

/// Numbers that are as good as random, from 0 to 1.
fn random() -> impl FnMut() -> f64 {
    let mut state = 7_u64;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Keys of which the k-th most popular is asked for in proportion to k^-1.1.
fn zipf(keys: usize) -> impl FnMut() -> u64 {
    let mut sums: Vec<f64> = Vec::with_capacity(keys);
    for key in 1..=keys {
        sums.push(sums.last().copied().unwrap_or(0.0) + (key as f64).powf(-1.1));
    }
    let total = sums[keys - 1];
    let mut random = random();
    move || {
        let rank = sums.partition_point(|sum| *sum <= random() * total) as u64;
        equipoise::key::HashFunction::Xxh3.hash(&rank.to_le_bytes())
    }
}

fn most_over_fair(loads: &BTreeMap<String, usize>, members: &[(String, u32)]) -> f64 {
    let (total, sum): (usize, u32) = (loads.values().sum(), members.iter().map(|(_, weight)| weight).sum());
    let over = |(id, weight): &(String, u32)| {
        loads.get(id).map_or(0.0, |load| {
            *load as f64 * f64::from(sum) / (total as f64 * f64::from(*weight))
        })
    };
    members.iter().map(over).fold(0.0, f64::max)
}

/// The largest over its fair share at any time, and the part of requests that were at home.
fn under_zipf<S: Selector<Member>>(
    selector: S,
    home: impl Selector<Member>,
    weights: impl Iterator<Item = u32>,
) -> (f64, f64) {
    // As many that the bound of an equal share is whole: 125 for 100.
    const OPEN: usize = 10_000;
    let members = members(weights);
    let (mut pool, mut homes) = (pool(selector, &members), Keyed::new(home, &members));
    let mut key = zipf(100_000);
    let mut open: VecDeque<Held> = VecDeque::new();
    let mut loads: BTreeMap<String, usize> = BTreeMap::new();
    let (mut most, mut at_home, requests) = (0.0_f64, 0, 50_000);
    for request in 0..OPEN + requests {
        if open.len() == OPEN {
            let ended = open.pop_front().unwrap();
            *loads.get_mut(ended.backend_id()).unwrap() -= 1;
        }
        let key = key();
        let lease = pool.pick(&Ask::new().with_key(key)).unwrap();
        *loads.entry(lease.backend_id().to_owned()).or_default() += 1;
        if request >= OPEN {
            at_home += usize::from(homes.id(key) == lease.backend_id());
            if request % 100 == 0 {
                most = most.max(most_over_fair(&loads, &members));
            }
        }
        open.push_back(lease);
    }
    (most, at_home as f64 / requests as f64)
}

#[test]
fn under_zipf_loads_are_even_and_about_half_of_the_requests_stay_at_home() {
    for weighted in [false, true] {
        let weights = || (0..100).map(|index| if weighted { 1 + index % 3 } else { 1 });
        let (most, at_home) = under_zipf(Bounded::new(Maglev::new()), Maglev::new(), weights());
        // A share that is not whole is rounded up: by one of 50 at the least.
        assert!(most <= if weighted { 1.25 + 0.02 } else { 1.25 }, "{most}");
        assert!(at_home >= 0.47, "{at_home}");
        let (unbound, _) = under_zipf(Maglev::new(), Maglev::new(), weights());
        assert!(
            unbound > 2.0,
            "without a bound nothing would be worth bounding: {unbound}"
        );
        let (most, at_home) = under_zipf(Bounded::new(Ring::new()), Ring::new(), weights());
        assert!(most <= if weighted { 1.25 + 0.02 } else { 1.25 }, "{most}");
        assert!(at_home >= 0.4, "{at_home}");
    }
}

#[test]
fn nobody_has_more_than_the_fair_share_rounded_up() {
    // In hundredths; of 1.1 a floating-point product is a little above what it should be.
    for (hundredths, weights) in [
        (100, vec![1_u32; 4]),
        (125, vec![1, 2, 3, 10]),
        (200, vec![5, 1, 1, 1]),
        (110, vec![1; 10]),
    ] {
        let factor = f64::from(hundredths) / 100.0;
        let sum: u32 = weights.iter().sum();
        let members = members(weights.into_iter());
        let bounded = Bounded::new(Ring::new()).with_factor(factor).unwrap();
        let mut pool = pool(bounded, &members);
        let mut open: Vec<Held> = Vec::new();
        for total in 1..=400 {
            // One key, which would all go to one member.
            open.push(pool.pick(&Ask::new().with_key(7)).unwrap());
            for ((id, weight), member) in members.iter().zip(pool.members()) {
                let most = (hundredths * weight * total).div_ceil(100 * sum) as usize;
                assert_eq!(member.backend.id(), id);
                assert!(
                    member.in_flight <= most,
                    "{} of {most} at {id}, {total} in all",
                    member.in_flight
                );
            }
        }
        // With no slack everybody has exactly that.
        if hundredths == 100 {
            assert!(pool.members().iter().all(|member| member.in_flight == 100));
        }
    }
}

#[test]
fn few_requests_find_somebody_and_alone_one_is_at_home() {
    let members = members((0..50).map(|_| 1));
    let (mut pool, mut homes) = (
        pool(Bounded::new(Ring::new()), &members),
        Keyed::new(Ring::new(), &members),
    );
    for key in (0..500).map(|key: u64| key << 53) {
        let lease = pool.pick(&Ask::new().with_key(key)).unwrap();
        assert_eq!(lease.backend_id(), homes.id(key));
        drop(lease);
    }
    let open: Vec<Held> = (0..20).map(|_| pool.pick(&Ask::new().with_key(9)).unwrap()).collect();
    // 20 × 1.25 ∕ 50 is below one each.
    assert!(pool.members().iter().all(|member| member.in_flight <= 1));
    drop(open);
}

#[test]
fn what_has_ended_no_longer_counts_and_homes_are_not_bound() {
    let members = members((0..4).map(|_| 1));
    let mut pool = pool(Bounded::new(Ring::new()), &members);
    let home = Ask::new().with_home(Home::new(members[0].0.as_str()));
    let at_home: Vec<Held> = (0..100).map(|_| pool.pick(&home).unwrap()).collect();
    assert!(at_home.iter().all(|lease| lease.backend_id() == members[0].0));
    // 101 in all allow 32 each: who is full already gets no more, the others do.
    let mut others: Vec<Held> = (0..90)
        .map(|key: u64| pool.pick(&Ask::new().with_key(key << 57)).unwrap())
        .collect();
    assert!(others.iter().all(|lease| lease.backend_id() != members[0].0));
    drop(at_home);
    // 90 are left and more than the 75 that three may have of 60: the total has gone down as well.
    others.truncate(0);
    let alone = pool.pick(&Ask::new().with_key(1)).unwrap();
    assert_eq!(alone.backend_id(), Keyed::new(Ring::new(), &members).id(1));
}

#[test]
fn it_goes_around_any_strategy() {
    let text = "bounded(maglev(size=251),factor=1.5)";
    let strategy: Strategy = text.parse().unwrap();
    assert_eq!(strategy.to_string(), text);
    let mut pool = pool(strategy.selector(), &members((0..3).map(|_| 1)));
    let open: Vec<_> = (0..6).map(|_| pool.pick(&Ask::new().with_key(1)).unwrap()).collect();
    assert!(pool.members().iter().all(|member| member.in_flight <= 3));
    drop(open);
    // One that goes by load itself is never above.
    let around = Bounded::new(LeastLoaded::new());
    let mut even = self::pool(around, &members((0..3).map(|_| 1)));
    let open: Vec<Held> = (0..9).map(|_| even.pick(&Ask::new()).unwrap()).collect();
    assert!(even.members().iter().all(|member| member.in_flight == 3));
    drop(open);
}

#[test]
fn factors_out_of_range_are_refused() {
    for factor in [0.99, 0.0, -1.0, 100.1, f64::INFINITY, f64::NAN] {
        let error = Bounded::new(Ring::new()).with_factor(factor).unwrap_err();
        let told = format!("invalid factor '{factor}' of strategy bounded: expected a number from 1 to 100");
        assert_eq!(error.to_string(), told);
    }
    for text in [
        "bounded(factor=0.5)",
        "bounded(ring,factor=nan)",
        "bounded(factor=1e1)",
        "bounded(factor=)",
    ] {
        let error = text.parse::<Strategy>().unwrap_err().to_string();
        assert!(error.contains("expected a number from 1 to 100"), "{text}: {error}");
    }
}
