//! Which member: the rule that picks one.
//!
//! A strategy is a [`Selector`]: what it *remembers* of each member, what it *prepares* from all of them, and how it
//! *selects* one. The three live in different places for a reason:
//!
//! - [`Memory`](Selector::Memory) is one value for each member. It outlives every rebuild while the id is a member, so
//!   what was learnt is not lost when a neighbour joins. Many threads read and write it at once: atomics.
//! - [`Table`](Selector::Table) is one immutable value for each snapshot, made by the pool's driver, off the request's
//!   way, and published together with the members that it was made of: a pick can't see half of a change.
//! - The selector itself is one value for the pool's life, shared by all its clones: what must survive everything, such
//!   as round robin's position.
//!
//! [`Pick`] is all that [`select`](Selector::select) sees: which members are open, what is in flight at each, the
//! request's [`Ask`](crate::Ask), the time and random numbers. So the same code runs in production and in a simulation.
//!
//! # A selector of one's own
//! The member of the fewest requests in flight, of all, the first of equals:
//! ```
//! use equipoise::{Backend, Selector, selector::{At, Members, Pick}};
//!
//! struct Emptiest;
//!
//! impl<B: Backend> Selector<B> for Emptiest {
//!     type Memory = ();
//!     type Table = ();
//!     fn memory(&self, _: &B) {}
//!     fn prepare(&self, _: &Members<'_, B, ()>) {}
//!     fn select(&self, _: &(), pick: &Pick<'_, B, ()>) -> Option<At> {
//!         pick.iter().filter(|at| pick.is_open(*at)).min_by_key(|at| pick.load(*at))
//!     }
//! }
//! ```
//! `testing::selector_suite!` (feature `testing`) holds it to the contract; it will say that this one ignores weights.
//!
//! # How the families fit
//! - **A hash ring** ([Karger et al. 1997](https://dl.acm.org/doi/10.1145/258533.258660)): no memory; the table is the
//!   sorted points of all members, each with its [`At`]; `select` looks up [`Ask::key`](crate::Ask::key) and walks on
//!   past the points of members that are not [open](Pick::is_open), which is the key's order of preference. Maglev's
//!   table and rendezvous' seeds are tables in the same way.
//! - **A weighted stride** ([Waldspurger and Weihl 1995](https://dl.acm.org/doi/10.5555/889650)): the position is in the
//!   selector and survives; the table is the order, or what makes it ([`RoundRobin`] is one).
//! - **Peak EWMA** ([Finagle](https://twitter.github.io/finagle/guide/Clients.html)): the memory is an atomic estimate
//!   and its time; it [needs](Selector::needs) completions; `select` calls [`Pick::now`], so that the latency is measured
//!   and the estimate fades as it is read, and compares estimate × [load](Pick::load) of two;
//!   [`observe`](Selector::observe) raises it at once to a higher sample, lets it sink to a lower, and lets a
//!   [censored](Completion::outcome) one only raise it ([`PeakEwma`]).
//! - **Prequal** ([Wydrowski et al. 2024](https://www.usenix.org/conference/nsdi24/presentation/wydrowski)): the pool of
//!   probe replies is in the selector (replies are of members, and used up by whoever picks); its
//!   [`Demand`](Selector::demand) has the pool's driver probe, and [`report`](Selector::report) takes the replies in; the
//!   table has the index from member to [`At`]; `select` takes the best by the hot-cold rule, and passes by a reply whose
//!   member is not open ([`Prequal`]).
//! - **Reported load** ([gRPC A58](https://github.com/grpc/proposal/blob/master/A58-client-side-weighted-round-robin-lb-policy.md)):
//!   the memory is the last report and its time, written when an answer or a probe brings one;
//!   [`refresh`](Selector::refresh) is a second; `prepare` turns reports into the weights of a stride ([`ReportedLoad`] is
//!   one).
//! - **Fleet least loaded**: the memory is the last queue reported, which fades; `select` adds what is open here, counted
//!   for all clients ([`FleetLeastLoaded`]).
//! - **Without memory of requests**: [`Random`], [`LeastLoaded`] (but for failures of late), [`FirstAvailable`], and what
//!   goes by key ([`hash`]). By the mean latency instead of its peaks: [`LeastTime`].
//!
//! # Selectors around selectors
//! One that narrows the choice for another ([`Bounded`], [`Subset`]; tiers, the near first) calls the inner one with
//! [`Pick::closing`], which closes further members for it. Its memory is a pair, of which [`Pick::within`] and
//! [`Members::within`] show the inner its own. Positions pass through unchanged, however deep.
//!
//! All that the inner one wants and learns has to be passed on: [`needs`](Selector::needs), [`refresh`](Selector::refresh)
//! and [`demand`](Selector::demand) outwards, [`observe`](Selector::observe) and [`report`](Selector::report) inwards. What
//! is forgotten is no error: they have defaults, and the inner selector then goes by what it has never heard.

