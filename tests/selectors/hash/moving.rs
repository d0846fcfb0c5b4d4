//! Which keys change their member when members come, go and close, and where they go.

use std::collections::BTreeMap;

use equipoise::{AnySelector, Endpoint, Strategy};

use super::keyed::Keyed;

/// Those whose choices do not depend on the order in which members joined, with what is said of them below.
const ALL: [&str; 5] = [
    "ring",
    "ring(mode=nginx)",
    "ring(mode=envoy,size=16384)",
    "maglev(size=16381)",
    "ip_hash",
];

type Members = Vec<(String, u32)>;

fn equal(count: usize) -> Members {
    (0..count).map(|index| (format!("10.0.0.{index}:80"), 1)).collect()
}

fn weighted(count: usize) -> Members {
    let mut members = equal(count);
    members
        .iter_mut()
        .enumerate()
        .for_each(|(index, member)| member.1 = 1 + index as u32 % 3);
    members
}

fn keyed(strategy: &str, members: &[(String, u32)], closed: &[&str]) -> Keyed<AnySelector<Endpoint<()>>> {
    let strategy: Strategy = strategy.parse().unwrap();
    Keyed::closing(strategy.selector(), members, closed)
}

/// Keys as a hash function gives them, of which each bit counts: nginx looks at 32 of them.
fn keys(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(|number| equipoise::key::HashFunction::Xxh3.hash(&number.to_le_bytes()))
}

/// For each key, the index of its member's id.
fn chosen(strategy: &str, members: &[(String, u32)], closed: &[&str], count: u64) -> Vec<String> {
    let mut keyed = keyed(strategy, members, closed);
    keys(count).map(|key| keyed.id(key).to_owned()).collect()
}

/// The part of all keys that change their member although it is there before and after: those beyond the optimum.
fn needless(strategy: &str, before: &[(String, u32)], after: &[(String, u32)], count: u64) -> f64 {
    let stays = |members: &[(String, u32)], id: &str| members.iter().any(|(other, _)| other == id);
    let (old, new) = (
        chosen(strategy, before, &[], count),
        chosen(strategy, after, &[], count),
    );
    let moved = old.iter().zip(&new).filter(|(old, new)| old != new);
    let needless = moved.filter(|(old, new)| stays(after, old) && stays(before, new));
    needless.count() as f64 / count as f64
}

fn without(members: &[(String, u32)], index: usize) -> Members {
    let mut members = members.to_vec();
    members.remove(index);
    members
}

#[test]
fn replicas_agree_in_whatever_order_members_joined() {
    for strategy in ALL {
        for members in [equal(1), equal(7), weighted(40)] {
            let mut joined = members.clone();
            joined.rotate_left(members.len() / 3);
            joined.reverse();
            assert_eq!(
                chosen(strategy, &members, &[], 5_000),
                chosen(strategy, &joined, &[], 5_000),
                "{strategy}"
            );
            // Also if next to none is open, and their own ways come to none.
            let closed: Vec<&str> = members.iter().skip(1).map(|(id, _)| id.as_str()).collect();
            let closed = &closed[..closed.len() * 19 / 20];
            assert_eq!(
                chosen(strategy, &members, closed, 5_000),
                chosen(strategy, &joined, closed, 5_000),
                "{strategy} with most closed"
            );
        }
    }
}

#[test]
fn a_ring_moves_no_key_needlessly() {
    for strategy in ["ring", "ring(points=40)", "ring(size=5000)", "ring(mode=nginx)"] {
        for members in [equal(2), equal(10), equal(100), weighted(30)] {
            for index in [0, members.len() - 1, members.len() / 2] {
                let fewer = without(&members, index);
                assert_eq!(
                    needless(strategy, &members, &fewer, 20_000),
                    0.0,
                    "{strategy} without {index}"
                );
                assert_eq!(
                    needless(strategy, &fewer, &members, 20_000),
                    0.0,
                    "{strategy} with {index}"
                );
            }
        }
    }
}

/// Where the middle weight changes, a point's worth does.
#[test]
fn a_ring_of_many_weights_moves_few_keys_needlessly() {
    let mut members = equal(100);
    members
        .iter_mut()
        .enumerate()
        .for_each(|(index, member)| member.1 = 50 + index as u32);
    let needless = needless("ring", &members, &without(&members, 99), 50_000);
    assert!(needless < 0.01, "{needless}");
}

