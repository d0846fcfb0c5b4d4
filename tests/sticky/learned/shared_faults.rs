//! Several balancers with one store that fails.

use std::{
    task::{Context, Waker},
    time::Duration,
};

use equipoise::{Event, Events, Home, ManualClock};
use futures_util::{FutureExt, StreamExt};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// For how long a store has failed that is taken to be away.
const FAILING: Duration = Duration::from_millis(50);
const BAD: [Fault; 6] = [
    Fault::Error,
    Fault::Never,
    Fault::Slow(6),
    Fault::PanicsAsked,
    Fault::PanicsWaited,
    Fault::PanicsGivenUp,
];

struct World {
    one: Balancer,
    two: Balancer,
    store: Script,
    time: ManualClock,
    events: Events,
}

impl World {
    fn new() -> Self {
        let time = ManualClock::new();
        let store = Script::new(&time);
        let [one, two] = [(); 2].map(|()| Balancer::new(sessions(&time).store(store.clone()).build(), &time));
        let events = one.sessions.events();
        Self {
            one,
            two,
            store,
            time,
            events,
        }
    }

    fn told(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.next().now_or_never().flatten()).collect()
    }

    /// The store fails so, and is known to be away.
    fn lose(&mut self, fault: Fault) {
        self.store.fail(fault);
        for index in 0..2 {
            self.time.advance(FAILING);
            self.one.request(&format!("lost {index}"), "a");
            self.two.request(&format!("lost {index}"), "a");
        }
        assert!(self.one.sessions.stats().store_is_away && self.two.sessions.stats().store_is_away);
        self.told();
        self.store.asked();
    }

    /// The store works, and is known to.
    fn recover(&mut self) {
        self.store.fail(Fault::None);
        self.time.advance(SECOND);
        self.one.request("back", "a");
        self.two.request("back", "a");
        assert!(!self.one.sessions.stats().store_is_away && !self.two.sessions.stats().store_is_away);
    }
}

#[test]
fn no_request_fails_and_the_copy_serves_however_the_store_fails() {
    for fault in BAD {
        let mut world = World::new();
        world.one.request("ann", "a");
        world.store.fail(fault);
        // Known ones stay, new ones are bound, in the first requests that wait in vain, and in all after them.
        for _ in 0..5 {
            assert_eq!(world.one.request("ann", "b"), "a", "{fault:?}");
            assert_eq!(world.one.request("ben", "b"), "b", "{fault:?}");
            if !world.one.sessions.stats().store_is_away {
                world.time.advance(FAILING);
            }
        }
        assert_eq!(world.one.moved("ann", "c"), None);
        assert_eq!(world.one.request("ann", "b"), "c", "{fault:?}");
        let stats = world.one.sessions.stats();
        assert_eq!(stats.store_errors + stats.store_timeouts, 4, "{fault:?}");
        let is_error = !matches!(fault, Fault::Never | Fault::Slow(_) | Fault::PanicsGivenUp);
        assert_eq!(stats.store_errors > 0, is_error, "{fault:?}: {stats:?}");
        assert!(stats.store_is_away);
        assert_eq!(stats.from_copy, 12, "{fault:?}");
        let told = world.told();
        assert!(
            matches!(&told[..], [Event::SessionStoreLost { error }] if !error.is_empty()),
            "{fault:?}: {told:?}"
        );
    }
}

#[test]
fn nobody_waits_for_a_store_that_is_away_but_one_at_a_time_ever_less_often() {
    let mut world = World::new();
    world.lose(Fault::Never);
    let waited = |world: &World| {
        let before = world.time.now();
        let open = world.one.locate("ann");
        world.one.serve(open, Serve::by("a"));
        world.time.now() - before
    };
    // It is away since a few milliseconds.
    world.time.advance(Duration::from_millis(30));
    for pause in [100, 200, 400, 800, 1_000, 1_000] {
        for _ in 0..100 {
            assert_eq!(waited(&world), Duration::ZERO);
        }
        assert_eq!(world.store.asked(), (0, 0, 0));
        world.time.advance(Duration::from_millis(pause - 50));
        assert_eq!(waited(&world), Duration::ZERO, "before {pause}");
        world.time.advance(Duration::from_millis(50));
        let all: Vec<_> = (0..10).map(|_| waited(&world)).collect();
        assert_eq!(all[0], Duration::from_millis(5), "the deadline");
        assert!(all[1..].iter().all(Duration::is_zero), "{all:?}");
        assert_eq!(world.store.asked(), (1, 0, 0));
    }
    assert_eq!(world.told(), [], "told once");
    world.recover();
    assert_eq!(world.told(), [Event::SessionStoreRecovered]);
    assert_eq!(world.one.request("ann", "b"), "a");
    assert_eq!(world.store.asked().0, 3, "asked by each again");
}

