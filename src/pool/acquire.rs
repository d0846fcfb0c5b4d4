//! A pick that waits.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{Pool, Refusal, admission::Ticket, lease::Lease};
use crate::{ask::Ask, backend::Backend, clock::Sleep, error::Error, selector::Selector};

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

    pub(crate) fn pool(&self) -> &Pool<B, S> {
        &self.pool
    }

    /// Whether the request has tried others.
    pub(crate) fn was_elsewhere(&self) -> bool {
        !self.ask.tried().is_empty()
    }

    /// Comes to the gate: served at once, turned away, or into the queue.
    fn enter(&mut self, cx: &mut Context<'_>) -> Poll<Result<Lease<Arc<B>>, Error>> {
        let refusal = match self.pool.try_pick(&self.ask) {
            Ok(lease) => return Poll::Ready(Ok(lease)),
            Err(refusal) => refusal,
        };
        let Some((capacity, patience)) = self.pool.shared().patience(refusal) else {
            return Poll::Ready(Err(refusal.into()));
        };
        let choice = self.pool.choice(&self.ask);
        let core = &self.pool.shared().core;
        let (now, deadline) = (core.clock().now(), core.clock().deadline(patience));
        // Made before the gate is entered: a runtime without a timer panics here.
        let sleep = core.clock().sleep_until(deadline);
        let Some((ticket, looks)) = core.gate.enter(cx.waker(), capacity, choice, (now, deadline)) else {
            return Poll::Ready(Err(match self.pool.cause(refusal, &self.ask) {
                cause @ (Refusal::Silent | Refusal::Unready) => cause.into(),
                _ => Error::overloaded("every member is at its in-flight limit, and the queue is full"),
            }));
        };
        self.waiting = Some(Waiting { ticket, refusal, sleep });
        if self.pool.is_behind() {
            // What was published on the way to the gate called nobody who is here now.
            self.leave();
            return self.enter(cx);
        }
        match self.pool.pick_in_turn(looks, &self.ask) {
            Ok(lease) => Poll::Ready(Ok(lease)),
            Err(refusal) if self.pool.shared().patience(refusal).is_none() => Poll::Ready(Err(refusal.into())),
            Err(_) => Poll::Pending,
        }
    }

    /// Looks again for a member.
    fn look(&mut self, ticket: Ticket, cx: &mut Context<'_>) -> Poll<Result<Lease<Arc<B>>, Error>> {
        let choice = self.pool.choice(&self.ask);
        self.pool.shared().core.gate.choose(ticket, choice);
        let refusal = match self.pool.pick_now(&self.ask) {
            Ok(lease) => return Poll::Ready(Ok(lease)),
            Err(refusal) => refusal,
        };
        if self.pool.shared().patience(refusal).is_none() {
            return Poll::Ready(Err(refusal.into()));
        }
        if self.waits_for_discovery() && refusal != Refusal::Silent {
            // Discovery has spoken, and all are full: now it waits for another thing, by other bounds.
            self.leave();
            return self.enter(cx);
        }
        self.pool.shared().core.gate.pass_on(ticket, choice);
        Poll::Pending
    }

    fn waits_for_discovery(&self) -> bool {
        self.waiting
            .as_ref()
            .is_some_and(|waiting| waiting.refusal == Refusal::Silent)
    }

    /// Its time is over: a last look, if those ahead do not look after their requests.
    fn give_up(&mut self, ticket: Ticket) -> Result<Lease<Arc<B>>, Error> {
        let core = &self.pool.shared().core;
        let is_next = core.gate.is_next(ticket, core.clock().now());
        let refusal = match self.pool.pick_in_turn(is_next, &self.ask) {
            Ok(lease) => return Ok(lease),
            Err(refusal) => refusal,
        };
        Err(match self.pool.cause(refusal, &self.ask) {
            cause @ (Refusal::Silent | Refusal::Unready) => cause.into(),
            _ => Error::overloaded("every member is at its in-flight limit, and none came free in time"),
        })
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
                    this.look(ticket, cx)
                } else {
                    Poll::Pending
                }
            }
        };
        let ended = match (looked, &mut this.waiting) {
            (Poll::Ready(ended), _) => ended,
            (Poll::Pending, None) => return Poll::Pending,
            (Poll::Pending, Some(waiting)) => {
                ready!(Pin::new(&mut waiting.sleep).poll(cx));
                let ticket = waiting.ticket;
                this.give_up(ticket)
            }
        };
        this.leave();
        Poll::Ready(ended)
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
