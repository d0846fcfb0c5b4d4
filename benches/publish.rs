//! One change among the members until it is in force, by every strategy: the update of one member through the handle, with
//! the driver polled by hand, so that nothing but the change is measured. And what a pool takes of memory, in bytes a
//! member.

mod measure;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use equipoise::{AnySelector, Driver, Endpoint, Handle, ManualClock, Pool, Strategy};
use measure::ratio::Case;

type Selector = AnySelector<Endpoint<()>>;

/// A pool, and the hand that drives it.
struct Driven {
    clock: ManualClock,
    members: u32,
    /// Kept, as a pool without handles has no driver.
    _pool: Pool<Endpoint<()>, Selector>,
    handle: Handle<Endpoint<()>>,
    driver: Driver<Endpoint<()>, Selector>,
    changes: u32,
}

impl Driven {
    fn new(strategy: &Strategy, members: u32, is_weighted: bool) -> Self {
        let clock = ManualClock::new();
        let backends = (0..members).map(|index| backend(index, if is_weighted { index } else { 0 }));
        let builder = Pool::builder_on(clock.clock()).selector(strategy.selector()).seed(1);
        let (pool, driver) = builder.backends(backends).build();
        Self {
            clock,
            members,
            handle: pool.handle(),
            _pool: pool,
            driver,
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
fn case(strategy: &Strategy, members: u32, is_weighted: bool) -> Case {
    let (strategy, mut changed) = (strategy.clone(), None);
    Case::timed(name(&strategy, members, is_weighted), move |times| {
        // Made when it is wanted: all at once would take more memory than caches have.
        let changed = changed.get_or_insert_with(|| Driven::new(&strategy, members, is_weighted));
        let change = |_| {
            let took = changed.change(is_weighted);
            changed.rest();
            took
        };
        (0..times).map(change).sum()
    })
}

fn name(strategy: &Strategy, members: u32, is_weighted: bool) -> String {
    let weights = if is_weighted { "different" } else { "equal" };
    format!("{strategy}, {weights}/{members}")
}

fn main() {
    let others = [
        "least_loaded(d=all)",
        "maglev(size=655373)",
        "ring(mode=nginx)",
        "ring(mode=envoy)",
    ];
    let others = others.iter().map(|text| text.parse().expect("a strategy"));
    let strategies: Vec<Strategy> = Strategy::all().chain(others).collect();
    let of = |members| {
        let each = move |strategy| [false, true].map(|is_weighted| (strategy, members, is_weighted));
        strategies.iter().flat_map(each)
    };
    let all = || of(1_000).chain(of(10_000));
    let cases = all().map(|(strategy, members, is_weighted)| case(strategy, members, is_weighted));
    if !measure::run("publish, one change", cases.collect()) {
        return;
    }
    println!("\n{:<60}{:>12}", "a pool's memory", "bytes a member");
    for (strategy, members, is_weighted) in all() {
        let mut kept = None;
        let allocated = allocation_counter::measure(|| kept = Some(Driven::new(strategy, members, is_weighted)));
        let each = allocated.bytes_current as f64 / f64::from(members);
        println!("{:<60}{each:>12.0}", name(strategy, members, is_weighted));
    }
}