/// One that is given up by its client while it asks whether the store is back is followed by another.
#[test]
fn a_trial_that_is_given_up_is_made_again() {
    use equipoise::{
        SessionAffinity,
        affinity::Located,
        learned::{Learned, Name},
    };
    let mut world = World::new();
    world.lose(Fault::Never);
    world.time.advance(SECOND);
    let learned = Learned::by(world.one.sessions.clone(), |_: &()| Some(Name::from("ann")));
    match SessionAffinity::<(), ()>::locate(&learned, &mut ()) {
        Located::Later(mut later) => assert!((&mut later).now_or_never().is_none()),
        other => panic!("{other:?}"),
    }
    world.recover();
}

#[test]
fn a_few_late_answers_are_no_loss() {
    let mut world = World::new();
    for _ in 0..10 {
        world.store.fail(Fault::Never);
        world.one.locate("ann");
        world.one.locate("ann");
        world.store.fail(Fault::None);
        world.one.locate("ann");
    }
    let stats = world.one.sessions.stats();
    assert_eq!((stats.store_timeouts, stats.store_is_away), (20, false));
    assert_eq!(world.told(), []);
}

#[test]
fn what_was_learned_and_moved_meanwhile_is_claimed_when_the_store_is_back() {
    for loses_all in [false, true] {
        let mut world = World::new();
        world.one.request("old", "a");
        world.two.request("old", "a");
        world.one.request("stays", "a");
        world.lose(Fault::Error);
        world.one.request("new", "b");
        world.one.moved("old", "c");
        assert_eq!(world.two.request("old", "b"), "a", "nobody can tell it");
        if loses_all {
            world.store.lose_all();
        }
        world.recover();
        for (session, home) in [("new", "b"), ("old", "c"), ("stays", "a")] {
            assert_eq!(world.one.request(session, "d"), home, "{session}");
            assert_eq!(world.two.request(session, "d"), home, "{session}");
            assert_eq!(world.store.home(world.one.sessions.id(session.as_bytes())), at(home));
        }
        world.store.asked();
        for session in ["new", "old", "stays"] {
            world.one.request(session, "d");
        }
        assert_eq!(world.store.asked(), (3, 0, 0), "claimed once");
    }
}

#[test]
fn balancers_that_came_to_differ_agree_again() {
    let mut world = World::new();
    world.one.request("old", "a");
    world.two.request("old", "a");
    world.lose(Fault::Error);
    // Both have bound the one and moved the other, to where they would.
    world.one.request("new", "b");
    world.two.request("new", "c");
    world.one.moved("old", "b");
    world.two.moved("old", "c");
    world.recover();
    assert_eq!(world.two.request("new", "d"), "c", "whose request comes first");
    assert_eq!(world.one.request("new", "d"), "c");
    assert_eq!(world.one.request("old", "d"), "b");
    assert_eq!(world.two.request("old", "d"), "b");
    assert_eq!([world.one.known("new"), world.one.known("old")], [at("c"), at("b")]);
    assert_eq!([world.two.known("new"), world.two.known("old")], [at("c"), at("b")]);
}

/// The claim was done, and its answer came too late.
#[test]
fn an_answer_that_was_lost_changes_nothing() {
    let mut world = World::new();
    let open = world.one.locate("ann");
    world.store.fail(Fault::Slow(9));
    assert_eq!(world.one.serve(open, Serve::by("a")), None);
    world.store.fail(Fault::None);
    assert_eq!(world.two.request("ann", "b"), "a");
    assert_eq!(world.one.request("ann", "b"), "a");
    // The other way round: what was claimed is another's, but that is not known here, until the next request.
    let open = world.one.locate("ben");
    world.two.request("ben", "b");
    world.store.fail(Fault::Slow(9));
    world.one.serve(open, Serve::by("a"));
    assert_eq!(world.one.known("ben"), at("a"));
    world.store.fail(Fault::None);
    assert_eq!(world.one.request("ben", "c"), "b");
    assert_eq!(world.told(), []);
}

/// However many wait meanwhile.
#[test]
fn one_stall_is_no_loss() {
    let mut world = World::new();
    for stall in [6, 54] {
        world.store.fail(Fault::Slow(6));
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..stall / 6 {
            let mut asking: Vec<_> = (0..10).map(|index| world.one.locating(&index.to_string())).collect();
            assert!(
                asking
                    .iter_mut()
                    .all(|asking| asking.as_mut().poll(&mut cx).is_pending())
            );
            world.time.advance(Duration::from_millis(5));
            assert!(asking.iter_mut().all(|asking| asking.as_mut().poll(&mut cx).is_ready()));
            world.time.advance(Duration::from_millis(1));
        }
        world.store.fail(Fault::None);
        assert!(!world.one.sessions.stats().store_is_away, "{stall} ms");
        world.one.request("ann", "a");
        assert_eq!(world.told(), []);
    }
}

