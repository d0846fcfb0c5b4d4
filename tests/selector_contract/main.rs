//! The contract of a selector, held by every one there is: plain, erased and wrapped.
#![cfg(all(feature = "testing", not(loom)))]

mod broken;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use equipoise::{
    AnySelector, Backend, Endpoint, FirstAvailable, FleetLeastLoaded, LeastLoaded, LeastTime, LoadReport, PeakEwma,
    Prequal, Random, ReportedLoad, RoundRobin, Selector, Strategy,
    selector::{
        At, Bounded, Choices, Client, Completion, Demand, Members, Needs, Pick, Start, Subset,
        hash::{IpHash, Jump, Maglev, Rendezvous, Ring, RingMode},
    },
    selector_suite,
    testing::Suite,
};

fn least_of(d: usize) -> LeastLoaded {
    LeastLoaded::of(Choices::new(d).unwrap())
}

fn few_points() -> Ring {
    Ring::new().with_points(10).unwrap()
}

/// The shares of a ring are off by what its points are.
#[test]
fn rings_and_tables_of_the_usual_size_honour_weights() {
    for mode in [RingMode::Plain, RingMode::Nginx, RingMode::Envoy] {
        let suite = Suite::new(move || Ring::new().with_mode(mode).with_max(100_000).unwrap());
        suite.tolerance(0.5).honours_weights().unwrap();
    }
    Suite::new(Maglev::new).tolerance(0.02).honours_weights().unwrap();
}

fn subset<S>(size: usize, inner: S) -> Subset<S> {
    Subset::new(inner)
        .with_size(size)
        .unwrap()
        .with_client(Client::number(1))
}

fn round_robin() -> Strategy {
    "round_robin".parse().unwrap()
}

selector_suite!(random: Random::new());
selector_suite!(round_robin: RoundRobin::new());
selector_suite!(round_robin_from_anywhere: RoundRobin::starting(Start::Random));
selector_suite!(least_loaded: LeastLoaded::new());
selector_suite!(least_of_1: least_of(1));
selector_suite!(least_of_2: least_of(2));
selector_suite!(least_of_3: least_of(3));
selector_suite!(least_of_32: least_of(32));
selector_suite!(least_of_all: LeastLoaded::of(Choices::all()));

// Few points, as these tests make thousands of rings, of which those of others have points without end for weights
// without: the shares are looked at above.
selector_suite!(ring: few_points(), weights = ignored);
selector_suite!(ring_keyed: few_points().with_size(300).unwrap(), keyed, weights = ignored);
selector_suite!(ring_of_nginx: few_points().with_mode(RingMode::Nginx).with_max(1_000).unwrap(), keyed, weights = ignored);
selector_suite!(ring_of_envoy: Ring::new().with_mode(RingMode::Envoy).with_size(300).unwrap().with_max(1_000).unwrap(), keyed, weights = ignored);
// Fewer points than members: the shares are anybody's.
selector_suite!(ring_of_one_point: Ring::new().with_max(1).unwrap(), keyed, weights = ignored);
selector_suite!(ring_of_three_points: Ring::new().with_mode(RingMode::Envoy).with_max(3).unwrap(), keyed, weights = ignored);
selector_suite!(maglev: Maglev::new().with_size(4_099).unwrap(), tolerance = 0.1);
selector_suite!(maglev_keyed: Maglev::new().with_size(251).unwrap(), keyed, weights = ignored);
// Fewer entries than members: the shares are anybody's.
selector_suite!(maglev_too_small: Maglev::new().with_size(13).unwrap(), keyed, weights = ignored);
selector_suite!(ip_hash: IpHash::new());
selector_suite!(ip_hash_keyed: IpHash::new(), keyed);
selector_suite!(jump: Jump::new(), weights = ignored);
selector_suite!(jump_keyed: Jump::new(), keyed, weights = ignored);

