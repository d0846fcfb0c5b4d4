use super::*;

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("m{index}")).collect()
}

fn strs(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

fn equal(ids: &[String]) -> RendezvousTable {
    RendezvousTable::new(&strs(ids), None)
}

fn weighted(ids: &[String], weight: impl Fn(usize) -> u32) -> RendezvousTable {
    RendezvousTable::new(&strs(ids), Some((0..ids.len()).map(weight).collect()))
}

fn keys(count: u64) -> impl Iterator<Item = u64> + Clone {
    (0..count).map(|key| HashFunction::Xxh3.hash(&key.to_le_bytes()))
}

fn first(table: &RendezvousTable, key: u64) -> usize {
    table.first(key, |_| true).unwrap() as usize
}

/// How many standard deviations a chi-square statistic is above what is expected (Wilson and Hilferty, "The distribution
/// of chi-square", PNAS 17, 1931).
fn chi_square(counts: &[u64], weight: impl Fn(usize) -> f64) -> f64 {
    let (sum, total) = (
        counts.iter().sum::<u64>() as f64,
        (0..counts.len()).map(&weight).sum::<f64>(),
    );
    let due = |index: usize| sum * weight(index) / total;
    let of = |(index, count): (usize, &u64)| (*count as f64 - due(index)).powi(2) / due(index);
    let statistic: f64 = counts.iter().enumerate().map(of).sum();
    let freedom = (counts.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    ((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

/// How many slots are gone through for a key, about.
fn steps(table: &RendezvousTable) -> u32 {
    match &table.ways {
        Ways::GoThrough(light) | Ways::Both(_, light) => light.patience / 16,
        _ => 0,
    }
}

#[test]
fn all_ways_come_to_the_same() {
    for count in [1, 2, 15, 16, 17, 100, 1_025, 3_000] {
        let ids = ids(count);
        let strs = strs(&ids);
        let weightings: [Option<Vec<u32>>; 4] = [
            None,
            Some((0..count as u32).map(|index| 1 + index % 3).collect()),
            Some((0..count).map(|index| 1 << (index % 32)).collect()),
            Some((0..count).map(|index| if index == 0 { u32::MAX } else { 1 }).collect()),
        ];
        for weights in weightings {
            let mut order: Vec<u32> = (0..count as u32).collect();
            order.sort_by_key(|member| weights.as_ref().map(|weights| !weights[*member as usize]));
            let slots = || {
                let hash = |id: &str| HashFunction::Xxh3.hash(id.as_bytes());
                slots::slots(&strs.iter().map(|id| (hash(id), *id)).collect::<Vec<_>>())
            };
            let split = |looked_up| RendezvousTable::split(slots(), weights.clone(), &order, looked_up);
            let mut tables = vec![RendezvousTable::new(&strs, weights.clone()), split(0)];
            if count <= MOST {
                tables.push(split(count));
            }
            if weights.is_some() {
                tables.extend([1, count / 3, count - 1].map(|looked_up| split(looked_up.min(MOST))));
            }
            // What goes through many slots takes long.
            tables.retain(|table| steps(table) < 20_000);
            for key in keys(if count > 100 { 20 } else { 100 }) {
                let all = |_: u32| true;
                let some = |member: u32| !(u64::from(member) ^ key).is_multiple_of(3);
                let one = |member: u32| member as usize == count / 2;
                let none = |_: u32| false;
                for is_open in [&all as &dyn Fn(u32) -> bool, &some, &one, &none] {
                    let of_all = tables[0].first_of_all(key, is_open);
                    assert_eq!(of_all.is_some(), (0..count as u32).any(is_open));
                    for table in &tables {
                        assert_eq!(table.first(key, is_open), of_all, "{count} {weights:?} {key}");
                    }
                }
            }
        }
    }
}

#[test]
fn many_of_equal_weight_are_gone_through_and_few_are_looked_up() {
    let way = |count| equal(&ids(count)).ways;
    assert!(matches!(way(1_000), Ways::LookUp(_)));
    assert!(matches!(way(2_000), Ways::GoThrough(_)));
    // Of weights that differ much, some of each; whatever they are, few in all.
    let table = weighted(&ids(5_000), |index| 1 << (index % 32));
    let Ways::Both(looked_up, gone_through) = &table.ways else {
        panic!("{table:?}");
    };
    assert!(looked_up.members.len() < 1_000 && gone_through.patience < SIZE / 10);
}

#[test]
fn the_order_of_joining_does_not_matter() {
    for count in [50, 2_500] {
        let forth = ids(count);
        let back: Vec<String> = forth.iter().rev().cloned().collect();
        for key in keys(300) {
            assert_eq!(
                forth[first(&equal(&forth), key) % count],
                back[first(&equal(&back), key) % count]
            );
            if count > 50 {
                break;
            }
        }
        let weight = |index: usize| 1 + index as u32 % 7;
        let one = weighted(&forth, weight);
        let other = weighted(&back, |index| weight(count - 1 - index));
        for key in keys(300) {
            assert_eq!(forth[first(&one, key)], back[first(&other, key)]);
        }
    }
}

#[test]
fn shares_are_those_of_the_weights() {
    for (count, picks) in [(3, 50_000), (100, 50_000), (2_000, 60_000)] {
        let ids = ids(count);
        let mut counts = vec![0; count];
        let table = equal(&ids);
        keys(picks).for_each(|key| counts[first(&table, key)] += 1);
        assert!(chi_square(&counts, |_| 1.0).abs() < 5.0, "{count} {counts:?}");

        let weight = |index: usize| 1 + index as u32 % 5 * 3;
        let mut counts = vec![0; count];
        let table = weighted(&ids, weight);
        keys(picks).for_each(|key| counts[first(&table, key)] += 1);
        let sigmas = chi_square(&counts, |index| f64::from(weight(index)));
        assert!(sigmas.abs() < 5.0, "{count}: {sigmas}");
    }
}

#[test]
fn a_share_of_less_than_a_slot_is_a_share() {
    // The heavy one scores −ln(3∕4) ∕ 2²⁰, and the light one, somewhere within its first slot, is below that as often.
    let weights = [SIZE, 1];
    let is_open = |_: u32| true;
    let wins = |key: &u64| {
        let mut race = Race::new(*key, &weights, &is_open);
        race.meet(0, SIZE / 4, 7);
        race.meet(1, 0, 9);
        race.winner == Some(1)
    };
    let (picks, chance) = (20_000.0, -0.75_f64.ln());
    let wins = keys(20_000).filter(wins).count() as f64;
    assert!(
        (wins - picks * chance).abs() < 5.0 * (picks * chance * (1.0 - chance)).sqrt(),
        "{wins}"
    );
}

#[test]
fn the_keys_of_who_leaves_are_shared_by_the_others_and_no_other_moves() {
    // Also across the number at which the way of looking changes.
    for count in [20, 1_000, 1_449, 2_000] {
        let before = ids(count);
        let leaver = count / 3;
        let mut after = before.clone();
        after.remove(leaver);
        let (one, other) = (equal(&before), equal(&after));
        let mut heirs = vec![0_u64; after.len()];
        let mut lost = 0;
        for key in keys(if count == 20 { 50_000 } else { 10_000 }) {
            let (was, is) = (first(&one, key), first(&other, key));
            if was == leaver {
                // As if it were closed.
                let next = one.first(key, |member| member as usize != leaver).unwrap();
                assert_eq!(before[next as usize], after[is]);
                heirs[is] += 1;
                lost += 1;
            } else {
                assert_eq!(before[was], after[is]);
            }
        }
        assert!(lost > 0);
        if count == 20 {
            assert!(chi_square(&heirs, |_| 1.0).abs() < 5.0, "{heirs:?}");
        }
    }
}

#[test]
fn first_and_second_are_independent() {
    let count = 12;
    let table = equal(&ids(count));
    let mut pairs = vec![0_u64; count * (count - 1)];
    for key in keys(60_000) {
        let first = first(&table, key);
        let second = table.first(key, |member| member as usize != first).unwrap() as usize;
        pairs[first * (count - 1) + second - usize::from(second > first)] += 1;
    }
    assert!(chi_square(&pairs, |_| 1.0).abs() < 5.0, "{pairs:?}");
}

#[test]
fn a_weight_that_changes_moves_keys_from_or_to_its_member_alone() {
    let ids = ids(60);
    let changed = 17;
    let before = weighted(&ids, |index| 1 + index as u32 % 4);
    // From different weights to different and to equal ones.
    let heavier = weighted(&ids, |index| if index == changed { 9 } else { 1 + index as u32 % 4 });
    let (even, odd) = (
        equal(&ids),
        weighted(&ids, |index| if index == changed { 2 } else { 1 }),
    );
    for (light, heavy) in [(&before, &heavier), (&even, &odd)] {
        let mut gained = 0;
        for key in keys(20_000) {
            let (was, is) = (first(light, key), first(heavy, key));
            assert!(was == is || is == changed, "{was} {is}");
            gained += u32::from(was != is);
        }
        assert!(gained > 0);
    }
}

#[test]
fn who_has_to_give_way_moves_and_nobody_else() {
    let wish = |id: &str| Generator::new(HashFunction::Xxh3.hash(id.as_bytes())).next() as u32 % SIZE;
    let mut wishes = std::collections::HashMap::new();
    let (one, other) = (0..)
        .map(|index| format!("m{index}"))
        .find_map(|id| wishes.insert(wish(&id), id.clone()).map(|other| (id, other)))
        .unwrap();
    let hash = |id: &String| HashFunction::Xxh3.hash(id.as_bytes());
    let (owner, guest) = if hash(&one) < hash(&other) {
        (one, other)
    } else {
        (other, one)
    };
    let mut both = vec![
        "a".to_owned(),
        "b".to_owned(),
        "c".to_owned(),
        guest.clone(),
        owner.clone(),
    ];
    let with = equal(&both);
    assert_ne!(with.slots[3], with.slots[4]);
    assert_eq!(with.slots[4], wish(&owner));
    both.pop();
    let without = equal(&both);
    assert_eq!(without.slots[3], wish(&guest));
    let mut moved = 0;
    for key in keys(5_000) {
        let (was, is) = (first(&with, key), first(&without, key));
        assert!(was == is || was >= 3 || is == 3);
        moved += u32::from(was != is && was != 4);
    }
    assert!(moved > 0, "this is what the documentation warns of");
}

#[test]
fn more_members_than_there_are_slots_for_are_all_looked_at() {
    let ids = ids(slots::MOST + 1);
    let table = equal(&ids);
    assert!(matches!(table.ways, Ways::Hash(_)));
    let key = 0x5eed;
    let member = first(&table, key);
    let next = table.first(key, |other| other as usize != member).unwrap();
    let back: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(back[first(&equal(&back), key)], ids[member]);
    assert_ne!(next as usize, member);
    assert_eq!(table.first(key, |_| false), None);
}
