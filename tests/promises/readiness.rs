//! A member that says it is not ready is not picked while another is; while none is, requests wait or learn why.

use std::time::Duration;

use equipoise::{
    Acquire, Admission, Backend, Condition, Driver, ErrorKind, Home, LeastLoaded, ManualClock, Pool, PoolBuilder,
    Readiness, RoundRobin,
};

use super::*;

/// A backend that says whether it is ready.
struct Link {
    id: &'static str,
    readiness: Readiness,
}

impl Backend for Link {
    fn id(&self) -> &str {
        self.id
    }
    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.readiness)
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

/// A pool of links that begin so, and their readiness.
fn links<const N: usize>(
    conditions: [(&'static str, Condition); N],
) -> (PoolBuilder<Link>, ManualClock, [Readiness; N]) {
    let clock = ManualClock::new();
    let readiness = conditions.map(|(_, condition)| Readiness::new(condition));
    let backends = conditions.iter().zip(&readiness).map(|((id, _), readiness)| Link {
        id,
        readiness: readiness.clone(),
    });
    let builder = Pool::builder_on(clock.clock()).backends(backends.collect::<Vec<_>>());
    (builder.seed(1), clock, readiness)
}

fn served(acquire: &mut Acquire<Link, LeastLoaded>) -> Option<String> {
    match poll_once(acquire) {
        Poll::Ready(lease) => Some(lease.unwrap().backend_id().to_owned()),
        Poll::Pending => None,
    }
}

fn picked(pool: &mut Pool<Link>, picks: usize) -> Vec<String> {
    let mut ids: Vec<_> = (0..picks)
        .map(|_| pool.pick(&Ask::new()).unwrap().backend_id().to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

use Condition::{Failing, Ready, Waiting};

#[test]
fn who_is_not_ready_is_not_picked_while_another_is() {
    let (builder, _clock, [a, b, _]) = links([("a", Waiting), ("b", Failing), ("c", Ready)]);
    let (mut pool, _driver) = builder.build();
    assert_eq!(picked(&mut pool, 100), ["c"]);
    let conditions: Vec<_> = pool.members().iter().map(|member| member.condition).collect();
    assert_eq!(conditions, [Waiting, Failing, Ready]);
    // No publish, no driver: the next pick sees it.
    a.set(Ready);
    assert_eq!(picked(&mut pool, 100), ["a", "c"]);
    b.set(Ready);
    assert_eq!(picked(&mut pool, 100), ["a", "b", "c"]);
    a.set(Failing);
    assert_eq!(picked(&mut pool, 100), ["b", "c"]);
}

#[test]
fn round_robin_passes_by_who_is_not_ready() {
    let (builder, _clock, [_, b, _]) = links([("a", Ready), ("b", Waiting), ("c", Ready)]);
    let (mut pool, _driver) = builder.selector(RoundRobin::new()).build();
    let mut shares = std::collections::BTreeMap::new();
    let mut pick = |pool: &mut Pool<Link, RoundRobin>| {
        let id = pool.pick(&Ask::new()).unwrap().backend_id().to_owned();
        *shares.entry(id).or_insert(0) += 1;
    };
    (0..300).for_each(|_| pick(&mut pool));
    b.set(Ready);
    (0..300).for_each(|_| pick(&mut pool));
    assert_eq!(shares["b"], 100);
    assert!(shares["a"] >= 200 && shares["c"] >= 200, "{shares:?}");
}

#[test]
fn while_all_wait_requests_wait_and_the_first_ready_serves_them_all() {
    let (builder, _clock, [_, b]) = links([("a", Waiting), ("b", Waiting)]);
    let (mut pool, _driver) = builder.patience(PATIENCE).build();
    assert_eq!(pool.pick(&Ask::new()).unwrap_err().kind(), ErrorKind::Unavailable);
    let mut waiting: Vec<_> = (0..3).map(|_| pool.acquire(Ask::new())).collect();
    assert!(waiting.iter_mut().all(|acquire| served(acquire).is_none()));
    b.set(Ready);
    for acquire in &mut waiting {
        assert_eq!(served(acquire).as_deref(), Some("b"));
    }
}

#[test]
fn waiting_for_readiness_ends_with_the_patience() {
    let (builder, clock, _readiness) = links([("a", Waiting)]);
    let (pool, _driver) = builder.patience(PATIENCE).build();
    let mut acquire = pool.acquire(Ask::new());
    assert!(poll_once(&mut acquire).is_pending());
    clock.advance(PATIENCE);
    let Poll::Ready(Err(error)) = poll_once(&mut acquire) else {
        panic!("it still waits");
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_queue_has_its_own_bounds_for_readiness_too() {
    let (builder, clock, _readiness) = links([("a", Waiting)]);
    let deadline = Duration::from_secs(1);
    let (pool, _driver) = builder.admission(Admission::Queue { capacity: 1, deadline }).build();
    let (mut first, mut second) = (pool.acquire(Ask::new()), pool.acquire(Ask::new()));
    assert!(poll_once(&mut first).is_pending());
    assert!(matches!(poll_once(&mut second), Poll::Ready(Err(_))));
    clock.advance(deadline);
    assert!(matches!(poll_once(&mut first), Poll::Ready(Err(_))));
}

#[test]
fn if_all_fail_one_is_picked_for_its_error() {
    let (builder, _clock, [a, b]) = links([("a", Failing), ("b", Waiting)]);
    let (mut pool, _driver) = builder.build();
    // One that will be ready soon is worth waiting for.
    assert!(pool.pick(&Ask::new()).is_err());
    let mut waiting = pool.acquire(Ask::new());
    assert!(served(&mut waiting).is_none());
    b.set(Failing);
    assert!(served(&mut waiting).is_some());
    assert_eq!(picked(&mut pool, 100), ["a", "b"]);
    // A home as well.
    let ask = Ask::new().with_home(Home::new("b"));
    assert_eq!(pool.pick(&ask).unwrap().backend_id(), "b");
    a.set(Ready);
    assert_eq!(pool.pick(&ask).unwrap().backend_id(), "a");
}

#[test]
fn a_session_leaves_a_home_that_fails_and_waits_elsewhere_for_one_that_is_not_ready() {
    let (builder, _clock, [a, b]) = links([("a", Ready), ("b", Ready)]);
    let (mut pool, _driver) = builder.build();
    let home = || Ask::new().with_home(Home::new("b"));
    let grace = || home().with_grace(PATIENCE);
    let mut went = |ask: Ask| {
        let lease = pool.pick(&ask).map_err(|error| error.kind())?;
        Ok((lease.backend_id().to_owned(), lease.keeps_home()))
    };
    let at = |id: &str, keeps_home| Ok((id.to_owned(), keeps_home));
    assert_eq!(went(home()), at("b", false));
    b.set(Waiting);
    assert_eq!([went(home()), went(grace())], [at("a", true), at("a", true)]);
    b.set(Failing);
    assert_eq!([went(home()), went(grace())], [at("a", false), at("a", true)]);
    assert_eq!(went(home().strictly()), Err(ErrorKind::Unavailable));
    // Where all fail, it is at home.
    a.set(Failing);
    assert_eq!([went(home()), went(grace())], [at("b", false), at("b", false)]);
}

#[test]
fn limits_hold_whatever_the_readiness() {
    let (builder, _clock, [a, _]) = links([("a", Ready), ("b", Failing)]);
    let (mut pool, _driver) = builder.in_flight_limit(1).build();
    let first = pool.pick(&Ask::new()).unwrap();
    assert_eq!(first.backend_id(), "a");
    // Who fails does not take the place of who is full: that one is ready.
    assert_eq!(pool.pick(&Ask::new()).unwrap_err().kind(), ErrorKind::Overloaded);
    a.set(Failing);
    let second = pool.pick(&Ask::new()).unwrap();
    assert_eq!(second.backend_id(), "b");
    assert_eq!(pool.pick(&Ask::new()).unwrap_err().kind(), ErrorKind::Overloaded);
    // Who was tried is no reason to wait.
    a.set(Waiting);
    let ask = Ask::new().with_tried(first.member());
    assert_eq!(pool.pick(&ask).unwrap_err().kind(), ErrorKind::Overloaded);
}

#[test]
fn one_readiness_may_be_in_two_pools_and_outlive_both() {
    let readiness = Readiness::new(Waiting);
    let pool = || {
        let readiness = readiness.clone();
        Pool::builder_on(ManualClock::new().clock())
            .backend(Link { id: "a", readiness })
            .build()
    };
    let pools: [(Pool<Link>, Driver<Link, LeastLoaded>); 2] = [pool(), pool()];
    let mut waiting: Vec<_> = pools.iter().map(|(pool, _)| pool.acquire(Ask::new())).collect();
    assert!(waiting.iter_mut().all(|acquire| served(acquire).is_none()));
    let [first, second] = pools;
    drop(first);
    readiness.set(Ready);
    assert!(waiting.iter_mut().all(|acquire| served(acquire).is_some()));
    drop((waiting, second));
    assert_eq!(readiness.set(Failing), Ready);
}

#[test]
fn who_fails_is_not_picked_because_the_others_are_full() {
    let (builder, _clock, [a, ..]) = links([("a", Ready), ("b", Failing), ("c", Failing)]);
    let queue = Admission::Queue {
        capacity: 8,
        deadline: PATIENCE,
    };
    let (mut pool, _driver) = builder.in_flight_limit(1).admission(queue).build();
    let first = pool.pick(&Ask::new()).unwrap();
    assert_eq!(pool.pick(&Ask::new()).unwrap_err().kind(), ErrorKind::Overloaded);
    let mut waiting = pool.acquire(Ask::new());
    assert_eq!(served(&mut waiting), None);
    // As a connection that carries one request at a time: full and not ready is one thing.
    a.set(Waiting);
    drop(first);
    assert_eq!(served(&mut waiting), None);
    a.set(Ready);
    assert_eq!(served(&mut waiting).as_deref(), Some("a"));
    // Once it fails as well nobody is worth waiting for, and who has a place is asked for its error.
    let first = pool.pick(&Ask::new()).unwrap();
    let mut waiting: Vec<_> = (0..2).map(|_| pool.acquire(Ask::new())).collect();
    assert!(waiting.iter_mut().all(|acquire| served(acquire).is_none()));
    a.set(Failing);
    assert!(waiting.iter_mut().all(|acquire| served(acquire).is_some()));
    assert_eq!(first.backend_id(), "a");
}

/// Who waits behind others for readiness waits for readiness: there are no limits here.
#[test]
fn who_waits_for_readiness_learns_that_nobody_became_ready() {
    let (builder, clock, _readiness) = links([("a", Waiting)]);
    let queue = Admission::Queue {
        capacity: 2,
        deadline: PATIENCE,
    };
    let (pool, _driver) = builder.admission(queue).build();
    let mut waiting: Vec<_> = (0..2).map(|_| pool.acquire(Ask::new())).collect();
    assert!(waiting.iter_mut().all(|acquire| poll_once(acquire).is_pending()));
    let refused = |acquire: &mut Acquire<Link, LeastLoaded>| match poll_once(acquire) {
        Poll::Ready(Err(error)) => (error.kind(), error.to_string()),
        _ => panic!("it is not refused"),
    };
    let third = refused(&mut pool.acquire(Ask::new()));
    clock.advance(PATIENCE);
    let all: Vec<_> = waiting.iter_mut().map(refused).chain([third]).collect();
    assert!(all.iter().all(|(kind, _)| *kind == ErrorKind::Unavailable), "{all:?}");
    assert!(all.iter().all(|(_, why)| why.contains("ready")), "{all:?}");
}
