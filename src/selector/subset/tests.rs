//! How even the subsets of a fleet are, and what a member that comes or goes moves.

use std::collections::HashSet;

use super::{Client, client::Place, lot::subset};

type Fleet = Vec<HashSet<String>>;

fn ids(count: usize) -> Vec<String> {
    (0..count)
        .map(|index| format!("10.0.{}.{}:8080", index / 256, index % 256))
        .collect()
}

fn chosen(place: Place, size: usize, ids: &[&str]) -> HashSet<String> {
    let chosen = subset(place, size, ids);
    assert!(chosen.is_sorted(), "{chosen:?}");
    let chosen: HashSet<String> = chosen.iter().map(|index| ids[*index as usize].to_owned()).collect();
    assert_eq!(chosen.len(), size, "{place:?}");
    chosen
}

fn numbered(clients: u32, size: usize, ids: &[&str]) -> Fleet {
    let subset = |number| chosen(Client::number(number).place(), size, ids);
    (0..clients).map(subset).collect()
}

fn named(clients: u32, size: usize, ids: &[&str]) -> Fleet {
    let subset = |number| chosen(Client::named(&format!("host-{number}")).unwrap().place(), size, ids);
    (0..clients).map(subset).collect()
}

/// The fewest and the most clients of a member.
fn spread(fleet: &Fleet, ids: &[&str]) -> (usize, usize) {
    let of = |id: &&str| fleet.iter().filter(|subset| subset.contains(*id)).count();
    let (least, most) = (ids.iter().map(of).min(), ids.iter().map(of).max());
    (least.unwrap(), most.unwrap())
}

#[test]
fn members_have_about_as_many_clients_each() {
    // As few and as many as there may be, of numbered clients and of random ones.
    for (members, clients, size, fewest, most) in [
        (1_000, 100, 20, 1, 3),
        (1_000, 300, 20, 4, 8),
        (1_000, 50, 20, 0, 2),
        (250, 95, 20, 6, 9),
        (100, 100, 20, 19, 21),
        (100, 7, 20, 0, 2),
        (30, 100, 20, 63, 71),
        (21, 40, 20, 36, 40),
    ] {
        let ids = ids(members);
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let by_number = spread(&numbered(clients, size, &ids), &ids);
        let at_random = spread(&named(clients, size, &ids), &ids);
        println!("{members} members, {clients} clients of {size}: {by_number:?} numbered, {at_random:?} at random");
        assert!(
            by_number.0 >= fewest && by_number.1 <= most,
            "{members} members have from {} to {} of {clients} clients of {size}, and at random {at_random:?}",
            by_number.0,
            by_number.1,
        );
        assert!(by_number.1 - by_number.0 <= at_random.1 - at_random.0);
    }
}

/// Places in all subsets that change while each of some members in turn leaves, or comes: those that do, those that
/// have to, and the most in one subset.
fn moved(fleet: impl Fn(&[&str]) -> Fleet, members: usize) -> (usize, usize, usize) {
    let ids = ids(members);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let before = fleet(&ids);
    let (mut moved, mut least, mut most) = (0, 0, 0);
    for leaver in (0..members).step_by(members / 10) {
        let left: Vec<&str> = ids
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != leaver)
            .map(|(_, id)| *id)
            .collect();
        let lost = |(before, after): (&HashSet<String>, HashSet<String>)| before.difference(&after).count();
        let lost: Vec<usize> = before.iter().zip(fleet(&left)).map(lost).collect();
        moved += lost.iter().sum::<usize>();
        most = most.max(lost.iter().copied().max().unwrap());
        least += before.iter().filter(|subset| subset.contains(ids[leaver])).count();
    }
    (moved, least, most)
}

#[test]
fn a_member_that_comes_or_goes_moves_little() {
    for (members, clients, times) in [(1_000, 100, 4.0), (100, 50, 4.0), (30, 20, 4.0)] {
        let (by_number, least, most) = moved(|ids| numbered(clients, 20, ids), members);
        let (at_random, optimum, most_at_random) = moved(|ids| named(clients, 20, ids), members);
        println!(
            "{members} members, {clients} clients: {by_number} places moved, at best {least}, in one subset {most}; \
             at random {at_random}, at best {optimum}"
        );
        assert!(
            by_number as f64 <= times * least as f64 && most <= 4,
            "{by_number} moved, in one subset {most}, where {least} had to"
        );
        assert_eq!((at_random, most_at_random), (optimum, 1));
    }
}

#[test]
fn all_agree_in_whatever_order_the_members_joined() {
    let ids = ids(300);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut other: Vec<&str> = ids[111..].iter().rev().chain(&ids[..111]).copied().collect();
    assert_eq!(numbered(30, 20, &ids), numbered(30, 20, &other));
    assert_eq!(named(30, 20, &ids), named(30, 20, &other));
    other.truncate(40);
    let mut back = other.clone();
    back.reverse();
    assert_eq!(numbered(30, 20, &other), numbered(30, 20, &back));
}

#[test]
fn clients_of_a_lot_share_nobody_while_there_are_enough() {
    let ids = ids(1_000);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for lot in numbered(100, 20, &ids).chunks(10) {
        let all: HashSet<&String> = lot.iter().flatten().collect();
        assert_eq!(all.len(), 200);
    }
}

#[test]
fn the_largest_number_and_size_do() {
    let ids = ids(1_001);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for number in [0, 9, 10, u32::MAX - 1, u32::MAX] {
        for size in [1, 2, 999, 1_000] {
            chosen(Place::Number(number), size, &ids);
        }
        chosen(Place::Number(number), 1, &ids[..2]);
    }
}

#[test]
fn a_process_is_one_client() {
    let place = |client: Client| format!("{:?}", client.place());
    assert_eq!(place(Client::process()), place(Client::default()));
    assert_ne!(place(Client::named("a").unwrap()), place(Client::named("b").unwrap()));
}
