//! Affinities that have to ask: how long they may, and what holds meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use equipoise::{Hedge, Tally};

use super::*;

const MS: Duration = Duration::from_millis(1);

fn slow(locate: Option<Duration>, bind: Option<Duration>) -> World {
    let world = World::new(&["a", "b"]);
    *world.memory.0.delays.lock().unwrap() = Delays { locate, bind };
    world.memory.0.homes.lock().unwrap().insert(1, "b".to_owned());
    world
}

#[test]
fn a_request_waits_for_its_home_and_is_not_in_flight_meanwhile() {
    let world = slow(Some(10 * MS), None);
    let mut call = world.call(Some(1));
    assert!(poll_once(&mut call).is_pending());
    assert_eq!(world.in_flight(), 0);
    world.clock.advance(9 * MS);
    assert!(poll_once(&mut call).is_pending());
    world.clock.advance(MS);
    assert_eq!(
        poll_once(&mut call).map(Result::unwrap),
        Poll::Ready("b, told".to_owned())
    );
}

#[test]
fn an_answer_waits_until_its_session_is_bound() {
    let world = slow(None, Some(10 * MS));
    let mut call = world.call(Some(1));
    assert!(poll_once(&mut call).is_pending());
    assert_eq!(world.in_flight(), 1);
    world.clock.advance(10 * MS);
    assert_eq!(
        poll_once(&mut call).map(Result::unwrap),
        Poll::Ready("b, told".to_owned())
    );
    assert_eq!(world.in_flight(), 0);
}

#[test]
fn who_takes_too_long_is_not_waited_for() {
    for (locate, bind, expected) in [(Some(200 * MS), None, ["a", "b"]), (None, Some(200 * MS), ["b", "b"])] {
        let world = slow(locate, bind);
        for expected in expected {
            let mut call = world.call(Some(1));
            assert!(poll_once(&mut call).is_pending());
            world.clock.advance(99 * MS);
            assert!(poll_once(&mut call).is_pending());
            world.clock.advance(MS);
            // As if it were of no session: nobody is told, and nothing is bound.
            assert_eq!(
                poll_once(&mut call).map(Result::unwrap),
                Poll::Ready(expected.to_owned())
            );
        }
        assert_eq!(world.memory.told(), []);
    }
}

#[test]
fn how_long_it_may_take_is_said_by_the_layer() {
    let mut world = slow(Some(200 * MS), Some(200 * MS));
    world.layer = world.layer.clone().deadline(300 * MS);
    let mut call = world.call(Some(1));
    assert!(poll_once(&mut call).is_pending());
    world.clock.advance(200 * MS);
    assert!(poll_once(&mut call).is_pending());
    world.clock.advance(200 * MS);
    // Each of the two has so long.
    assert_eq!(
        poll_once(&mut call).map(Result::unwrap),
        Poll::Ready("b, told".to_owned())
    );
}

#[test]
fn a_call_that_is_dropped_holds_nothing() {
    for (locate, bind) in [(Some(MS), None), (None, Some(MS))] {
        let world = slow(locate, bind);
        let mut call = world.call(Some(1));
        assert!(poll_once(&mut call).is_pending());
        drop(call);
        assert_eq!(world.in_flight(), 0);
        assert_eq!(world.memory.told(), []);
        let tally = world
            .pool
            .members()
            .iter()
            .map(|member| member.tally.total())
            .sum::<u64>();
        assert_eq!(
            tally,
            u64::from(bind.is_some()),
            "what was answered and not passed on is cancelled"
        );
        assert_eq!(world.clock.next_deadline(), None, "a timer is left");
    }
}