#[test]
fn many_that_cannot_be_told_are_no_loss_while_the_store_can_be_read() {
    for fault in [Fault::ReadOnly, Fault::NeverWrites] {
        let mut world = World::new();
        world.store.fail(fault);
        for round in 0..10 {
            let open: Vec<_> = (0..10)
                .map(|index| world.one.locate(&format!("{round} {index}")))
                .collect();
            for open in open {
                world.one.serve(open, Serve::by("a"));
                world.time.advance(Duration::from_millis(10));
            }
            assert!(!world.one.sessions.stats().store_is_away, "{fault:?}");
        }
        let stats = world.one.sessions.stats();
        assert_eq!(stats.store_errors + stats.store_timeouts, 100);
        assert_eq!(world.told(), []);
    }
}

/// Its errors are told, and what is there is read.
#[test]
fn a_store_that_can_only_be_read_is_read() {
    let mut world = World::new();
    world.one.request("ann", "a");
    world.store.fail(Fault::ReadOnly);
    for index in 0..5 {
        assert_eq!(world.two.request("ann", "b"), "a");
        assert_eq!(world.two.request(&format!("new {index}"), "b"), "b");
        assert_eq!(world.two.request(&format!("new {index}"), "c"), "b");
    }
    assert!(world.two.sessions.stats().store_errors >= 5);
    assert!(!world.two.sessions.stats().store_is_away);
    world.recover();
    assert_eq!(world.two.request("new 1", "c"), "b");
    assert_eq!(world.one.request("new 1", "c"), "b");
}

#[test]
fn what_is_said_to_a_store_that_fails_is_an_error_and_in_force_here() {
    for fault in [Fault::Error, Fault::PanicsAsked, Fault::PanicsWaited] {
        let mut world = World::new();
        let sessions = world.one.sessions.clone();
        for session in ["ann", "ben", "cem"] {
            world.one.request(session, "a");
            world.two.request(session, "a");
        }
        let [ann, ben] = [b"ann", b"ben"].map(|name| sessions.id(name));
        world.store.fail(fault);
        assert!(sessions.migrate(ann, Home::new("b")).now_or_never().unwrap().is_err());
        assert!(sessions.forget(ben).now_or_never().unwrap().is_err());
        let moved = sessions.migrate_all(Home::new("a"), |_| Home::new("c")).now_or_never();
        assert!(moved.unwrap().is_err(), "{fault:?}");
        assert_eq!(
            ["ann", "ben", "cem"].map(|name| world.one.known(name)),
            [at("b"), None, at("c")]
        );
        world.recover();
        for (session, home) in [("ann", "b"), ("ben", "a"), ("cem", "c")] {
            assert_eq!(world.one.request(session, "d"), home, "{session}, {fault:?}");
            assert_eq!(world.two.request(session, "d"), home, "{session}, {fault:?}");
        }
    }
}

/// Through the whole layer: the answer is there after the deadline for asking and that for binding.
#[test]
fn a_call_waits_for_a_store_that_never_answers_no_longer_than_said() {
    use equipoise::{
        Assigned, BalanceLayer, BoxError, Endpoint, Pool, StickyLayer,
        learned::{Learned, Name},
    };
    use tower::{Layer, Service, service_fn};
    let mut world = World::new();
    world.store.fail(Fault::Never);
    let backends = ["a", "b"].map(|id| Endpoint::new(id, ()));
    let (pool, _driver) = Pool::builder_on(world.time.clock()).backends(backends).build();
    let inner = service_fn(|call: Assigned<u8, Endpoint<()>>| std::future::ready(Ok::<_, BoxError>(call.request)));
    let learned = Learned::by(world.one.sessions.clone(), |_: &u8| Some(Name::from("ann")));
    let mut sticky = StickyLayer::new(learned).layer(BalanceLayer::new(pool).layer(inner));
    let mut calls = Vec::new();
    for millis in [10, 5, 0, 0] {
        if calls.len() == 1 {
            world.time.advance(FAILING);
        }
        let mut call = Box::pin(sticky.call(7));
        for _ in 0..millis {
            assert!((&mut call).now_or_never().is_none());
            world.time.advance(Duration::from_millis(1));
        }
        calls.push((&mut call).now_or_never());
    }
    assert!(calls.iter().all(|call| matches!(call, Some(Ok(7)))), "{calls:?}");
    assert_eq!(world.one.sessions.stats().store_timeouts, 3);
    assert!(matches!(world.told()[..], [Event::SessionStoreLost { .. }]));
}

#[test]
fn events_end_with_the_table() {
    let mut world = World::new();
    let mut events = world.two.sessions.events();
    drop(world.two);
    assert_eq!(events.next().now_or_never(), Some(None));
    assert_eq!(world.events.next().now_or_never(), None, "the other is there");
}
