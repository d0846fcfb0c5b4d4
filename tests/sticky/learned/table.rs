//! The table in memory: who is bound, who moves, who is forgotten.

use std::time::Duration;

use equipoise::{Home, ManualClock, learned::SessionId};
use futures_util::FutureExt;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn alone() -> (Balancer, ManualClock) {
    let time = ManualClock::new();
    (Balancer::new(sessions(&time).build(), &time), time)
}

#[test]
fn a_session_stays_with_who_served_it_first() {
    let (balancer, _) = alone();
    assert_eq!(balancer.locate("ann").home, None);
    assert_eq!(balancer.request("ann", "a"), "a");
    assert_eq!(balancer.request("ben", "b"), "b");
    for _ in 0..3 {
        assert_eq!(balancer.request("ann", "b"), "a");
        assert_eq!(balancer.request("ben", "a"), "b");
    }
    let stats = balancer.sessions.stats();
    assert_eq!(
        (stats.sessions, stats.bound, stats.moved, stats.lost_races),
        (2, 2, 0, 0)
    );
    assert_eq!((stats.hits, stats.misses), (6, 3));
    assert_eq!(stats.from_copy, 0, "there is nothing that it is a copy of");
    assert_eq!(balancer.sessions.len(), 2);
}

#[test]
fn a_name_without_anything_in_it_is_no_session() {
    let (balancer, _) = alone();
    assert_eq!(balancer.request("", "a"), "a");
    assert_eq!(balancer.request("", "b"), "b");
    assert!(balancer.sessions.is_empty());
    assert_eq!(balancer.sessions.stats().misses, 0);
}

#[test]
fn neither_guests_nor_those_served_badly_are_bound_or_moved() {
    let (balancer, _) = alone();
    for serve in [Serve::guest("a"), Serve::badly("a")] {
        let open = balancer.locate("ann");
        assert_eq!(balancer.serve(open, serve), None);
        assert_eq!(balancer.known("ann"), None, "{serve:?}");
    }
    balancer.request("ann", "b");
    for serve in [Serve::guest("a"), Serve::badly("a"), Serve::badly("b")] {
        let open = balancer.locate("ann");
        balancer.serve(open, serve);
        assert_eq!(balancer.known("ann"), at("b"), "{serve:?}");
    }
}

#[test]
fn a_session_moves_once_whoever_serves_its_requests() {
    let (balancer, _) = alone();
    balancer.request("ann", "a");
    let open: Vec<_> = (0..3).map(|_| balancer.locate("ann")).collect();
    let told: Vec<_> = open
        .into_iter()
        .zip(["b", "c", "b"])
        .map(|(open, by)| balancer.serve(open, Serve::by(by)))
        .collect();
    assert_eq!(told, [None, at("b"), None]);
    assert_eq!(balancer.known("ann"), at("b"));
    // One that was at its old home all the while does not bring it back.
    let late = balancer.locate("ann");
    balancer.moved("ann", "c");
    assert_eq!(balancer.serve(late, Serve::by("b")), None);
    assert_eq!(balancer.known("ann"), at("c"));
    let stats = balancer.sessions.stats();
    assert_eq!((stats.bound, stats.moved, stats.lost_races), (1, 3, 1));
}

#[test]
fn one_that_is_put_where_it_is_has_not_moved() {
    let (balancer, _) = alone();
    balancer.request("ann", "a");
    let sessions = &balancer.sessions;
    let ann = sessions.id(b"ann");
    for (to, moved) in [("a", 0), ("b", 1), ("b", 1), ("a", 2)] {
        sessions.migrate(ann, Home::new(to)).now_or_never().unwrap().unwrap();
        assert_eq!(sessions.stats().moved, moved, "{to}");
    }
}

#[test]
fn of_first_requests_at_once_one_wins_and_the_others_are_told() {
    let (balancer, _) = alone();
    let [first, second] = ["ann"; 2].map(|name| balancer.locate(name));
    assert_eq!(balancer.serve(first, Serve::by("a")), None);
    assert_eq!(balancer.serve(second, Serve::by("b")), at("a"));
    assert_eq!(balancer.request("ann", "c"), "a");
    let stats = balancer.sessions.stats();
    assert_eq!((stats.bound, stats.lost_races), (1, 1));
}

#[test]
fn sessions_are_forgotten_that_are_idle() {
    let (balancer, time) = alone();
    balancer.request("ann", "a");
    balancer.request("ben", "a");
    for _ in 0..10 {
        time.advance(29 * MINUTE);
        assert_eq!(balancer.request("ann", "b"), "a", "used");
    }
    assert_eq!(balancer.known("ben"), None);
    // To look at it is no use of it. Never sooner than said, and at most a thousandth later.
    time.advance(30 * MINUTE - Duration::from_nanos(1));
    assert_eq!(balancer.known("ann"), at("a"));
    time.advance(Duration::from_secs(2));
    assert_eq!(balancer.known("ann"), None);
    assert_eq!(balancer.locate("ann").home, None);
    assert_eq!(balancer.sessions.len(), 1, "asked for, and gone");
    assert_eq!(balancer.request("ann", "b"), "b");
    assert_eq!(balancer.request("ben", "b"), "b");
}

