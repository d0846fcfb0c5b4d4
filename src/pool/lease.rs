//! One request's hold on one member.

use std::{
    fmt,
    num::NonZeroU64,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use crate::{
    clock::Stamp,
    load::LoadReport,
    member::{Account, Live, MemberId, Token},
    outcome::Outcome,
    trace,
};

/// One request's hold on one member: while it lives, the request counts as in flight there.
///
/// It is settled once: with [`settle`](Lease::settle), or in two steps with [`answered`](Lease::answered) when a good
/// answer has begun whose end is still to come. A lease that is dropped unsettled counts as cancelled.
///
/// `Pool::pick` makes leases that know the [`backend`](Lease::backend), a `Lease<Arc<B>>`; [`erase`](Lease::erase)
/// forgets its type.
pub struct Lease<A: ?Sized = dyn Send + Sync> {
    /// None only while it is being given back.
    token: Option<Arc<Token<A>>>,
    state: State,
}

/// How far a lease is, whether its session keeps another home, and when it began, in one word that is never 0: a lease, even
/// with an error in its place, is two words, which pass in registers. What passes through memory waits there for the next
/// atomic operation.
#[derive(Clone, Copy)]
struct State(NonZeroU64);

/// The lower two bits of a [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open = 1,
    Answered = 2,
    Settled = 3,
}

impl State {
    #[inline(always)]
    fn new(stage: Stage, stamp: Stamp) -> Self {
        // A stage is never 0, and so neither is the word.
        Self(NonZeroU64::MIN.saturating_add(stage as u64 - 1) | stamp.0 << 3)
    }

    const KEEPS_HOME: u64 = 4;

    #[inline(always)]
    fn at(self, stage: Stage) -> Self {
        Self(NonZeroU64::MIN.saturating_add(stage as u64 - 1) | self.0.get() & !3)
    }

    #[inline(always)]
    fn stage(self) -> Stage {
        match self.0.get() & 3 {
            1 => Stage::Open,
            2 => Stage::Answered,
            _ => Stage::Settled,
        }
    }

    #[inline(always)]
    fn stamp(self) -> Stamp {
        Stamp(self.0.get() >> 3)
    }
}

impl<B: Send + Sync + 'static> Lease<Arc<B>> {
    #[inline(always)]
    pub(crate) fn new(token: Arc<Token<Arc<B>>>, stamp: Stamp) -> Self {
        Self {
            token: Some(token),
            state: State::new(Stage::Open, stamp),
        }
    }

    /// The backend.
    #[inline(always)]
    pub fn backend(&self) -> &Arc<B> {
        &self.token().backend
    }

    /// This lease without the backend's type.
    #[inline(always)]
    pub fn erase(mut self) -> Lease {
        Lease {
            token: self.token.take().map(|token| token as _),
            state: self.state,
        }
    }

    /// What is left is hollow. Word by word: moved as a whole, a lease that was just stored by words would have to wait
    /// until both have reached the cache.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Self {
        let state = self.state;
        self.enter(Stage::Settled);
        Self {
            token: self.token.take(),
            state,
        }
    }

    /// The session that it was picked for keeps its home, which is another.
    #[cold]
    pub(crate) fn keep_home(&mut self) {
        self.state.0 |= State::KEEPS_HOME;
    }

    /// Gives the place back as if it had never been taken.
    pub(crate) fn abandon(mut self) {
        self.enter(Stage::Settled);
    }
}

impl<A: ?Sized> Lease<A> {
    /// The backend's id.
    pub fn backend_id(&self) -> &str {
        &self.token().live.id
    }

    /// Which member: what [`Ask::with_tried`](crate::Ask::with_tried) takes.
    pub fn member(&self) -> MemberId {
        self.token().live.member
    }

    /// Whether the session that it was picked for keeps its [home](crate::Ask::with_home), though this is another: the home is
    /// at its in-flight limit, or is not fit but within the session's [grace](crate::Ask::with_grace). Never if it is the home,
    /// or if there is none.
    pub fn keeps_home(&self) -> bool {
        self.state.0.get() & State::KEEPS_HOME != 0
    }

