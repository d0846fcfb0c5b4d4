//! A pick and its release with the outcome counted, and `select` alone, by every selector over few and many members.

mod measure;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use equipoise::{
    Ask, Clock, Endpoint, FirstAvailable, FleetLeastLoaded, Home, LeastLoaded, LeastTime, LoadReport, ManualClock,
    Outcome, PeakEwma, Pool, PoolBuilder, Prequal, Random, ReportedLoad, RoundRobin, Selector, Strategy,
    selector::{
        Bounded, Choices, Client, Subset,
        hash::{IpHash, Jump, Maglev, Rendezvous, Ring},
    },
};
use futures_util::FutureExt;
use measure::ratio::Case;

#[derive(Clone, Copy)]
enum Weights {
    Equal,
    Different,
}

fn pool<S: Selector<Endpoint<()>>>(members: usize, weights: Weights, selector: S) -> Pool<Endpoint<()>, S> {
    // Without its driver the pool serves on, and nothing else runs.
    builder(Clock::system(), members, weights, selector).build().0
}

fn builder<S: Selector<Endpoint<()>>>(
    clock: Clock,
    members: usize,
    weights: Weights,
    selector: S,
) -> PoolBuilder<Endpoint<()>, S> {
    let backends = (0..members).map(|index| {
        let weight = match weights {
            Weights::Equal => 1,
            Weights::Different => 1 + index as u32 % 3,
        };
        Endpoint::new(format!("b{index}"), ()).with_weight(weight)
    });
    Pool::builder_on(clock).selector(selector).seed(1).backends(backends)
}

/// Select by one key again and again, which the caches have, and by as many as there are.
fn keyed<S: Selector<Endpoint<()>>>(name: &str, members: usize, weights: Weights, selector: S) -> [Case; 2] {
    let mut warm = pool(members, weights, selector);
    let mut cold = warm.clone();
    let mut key = 0_u64;
    let ask = Ask::new().with_key(0x9e37_79b9_7f4a_7c15);
    [
        Case::new(format!("select/{name}, warm key/{members}"), move || {
            warm.select(black_box(&ask))
        }),
        Case::new(format!("select/{name}, any key/{members}"), move || {
            key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
            cold.select(black_box(&Ask::new().with_key(key)))
        }),
    ]
}

/// Pick and select over the same members.
fn both<S: Selector<Endpoint<()>>>(name: &str, members: usize, weights: Weights, selector: S) -> [Case; 2] {
    cases(name, members, pool(members, weights, selector))
}

/// The same, where every member has said what its load is, each something else.
fn reported<S: Selector<Endpoint<()>>>(name: &str, members: usize, weights: Weights, selector: S) -> [Case; 2] {
    // Its driver runs once, a second after: then the tables are made of what was reported.
    let clock = ManualClock::new();
    let (mut pool, mut driver) = builder(clock.clock(), members, weights, selector).build();
    for index in 0..members {
        let load = 1.0 + (index * 7 % 13) as f64;
        let home = Ask::new().with_home(Home::new(format!("b{index}")));
        let mut lease = pool.pick(&home).expect("there are members");
        let report = LoadReport::new()
            .with_queue(load)
            .and_then(|report| report.with_qps(100.0));
        let report = report.and_then(|report| report.with_utilization(load / 20.0));
        lease.report(&report.expect("no load is absurd"));
        lease.settle(Outcome::Success);
    }
    clock.advance(Duration::from_secs(1));
    assert!(
        (&mut driver).now_or_never().is_none(),
        "it goes on while there is a pool"
    );
    cases(name, members, pool)
}

fn cases<S: Selector<Endpoint<()>>>(name: &str, members: usize, mut picked: Pool<Endpoint<()>, S>) -> [Case; 2] {
    let mut selected = picked.clone();
    let ask = Ask::new();
    [
        Case::new(format!("pick/{name}/{members}"), {
            let ask = ask.clone();
            move || {
                let mut lease = picked.pick(black_box(&ask)).expect("there are members");
                lease.settle(Outcome::Success);
            }
        }),
        Case::new(format!("select/{name}/{members}"), move || {
            selected.select(black_box(&ask))
        }),
    ]
}

fn subset<S>(inner: S) -> Subset<S> {
    Subset::new(inner).with_client(Client::number(3))
}

/// Prequal's `select` over a full pool of replies. Requests use the replies up, so that the pool is filled again and again,
/// outside of what is measured; what reading the clock around takes is taken off.
fn prequal(members: usize) -> Case {
    /// Of 16 replies each request removes one.
    const TURNS: u64 = 12;
    let mut pool = pool(members, Weights::Equal, Prequal::new());
    let ask = Ask::new();
    let clock = {
        let start = Instant::now();
        (0..100_000).for_each(|_| {
            black_box(Instant::now());
        });
        start.elapsed() / 100_000
    };
    let mut fill = 0;
    Case::timed(format!("select/prequal/{members}"), move |times| {
        let mut took = Duration::ZERO;
        for turns in (0..times).step_by(TURNS as usize).map(|done| TURNS.min(times - done)) {
            for reply in 0..16 {
                fill += 1;
                let home = Ask::new().with_home(Home::new(format!("b{}", fill % members)));
                let load = LoadReport::new().with_queue(f64::from(reply % 5));
                let lease = pool.pick(&home).expect("there are members");
                lease.report(&load.expect("a queue is from 0 to 4"));
            }
            let start = Instant::now();
            for _ in 0..turns {
                black_box(pool.select(black_box(&ask)));
            }
            took += start.elapsed().saturating_sub(clock);
        }
        took
    })
}