/// However often it is used within the grain of noting uses.
#[test]
fn a_session_that_is_used_all_the_time_is_not_idle() {
    let (balancer, time) = alone();
    balancer.request("ann", "a");
    for _ in 0..5_000 {
        time.advance(Duration::from_millis(900));
        assert_eq!(balancer.request("ann", "b"), "a");
    }
    time.advance(30 * MINUTE - Duration::from_millis(900));
    assert_eq!(balancer.request("ann", "b"), "a", "to the end of its time");
}

#[test]
fn sessions_end_that_are_too_old_if_there_is_such_a_thing() {
    let time = ManualClock::new();
    let sessions = sessions(&time).idle(MINUTE).lifetime(10 * MINUTE).build();
    let balancer = Balancer::new(sessions, &time);
    balancer.request("ann", "a");
    for _ in 0..19 {
        time.advance(MINUTE / 2);
        assert_eq!(balancer.request("ann", "b"), "a");
    }
    time.advance(MINUTE / 2);
    assert_eq!(balancer.request("ann", "b"), "b");
    // A move makes it no younger.
    time.advance(MINUTE / 2);
    balancer.moved("ann", "c");
    for _ in 0..18 {
        time.advance(MINUTE / 2);
        assert_eq!(balancer.request("ann", "b"), "c");
    }
    time.advance(MINUTE / 2);
    assert_eq!(balancer.known("ann"), None);
}

#[test]
fn times_without_sense_are_borne() {
    for (idle, lifetime) in [(Duration::ZERO, Duration::MAX), (Duration::MAX, Duration::ZERO)] {
        let time = ManualClock::new();
        let sessions = sessions(&time).capacity(0).idle(idle).lifetime(lifetime).build();
        let balancer = Balancer::new(sessions, &time);
        assert_eq!(balancer.request("ann", "a"), "a");
        assert_eq!(balancer.request("ann", "b"), "b", "no time at all");
    }
    let time = ManualClock::new();
    let sessions = sessions(&time)
        .capacity(usize::MAX)
        .idle(Duration::MAX)
        .lifetime(Duration::MAX);
    let balancer = Balancer::new(sessions.build(), &time);
    balancer.request("ann", "a");
    time.advance(Duration::from_secs(100 * 365 * 86_400));
    assert_eq!(balancer.request("ann", "b"), "a");
}

#[test]
fn names_are_hashed_with_a_key() {
    let time = ManualClock::new();
    let of = |key: [u8; 16]| sessions(&time).key(key).build();
    let (one, same, other) = (of([1; 16]), of([1; 16]), of([2; 16]));
    let id = one.id(b"ann");
    assert_eq!(id, same.id(b"ann"));
    assert_ne!(id, other.id(b"ann"));
    assert_ne!(id, one.id(b"ben"));
    assert_eq!(SessionId::from_bytes(id.to_bytes()), id);
    // Without a key nobody has the same.
    let random = || {
        equipoise::learned::Sessions::builder_on(time.clock())
            .build()
            .id(b"ann")
    };
    assert_ne!(random(), random());
    // `vectors_sip128` of the reference implementation (github.com/veorq/SipHash, `vectors.h`): SipHash-2-4 with the key 00 to
    // 0f of nothing, and of the byte 00, the lower half first.
    let keyed = of(std::array::from_fn(|at| at as u8));
    let halves = |bytes: [u8; 16]| (bytes[..8].to_vec(), bytes[8..].to_vec());
    let (high, low) = halves(keyed.id(b"").to_bytes());
    let reference: Vec<u8> = low.into_iter().rev().chain(high.into_iter().rev()).collect();
    assert_eq!(
        reference,
        [
            0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93
        ]
    );
}

#[test]
fn a_session_can_be_forgotten_and_migrated() {
    let (balancer, _) = alone();
    let sessions = &balancer.sessions;
    balancer.request("ann", "a");
    let id = sessions.id(b"ann");
    // Requests on their way bring it back to nowhere.
    let (old, first) = (balancer.locate("ann"), balancer.locate("ben"));
    sessions.migrate(id, Home::new("b")).now_or_never().unwrap().unwrap();
    let ben = sessions.id(b"ben");
    sessions.migrate(ben, Home::new("b")).now_or_never().unwrap().unwrap();
    assert_eq!(balancer.serve(old, Serve::by("a")), None);
    assert_eq!(
        balancer.serve(first, Serve::by("a")),
        at("b"),
        "made while it was first served"
    );
    assert_eq!(balancer.request("ann", "c"), "b");
    sessions.forget(id).now_or_never().unwrap().unwrap();
    assert_eq!(sessions.get(id), None);
    assert_eq!(balancer.request("ann", "c"), "c");
    assert_eq!(sessions.stats().moved, 2);
}

#[test]
fn nothing_tells_the_key_or_a_name() {
    let (balancer, time) = alone();
    balancer.request("secret-of-ann", "a");
    let name = equipoise::learned::Name::from("secret-of-ann");
    for told in [
        format!("{:?}", balancer.sessions),
        format!("{:?}", sessions(&time)),
        format!("{name:?}"),
    ] {
        assert!(!told.contains("secret") && !told.contains("97, 32, 107"), "{told}");
    }
}
