//! A member: a backend inside a pool, together with its live state.
//!
//! What is in flight at a member is the strong count of its [`Token`], less the one that the pool's registry holds:
//! a lease is one more strong reference, so that taking and giving back one are one atomic operation each, and a
//! snapshot, which holds tokens weakly, keeps nothing of a removed member alive. A backend that is replaced under the
//! same id gets a new token; leases on the old one are added up until they end.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

use crate::{
    clock::Stamp,
    fitness::{Ejection, Health, Standing, Streak},
    limit::Limit,
    load::LoadReport,
    needs::Needs,
    outcome::{Outcome, Tally},
    readiness::Condition,
};

/// Which member: distinct among all that a process ever had, the same while its id stays in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(u64);

impl MemberId {
    pub(crate) fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// A member as it was when asked for: see `Pool::members`.
#[non_exhaustive]
pub struct Member<B> {
    /// The backend.
    pub backend: Arc<B>,
    /// Requests that are open now.
    pub in_flight: usize,
    /// How many may be, as long as it is so; none: any number.
    pub limit: Option<u32>,
    /// How the others ended.
    pub tally: Tally,
    /// Whether an operator wants it to finish what is open and take nothing new.
    pub draining: bool,
    /// What health checks have found.
    pub health: Health,
    /// Whether requests have shown that it is bad.
    pub ejection: Ejection,
    /// Whether it wants requests, by its own word.
    pub standing: Standing,
    /// Its weight by its own word, in hundredths of that which it has as a backend.
    pub percent: u32,
    /// The part of its share that it has as yet, while it is [brought in](crate::SlowStart); else 1.
    pub part: f32,
    /// Whether it may be picked: it has a weight, wants requests, is fit, or all are too unfit, and its priority serves.
    pub open: bool,
    /// Whether it takes a request just now, as it says itself.
    pub condition: Condition,
    /// How many of its reports of load were ignored because they could not be read, or made no sense.
    pub rejected_reports: u64,
}

impl<B: fmt::Debug> fmt::Debug for Member<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("backend", &self.backend)
            .field("in_flight", &self.in_flight)
            .field("limit", &self.limit)
            .field("tally", &self.tally)
            .field("draining", &self.draining)
            .field("health", &self.health)
            .field("ejection", &self.ejection)
            .field("standing", &self.standing)
            .field("percent", &self.percent)
            .field("part", &self.part)
            .field("open", &self.open)
            .field("condition", &self.condition)
            .field("rejected_reports", &self.rejected_reports)
            .finish()
    }
}

/// One incarnation of a member: the backend, and the live state that outlives it.
///
/// Aligned, so that the reference counts, which every pick writes, have a cache line of their own, apart from these
/// fields, which it only reads.
#[repr(align(64))]
pub(crate) struct Token<A: ?Sized> {
    pub(crate) live: Arc<Live<dyn Account>>,
    /// Whether a release has to be told: somebody may wait for room (an in-flight limit is set), or the total is kept.
    pub(crate) awaited: bool,
    /// What the selector, or the member's limit, wants to be told.
    pub(crate) needs: Needs,
    /// The member was ejected and is back since: what becomes of the requests that are open still says nothing of it.
    pub(crate) is_past: AtomicBool,
    /// The backend, an `Arc<B>`, or whatever it is to a lease that does not know.
    pub(crate) backend: A,
}

/// An incarnation that another has replaced.
pub(crate) struct Replaced<B> {
    pub(crate) token: Arc<Token<Arc<B>>>,
    /// The last version of the pool's snapshots whose picks may lease it.
    pub(crate) version: u64,
}

/// The live state of a member, kept for as long as its id is one. What a lease does with every request needs no
/// indirect call; the selector's part, whose type leases do not know, comes last.
///
/// Aligned, so that the counts, which every request writes, and a small memory, which a selector may read on the way,
/// are on one cache line that no other member has a part in.
#[repr(align(64))]
pub(crate) struct Live<A: ?Sized> {
    pub(crate) counts: Counts,
    pub(crate) id: Box<str>,
    pub(crate) member: MemberId,
    pub(crate) account: A,
}

