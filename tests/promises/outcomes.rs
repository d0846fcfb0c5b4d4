//! Every lease ends in exactly one outcome, and selectors learn of each once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use equipoise::{
    Ask, Assigned, Backend, BalanceLayer, BoxError, Dispatch, ManualClock, Outcome, Pool, Selector, Tally,
    selector::{At, Completion, Members, Needs, Pick},
};
use tower::{Layer, service_fn};

use super::*;

type Seen = Arc<Mutex<Vec<(Outcome, Option<Duration>)>>>;

/// Writes down what it observes; reads the clock if told to.
#[derive(Clone, Default)]
struct Observer {
    seen: Seen,
    timed: bool,
}

impl<B: Backend> Selector<B> for Observer {
    type Memory = ();
    type Table = ();
    fn needs(&self) -> Needs {
        Needs::nothing().completions()
    }
    fn memory(&self, _: &B) {}
    fn prepare(&self, _: &Members<'_, B, ()>) {}
    fn select(&self, _: &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        if self.timed {
            assert_eq!(pick.now(), pick.now(), "the clock is read once");
        }
        pick.any_open()
    }
    fn observe(&self, _: &(), completion: &Completion) {
        self.seen.lock().unwrap().push((completion.outcome, completion.latency));
    }
}

fn observed(timed: bool) -> (ManualClock, Pool<Plain, Observer>, Driver<Plain, Observer>, Seen) {
    let (clock, seen) = (ManualClock::new(), Seen::default());
    let selector = Observer {
        seen: Arc::clone(&seen),
        timed,
    };
    let builder = Pool::builder_on(clock.clock()).backends(endpoints(&["a"]));
    let (pool, driver) = builder.selector(selector).build();
    (clock, pool, driver, seen)
}

fn tally(pool: &Pool<Plain, Observer>) -> Tally {
    pool.members()[0].tally
}

#[test]
fn a_lease_ends_once_and_in_one_way() {
    let (_, mut pool, _driver, seen) = observed(false);
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Cancelled, Outcome::Broken] {
        let mut lease = pool.pick(&Ask::new()).unwrap();
        lease.settle(outcome);
        // Said again, and otherwise, it is not heard.
        lease.settle(Outcome::Failure);
        lease.answered();
        assert_eq!(pool.members()[0].in_flight, 1, "settled, and held until dropped");
    }
    drop(pool.pick(&Ask::new()).unwrap());
    drop(pool.pick(&Ask::new()).unwrap().erase());
    let tally = tally(&pool);
    assert_eq!(
        (tally.succeeded, tally.failed, tally.cancelled, tally.broken),
        (1, 1, 3, 1)
    );
    assert_eq!((tally.total(), pool.members()[0].in_flight), (6, 0));
    assert_eq!(seen.lock().unwrap().len(), 6);
}

#[test]
fn latency_is_that_of_the_head_and_told_once() {
    let (clock, mut pool, _driver, seen) = observed(true);
    let mut lease = pool.pick(&Ask::new()).unwrap();
    clock.advance(Duration::from_millis(5));
    lease.answered();
    clock.advance(Duration::from_millis(100));
    lease.settle(Outcome::Broken);
    drop(lease);
    let head = (Outcome::Success, Some(Duration::from_millis(5)));
    assert_eq!(*seen.lock().unwrap(), [head]);
    assert_eq!(tally(&pool).broken, 1);
    assert_eq!(tally(&pool).succeeded, 0);
}

#[test]
fn a_cancelled_request_is_a_censored_sample() {
    let (clock, mut pool, _driver, seen) = observed(true);
    let lease = pool.pick(&Ask::new()).unwrap();
    clock.advance(Duration::from_millis(7));
    drop(lease);
    assert_eq!(
        *seen.lock().unwrap(),
        [(Outcome::Cancelled, Some(Duration::from_millis(7)))]
    );
    // Given up after a good head: the head was a sample, the end is none.
    let mut lease = pool.pick(&Ask::new()).unwrap();
    lease.answered();
    drop(lease);
    assert_eq!(seen.lock().unwrap().len(), 2);
    assert_eq!(tally(&pool).cancelled, 2);
}

#[test]
fn without_the_clock_no_latency_is_measured() {
    let (clock, mut pool, _driver, seen) = observed(false);
    let mut lease = pool.pick(&Ask::new()).unwrap();
    clock.advance(Duration::from_millis(5));
    lease.settle(Outcome::Success);
    assert_eq!(*seen.lock().unwrap(), [(Outcome::Success, None)]);
}

#[test]
fn leases_outlive_their_pool() {
    let (_, mut pool, driver, seen) = observed(false);
    let mut lease = pool.pick(&Ask::new()).unwrap().erase();
    drop((pool, driver));
    assert_eq!(lease.backend_id(), "a");
    lease.settle(Outcome::Failure);
    drop(lease);
    assert_eq!(*seen.lock().unwrap(), [(Outcome::Failure, None)]);
}

#[tokio::test]
async fn the_latency_of_a_call_is_that_of_its_head() {
    let (clock, pool, _driver, seen) = observed(true);
    let server = clock.clone();
    let inner = service_fn(move |_: Assigned<&'static str, Plain>| {
        server.advance(Duration::from_millis(5));
        std::future::ready(Ok::<_, BoxError>(()))
    });
    let mut balanced = BalanceLayer::new(pool.clone()).layer(inner);
    let answer = balanced.dispatch(&Ask::new(), "x").await;
    // The head was good, and whoever holds the answer takes its time and then drops it.
    clock.advance(Duration::from_millis(100));
    drop(answer);
    assert_eq!(
        *seen.lock().unwrap(),
        [(Outcome::Success, Some(Duration::from_millis(5)))]
    );
    assert_eq!(tally(&pool).cancelled, 1);
}
