//! `maglev/maglev_lb_test.cc`: each test here has the name of one there.

use equipoise::selector::hash::Maglev;

use super::super::keyed::Keyed;

fn table(size: u32, members: &[(String, u32)]) -> Keyed<Maglev> {
    Keyed::new(Maglev::new().with_size(size).unwrap(), members)
}

/// Addresses from port 90 on, of these weights.
fn addresses(weights: &[u32]) -> Vec<(String, u32)> {
    let ports = 90..;
    ports
        .zip(weights)
        .map(|(port, weight)| (format!("127.0.0.1:{port}"), *weight))
        .collect()
}

/// The member of each entry, by its place among the members, three times around.
#[track_caller]
fn assert_entries(members: &[(String, u32)], entries: &[usize]) {
    let mut table = table(entries.len() as u32, members);
    for (key, entry) in (0..).zip(entries.repeat(3)) {
        assert_eq!(table.id(key), members[entry].0, "{key}");
    }
}

#[test]
fn single_host() {
    assert_entries(&addresses(&[1]), &[0; 7]);
}

#[test]
fn basic() {
    assert_entries(&addresses(&[1; 6]), &[2, 4, 0, 1, 5, 0, 3]);
}

#[test]
fn basic_with_host_name() {
    let names: Vec<_> = (90..96).map(|name| (name.to_string(), 1)).collect();
    assert_entries(&names, &[2, 5, 0, 3, 4, 1, 0]);
}

#[test]
fn basic_stability() {
    let shuffled = [3, 0, 5, 1, 4, 2];
    let members = addresses(&[1; 6]);
    let joined: Vec<_> = shuffled.iter().map(|index| members[*index].clone()).collect();
    let places = [2, 4, 0, 1, 5, 0, 3].map(|entry| shuffled.iter().position(|index| *index == entry).unwrap());
    assert_entries(&joined, &places);
}

#[test]
fn weighted() {
    let entries = [1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1];
    assert_entries(&addresses(&[1, 2]), &entries);
}

#[test]
fn weighted_single_host() {
    assert_entries(&addresses(&[7]), &[0; 17]);
}

#[test]
fn locality_weighted_same_locality_weights() {
    let entries = [1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1];
    assert_entries(&addresses(&[1, 1]), &entries);
}

/// The third host there is in a locality without weight, and in no table.
#[test]
fn locality_weighted_different_locality_weights() {
    let entries = [1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    assert_entries(&addresses(&[8, 2, 0]), &entries);
}

#[test]
fn locality_weighted_lopsided() {
    let weight = |port| if port == 0 { 127 * 1023 } else { 1 };
    let members: Vec<_> = (0..1024)
        .map(|port| (format!("127.0.0.1:{port}"), weight(port)))
        .collect();
    let mut counts = table(65_537, &members).counts(0..65_537);
    assert_eq!(counts.remove("127.0.0.1:0"), Some(65_537 - 1023));
    assert!(counts.len() == 1023 && counts.values().all(|count| *count == 1));
}
