//! Which member: the rule that picks one.

mod alias;
mod any;
mod generator;
mod least_loaded;
mod members;
mod pick;
mod random;
mod roster;
mod round_robin;
mod strategy;

use std::time::{Duration, Instant};

pub use any::{AnyMemory, AnySelector, AnyTable};
pub use generator::Generator;
pub use least_loaded::{Choices, LeastLoaded, LeastLoadedTable};
pub use members::Members;
pub use pick::Pick;
pub(crate) use pick::View;
pub use random::{Random, RandomTable};
pub use roster::At;
pub(crate) use roster::{Roster, Row};
pub use round_robin::{RoundRobin, RoundRobinTable};
pub use strategy::{Strategy, StrategyError};

use crate::{backend::Backend, member::Outcome};

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

    /// Whether [`observe`](Selector::observe) is to be called.
    const OBSERVES: bool = false;

    /// The memory of a backend that joins.
    fn memory(&self, backend: &B) -> Self::Memory;

    /// Makes the table; called by the driver whenever the members or their weights change.
    fn prepare(&self, members: &Members<'_, B, Self::Memory>) -> Self::Table;

    /// How often to prepare anew even if no member changed: for weights that move with load.
    fn refresh(&self) -> Option<Duration> {
        None
    }

    /// Chooses one of the open members.
    fn select(&self, table: &Self::Table, pick: &Pick<'_, B, Self::Memory>) -> Option<At>;

    /// Learns how a request went: once for each, as soon as it is known, which is before a body has ended.
    fn observe(&self, memory: &Self::Memory, completion: &Completion) {
        let _ = (memory, completion);
    }
}

/// How a request went, as far as a selector is concerned.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Completion {
    /// Success, failure or cancelled. A cancelled request is a censored sample: it may raise an estimate, never lower
    /// it.
    pub outcome: Outcome,
    /// From the pick to the verdict, if [`Pick::now`] was called in the pick.
    pub latency: Option<Duration>,
    /// When the verdict came, likewise.
    pub at: Option<Instant>,
}

impl Completion {
    pub(crate) fn new(outcome: Outcome, started: Option<Instant>, now: impl FnOnce() -> Instant) -> Self {
        let at = started.map(|_| now());
        Self {
            outcome,
            latency: at
                .zip(started)
                .map(|(at, started)| at.saturating_duration_since(started)),
            at,
        }
    }
}