#[test]
fn a_dispatch_can_be_given_up_at_every_stage() {
    use equipoise::balance::Dispatched;
    let stages = [
        (Some(MS), None, false, false, false),
        (None, None, true, true, true),
        (None, Some(MS), false, false, true),
    ];
    for (locate, bind, silent, is_somewhere, was_sent) in stages {
        let world = slow(locate, bind);
        if silent {
            world.backends.0.lock().unwrap().silent.insert("b".to_owned());
        }
        let mut sticky = world.layer.layer(world.balance.clone());
        let mut dispatching = Box::pin(sticky.dispatch(&Ask::new(), Some(1)));
        assert!(poll_once(&mut dispatching).is_pending());
        assert_eq!(dispatching.member().is_some(), is_somewhere);
        assert_eq!(dispatching.was_sent(), was_sent);
        let lease = dispatching.as_mut().give_up(Outcome::Failure);
        assert_eq!(lease.is_some(), was_sent);
        drop((dispatching, lease));
        assert_eq!(world.in_flight(), 0);
        let failed = |tally: Tally| tally.failed;
        let failed: u64 = world.pool.members().iter().map(|member| failed(member.tally)).sum();
        // A good answer had begun where it was bound.
        assert_eq!(failed, u64::from(was_sent && bind.is_none()));
    }
}

/// Ready once, for the call that follows: counts calls without.
struct Permits {
    inner: Turns,
    has_permit: bool,
    without: Arc<AtomicUsize>,
}

impl Clone for Permits {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            has_permit: false,
            without: Arc::clone(&self.without),
        }
    }
}

impl Service<Option<u32>> for Permits {
    type Response = String;
    type Error = Error;
    type Future = equipoise::balance::Concluding<Option<u32>, Self>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.has_permit = true;
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, _: Option<u32>) -> Self::Future {
        unreachable!("it is dispatched")
    }
}

impl Dispatch<Option<u32>> for Permits {
    type Raw = String;
    type Dispatching = <Turns as Dispatch<Option<u32>>>::Dispatching;

    fn dispatch(&mut self, ask: &Ask, request: Option<u32>) -> Self::Dispatching {
        let without = usize::from(!std::mem::take(&mut self.has_permit));
        self.without.fetch_add(without, SeqCst);
        self.inner.dispatch(ask, request)
    }

    fn clock(&self) -> &Clock {
        Dispatch::<Option<u32>>::clock(&self.inner)
    }

    fn conclude(answer: equipoise::Answer<String, Error>) -> Result<String, Error> {
        <Turns as Dispatch<Option<u32>>>::conclude(answer)
    }
}

#[test]
fn a_request_that_waits_keeps_the_readiness_that_it_was_given() {
    let world = slow(Some(MS), None);
    let without = Arc::<AtomicUsize>::default();
    let mut sticky = world.layer.layer(Permits {
        inner: world.balance.clone(),
        has_permit: false,
        without: Arc::clone(&without),
    });
    let mut cx = Context::from_waker(Waker::noop());
    let mut calls = Vec::new();
    for _ in 0..3 {
        assert!(sticky.poll_ready(&mut cx).is_ready());
        let mut dispatching = Box::pin(sticky.dispatch(&Ask::new(), Some(1)));
        assert!(poll_once(&mut dispatching).is_pending());
        calls.push(dispatching);
    }
    world.clock.advance(MS);
    for mut call in calls {
        assert!(poll_once(&mut call).is_ready());
    }
    assert_eq!(without.load(SeqCst), 0);
}

#[test]
fn a_session_whose_home_takes_long_is_a_guest_at_the_hedge() {
    let world = slow(None, None);
    world.backends.0.lock().unwrap().silent.insert("b".to_owned());
    let hedge = FailoverLayer::new(Repeatable).hedge(Hedge::after(10 * MS));
    let mut call = Box::pin(world.layer.layer(hedge.layer(world.balance.clone())).call(Some(1)));
    assert!(poll_once(&mut call).is_pending());
    world.clock.advance(10 * MS);
    assert_eq!(
        poll_once(&mut call).map(Result::unwrap),
        Poll::Ready("a, told".to_owned())
    );
    assert_eq!(world.memory.home(1).unwrap(), "b");
    assert_eq!(world.memory.told(), [("a".to_owned(), true, false)]);
}
