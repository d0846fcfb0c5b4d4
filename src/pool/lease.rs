//! One request's hold on one member.

use std::{fmt, num::NonZeroU64, sync::Arc};

use self::sealed::Hold;
use crate::{
    clock::Stamp,
    member::{Account, Live, MemberId, Outcome, Token},
};

/// One request's hold on one member: while it lives, the request counts as in flight there.
///
/// It is settled once: with [`settle`](Lease::settle), or in two steps with [`answered`](Lease::answered) when a good
/// answer has begun whose end is still to come. A lease that is dropped unsettled counts as cancelled.
///
/// `Pool::pick` makes leases that know the [`backend`](Lease::backend); [`erase`](Lease::erase) forgets its type.
pub struct Lease<H: Held + ?Sized = dyn Held> {
    /// None only while it is being given back.
    held: Option<Arc<H>>,
    state: State,
}

/// How far a lease is and when it began, in one word that is never 0: a lease, even with an error in its place, is two
/// words, which pass in registers. What passes through memory waits there for the next atomic operation.
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
    #[inline]
    fn new(stage: Stage, stamp: Stamp) -> Self {
        // A stage is never 0, and so neither is the word.
        Self(NonZeroU64::MIN.saturating_add(stage as u64 - 1) | stamp.0 << 2)
    }

    #[inline]
    fn stage(self) -> Stage {
        match self.0.get() & 3 {
            1 => Stage::Open,
            2 => Stage::Answered,
            _ => Stage::Settled,
        }
    }

    #[inline]
    fn stamp(self) -> Stamp {
        Stamp(self.0.get() >> 2)
    }
}

/// What a [`Lease`] holds: a [`Token`] of a backend whose type is known, or not (`dyn Held`).
pub trait Held: Hold {}

impl<B: Send + Sync + 'static> Held for Token<B> {}

mod sealed {
    use super::*;

    pub trait Hold: Send + Sync + 'static {
        fn live(&self) -> &Live<dyn Account>;
        fn is_observed(&self) -> bool;
        fn release(self: Arc<Self>);
    }

    impl<B: Send + Sync + 'static> Hold for Token<B> {
        #[inline]
        fn live(&self) -> &Live<dyn Account> {
            &self.live
        }

        #[inline]
        fn is_observed(&self) -> bool {
            self.observed
        }

        #[inline]
        fn release(self: Arc<Self>) {
            if self.awaited {
                release_awaited(self);
            }
        }
    }

    /// First the place is free, then whoever waits for one is told: the other way round it would look in vain and
    /// never be told again.
    #[cold]
    #[inline(never)]
    fn release_awaited<B>(token: Arc<Token<B>>) {
        let live = Arc::clone(&token.live);
        drop(token);
        live.account.released();
    }
}

impl<B: Send + Sync + 'static> Lease<Token<B>> {
    #[inline]
    pub(crate) fn new(token: Arc<Token<B>>, stamp: Stamp) -> Self {
        Self {
            held: Some(token),
            state: State::new(Stage::Open, stamp),
        }
    }

    /// The backend.
    #[inline]
    pub fn backend(&self) -> &Arc<B> {
        &held(&self.held).backend
    }

    /// This lease without the backend's type.
    #[inline]
    pub fn erase(mut self) -> Lease {
        Lease {
            held: self.held.take().map(|token| token as Arc<dyn Held>),
            state: self.state,
        }
    }

    /// Gives the place back as if it had never been taken.
    pub(crate) fn abandon(mut self) {
        self.enter(Stage::Settled);
    }
}

/// The option is empty only within `drop` and `erase`, after which nobody can ask.
#[inline]
fn held<H: Held + ?Sized>(held: &Option<Arc<H>>) -> &H {
    held.as_deref().expect("a lease holds its member until it is dropped")
}

impl<H: Held + ?Sized> Lease<H> {
    /// The backend's id.
    pub fn backend_id(&self) -> &str {
        &held(&self.held).live().id
    }

    /// Which member: what [`Ask::with_tried`](crate::Ask::with_tried) takes.
    pub fn member(&self) -> MemberId {
        held(&self.held).live().member
    }

    /// A good answer has begun: selectors learn of it, with the latency until now. How it ends is still to be said
    /// with [`settle`](Lease::settle); dropped before that, it counts as cancelled.
    #[inline]
    pub fn answered(&mut self) {
        if self.state.stage() == Stage::Open {
            self.enter(Stage::Answered);
            self.observe(Outcome::Success);
        }
    }

    /// The request has ended, so. Only the first call counts.
    #[inline]
    pub fn settle(&mut self, outcome: Outcome) {
        match self.enter(Stage::Settled) {
            Stage::Open => self.observe(outcome),
            Stage::Answered => {}
            Stage::Settled => return,
        }
        held(&self.held).live().counts.add(outcome);
    }

    /// The stage until now.
    #[inline]
    fn enter(&mut self, stage: Stage) -> Stage {
        let last = self.state.stage();
        self.state = State::new(stage, self.state.stamp());
        last
    }

    #[cold]
    #[inline(never)]
    fn cancel(&mut self) {
        if self.held.is_some() {
            self.settle(Outcome::Cancelled);
        }
    }

    #[inline]
    fn observe(&self, outcome: Outcome) {
        let held = held(&self.held);
        if held.is_observed() {
            held.live().account.observe(outcome, self.state.stamp());
        }
    }
}

impl<H: Held + ?Sized> Drop for Lease<H> {
    #[inline]
    fn drop(&mut self) {
        if self.state.stage() != Stage::Settled {
            self.cancel();
        }
        if let Some(held) = self.held.take() {
            held.release();
        }
    }
}

impl<H: Held + ?Sized> fmt::Debug for Lease<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("backend", &self.held.as_ref().map(|held| &held.live().id))
            .field("stage", &self.state.stage())
            .finish()
    }
}