/// What a `select` alone may cost, and a whole pick, in units.
#[derive(Clone, Copy)]
struct Budget {
    select: Option<f64>,
    pick: Option<f64>,
}

const fn budget(select: f64, pick: f64) -> Budget {
    Budget {
        select: Some(select),
        pick: Some(pick),
    }
}

/// Of strategies for which nobody has said what a whole pick may cost.
const fn alone(select: f64) -> Budget {
    Budget {
        select: Some(select),
        pick: None,
    }
}

const NONE: Budget = Budget {
    select: None,
    pick: None,
};

fn within(budget: Budget, cases: impl IntoIterator<Item = Case>) -> Vec<Case> {
    let within = |case: Case| {
        let is_pick = case.name.starts_with("pick/");
        match if is_pick { budget.pick } else { budget.select } {
            Some(units) => case.within(units),
            None => case,
        }
    };
    cases.into_iter().map(within).collect()
}

/// Those that go by what they know of members.
fn by_load(members: usize) -> Vec<Case> {
    use Weights::{Different, Equal};
    let two = || LeastLoaded::of(Choices::new(2).expect("2 is from 1 to 32"));
    let reports = || ReportedLoad::new().with_blackout(Duration::ZERO);
    // Where the members do not fit into the caches only the whole pick has a budget.
    let simple = match members {
        ..=1_000 => budget(3.0, 5.0),
        _ => Budget {
            select: None,
            pick: Some(12.0),
        },
    };
    let few = |select| if members <= 1_000 { alone(select) } else { NONE };
    let weighted = if members <= 1_000 { budget(3.0, 5.0) } else { NONE };
    [
        within(simple, both("random", members, Equal, Random::new())),
        within(simple, both("random weighted", members, Different, Random::new())),
        within(simple, both("round_robin", members, Equal, RoundRobin::new())),
        within(
            simple,
            both("round_robin weighted", members, Different, RoundRobin::new()),
        ),
        within(simple, both("first_available", members, Equal, FirstAvailable::new())),
        within(simple, both("least_loaded", members, Equal, LeastLoaded::new())),
        within(
            weighted,
            both("least_loaded weighted", members, Different, LeastLoaded::new()),
        ),
        within(simple, both("least_loaded(d=2)", members, Equal, two())),
        within(
            NONE,
            both(
                "AnySelector least_loaded",
                members,
                Equal,
                Strategy::default().selector(),
            ),
        ),
        within(few(3.0), reported("reported_load", members, Equal, reports())),
        within(
            few(5.0),
            reported("fleet_least_loaded", members, Equal, FleetLeastLoaded::new()),
        ),
        within(
            NONE,
            reported(
                "fleet_least_loaded weighted",
                members,
                Different,
                FleetLeastLoaded::new(),
            ),
        ),
        within(NONE, both("peak_ewma", members, Equal, PeakEwma::new())),
        within(NONE, both("peak_ewma weighted", members, Different, PeakEwma::new())),
        within(NONE, both("least_time", members, Equal, LeastTime::new())),
        within(NONE, both("least_time weighted", members, Different, LeastTime::new())),
        within(few(6.0), [prequal(members)]),
        // The inner one of 20, and 0.5 more.
        within(NONE, both("least_loaded of 20", 20, Equal, LeastLoaded::new())),
        within(
            few(3.5),
            both("subset(least_loaded)", members, Equal, subset(LeastLoaded::new())),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Those that go by the key.
fn by_key(members: usize) -> Vec<Case> {
    use Weights::{Different, Equal};
    let rendezvous = if members <= 100 { alone(20.0) } else { NONE };
    [
        within(alone(3.0), keyed("ip_hash", members, Equal, IpHash::new())),
        within(NONE, keyed("ip_hash weighted", members, Different, IpHash::new())),
        within(NONE, keyed("jump", members, Equal, Jump::new())),
        within(alone(0.5), keyed("maglev", members, Equal, Maglev::new())),
        within(alone(0.5), keyed("maglev weighted", members, Different, Maglev::new())),
        within(alone(5.0), keyed("ring", members, Equal, Ring::new())),
        within(alone(5.0), keyed("ring weighted", members, Different, Ring::new())),
        within(rendezvous, keyed("rendezvous", members, Equal, Rendezvous::new())),
        within(
            rendezvous,
            keyed("rendezvous weighted", members, Different, Rendezvous::new()),
        ),
        // The inner one's, and 3 more.
        within(
            alone(3.5),
            keyed("bounded(maglev)", members, Equal, Bounded::new(Maglev::new())),
        ),
        within(
            alone(8.0),
            keyed("bounded(ring)", members, Equal, Bounded::new(Ring::new())),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn main() {
    let by_load = [10, 1_000, 100_000].into_iter().flat_map(by_load);
    let by_key = [10, 100, 1_000, 10_000].into_iter().flat_map(by_key);
    measure::run("pick", by_load.chain(by_key).collect());
}
