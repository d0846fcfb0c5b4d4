//! A slot and its keeper polled by hand: who is woken when, and in which order calls are served.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::atomic::AtomicUsize,
    task::Wake,
};

use super::*;
use crate::{
    ManualClock,
    connect::keeper::{Keeper, keep_given},
};

const PATIENCE: Duration = Duration::from_secs(5);

/// A service that is ready for so many calls, and answers each with how many came before it.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<Counting>>);

#[derive(Default)]
struct Counting {
    calls: usize,
    places: usize,
    waker: Option<Waker>,
}

impl Counter {
    fn allow(&self, calls: usize) {
        let waker = {
            let mut counting = self.0.lock();
            counting.places += calls;
            counting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Service<()> for Counter {
    type Response = usize;
    type Error = Infallible;
    type Future = Ready<Result<usize, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        let mut counting = self.0.lock();
        if counting.places > 0 {
            return Poll::Ready(Ok(()));
        }
        counting.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let mut counting = self.0.lock();
        counting.places -= 1;
        counting.calls += 1;
        ready(Ok(counting.calls - 1))
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Wakes {
    fn take(&self) -> usize {
        self.0.swap(0, Relaxed)
    }
}

/// A slot with a service that is not ready, and its keeper, which has been polled once.
struct Scene {
    clock: ManualClock,
    counter: Counter,
    slot: Arc<Slot<Counter>>,
    keeper: Pin<Box<dyn Future<Output = ()>>>,
    wakes: Arc<Wakes>,
}

impl Scene {
    fn new() -> Self {
        let (clock, counter) = (ManualClock::new(), Counter::default());
        let slot = Arc::new(Slot::new(Some(counter.clone()), clock.clock(), PATIENCE));
        let keeping = keep_given::<Counter, ()>(Arc::downgrade(&slot), "a".into());
        let keeper = Box::pin(Keeper::new(&slot, clock.clock(), keeping));
        let wakes = Arc::default();
        let mut scene = Self {
            clock,
            counter,
            slot,
            keeper,
            wakes,
        };
        scene.run();
        scene
    }

    /// Runs the keeper if it was woken. How often it was.
    fn run(&mut self) -> usize {
        let woken = self.wakes.take();
        let waker = Waker::from(Arc::clone(&self.wakes));
        assert!(self.keeper.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        woken
    }

    /// The number of a call that is served at once.
    fn call(&self) -> Option<usize> {
        let called = self.slot.call(()).ok()?.unwrap();
        Some(called.response.into_inner().unwrap())
    }

    fn condition(&self) -> Condition {
        self.slot.readiness().get()
    }
}

struct Call {
    slot: Arc<Slot<Counter>>,
    ticket: u64,
    request: Option<()>,
    wakes: Arc<Wakes>,
}

impl Call {
    fn new(scene: &Scene) -> Self {
        Self {
            slot: Arc::clone(&scene.slot),
            ticket: scene.slot.enter(),
            request: Some(()),
            wakes: Arc::default(),
        }
    }

    fn poll(&mut self) -> Poll<Result<usize, ConnectError>> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        let called = self
            .slot
            .poll_turn(self.ticket, &mut self.request, &mut Context::from_waker(&waker));
        called.map_ok(|called| called.response.into_inner().unwrap())
    }

    fn number(&mut self) -> Option<usize> {
        match self.poll() {
            Poll::Ready(number) => Some(number.unwrap()),
            Poll::Pending => None,
        }
    }
}

#[test]
fn a_call_that_is_ready_wakes_no_keeper() {
    let mut scene = Scene::new();
    scene.counter.allow(1001);
    assert_eq!(scene.run(), 1);
    for number in 0..1000 {
        assert_eq!(scene.call(), Some(number));
        assert_eq!(scene.condition(), Condition::Ready);
        assert_eq!(scene.wakes.take(), 0);
    }
    // The last takes the readiness, and the service itself wakes the keeper when there is some again.
    assert_eq!(scene.call(), Some(1000));
    assert_eq!((scene.condition(), scene.wakes.take()), (Condition::Waiting, 0));
    scene.counter.allow(1);
    assert_eq!((scene.condition(), scene.run()), (Condition::Waiting, 1));
    assert_eq!(scene.condition(), Condition::Ready);
}

#[test]
fn who_waits_is_served_in_turn_and_nobody_before() {
    let mut scene = Scene::new();
    let mut calls: Vec<_> = (0..3).map(|_| Call::new(&scene)).collect();
    // The first to wait has the keeper see to its deadline.
    assert_eq!(scene.run(), 1);
    assert!(calls.iter_mut().all(|call| call.number().is_none()));
    scene.counter.allow(1);
    scene.run();
    // It is spoken for: picks pass it by, and who comes all the same waits.
    assert_eq!(scene.condition(), Condition::Waiting);
    assert_eq!(scene.call(), None);
    assert_eq!(calls.each_woken(), [1, 0, 0]);
    assert_eq!(calls[2].number(), None);
    assert_eq!(calls[1].number(), None);
    assert_eq!(calls[0].number(), Some(0));
    // One who is served calls the next, if there is something for it.
    scene.counter.allow(2);
    scene.run();
    assert_eq!(calls.each_woken(), [0, 1, 0]);
    assert_eq!(calls[1].number(), Some(1));
    assert_eq!(calls.each_woken(), [0, 0, 1]);
    assert_eq!(calls[2].number(), Some(2));
    scene.counter.allow(1);
    scene.run();
    assert_eq!((scene.condition(), scene.call()), (Condition::Ready, Some(3)));
}

trait EachWoken {
    fn each_woken(&self) -> Vec<usize>;
}

impl EachWoken for Vec<Call> {
    fn each_woken(&self) -> Vec<usize> {
        self.iter().map(|call| call.wakes.take()).collect()
    }
}

#[test]
fn who_leaves_calls_the_next() {
    let mut scene = Scene::new();
    let mut calls: Vec<_> = (0..3).map(|_| Call::new(&scene)).collect();
    assert!(calls.iter_mut().all(|call| call.number().is_none()));
    scene.counter.allow(1);
    scene.run();
    calls.each_woken();
    scene.slot.leave(calls[0].ticket);
    assert_eq!(calls.each_woken(), [0, 1, 0]);
    scene.slot.leave(calls[1].ticket);
    scene.slot.leave(calls[2].ticket);
    assert_eq!((scene.condition(), scene.call()), (Condition::Ready, Some(0)));
}

#[test]
fn who_does_not_look_after_its_call_is_passed_over_in_the_end() {
    let mut scene = Scene::new();
    let mut lazy = Call::new(&scene);
    scene.run();
    scene.clock.advance(PATIENCE / 2);
    let mut next = Call::new(&scene);
    assert_eq!(next.number(), None);
    scene.counter.allow(2);
    scene.run();
    assert_eq!((next.number(), next.wakes.take()), (None, 0));
    scene.clock.advance(PATIENCE / 2);
    // The timer woke the keeper.
    assert_eq!(scene.run(), 1);
    assert_eq!(next.wakes.take(), 1);
    assert_eq!(next.number(), Some(0));
    assert_eq!(scene.condition(), Condition::Ready);
    assert!(matches!(lazy.poll(), Poll::Ready(Err(ConnectError::Unready))));
}

#[test]
fn who_waits_learns_of_a_failure_and_of_the_end() {
    let mut scene = Scene::new();
    let mut call = Call::new(&scene);
    assert_eq!(call.number(), None);
    scene.slot.fail(ConnectError::TimedOut);
    assert_eq!((call.wakes.take(), scene.condition()), (1, Condition::Failing));
    assert!(matches!(call.poll(), Poll::Ready(Err(ConnectError::TimedOut))));
    scene.slot.leave(call.ticket);
    scene.slot.install(scene.counter.clone());
    scene.run();
    let mut call = Call::new(&scene);
    assert_eq!(call.number(), None);
    drop(scene.keeper);
    assert_eq!(
        (call.wakes.take(), scene.slot.readiness().get()),
        (1, Condition::Failing)
    );
    assert!(matches!(call.poll(), Poll::Ready(Err(ConnectError::Ended))));
}

/// What is told last is what is so, though a call that takes the readiness and a keeper that finds another tell at once.
#[test]
fn the_condition_that_is_told_last_is_the_true_one() {
    let mut scene = Scene::new();
    scene.counter.allow(1);
    scene.run();
    let (slot, counter) = (&scene.slot, &scene.counter);
    let start = [AtomicUsize::new(0), AtomicUsize::new(0)];
    // Both come to the same place at the same time.
    let meet = |round: usize, of: usize| {
        start[of].fetch_add(1, Relaxed);
        while start[of].load(Relaxed) < 2 * round {
            std::thread::yield_now();
        }
    };
    let mut wrong = 0;
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for round in 1..=ROUNDS {
                meet(round, 0);
                while counter.0.lock().places > 0 {
                    std::thread::yield_now();
                }
                counter.allow(1);
                let _ = slot.poll_lost::<()>();
                meet(round, 1);
            }
        });
        for round in 1..=ROUNDS {
            meet(round, 0);
            if slot.call(()).is_err() {
                wrong += 1;
                counter.0.lock().places -= 1;
            }
            meet(round, 1);
            // One call was allowed and one made: one is left.
            wrong += usize::from(slot.readiness().get() != Condition::Ready);
        }
    });
    assert_eq!(wrong, 0);
}

const ROUNDS: usize = 500;