/// The part of a member's live state that the pool and its selector look after.
pub(crate) trait Account: Send + Sync {
    /// The request's verdict is known, while so many were in flight, itself included: the limit and the selector may
    /// learn from it. Once a lease.
    fn observe(&self, outcome: Outcome, started: Stamp, in_flight: usize);
    /// It failed: so many in a row may be too many.
    fn failed(&self, live: &Live<dyn Account>, outcome: Outcome);
    /// It succeeded, and others had failed, or it is on probation.
    fn recovered(&self, live: &Live<dyn Account>);
    /// The backend has said what its load is.
    fn report(&self, report: &LoadReport);
    /// What it said made no sense.
    fn reject_report(&self);
    /// There is room for one more.
    fn released(&self);
    /// The pool's name.
    fn pool(&self) -> Option<&str>;
}

/// A selector's memory of a member, and whom the member reports to.
pub(crate) struct Remembered<B, M> {
    pub(crate) memory: M,
    pub(crate) overseer: Arc<dyn Overseer<M>>,
    /// None unless it follows what requests tell.
    pub(crate) limit: Option<Arc<Limit>>,
    /// The newest backend, for those who list members: to go by the token would count as a request.
    pub(crate) backend: Mutex<Weak<B>>,
    /// Reports of load that made no sense. Here rather than with the counts that every request writes.
    pub(crate) rejected_reports: AtomicU64,
}

/// The live states of a snapshot's members, by position.
pub(crate) type Lives<B, M> = [Arc<Live<Remembered<B, M>>>];

/// What all members of a pool report to: its selector, and whoever waits for room.
pub(crate) trait Overseer<M>: Send + Sync {
    /// `limit`: that of the member, if it follows requests, and how many were in flight.
    fn observe(&self, memory: &M, limit: Option<(&Limit, usize)>, outcome: Outcome, started: Stamp);
    fn failed(&self, live: &Live<dyn Account>, outcome: Outcome);
    fn recovered(&self, live: &Live<dyn Account>);
    fn report(&self, memory: &M, report: &LoadReport);
    fn released(&self);
    fn pool(&self) -> Option<&str>;
}

impl<B: Send + Sync, M: Send + Sync> Account for Remembered<B, M> {
    fn observe(&self, outcome: Outcome, started: Stamp, in_flight: usize) {
        let limit = self.limit.as_deref().map(|limit| (limit, in_flight));
        self.overseer.observe(&self.memory, limit, outcome, started);
    }
    fn failed(&self, live: &Live<dyn Account>, outcome: Outcome) {
        self.overseer.failed(live, outcome);
    }
    fn recovered(&self, live: &Live<dyn Account>) {
        self.overseer.recovered(live);
    }
    fn report(&self, report: &LoadReport) {
        self.overseer.report(&self.memory, report);
    }
    fn reject_report(&self) {
        self.rejected_reports.fetch_add(1, Relaxed);
    }
    fn released(&self) {
        self.overseer.released();
    }
    fn pool(&self) -> Option<&str> {
        self.overseer.pool()
    }
}

/// What a member's requests came to: every request writes it once.
#[derive(Default)]
pub(crate) struct Counts {
    succeeded: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    broken: AtomicU64,
    /// Failures in a row.
    pub(crate) streak: Streak,
}

impl Counts {
    #[inline]
    pub(crate) fn add(&self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Success => &self.succeeded,
            Outcome::Failure | Outcome::BadGateway | Outcome::Unreachable => &self.failed,
            Outcome::Cancelled => &self.cancelled,
            Outcome::Broken => &self.broken,
        };
        count.fetch_add(1, Relaxed);
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally {
            succeeded: self.succeeded.load(Relaxed),
            failed: self.failed.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            broken: self.broken.load(Relaxed),
        }
    }
}
