//! Several balancers with one store that works.

use std::time::Duration;

use equipoise::{Home, ManualClock};
use futures_util::FutureExt;

use super::*;

fn two() -> ([Balancer; 2], Script, ManualClock) {
    let time = ManualClock::new();
    let store = Script::new(&time);
    let balancers = [(); 2].map(|()| Balancer::new(sessions(&time).store(store.clone()).build(), &time));
    (balancers, store, time)
}

#[test]
fn they_agree_from_the_second_request_on() {
    let ([one, two], store, _) = two();
    assert_eq!(one.request("ann", "a"), "a");
    assert_eq!(store.home(one.sessions.id(b"ann")), at("a"));
    assert_eq!(two.request("ann", "b"), "a");
    assert_eq!(two.known("ann"), at("a"), "copied");
    assert_eq!(two.moved("ann", "c"), None);
    assert_eq!(one.request("ann", "b"), "c");
    assert_eq!(one.known("ann"), at("c"));
    let stats = two.sessions.stats();
    assert_eq!(
        (stats.bound, stats.moved, stats.lost_races, stats.from_copy),
        (0, 1, 0, 0)
    );
}

#[test]
fn a_session_at_home_costs_one_question_and_a_new_one_a_claim_more() {
    let ([one, _], store, _) = two();
    one.request("ann", "a");
    assert_eq!(store.asked(), (1, 1, 0));
    one.request("ann", "a");
    assert_eq!(store.asked(), (1, 0, 0));
    one.moved("ann", "b");
    assert_eq!(store.asked(), (1, 1, 0));
    let open = one.locate("ann");
    one.serve(open, Serve::guest("c"));
    let open = one.locate("ben");
    one.serve(open, Serve::badly("c"));
    assert_eq!(store.asked(), (2, 0, 0), "nobody is bound");
    one.request("", "a");
    assert_eq!(store.asked(), (0, 0, 0));
}

#[test]
fn of_first_requests_at_once_the_winners_home_is_told_to_all() {
    let ([one, two], store, _) = two();
    let (first, second) = (one.locate("ann"), two.locate("ann"));
    assert_eq!(two.serve(second, Serve::by("b")), None);
    assert_eq!(one.serve(first, Serve::by("a")), at("b"));
    assert_eq!([one.known("ann"), two.known("ann")], [at("b"), at("b")]);
    assert_eq!(one.request("ann", "c"), "b");
    assert_eq!(store.home(one.sessions.id(b"ann")), at("b"));
    assert_eq!(
        (one.sessions.stats().lost_races, two.sessions.stats().lost_races),
        (1, 0)
    );
    // And of moves.
    let (first, second) = (one.locate("ann"), two.locate("ann"));
    assert_eq!(one.serve(first, Serve::by("c")), None);
    assert_eq!(two.serve(second, Serve::by("a")), at("c"));
    assert_eq!(two.request("ann", "b"), "c");
}

#[test]
fn a_balancer_that_starts_anew_knows_what_the_store_has() {
    let ([one, _], store, time) = two();
    one.request("ann", "a");
    let new = Balancer::new(sessions(&time).store(store).build(), &time);
    assert_eq!(new.known("ann"), None);
    assert_eq!(new.request("ann", "b"), "a");
}

#[test]
fn answers_within_the_deadline_are_waited_for() {
    let ([one, two], store, time) = two();
    store.fail(Fault::Slow(4));
    one.request("ann", "a");
    let before = time.now();
    assert_eq!(two.request("ann", "b"), "a");
    assert_eq!(time.now() - before, Duration::from_millis(4), "asked once");
    assert_eq!(two.sessions.stats().store_timeouts, 0);
}

#[test]
fn sessions_are_migrated_and_forgotten_for_all() {
    let ([one, two], store, _) = two();
    for (session, home) in [("ann", "a"), ("ben", "a"), ("cem", "b")] {
        one.request(session, home);
        two.request(session, home);
    }
    let ann = one.sessions.id(b"ann");
    one.sessions
        .migrate(ann, Home::new("c"))
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(two.request("ann", "b"), "c");
    // Known to the one that moves them, or not.
    two.request("dora", "a");
    let moved = one.sessions.migrate_all(Home::new("a"), |_| Home::new("b"));
    assert_eq!(moved.now_or_never().unwrap().unwrap(), 2);
    for (session, home) in [("ann", "c"), ("ben", "b"), ("cem", "b"), ("dora", "b")] {
        assert_eq!(two.request(session, "a"), home, "{session}");
        assert_eq!(one.request(session, "a"), home, "{session}");
    }
    one.sessions.forget(ann).now_or_never().unwrap().unwrap();
    assert_eq!(store.home(ann), None);
    assert_eq!(one.request("ann", "a"), "a");
}

/// What is only known here moves here, whatever is chosen there.
#[test]
fn what_is_chosen_there_counts() {
    let ([one, two], _, _) = two();
    one.request("ann", "a");
    let turns = std::sync::atomic::AtomicUsize::new(0);
    let choose = move |_| {
        let turn = turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Home::new(format!("b{turn}"))
    };
    let moved = one.sessions.migrate_all(Home::new("a"), choose);
    assert_eq!(moved.now_or_never().unwrap().unwrap(), 1);
    assert_eq!(one.request("ann", "c"), two.request("ann", "d"));
}
