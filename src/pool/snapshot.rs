//! What a pick sees: members, table and fitness, published together.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
    time::Duration,
};

use ahash::RandomState;

use super::{
    Refusal,
    admission::{Admission, Gate},
    detector::Detector,
    layout::Layout,
    plan::Facts,
};

use crate::{
    backend::Backend,
    clock::{Clock, Stamp},
    discover::Mailbox,
    event::Subscribers,
    fitness::Limits,
    health::OutlierDetection,
    limit::{Limit, Sample, Settings},
    load::LoadReport,
    member::{Account, Live, Lives, Member, Overseer, Token},
    needs::Needs,
    outcome::Outcome,
    readiness::Listener,
    selector::{At, Completion, Pick, Roster, Selector, Surroundings},
    sync::{AtomicU64, Line, Mutex, Ordering},
};

/// Everything that a pick reads. It holds members weakly: an idle clone keeps nothing of a removed one alive.
pub(crate) struct Snapshot<B: Backend, S: Selector<B>> {
    pub(super) version: u64,
    pub(super) phase: Phase,
    pub(super) roster: Roster<B>,
    pub(super) lives: Box<Lives<B, S::Memory>>,
    /// What is known of each member, by position.
    pub(super) facts: Box<[Facts]>,
    pub(super) layout: Layout<B, S>,
    pub(super) homes: OnceLock<HashMap<Box<str>, At, RandomState>>,
    pub(super) hashing: RandomState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Discovery has not spoken yet.
    Silent,
    Serving,
    Closed,
}

impl<B: Backend, S: Selector<B>> Snapshot<B, S> {
    /// What the selector chooses.
    #[inline(always)]
    pub(super) fn select(&self, selector: &S, pick: &Pick<'_, B, S::Memory>) -> Option<At> {
        self.layout.select(selector, pick, &self.lives)
    }

    /// The member at a position, open or not; none if its backend is gone since.
    pub(super) fn member(&self, index: usize) -> Option<Member<B>> {
        let (at, live) = (self.roster.at(index), &self.lives[index]);
        let backend = live.account.backend.lock().upgrade()?;
        let facts = &self.facts[index];
        Some(Member {
            backend,
            in_flight: self.roster.load(at),
            limit: self.roster.limit(at),
            tally: live.counts.tally(),
            draining: facts.draining,
            health: facts.health,
            ejection: facts.ejection,
            standing: facts.standing,
            percent: facts.percent,
            part: self.roster.part_of_keys(at).unwrap_or(facts.part),
            open: index < self.roster.open() as usize,
            condition: self.roster.condition(at),
            rejected_reports: live.account.rejected_reports.load(Relaxed),
        })
    }

    /// Where the member of this id is, open or not. The index is made when the first home is asked for; from then on the
    /// driver makes it for each snapshot beforehand.
    pub(super) fn find(&self, id: &str) -> Option<At> {
        self.homes().get(id).copied()
    }

    /// Where each member is, by id.
    pub(super) fn homes(&self) -> &HashMap<Box<str>, At, RandomState> {
        let index = || {
            let mut homes = HashMap::with_capacity_and_hasher(self.lives.len(), self.hashing.clone());
            homes.extend(
                self.lives
                    .iter()
                    .enumerate()
                    .map(|(index, live)| (live.id.clone(), self.roster.at(index))),
            );
            homes
        };
        self.homes.get_or_init(index)
    }
}

/// How many may wait for discovery to speak, or for a member to become ready.
const NEWCOMERS: usize = 1024;

/// What all clones of a pool share and keep alive.
pub(crate) struct Shared<B: Backend, S: Selector<B>> {
    /// Of the snapshot in `current`: read by every pick, written by a publish alone. A hint that the lock is worth
    /// taking; what it guards is ordered by the lock.
    version: Line<AtomicU64>,
    current: Mutex<Arc<Snapshot<B, S>>>,
    /// What a driver that is no more left behind, so that the last set serves on.
    kept: Mutex<Vec<Arc<Token<Arc<B>>>>>,
    pub(super) core: Arc<Core<B, S>>,
    pub(super) mailbox: Arc<Mailbox<B>>,
    pub(super) subscribers: Arc<Subscribers>,
    pub(super) admission: Admission,
    pub(super) patience: Duration,
    /// Where the next clone's random numbers start.
    pub(super) seeds: Line<std::sync::atomic::AtomicU64>,
}

impl<B: Backend, S: Selector<B>> Shared<B, S> {
    pub(super) fn new(
        first: Snapshot<B, S>,
        core: Arc<Core<B, S>>,
        mailbox: Arc<Mailbox<B>>,
        subscribers: Arc<Subscribers>,
        (admission, patience): (Admission, Duration),
        seed: u64,
    ) -> Self {
        Self {
            version: Line(AtomicU64::new(first.version)),
            current: Mutex::new(Arc::new(first)),
            kept: Mutex::new(Vec::new()),
            core,
            mailbox,
            subscribers,
            admission,
            patience,
            seeds: Line(seed.into()),
        }
    }

