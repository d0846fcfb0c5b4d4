//! What the application says of a session while requests of it are on their way: they don't undo it.

use std::{
    task::{Context, Waker},
    time::Duration,
};

use equipoise::{Home, ManualClock, learned::SessionId};
use futures_util::FutureExt;

use super::*;

struct World {
    balancer: Balancer,
    store: Script,
    time: ManualClock,
    ann: SessionId,
}

/// What the application says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    Migrate,
    MigrateAll,
    Forget,
}

const ALL: [Said; 3] = [Said::Migrate, Said::MigrateAll, Said::Forget];

impl World {
    /// Ann is at home at a, in the store and, unless she is new here, in the copy.
    fn new(is_new: bool) -> Self {
        let time = ManualClock::new();
        let store = Script::new(&time);
        let [balancer, other] = [(); 2].map(|()| Balancer::new(sessions(&time).store(store.clone()).build(), &time));
        other.request("ann", "a");
        if !is_new {
            balancer.request("ann", "a");
        }
        let ann = balancer.sessions.id(b"ann");
        Self {
            balancer,
            store,
            time,
            ann,
        }
    }

    fn say(&self, said: Said) -> futures_util::future::LocalBoxFuture<'_, bool> {
        let sessions = &self.balancer.sessions;
        async move {
            match said {
                Said::Migrate => sessions.migrate(self.ann, Home::new("b")).await.is_ok(),
                Said::MigrateAll => {
                    let moved = sessions.migrate_all(Home::new("a"), |_| Home::new("b")).await;
                    moved.is_ok()
                }
                Said::Forget => sessions.forget(self.ann).await.is_ok(),
            }
        }
        .boxed_local()
    }

    /// As it was said, in the store and in the copy.
    fn check(&self, said: Said) {
        let home = at("b").filter(|_| said != Said::Forget);
        assert_eq!(self.store.home(self.ann), home, "{said:?}");
        // A copy may know nothing of one that it has not been asked for since.
        let known = self.balancer.known("ann");
        assert!(known.is_none() || known == home, "{said:?}: {known:?}");
        self.store.fail(Fault::Never);
        let expected = if known.is_some() { "b" } else { "c" };
        assert_eq!(self.balancer.request("ann", "c"), expected, "{said:?}, from the copy");
    }
}

fn polled() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn a_look_that_was_on_its_way_brings_nobody_back() {
    for said in ALL {
        for is_new in [false, true] {
            let world = World::new(is_new);
            world.store.fail(Fault::Slow(3));
            let mut look = world.balancer.locating("ann");
            assert!(look.as_mut().poll(&mut polled()).is_pending());
            world.store.fail(Fault::None);
            assert_eq!(world.say(said).now_or_never(), Some(true));
            world.time.advance(Duration::from_millis(4));
            assert!(look.as_mut().poll(&mut polled()).is_ready());
            world.check(said);
        }
    }
}

/// Begun while the store is being told, which has its home as it was.
#[test]
fn a_look_that_comes_meanwhile_brings_nobody_back() {
    for said in ALL {
        for (ends_first, is_new) in [(false, false), (false, true), (true, false), (true, true)] {
            let world = World::new(is_new);
            world.store.fail(Fault::SlowToAct(4));
            let mut saying = world.say(said);
            assert!((&mut saying).now_or_never().is_none());
            world.store.fail(Fault::Slow(3));
            let mut look = world.balancer.locating("ann");
            assert!(look.as_mut().poll(&mut polled()).is_pending());
            world.time.advance(Duration::from_millis(4));
            world.store.fail(Fault::None);
            if ends_first {
                assert_eq!((&mut saying).now_or_never(), Some(true));
            }
            assert!(look.as_mut().poll(&mut polled()).is_ready());
            if !ends_first {
                assert_eq!((&mut saying).now_or_never(), Some(true));
            }
            world.check(said);
        }
    }
}

#[test]
fn a_claim_that_was_on_its_way_brings_nobody_back() {
    for said in ALL {
        let world = World::new(false);
        world.store.lose_all();
        let mut session = Balancer::session(world.balancer.locate("ann"));
        world.store.fail(Fault::Slow(3));
        assert!(Balancer::poll_serve(&mut session, "a").is_pending());
        world.store.fail(Fault::None);
        assert_eq!(world.say(said).now_or_never(), Some(true));
        world.time.advance(Duration::from_millis(4));
        assert!(Balancer::poll_serve(&mut session, "a").is_ready());
        world.check(said);
    }
}

#[test]
fn nor_does_it_if_the_store_could_not_be_told() {
    for said in ALL {
        let world = World::new(false);
        world.store.lose_all();
        let mut session = Balancer::session(world.balancer.locate("ann"));
        world.store.fail(Fault::Slow(3));
        assert!(Balancer::poll_serve(&mut session, "a").is_pending());
        world.store.fail(Fault::Error);
        assert_eq!(world.say(said).now_or_never(), Some(false));
        let home = world.balancer.known("ann");
        world.time.advance(Duration::from_millis(4));
        assert!(Balancer::poll_serve(&mut session, "a").is_ready());
        assert_eq!(world.balancer.known("ann"), home, "{said:?}");
    }
}

/// It is in force here before the store has been told.
#[test]
fn a_look_from_before_brings_nobody_back_meanwhile() {
    let world = World::new(true);
    world.store.fail(Fault::Slow(3));
    let mut look = world.balancer.locating("ann");
    assert!(look.as_mut().poll(&mut polled()).is_pending());
    world.store.fail(Fault::Never);
    let mut saying = world.say(Said::Migrate);
    assert!((&mut saying).now_or_never().is_none());
    world.time.advance(Duration::from_millis(4));
    assert!(look.as_mut().poll(&mut polled()).is_ready());
    assert_eq!(world.balancer.known("ann"), at("b"));
}

/// One that is given up has been said all the same.
#[test]
fn what_is_said_and_not_waited_for_is_not_undone() {
    let world = World::new(true);
    world.store.fail(Fault::Never);
    let mut saying = world.say(Said::Migrate);
    assert!((&mut saying).now_or_never().is_none());
    world.store.fail(Fault::Slow(3));
    let mut look = world.balancer.locating("ann");
    assert!(look.as_mut().poll(&mut polled()).is_pending());
    drop(saying);
    world.time.advance(Duration::from_millis(4));
    assert!(look.as_mut().poll(&mut polled()).is_ready());
    assert_eq!(world.balancer.known("ann"), at("b"));
}