mod alias;
mod any;
mod bounded;
mod demand;
mod draw;
mod fading;
mod failures;
mod first_available;
mod fleet_least_loaded;
mod generator;
pub mod hash;
mod latency;
mod least_loaded;
mod least_time;
mod members;
mod memories;
mod narrowed;
mod peak_ewma;
mod pick;
mod prequal;
mod random;
mod reported_load;
mod reported_queue;
mod roster;
mod round_robin;
mod shortlist;
mod strategy;
mod subset;
mod view;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use crate::needs::Needs;
pub use any::{AnyMemory, AnySelector, AnyTable};
pub use bounded::{Bounded, BoundedMemory, BoundedTable};
pub use demand::Demand;
pub use draw::Choices;
pub use failures::Failures;
pub use first_available::FirstAvailable;
pub use fleet_least_loaded::{FleetLeastLoaded, FleetLeastLoadedTable};
pub use generator::Generator;
pub use latency::{Latency, LatencyTable};
pub use least_loaded::{LeastLoaded, LeastLoadedTable};
pub use least_time::LeastTime;
pub use members::Members;
pub(crate) use narrowed::Narrowed;
pub use peak_ewma::PeakEwma;
pub use pick::Pick;
pub use prequal::{Prequal, PrequalTable, Probed};
pub use random::{Random, RandomTable};
pub use reported_load::{ReportedLoad, ReportedLoadTable, ReportedWeight};
pub use reported_queue::ReportedQueue;
pub use roster::At;
pub(crate) use roster::{Extent, Ramp, Roster, Row};
pub use round_robin::{RoundRobin, RoundRobinTable, Start};
pub use strategy::{ParameterError, Strategy, StrategyError};
pub use subset::{Client, Subset, SubsetTable};
pub(crate) use view::{Noted, Obstacle, Surroundings, View};

use crate::{
    backend::Backend,
    clock::{Clock, Stamp},
    load::LoadReport,
    outcome::Outcome,
};

/// The rule that picks one member for a request.
///
/// The contract, held by the property suite of feature `testing`: [`select`](Selector::select) returns an open member
/// whenever there is one, never a closed one, and none only if none is open; weights are honoured, or the
/// documentation says that they are not; there is no panic, whatever the weights, numbers and keys. A selector reads
/// neither the clock nor a global random generator: [`Pick`] offers both.
pub trait Selector<B: Backend>: Send + Sync + 'static {
    /// What is remembered of each member. It outlives every [`prepare`](Selector::prepare) while the id is a member,
    /// whatever else changes under it.
    type Memory: Send + Sync + 'static;

    /// What is prepared, off the request's way, from the members of one snapshot.
    type Table: Send + Sync + 'static;

    /// The memory of a backend that joins.
    fn memory(&self, backend: &B) -> Self::Memory;

    /// Makes the table; called by the driver whenever the members or their weights change.
    fn prepare(&self, members: &Members<'_, B, Self::Memory>) -> Self::Table;

    /// How often to prepare anew even if no member changed: for weights that move with load.
    fn refresh(&self) -> Option<Duration> {
        None
    }

    /// What it wants to be told while requests go by; nothing, unless said so here. Asked once, when the pool is made.
    fn needs(&self) -> Needs {
        Needs::nothing()
    }

    /// The probes that it wants; none unless said so here. Asked once, when the pool is made. What they bring comes to
    /// [`report`](Selector::report).
    fn demand(&self) -> Option<&Arc<Demand>> {
        None
    }

    /// Chooses one of the open members.
    fn select(&self, table: &Self::Table, pick: &Pick<'_, B, Self::Memory>) -> Option<At>;

    /// Learns how a request went: once for each, as soon as it is known, which is before a body has ended.
    fn observe(&self, memory: &Self::Memory, completion: &Completion) {
        let _ = (memory, completion);
    }

    /// Learns what a member says of its load, `now`: with an answer, or in reply to a probe.
    fn report(&self, memory: &Self::Memory, report: &LoadReport, now: Instant) {
        let _ = (memory, report, now);
    }
}

/// How a request went, as far as a selector is concerned.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Completion {
    /// Success, failure or cancelled. A cancelled request is a censored sample: it may raise an estimate, never lower
    /// it.
    pub outcome: Outcome,
    /// From the pick to the verdict, if [`Pick::now`] was called in the pick, or the pool's
    /// [limits](crate::AdaptiveLimit) go by it.
    pub latency: Option<Duration>,
    /// When the verdict came, likewise, or if the request failed.
    pub at: Option<Instant>,
    /// The same, counted from when the pool was made.
    pub(crate) stamp: Stamp,
}

impl Completion {
    /// How a request went that was never made: for tests of one's own [`observe`](Selector::observe). It lacks the time
    /// since a pool was made, by which the selectors of this crate tell what is older: to them it is a completion of the
    /// moment at which theirs was made. What stands around one of them is better tested in a [`Pool`](crate::Pool) with a
    /// [`ManualClock`](crate::ManualClock).
    ///
    /// ```
    /// use equipoise::{Outcome, selector::Completion};
    /// use std::time::{Duration, Instant};
    ///
    /// let slow = Completion::new(Outcome::Success, Some(Duration::from_secs(1)), Some(Instant::now()));
    /// let given_up = Completion::new(Outcome::Cancelled, None, None);
    /// assert!(slow.latency > given_up.latency);
    /// ```
    pub fn new(outcome: Outcome, latency: Option<Duration>, at: Option<Instant>) -> Self {
        Self {
            outcome,
            latency,
            at,
            stamp: at.map_or_else(Stamp::default, |at| Stamp::since(at, Some(at))),
        }
    }

    /// That of a lease which began at this time.
    pub(crate) fn of_lease(outcome: Outcome, started: Stamp, epoch: Instant, clock: &Clock) -> Self {
        let started = started.at(epoch);
        let at = (started.is_some() || outcome.is_failure()).then(|| clock.now());
        Self {
            outcome,
            stamp: Stamp::since(epoch, at),
            latency: at
                .zip(started)
                .map(|(at, started)| at.saturating_duration_since(started)),
            at,
        }
    }
}