// Weights count within the subset; in one that is all members, as they do without.
selector_suite!(subset: subset(20, LeastLoaded::new()), weights = ignored);
selector_suite!(subset_of_all: subset(1_000, LeastLoaded::new()));
selector_suite!(subset_of_1: subset(1, RoundRobin::new()), weights = ignored);
selector_suite!(subset_of_random: subset(3, Random::new()), weights = ignored);
selector_suite!(subset_of_ring: subset(3, Ring::new().with_points(10).unwrap()), keyed, weights = ignored);
selector_suite!(subset_of_maglev: subset(4, Maglev::new().with_size(251).unwrap()), keyed, weights = ignored);
selector_suite!(reported_load: ReportedLoad::new());
selector_suite!(fleet_least_loaded: FleetLeastLoaded::new());
selector_suite!(fleet_least_of_all: FleetLeastLoaded::new().with_choices(Choices::all()));
selector_suite!(fleet_of_20: FleetLeastLoaded::new().with_clients(20.0).unwrap());

selector_suite!(peak_ewma: PeakEwma::new());
selector_suite!(peak_ewma_of_8: PeakEwma::new().with_choices(Choices::default()));
selector_suite!(peak_ewma_of_1: PeakEwma::new().with_choices(Choices::new(1).unwrap()));
selector_suite!(least_time: LeastTime::new());
selector_suite!(least_time_of_2: LeastTime::new().with_choices(Choices::new(2).unwrap()));

selector_suite!(prequal: Prequal::new());
selector_suite!(any_prequal: "prequal(m=2,r_remove=3)".parse::<Strategy>().unwrap().selector());

selector_suite!(any_peak_ewma: "peak_ewma".parse::<Strategy>().unwrap().selector());
selector_suite!(any_least_time: "least_time(d=3)".parse::<Strategy>().unwrap().selector());
selector_suite!(any_random: Strategy::Random(Random::new()).selector());
selector_suite!(any_round_robin: round_robin().selector());
selector_suite!(any_reported_load: "reported_load".parse::<Strategy>().unwrap().selector());
selector_suite!(any_fleet_least_loaded: "fleet_least_loaded".parse::<Strategy>().unwrap().selector());
selector_suite!(any_least_loaded: Strategy::default().selector());
selector_suite!(any_ring: Strategy::Ring(few_points()).selector(), keyed, weights = ignored);
selector_suite!(any_maglev: "maglev(size=251)".parse::<Strategy>().unwrap().selector(), keyed, weights = ignored);
selector_suite!(any_ip_hash: Strategy::IpHash(IpHash::new()).selector(), keyed);
selector_suite!(any_jump: Strategy::Jump(Jump::new()).selector(), keyed, weights = ignored);
selector_suite!(any_subset: "subset(size=3,client=1)".parse::<Strategy>().unwrap().selector(), weights = ignored);
selector_suite!(any_of_any: AnySelector::new(round_robin().selector()));

/// A strategy that is added is erased, tested and named above; until it is, this says so.
#[test]
fn no_strategy_is_forgotten() {
    let tested = [
        "least_loaded",
        "round_robin",
        "random",
        "fleet_least_loaded",
        "reported_load",
        "peak_ewma",
        "least_time",
        "prequal",
        "ring",
        "maglev",
        "rendezvous",
        "jump",
        "ip_hash",
        "bounded",
        "first_available",
        "subset",
    ];
    let all: Vec<_> = Strategy::all().map(|strategy| strategy.name()).collect();
    assert_eq!(all, tested);
}

/// Prefers one half of the members; anybody if none of those is open.
struct Halves<S> {
    inner: S,
    prefers: Half,
}

#[derive(Clone, Copy, PartialEq)]
enum Half {
    First,
    Second,
}

impl<S> Halves<S> {
    fn first(inner: S) -> Self {
        let prefers = Half::First;
        Self { inner, prefers }
    }

    fn second(inner: S) -> Self {
        let prefers = Half::Second;
        Self { inner, prefers }
    }
}

