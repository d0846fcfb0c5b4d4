//! What the core promises, a file for each group of promises. No test sleeps on a real clock.
#![cfg(not(loom))]

mod adaptive;
mod balance;
mod discovery;
mod failing_fast;
mod failover;
mod farm;
mod faults;
mod fitness;
mod keyed;
mod membership;
mod no_allocation;
mod outcomes;
mod overload;
mod readiness;
mod repeatable;
mod sticky;
mod traces;
mod waiting;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use equipoise::{Ask, Driver, Endpoint, Event, Events, LeastLoaded, ManualClock, Pool, PoolBuilder, Selector};
use futures_util::{FutureExt, StreamExt};

type Plain = Endpoint<()>;

fn endpoint(id: &str) -> Plain {
    Endpoint::new(id, ())
}

fn endpoints(ids: &[&str]) -> Vec<Plain> {
    ids.iter().map(|id| endpoint(id)).collect()
}

fn builder(ids: &[&str]) -> PoolBuilder<Plain, LeastLoaded> {
    Pool::builder_on(ManualClock::new().clock())
        .backends(endpoints(ids))
        .seed(1)
}

/// Runs a driver until it waits. Whether it has ended.
fn run<S: Selector<Plain>>(driver: &mut Driver<Plain, S>) -> bool {
    poll_once(driver).is_ready()
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What has been told so far.
fn told(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.next().now_or_never().flatten()).collect()
}

/// The ids that `picks` picks come to, sorted, each once.
fn reached<S: Selector<Plain>>(pool: &mut Pool<Plain, S>, picks: usize) -> Vec<String> {
    let mut ids: Vec<String> = (0..picks)
        .filter_map(|_| Some(pool.pick(&Ask::new()).ok()?.backend_id().to_owned()))
        .collect();
    ids.sort();
    ids.dedup();
    ids
}