    /// The version of the newest snapshot: newer than one's own means that [`current`](Shared::current) is.
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.0.load(Ordering::Relaxed)
    }

    /// The pool's name.
    pub(crate) fn name(&self) -> Option<&str> {
        self.core.name.as_deref()
    }

    pub(super) fn current(&self) -> Arc<Snapshot<B, S>> {
        Arc::clone(&self.current.lock())
    }

    /// Puts a snapshot in force and returns the one that was, for the driver to free when nobody reads it any more.
    pub(super) fn publish(&self, next: Snapshot<B, S>) -> Arc<Snapshot<B, S>> {
        let version = next.version;
        let next = Arc::new(next);
        let mut current = self.current.lock();
        let last = std::mem::replace(&mut *current, next);
        self.version.0.store(version, Ordering::Relaxed);
        drop(current);
        // Whoever waits may find room among the new, or has waited in vain.
        self.core.gate.call_all();
        last
    }

    /// Whether those who wait are served in turn.
    pub(super) fn has_queue(&self) -> bool {
        matches!(self.admission, Admission::Queue { .. })
    }

    /// How many may wait for a refusal's cause to change, and for how long; none if waiting does not help or is not
    /// wanted.
    pub(crate) fn patience(&self, refusal: Refusal) -> Option<(usize, Duration)> {
        match (refusal, self.admission) {
            (Refusal::Silent, _) => Some((NEWCOMERS, self.patience)),
            (Refusal::Full | Refusal::Queued | Refusal::Unready, Admission::Queue { capacity, deadline }) => {
                Some((capacity, deadline))
            }
            (Refusal::Unready, _) => Some((NEWCOMERS, self.patience)),
            _ => None,
        }
    }

    /// Keeps members whose driver is no more.
    pub(super) fn keep(&self, tokens: Vec<Arc<Token<Arc<B>>>>) {
        *self.kept.lock() = tokens;
    }
}

impl<B: Backend, S: Selector<B>> Drop for Shared<B, S> {
    fn drop(&mut self) {
        // The last clone is gone: so is the driver's purpose.
        self.mailbox.wake();
    }
}

/// What members report to: it outlives the pool's clones, for as long as there are leases.
pub(crate) struct Core<B, S> {
    pub(super) name: Option<Box<str>>,
    pub(super) selector: S,
    pub(super) gate: Gate,
    /// What the selector wants to be told: asked once.
    pub(super) needs: Needs,
    pub(super) surroundings: Surroundings,
    /// None if limits are fixed, or there are none.
    pub(super) adaptive: Option<Settings>,
    /// None if requests show nothing.
    pub(super) detector: Option<Detector>,
    backend: PhantomData<fn(B)>,
}

impl<B: Backend, S: Selector<B>> Core<B, S> {
    pub(super) fn new(
        name: Option<Box<str>>,
        selector: S,
        clock: Clock,
        adaptive: Option<Settings>,
        outliers: Option<OutlierDetection>,
    ) -> Self {
        Self {
            adaptive,
            detector: outliers.map(Detector::new),
            name,
            needs: selector.needs(),
            selector,
            gate: Gate::new(),
            surroundings: Surroundings::new(clock),
            backend: PhantomData,
        }
    }
}

impl<B, S> Core<B, S> {
    pub(super) fn clock(&self) -> &Clock {
        &self.surroundings.clock
    }
}

impl<B: Backend, S: Selector<B>> Overseer<S::Memory> for Core<B, S> {
    fn observe(&self, memory: &S::Memory, limit: Option<(&Limit, usize)>, outcome: Outcome, started: Stamp) {
        let completion = Completion::of_lease(outcome, started, self.surroundings.epoch, self.clock());
        if let Some((limit, in_flight)) = limit {
            let sample = Sample {
                at: completion.stamp,
                outcome,
                latency: completion.latency.unwrap_or_default(),
                in_flight,
            };
            if limit.learn(&sample) {
                // As when a lease is given back: one is enough, as whoever leaves the queue calls the next.
                self.gate.released();
            }
            if !self.needs.wants_completion(outcome == Outcome::Success) {
                return;
            }
        }
        // Last, as it is not our code and may panic.
        self.selector.observe(memory, &completion);
    }

    fn failed(&self, live: &Live<dyn Account>, outcome: Outcome) {
        let streak = &live.counts.streak;
        match &self.detector {
            Some(detector) => detector.failed(&live.id, live.member, streak, outcome),
            // Whether the last request failed is asked for all the same.
            None => drop(streak.failed(outcome, &Limits::NONE)),
        }
    }

    fn recovered(&self, live: &Live<dyn Account>) {
        if let (true, Some(detector)) = (live.counts.streak.succeeded(), &self.detector) {
            detector.succeeded(&live.id, live.member);
        }
    }

    fn report(&self, memory: &S::Memory, report: &LoadReport) {
        self.selector.report(memory, report, self.clock().now());
    }

    fn released(&self) {
        if self.needs.wants_total() {
            self.surroundings.in_flight.0.fetch_sub(1, Relaxed);
        }
        self.gate.released();
    }

    fn pool(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl<B: Backend, S: Selector<B>> Listener for Core<B, S> {
    fn settled(&self) {
        // One is enough: whoever leaves the queue calls the next.
        self.gate.released();
    }
}