impl<B: Backend, S: Selector<B>> Selector<B> for Halves<S> {
    type Memory = S::Memory;
    type Table = S::Table;

    fn memory(&self, backend: &B) -> S::Memory {
        self.inner.memory(backend)
    }

    fn prepare(&self, members: &Members<'_, B, S::Memory>) -> S::Table {
        self.inner.prepare(members)
    }

    fn select(&self, table: &S::Table, pick: &Pick<'_, B, S::Memory>) -> Option<At> {
        // Positions are in the order of joining.
        let middle = pick.iter().nth(pick.len() / 2);
        let is_closed = |at| (Some(at) < middle) != (self.prefers == Half::First);
        let preferred = pick.closing(&is_closed, |pick| {
            assert!(!pick.all_open());
            self.inner.select(table, pick)
        });
        // Nothing but the pool would notice that an inner selector had lost what this one closed.
        assert!(preferred.is_none_or(|at| pick.is_open(at) && !is_closed(at)));
        preferred.or_else(|| self.inner.select(table, pick))
    }

    fn needs(&self) -> Needs {
        self.inner.needs()
    }

    fn refresh(&self) -> Option<Duration> {
        self.inner.refresh()
    }

    fn demand(&self) -> Option<&Arc<Demand>> {
        self.inner.demand()
    }

    fn observe(&self, memory: &S::Memory, completion: &Completion) {
        self.inner.observe(memory, completion);
    }

    fn report(&self, memory: &S::Memory, report: &LoadReport, now: Instant) {
        self.inner.report(memory, report, now);
    }
}

/// Two selectors with a memory and a table each; the second is asked only if the first knows nobody, and learns all.
struct Both<S, T>(S, T);

impl<B: Backend, S: Selector<B>, T: Selector<B>> Selector<B> for Both<S, T> {
    type Memory = (S::Memory, T::Memory);
    type Table = (S::Table, T::Table);

    fn memory(&self, backend: &B) -> Self::Memory {
        (self.0.memory(backend), self.1.memory(backend))
    }

    fn prepare(&self, members: &Members<'_, B, Self::Memory>) -> Self::Table {
        (
            members.within(|memory| &memory.0, |members| self.0.prepare(members)),
            members.within(|memory| &memory.1, |members| self.1.prepare(members)),
        )
    }

    fn select(&self, table: &Self::Table, pick: &Pick<'_, B, Self::Memory>) -> Option<At> {
        let first = pick.within(|memory| &memory.0, |pick| self.0.select(&table.0, pick));
        first.or_else(|| pick.within(|memory| &memory.1, |pick| self.1.select(&table.1, pick)))
    }

    fn needs(&self) -> Needs {
        self.0.needs().and(self.1.needs())
    }

    fn observe(&self, memory: &Self::Memory, completion: &Completion) {
        self.0.observe(&memory.0, completion);
        self.1.observe(&memory.1, completion);
    }

    fn report(&self, memory: &Self::Memory, report: &LoadReport, now: Instant) {
        self.0.report(&memory.0, report, now);
        self.1.report(&memory.1, report, now);
    }
}

/// Remembers each member's id, and makes sure that it is given that very memory, however it is wrapped.
struct Remembering;

impl<B: Backend> Selector<B> for Remembering {
    type Memory = String;
    type Table = Vec<String>;

    fn memory(&self, backend: &B) -> String {
        backend.id().to_owned()
    }

    fn prepare(&self, members: &Members<'_, B, String>) -> Vec<String> {
        assert!(members.iter().all(|at| members.memory(at) == members.backend(at).id()));
        members.iter().map(|at| members.memory(at).clone()).collect()
    }

    fn select(&self, table: &Vec<String>, pick: &Pick<'_, B, String>) -> Option<At> {
        assert!(pick.iter().zip(table).all(|(at, id)| pick.memory(at) == id));
        let _ = pick.now();
        pick.any_open()
    }
}

