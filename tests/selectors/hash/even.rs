//! How even the shares are.

use equipoise::{Ask, Endpoint, ManualClock, Pool, Strategy, selector::hash::Maglev};

use super::keyed::Keyed;

fn members(weights: impl Iterator<Item = u32>) -> Vec<(String, u32)> {
    weights
        .enumerate()
        .map(|(index, weight)| (format!("10.0.0.{index}:80"), weight))
        .collect()
}

/// "At most by one", §3.4 of the paper.
#[test]
fn maglev_s_entries_are_as_even_as_can_be() {
    for count in [3, 100, 1_000] {
        let mut table = Keyed::new(Maglev::new(), &members((0..count).map(|_| 1)));
        let counts = table.counts(0..65_537);
        assert_eq!(counts.len(), count);
        let each = 65_537 / count;
        assert!(counts.values().all(|entries| *entries == each || *entries == each + 1));
    }
}

#[test]
fn maglev_s_entries_are_in_proportion() {
    let weights = [1, 2, 3, 100, 7, 50];
    let members = members(weights.into_iter());
    let mut table = Keyed::new(Maglev::new(), &members);
    let counts = table.counts(0..65_537);
    for (id, weight) in members {
        let due = 65_537.0 * f64::from(weight) / 163.0;
        // Each claims an entry in the first round, the lightest as well: of six, the heaviest lacks five at most.
        assert!((counts[&id] as f64 - due).abs() <= 5.0, "{} of {due}", counts[&id]);
    }
}

/// The most that one of these members gets, over its due.
fn fullest(strategy: &str, weights: &[u32], keys: impl Iterator<Item = u64>) -> f64 {
    let members = members(weights.iter().copied());
    let strategy: Strategy = strategy.parse().unwrap();
    let counts = Keyed::new(strategy.selector(), &members).counts(keys);
    let (total, sum): (usize, u32) = (counts.values().sum(), weights.iter().sum());
    let over = |(id, weight): &(String, u32)| {
        counts.get(id).map_or(0.0, |count| {
            *count as f64 / total as f64 * f64::from(sum) / f64::from(*weight)
        })
    };
    members.iter().map(over).fold(0.0, f64::max)
}

/// Numbers as keys: the plain ring and jump mix them, and for a table and a modulus they are as even as can be.
#[test]
fn keys_may_be_regular() {
    for (strategy, most) in [("ring", 1.4), ("maglev", 1.01), ("ip_hash", 1.01), ("jump", 1.05)] {
        for step in [1, (1 << 40) + 1] {
            let found = fullest(strategy, &[1; 10], (0..65_537).map(|key: u64| key.wrapping_mul(step)));
            assert!(found < most, "{strategy}: {found} at steps of {step}");
        }
    }
}

#[test]
fn more_points_make_a_ring_more_even() {
    let keys = || 0..100_000;
    let [few, many, most] =
        ["ring(points=10)", "ring", "ring(points=10000)"].map(|strategy| fullest(strategy, &[1; 20], keys()));
    assert!(few > many && many > most, "{few} {many} {most}");
    assert!(many < 1.35 && most < 1.1, "{many} {most}");
    // A least number of points does the same.
    let sized = fullest("ring(size=200000)", &[1; 20], keys());
    assert!(sized < 1.1, "{sized}");
    let weighted = fullest("ring(points=10000)", &[1, 2, 3, 4, 5], keys());
    assert!(weighted < 1.1, "{weighted}");
}

#[test]
fn without_a_key_requests_go_to_all() {
    for strategy in [
        "ring",
        "ring(mode=nginx)",
        "ring(mode=envoy)",
        "maglev",
        "ip_hash",
        "jump",
    ] {
        let selector = strategy.parse::<Strategy>().unwrap().selector();
        let (mut pool, _) = Pool::builder_on(ManualClock::new().clock())
            .selector(selector)
            .seed(3)
            .backends((0..5).map(|index| Endpoint::new(index.to_string(), ())))
            .build();
        let mut taken = [0; 5];
        for _ in 0..1_000 {
            let at = pool.select(&Ask::new()).unwrap();
            taken[pool.id_at(at).unwrap().parse::<usize>().unwrap()] += 1;
        }
        assert!(taken.iter().all(|taken| *taken > 50), "{strategy}: {taken:?}");
    }
}
