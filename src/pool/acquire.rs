//! A pick that waits.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{Admission, Pool, Refusal, admission::Ticket, lease::Lease};
use crate::{ask::Ask, backend::Backend, clock::Sleep, error::Error, selector::Selector};

/// How many may wait for discovery to speak.
const NEWCOMERS: usize = 1024;

/// A pick that waits its turn, first come first served: what `Pool::acquire` returns. Dropped, it leaves the queue
/// and lets the next one in.
pub struct Acquire<B: Backend, S: Selector<B>> {
    pool: Pool<B, S>,
    ask: Ask,
    waiting: Option<Waiting>,
}

struct Waiting {
    ticket: Ticket,
    /// Why it waits.
    refusal: Refusal,
    sleep: Sleep,
}

impl<B: Backend, S: Selector<B>> Acquire<B, S> {
    pub(super) fn new(pool: Pool<B, S>, ask: Ask) -> Self {
        Self {
            pool,
            ask,
            waiting: None,
        }
    }

    /// Whether waiting is of use after this refusal, and wanted.
    pub(crate) fn waits_for(&self, refusal: Refusal) -> bool {
        self.patience(refusal).is_some()
    }

    /// How many may wait for this to change, and for how long; none if waiting does not help or is not wanted.
    fn patience(&self, refusal: Refusal) -> Option<(usize, Duration)> {
        let shared = self.pool.shared();
        match (refusal, shared.admission) {
            (Refusal::Silent, _) => Some((NEWCOMERS, shared.patience)),
            (Refusal::Full | Refusal::Queued, Admission::Queue { capacity, deadline }) => Some((capacity, deadline)),
            _ => None,
        }
    }

    /// Comes to the gate: served at once, turned away, or into the queue. Whether to look once more.
    fn enter(&mut self, cx: &mut Context<'_>) -> Poll<Result<Lease<Arc<B>>, Error>> {
        let refusal = match self.pool.try_pick(&self.ask) {
            Ok(lease) => return Poll::Ready(Ok(lease)),
            Err(refusal) => refusal,
        };
        let Some((capacity, patience)) = self.patience(refusal) else {
            return Poll::Ready(Err(refusal.into()));
        };
        let core = &self.pool.shared().core;
        let Some((ticket, looks)) = core.gate.enter(cx.waker(), capacity, self.is_picky()) else {
            return Poll::Ready(Err(match refusal {
                Refusal::Silent => refusal.into(),
                _ => Error::overloaded("every member is at its in-flight limit, and the queue is full"),
            }));
        };
        let sleep = core.clock.sleep_until(core.clock.deadline(patience));
        self.waiting = Some(Waiting { ticket, refusal, sleep });
        if looks { self.look(ticket) } else { Poll::Pending }
    }

    /// Looks again for a member.
    fn look(&mut self, ticket: Ticket) -> Poll<Result<Lease<Arc<B>>, Error>> {
        match self.pool.pick_from_queue(&self.ask) {
            Ok(lease) => Poll::Ready(Ok(lease)),
            Err(refusal) if self.patience(refusal).is_none() => Poll::Ready(Err(refusal.into())),
            Err(_) => {
                // What this request may not have, because it was there before, another may.
                if self.is_picky() {
                    self.pool.shared().core.gate.pass_on(ticket);
                }
                Poll::Pending
            }
        }
    }

    /// Whether it may not have every member that is open.
    fn is_picky(&self) -> bool {
        !self.ask.tried().is_empty()
    }

    fn leave(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.pool.shared().core.gate.leave(waiting.ticket);
        }
    }
}

impl<B: Backend, S: Selector<B>> Future for Acquire<B, S> {
    type Output = Result<Lease<Arc<B>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let looked = match &this.waiting {
            None => this.enter(cx),
            Some(waiting) => {
                let ticket = waiting.ticket;
                // The call is taken before looking: one that comes meanwhile is then not lost.
                if this.pool.shared().core.gate.take_call(ticket, cx.waker()) {
                    this.look(ticket)
                } else {
                    Poll::Pending
                }
            }
        };
        if looked.is_ready() {
            this.leave();
            return looked;
        }
        let Some(waiting) = &mut this.waiting else {
            return Poll::Pending;
        };
        ready!(Pin::new(&mut waiting.sleep).poll(cx));
        let refusal = waiting.refusal;
        this.leave();
        Poll::Ready(Err(match refusal {
            Refusal::Silent => refusal.into(),
            _ => Error::overloaded("every member is at its in-flight limit, and none came free in time"),
        }))
    }
}

impl<B: Backend, S: Selector<B>> Unpin for Acquire<B, S> {}

impl<B: Backend, S: Selector<B>> Drop for Acquire<B, S> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<B: Backend, S: Selector<B>> fmt::Debug for Acquire<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("ask", &self.ask).finish()
    }
}