/// Of all entries of the default table, when one of eight members leaves, on average.
#[test]
fn maglev_moves_few_keys_needlessly() {
    let entries = |members: &[(String, u32)]| -> Vec<String> {
        let mut keyed = keyed("maglev", members, &[]);
        (0..65_537).map(|key| keyed.id(key).to_owned()).collect()
    };
    for members in [equal(10), equal(100), equal(1_000), weighted(100)] {
        let count = members.len();
        let before = entries(&members);
        let needless = |index: usize| {
            let after = entries(&without(&members, index));
            let entries = before.iter().zip(&after);
            entries
                .filter(|(old, new)| old != new && **old != members[index].0)
                .count()
        };
        let needless: usize = (0..8).map(|part| needless(part * count / 8)).sum();
        let share = needless as f64 / 8.0 / 65_537.0;
        assert!(share <= 0.006, "{share} of {count}");
    }
}

#[test]
fn jump_moves_no_key_needlessly_if_the_last_leaves_and_most_if_the_first_does() {
    for count in [2, 10, 100] {
        let members = equal(count);
        assert_eq!(needless("jump", &members, &without(&members, count - 1), 20_000), 0.0);
    }
    let members = equal(100);
    assert!(needless("jump", &members, &without(&members, 0), 20_000) > 0.5);
}

#[test]
fn the_key_modulo_the_members_moves_nearly_all() {
    let members = equal(100);
    assert!(needless("ip_hash", &members, &without(&members, 50), 20_000) > 0.95);
}

/// How many keys of a closed member each other one inherits, if nobody else's key moves.
fn inherited(strategy: &str, members: &[(String, u32)], closed: &str, count: u64) -> BTreeMap<String, usize> {
    let (old, new) = (
        chosen(strategy, members, &[], count),
        chosen(strategy, members, &[closed], count),
    );
    let mut inherited = BTreeMap::new();
    for (old, new) in old.into_iter().zip(new) {
        if old == closed {
            *inherited.entry(new).or_default() += 1;
        } else {
            assert_eq!(old, new, "{strategy}: a key of an open member has moved");
        }
    }
    inherited
}

#[test]
fn a_closed_member_s_keys_alone_move_and_to_all_others() {
    for strategy in ALL.into_iter().chain(["jump"]) {
        for members in [equal(20), weighted(20)] {
            let closed = &members[11].0;
            let inherited = inherited(strategy, &members, closed, 100_000);
            let total: usize = inherited.values().sum();
            assert!(total > 2_000, "{strategy}: only {total}");
            // A nineteenth each; some twice that, as weights differ and the ring's arcs by chance.
            assert_eq!(inherited.len(), 19, "{strategy}: {inherited:?}");
            let most = *inherited.values().max().unwrap() as f64 / total as f64;
            assert!(most < 0.2, "{strategy}: {most} to one of {inherited:?}");
        }
    }
}

#[test]
fn on_a_ring_a_closed_member_s_keys_go_where_they_would_if_it_left() {
    for strategy in ["ring", "ring(mode=nginx)"] {
        let members = weighted(20);
        let (closed, left) = (
            chosen(strategy, &members, &[&members[3].0], 20_000),
            chosen(strategy, &without(&members, 3), &[], 20_000),
        );
        assert_eq!(closed, left, "{strategy}");
    }
}

#[test]
fn many_closed_members_leave_nobody_with_much() {
    for strategy in ALL.into_iter().chain(["jump"]) {
        let members = equal(100);
        // Every tenth is open: places of one's own run out for some.
        let closed: Vec<&str> = (0..100)
            .filter(|index| index % 10 != 0)
            .map(|index| members[index].0.as_str())
            .collect();
        let mut counts = BTreeMap::new();
        for id in chosen(strategy, &members, &closed, 20_000) {
            *counts.entry(id).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 10, "{strategy}");
        assert!(
            counts.values().all(|count| (800..4_000).contains(count)),
            "{strategy}: {counts:?}"
        );
    }
}

/// Too few are open for anybody's own places to come to one: so the way through all members has to begin anywhere.
#[test]
fn few_open_members_share_what_comes_to_them() {
    for strategy in ALL.into_iter().chain(["jump"]) {
        let members = equal(1_000);
        let closed: Vec<&str> = (0..1_000)
            .filter(|index| index % 250 != 0)
            .map(|index| members[index].0.as_str())
            .collect();
        let mut counts = BTreeMap::new();
        for id in chosen(strategy, &members, &closed, 2_000) {
            *counts.entry(id).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 4, "{strategy}");
        assert!(counts.values().all(|count| *count < 1_100), "{strategy}: {counts:?}");
    }
}
