//! One change among many members until it is in force: the update of one member through the handle, with the driver
//! polled by hand, so that nothing but the change is measured.

mod measure;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use equipoise::{
    Driver, Endpoint, Handle, LeastLoaded, ManualClock, Pool, Random, RoundRobin, Selector,
    selector::hash::{IpHash, Maglev, Ring, RingMode},
};
use measure::ratio::Case;

/// A pool, and the hand that drives it.
struct Driven<S: Selector<Endpoint<()>>> {
    clock: ManualClock,
    /// Kept, as a pool without handles has no driver.
    _pool: Pool<Endpoint<()>, S>,
    handle: Handle<Endpoint<()>>,
    driver: Driver<Endpoint<()>, S>,
    members: u32,
    changes: u32,
}

impl<S: Selector<Endpoint<()>>> Driven<S> {
    fn new(selector: S, members: u32, is_weighted: bool) -> Self {
        let clock = ManualClock::new();
        let backends = (0..members).map(|index| backend(index, if is_weighted { index } else { 0 }));
        let builder = Pool::builder_on(clock.clock()).selector(selector).seed(1);
        let (pool, driver) = builder.backends(backends).build();
        Self {
            clock,
            handle: pool.handle(),
            _pool: pool,
            driver,
            members,
            changes: 0,
        }
    }

    /// Runs the driver until it waits.
    fn drive(&mut self) {
        let polled = Pin::new(&mut self.driver).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "the driver has ended");
    }

    /// Changes one member, and tells how long that took to be in force.
    fn change(&mut self, is_weighted: bool) -> Duration {
        self.changes = self.changes.wrapping_add(1);
        let changed = backend(
            self.changes.wrapping_mul(7) % self.members,
            if is_weighted { self.changes } else { 0 },
        );
        let start = Instant::now();
        let mut applied = self.handle.update(changed);
        self.drive();
        let told = Pin::new(&mut applied).poll(&mut Context::from_waker(Waker::noop()));
        let took = start.elapsed();
        assert!(
            matches!(told, Poll::Ready(Ok(true))),
            "the change is not in force: {told:?}"
        );
        took
    }

    /// What follows at leisure: the replaced backend is forgotten, which is a publish of its own, and the snapshots
    /// that were in force are freed.
    fn rest(&mut self) {
        self.clock.advance(Duration::from_secs(2));
        self.drive();
    }
}

fn backend(index: u32, weight: u32) -> Endpoint<()> {
    Endpoint::new(format!("b{index}"), ()).with_weight(1 + weight % 3)
}

/// The change alone; what follows it is not timed.
fn case<S: Selector<Endpoint<()>>>(name: &str, members: u32, is_weighted: bool, selector: S) -> Case {
    let weights = if is_weighted { "different" } else { "equal" };
    let mut changed = Driven::new(selector, members, is_weighted);
    Case::timed(format!("{name}, {members}, {weights} weights"), move |times| {
        let change = |_| {
            let took = changed.change(is_weighted);
            changed.rest();
            took
        };
        (0..times).map(change).sum()
    })
}

fn main() {
    let mut cases = Vec::new();
    for is_weighted in [false, true] {
        cases.push(case("least_loaded", 10_000, is_weighted, LeastLoaded::new()));
        cases.push(case("round_robin", 10_000, is_weighted, RoundRobin::new()));
        cases.push(case("random", 10_000, is_weighted, Random::new()));
        for members in [1_000, 10_000] {
            cases.push(case("ip_hash", members, is_weighted, IpHash::new()));
            cases.push(case("maglev", members, is_weighted, Maglev::new()));
        }
        for mode in [RingMode::Plain, RingMode::Nginx, RingMode::Envoy] {
            let ring = Ring::new().with_mode(mode);
            // As many points as the others have.
            let sized = || ring.with_size(160_000).expect("a size within range");
            let ring = if mode == RingMode::Envoy { sized() } else { ring };
            cases.push(case(&format!("ring {mode}"), 1_000, is_weighted, ring));
        }
    }
    cases.push(case("ring plain", 10_000, false, Ring::new()));
    measure::run("publish, one change", cases);
}
