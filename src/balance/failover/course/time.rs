//! What there is to do at which time.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{Ended, From, Hedged, Stage, Trial};
use crate::{
    balance::{
        Answer, Dispatch, Dispatched,
        failover::{
            FailoverPolicy, Judge,
            policy::{RawOf, SentOf},
        },
    },
    error::Error,
    outcome::Outcome,
    pool::Lease,
    trace,
};

/// The least time between two looks at whether a request is all there, however short its tries may be.
const LEAST_LOOK: Duration = Duration::from_millis(1);

impl<Req, D, P> Trial<'_, Req, D, P>
where
    P: FailoverPolicy<Req>,
    D: Dispatch<SentOf<Req, P>, Error = Error> + Clone,
    P: Judge<Req, RawOf<Req, D, P>>,
{
    /// Does what it is time for; ready if anything was done.
    pub(super) fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Ended<Req, D, P>> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| self.course.now >= at);
        if is_due(self.course.deadline) {
            return Poll::Ready(Some(self.give_up_all()));
        }
        if is_due(self.course.try_ends) && !self.shared.policy.is_there(self.kept) {
            let later = self.course.now + LEAST_LOOK;
            self.course.try_ends = self.end_of_try().map(|ends| ends.max(later));
            return Poll::Ready(None);
        }
        if is_due(self.course.try_ends) && self.attempt.is_some() {
            self.first_took_until_now();
            let attempt = self.attempt.as_mut().as_pin_mut();
            let lease = attempt.and_then(|attempt| attempt.give_up(Outcome::Unreachable));
            self.attempt.set(None);
            return Poll::Ready(self.answered(late(lease), From::Attempt));
        }
        let ended = self.course.hedge.as_ref().is_some_and(|hedge| is_due(hedge.ends));
        if let Some(mut hedge) = self.course.hedge.take_if(|_| ended) {
            let lease = hedge.attempt.as_mut().give_up(Outcome::Unreachable);
            return Poll::Ready(self.answered(late(lease), From::Hedge));
        }
        if is_due(self.course.hedge_at) {
            self.course.hedge_at = None;
            self.hedge(cx);
            return Poll::Ready(None);
        }
        self.poll_alarm(cx)
    }

    /// Waits for the next thing that there is to do.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Ended<Req, D, P>> {
        let course = &mut *self.course;
        let waits = match course.stage {
            Stage::Waiting(until) => Some(until),
            _ => None,
        };
        let hedge_ends = course.hedge.as_ref().and_then(|hedge| hedge.ends);
        let all = [course.deadline, course.try_ends, hedge_ends, course.hedge_at, waits];
        let Some(next) = all.into_iter().flatten().min() else {
            return Poll::Pending;
        };
        let Some(clock) = self.shared.clock.get() else {
            return Poll::Pending;
        };
        let alarm = match &mut course.alarm {
            Some((at, alarm)) if *at == next => alarm,
            other => &mut other.insert((next, clock.sleep_until(next))).1,
        };
        match Pin::new(alarm).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                course.alarm = None;
                course.now = clock.now();
                Poll::Ready(None)
            }
        }
    }

    /// Sends it to a second backend, if there is one and the budget has it.
    fn hedge(&mut self, cx: &mut Context<'_>) {
        let attempt = self.attempt.as_ref().as_pin_ref();
        let (Some(member), Stage::UnderWay) = (attempt.and_then(|attempt| attempt.member()), self.course.stage) else {
            return;
        };
        if !self.shared.policy.may_hedge(self.kept) || !self.shared.has_hedge(self.course.now) {
            return;
        }
        if !self.prepare(None, false) {
            self.shared.give_back_hedge(self.course.now);
            return;
        }
        self.course.tries += 1;
        // Last, as a readiness that is not used may be missed elsewhere, such as a permit.
        let spare = self.course.service.take();
        let mut service = spare.unwrap_or_else(|| self.shared.spare.lock().clone());
        let is_ready = matches!(service.poll_ready(cx), Poll::Ready(Ok(())));
        match self.course.next.take().filter(|_| is_ready) {
            Some(sent) => {
                // That a home takes long is no reason to leave it; that it has failed is.
                let ask = match self.ask.tried() {
                    [] => self.ask.clone().with_home_kept(),
                    _ => self.ask.clone(),
                };
                let ask = ask.with_tried(member);
                let attempt = Box::pin(service.dispatch(&ask, sent));
                self.course.service = Some(service);
                self.course.hedge = Some(Hedged { attempt, ends: None });
            }
            None => self.unmake_hedge(),
        }
    }

    /// The request's time is over.
    fn give_up_all(&mut self) -> Answer<RawOf<Req, D, P>, Error> {
        if self.attempt.is_some() {
            self.first_took_until_now();
        }
        // Who had all the time has failed; who came later, or was not given all of it, might have made it.
        let outcome = match self.course.has_all_the_time && self.shared.policy.is_there(self.kept) {
            true => Outcome::Unreachable,
            false => Outcome::Cancelled,
        };
        self.course.was_sent = self.was_sent();
        let attempt = self.attempt.as_mut().as_pin_mut();
        let lease = attempt.and_then(|attempt| attempt.give_up(outcome));
        self.attempt.set(None);
        self.course
            .ids
            .extend(lease.as_ref().map(|lease| lease.backend_id().into()));
        self.cancel();
        let last = self.course.last.take().filter(|_| lease.is_none());
        let answer = last.unwrap_or_else(|| given_up(lease, "the request's time is over"));
        self.course.end(answer)
    }
}

/// What a try that took too long comes to.
fn late<Raw>(lease: Option<Lease>) -> Answer<Raw, Error> {
    given_up(lease, "no answer in time")
}

/// What was given up, which nobody else tells of.
fn given_up<Raw>(lease: Option<Lease>, why: &'static str) -> Answer<Raw, Error> {
    let error = Error::timeout(lease.as_ref().map(Lease::backend_id), why);
    trace::failed(lease.as_ref().and_then(Lease::pool), &error);
    Answer {
        result: Err(error),
        lease,
    }
}