    /// Whether it is settled, as it is where an answer is a failure from its head on.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.stage() == Stage::Settled
    }

    /// Which member, if it has not been [taken](Lease::take).
    pub(crate) fn held(&self) -> Option<MemberId> {
        self.token.as_ref().map(|token| token.live.member)
    }

    /// A good answer has begun: selectors learn of it, with the latency until now. How it ends is still to be said
    /// with [`settle`](Lease::settle); dropped before that, it counts as cancelled.
    #[inline(always)]
    pub fn answered(&mut self) {
        if self.state.stage() == Stage::Open {
            self.enter(Stage::Answered);
            self.judge(Outcome::Success);
            self.observe(Outcome::Success);
        }
    }

    /// The request has ended, so. Only the first call counts.
    #[inline(always)]
    pub fn settle(&mut self, outcome: Outcome) {
        let last = self.enter(Stage::Settled);
        if last == Stage::Settled {
            return;
        }
        let live = &self.token().live;
        live.counts.add(outcome);
        if outcome == Outcome::Broken {
            trace::answered_badly(live.account.pool(), &live.id, true);
        }
        // A body that breaks off is nothing for a row of failures, which its head has ended; sweeps count it.
        if last == Stage::Open {
            self.judge(outcome);
            // Last, as it is the selector's code: should it panic, nothing of the lease is lost.
            self.observe(outcome);
        }
    }

    /// What it says of the member.
    #[inline(always)]
    fn judge(&self, outcome: Outcome) {
        let token = self.token();
        let live = &*token.live;
        match outcome {
            Outcome::Success if !live.counts.streak.is_marked() => {}
            Outcome::Cancelled => {}
            _ if token.is_past.load(Relaxed) => {}
            Outcome::Success => live.account.recovered(live),
            failed => live.account.failed(live, failed),
        }
    }

    /// Whether the pool's selector goes by what backends say of their load: else nobody need read it.
    #[inline]
    pub fn wants_reports(&self) -> bool {
        self.token().needs.wants_reports()
    }

    /// The backend has said what its load is, with its answer.
    pub fn report(&self, report: &LoadReport) {
        if self.wants_reports() {
            self.token().live.account.report(report);
        }
    }

    /// What the backend said of its load could not be read or is absurd: it is counted, and ignored.
    pub fn reject_report(&self) {
        self.token().live.account.reject_report();
    }

    /// The pool's name.
    pub(crate) fn pool(&self) -> Option<&str> {
        self.token().live.account.pool()
    }

    #[inline(always)]
    fn observe(&self, outcome: Outcome) {
        let token = self.token();
        if token.needs.wants_completion(outcome == Outcome::Success) {
            let in_flight = self.token.as_ref().map_or(0, Arc::strong_count).saturating_sub(1);
            token.live.account.observe(outcome, self.state.stamp(), in_flight);
        }
    }

    /// The stage until now.
    #[inline(always)]
    fn enter(&mut self, stage: Stage) -> Stage {
        let last = self.state.stage();
        self.state = self.state.at(stage);
        last
    }

    #[inline(always)]
    fn token(&self) -> &Token<A> {
        // Empty only within `drop` and `erase`, after which nobody can ask.
        self.token
            .as_deref()
            .expect("a lease holds its member until it is dropped")
    }

    #[cold]
    #[inline(never)]
    fn cancel(&mut self) {
        if self.token.is_some() {
            // Within a drop, and perhaps within a panic already: the selector's own must not leave it.
            let _ = catch_unwind(AssertUnwindSafe(|| self.settle(Outcome::Cancelled)));
        }
    }
}

impl<A: ?Sized> Drop for Lease<A> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.state.stage() != Stage::Settled {
            self.cancel();
        }
        match self.token.take() {
            Some(token) if token.awaited => release_awaited(token),
            _ => {}
        }
    }
}

/// First the place is free, then whoever waits for one is told: the other way round it would look in vain and never be
/// told again.
#[cold]
#[inline(never)]
fn release_awaited<A: ?Sized>(token: Arc<Token<A>>) {
    /// Tells when it is dropped: even if the backend's own drop panics, should this lease have been the last to hold it.
    struct Told(Arc<Live<dyn Account>>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.account.released();
        }
    }
    let _told = Told(Arc::clone(&token.live));
    drop(token);
}

impl<A: ?Sized> fmt::Debug for Lease<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("backend", &self.token.as_ref().map(|token| &token.live.id))
            .field("stage", &self.state.stage())
            .finish()
    }
}
