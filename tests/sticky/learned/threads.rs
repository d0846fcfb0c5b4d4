//! Two threads and one table.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use equipoise::ManualClock;

use super::*;

#[test]
fn each_session_moves_once_and_all_are_told_where() {
    const SESSIONS: usize = 2_000;
    let time = ManualClock::new();
    let table = sessions(&time).build();
    let balancer = || Balancer::new(table.clone(), &time);
    for round in 0..5 {
        let before = table.stats();
        let (start, lost) = (Barrier::new(2), AtomicUsize::new(0));
        let race = |by: &'static str| {
            let (balancer, start, lost) = (balancer(), &start, &lost);
            move || {
                for index in 0..SESSIONS {
                    let name = index.to_string();
                    let open = balancer.locate(&name);
                    if index % 50 == 0 {
                        start.wait();
                    }
                    // Nobody serves at home: all have to move.
                    let told = balancer.serve(open, Serve::by(&format!("{by}{round}")));
                    if let Some(home) = told {
                        assert_eq!(balancer.known(&name), Some(home));
                        lost.fetch_add(1, Relaxed);
                    }
                }
            }
        };
        let (one, two) = (race("one"), race("two"));
        thread::scope(|scope| {
            scope.spawn(one);
            scope.spawn(two);
        });
        let stats = table.stats();
        // Who located a session after it had moved moves it again, as it was told to; nobody moves what another has moved before.
        let [bound, moved, lost_races] = [
            stats.bound - before.bound,
            stats.moved - before.moved,
            stats.lost_races - before.lost_races,
        ];
        assert_eq!(lost_races, lost.load(Relaxed) as u64);
        assert_eq!((bound + moved + lost_races) as usize, SESSIONS * 2, "round {round}");
        assert_eq!(bound as usize, if round == 0 { SESSIONS } else { 0 });
        assert_eq!(table.len(), SESSIONS);
    }
}

/// All located before any is served: then each moves exactly once.
#[test]
fn of_two_that_saw_the_same_home_one_moves_it() {
    const SESSIONS: usize = 20_000;
    let time = ManualClock::new();
    let table = sessions(&time).build();
    let first = Balancer::new(table.clone(), &time);
    let names: Vec<String> = (0..SESSIONS).map(|index| index.to_string()).collect();
    names.iter().for_each(|name| drop(first.request(name, "home")));
    let start = Barrier::new(2);
    let told: Vec<Vec<_>> = thread::scope(|scope| {
        let threads = ["one", "two"].map(|by| {
            let (names, start, table, time) = (&names, &start, table.clone(), &time);
            scope.spawn(move || {
                let balancer = Balancer::new(table, time);
                let open: Vec<_> = names.iter().map(|name| balancer.locate(name)).collect();
                start.wait();
                open.into_iter()
                    .map(|open| balancer.serve(open, Serve::by(by)))
                    .collect()
            })
        });
        threads.map(|thread| thread.join().unwrap()).into()
    });
    for (at_index, name) in names.iter().enumerate() {
        let home = first.known(name).unwrap();
        let [one, two] = [&told[0][at_index], &told[1][at_index]];
        match home.id() {
            "one" => assert_eq!((one, two), (&None, &at("one"))),
            "two" => assert_eq!((one, two), (&at("two"), &None)),
            other => panic!("{name} is at {other}"),
        }
    }
    let stats = table.stats();
    assert_eq!((stats.moved, stats.lost_races), (SESSIONS as u64, SESSIONS as u64));
}

#[test]
fn the_bound_holds_while_all_write() {
    const CAPACITY: usize = 3_000;
    let time = ManualClock::new();
    let table = sessions(&time).capacity(CAPACITY).build();
    thread::scope(|scope| {
        for seed in 0..2_usize {
            let (table, time) = (table.clone(), &time);
            scope.spawn(move || {
                let balancer = Balancer::new(table, time);
                for step in 0..60_000_usize {
                    let name = (step.wrapping_mul(2_654_435_761 + seed) % 20_000).to_string();
                    match step % 97 {
                        0 => drop(balancer.moved(&name, "c")),
                        1 => {
                            let id = balancer.sessions.id(name.as_bytes());
                            let forgotten = balancer.sessions.forget(id);
                            assert!(futures_util::FutureExt::now_or_never(forgotten).is_some());
                        }
                        _ => drop(balancer.request(&name, ["a", "b"][seed])),
                    }
                    if step % 512 == 0 {
                        assert!(balancer.sessions.len() <= CAPACITY);
                    }
                }
            });
        }
    });
    assert!((CAPACITY * 9 / 10..=CAPACITY).contains(&table.len()), "{}", table.len());
}