// Half of the members have all the weight: shares are not by weight.
selector_suite!(halves_of_round_robin: Halves::second(RoundRobin::new()), weights = ignored);
selector_suite!(halves_of_random: Halves::first(Random::new()), weights = ignored);
selector_suite!(halves_of_least_loaded: Halves::second(LeastLoaded::new()), weights = ignored);
selector_suite!(rendezvous: Rendezvous::new());
selector_suite!(rendezvous_keyed: Rendezvous::new(), keyed);
selector_suite!(any_rendezvous: AnySelector::new(Rendezvous::new()), keyed);
selector_suite!(halves_of_rendezvous: Halves::second(Rendezvous::new()), weights = ignored);
selector_suite!(bounded_rendezvous: Bounded::new(Rendezvous::new()), keyed);
selector_suite!(first_available: FirstAvailable::new(), weights = ignored);
selector_suite!(any_first_available: AnySelector::new(FirstAvailable::new()), weights = ignored);
selector_suite!(bounded: Bounded::new(Ring::new().with_points(10).unwrap()), keyed, weights = ignored);
selector_suite!(bounded_least_loaded: Bounded::new(LeastLoaded::new()));
selector_suite!(any_bounded: "bounded(round_robin,factor=1)".parse::<Strategy>().unwrap().selector());
selector_suite!(halves_of_bounded: Halves::first(Bounded::new(Random::new())), weights = ignored);
selector_suite!(bounded_halves: Bounded::new(Halves::first(Random::new())), weights = ignored);
selector_suite!(halves_of_ring: Halves::second(Ring::new().with_points(10).unwrap()), keyed, weights = ignored);
selector_suite!(halves_of_maglev: Halves::first(Maglev::new().with_size(251).unwrap()), keyed, weights = ignored);
selector_suite!(halves_of_ip_hash: Halves::second(IpHash::new()), keyed, weights = ignored);
selector_suite!(halves_of_jump: Halves::first(Jump::new()), keyed, weights = ignored);
selector_suite!(halves_of_peak_ewma: Halves::first(PeakEwma::new()), weights = ignored);
selector_suite!(halves_of_least_time: Halves::second(LeastTime::new()), weights = ignored);
selector_suite!(halves_of_prequal: Halves::first(Prequal::new()), weights = ignored);
selector_suite!(halves_of_any: Halves::first(Strategy::default().selector()), weights = ignored);
selector_suite!(halves_of_halves: Halves::first(Halves::second(RoundRobin::new())), weights = ignored);
selector_suite!(halves_of_both: Halves::second(Both(Halves::first(Random::new()), Remembering)), weights = ignored);
selector_suite!(subset_of_halves: subset(3, Halves::second(Random::new())), weights = ignored);
selector_suite!(halves_of_subset: Halves::first(subset(3, LeastLoaded::new())), weights = ignored);
selector_suite!(subset_of_both: subset(4, Both(subset(2, Remembering), Remembering)), weights = ignored);
selector_suite!(halves_of_fleet: Halves::first(FleetLeastLoaded::new()), weights = ignored);
selector_suite!(halves_of_reported_load: Halves::second(ReportedLoad::new()), weights = ignored);
selector_suite!(remembering: Remembering);
selector_suite!(both: Both(LeastLoaded::new(), Remembering));
selector_suite!(both_by_latency: Both(PeakEwma::new(), LeastTime::new()));
selector_suite!(both_the_other_way_round: Both(Remembering, RoundRobin::new()), keyed);
selector_suite!(both_nested: Both(Both(Random::new(), Remembering), round_robin().selector()));
selector_suite!(any_of_wrapped: AnySelector::new(Both(Halves::second(RoundRobin::new()), Remembering)), weights = ignored);

/// A type by its name, and a backend of one's own.
mod by_name {
    use super::*;
    use std::sync::Arc;

    selector_suite!(
        LeastLoaded,
        backends = |id, weight| Arc::new(Endpoint::new(id, 7_u8).with_weight(weight))
    );
}
