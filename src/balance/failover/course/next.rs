//! What an answer leads to.

use std::time::{Duration, Instant};

use super::{Ended, From, Stage, Trial};
use crate::{
    balance::{
        Answer, Dispatch, Dispatched,
        failover::{
            FailoverPolicy, Judge, Verdict,
            policy::{RawOf, SentOf},
            settings::LONGEST,
        },
    },
    error::{Error, ErrorKind},
    outcome::Outcome,
    pool::Lease,
    trace,
};

impl<Req, D, P> Trial<'_, Req, D, P>
where
    P: FailoverPolicy<Req>,
    D: Dispatch<SentOf<Req, P>, Error = Error> + Clone,
    P: Judge<Req, RawOf<Req, D, P>>,
{
    /// One has answered.
    pub(super) fn answered(&mut self, answer: Answer<RawOf<Req, D, P>, Error>, from: From) -> Ended<Req, D, P> {
        let mut is_alone = match from {
            From::Attempt => self.course.hedge.is_none(),
            From::Hedge => self.attempt.is_none(),
        };
        if from == From::Attempt {
            // The time of a try that is over would wake who waits, again and again.
            self.course.try_ends = None;
        }
        if is_refusal(&answer) {
            return self.refused(answer, from, is_alone);
        }
        let member = answer.lease.as_ref().map(Lease::member);
        self.course.note(&answer);
        let verdict = self.shared.policy.judge(self.kept, answer.result.as_ref());
        match verdict {
            Verdict::Success => {
                // If the first is over, that was counted then, or it broke off.
                if from == From::Attempt || !is_alone {
                    self.first_took_until_now();
                }
                self.shared.succeeded();
                return Some(answer);
            }
            Verdict::Unsent => {}
            Verdict::Failure | Verdict::Elsewhere { .. } | Verdict::Later(_) => self.course.was_sent = true,
        }
        let back_in = match verdict {
            Verdict::Elsewhere { back_in } => back_in,
            _ => None,
        };
        if let Some(member) = member {
            let back = back_in.and_then(|back_in| self.course.now.checked_add(back_in.min(LONGEST)));
            self.course.tried.push((member, back));
            self.ask.add_tried(member);
        }
        if verdict == Verdict::Failure {
            self.cancel();
            return Some(self.course.end(answer));
        }
        if let Verdict::Later(wait) = verdict {
            let until = self.course.now.checked_add(wait.min(LONGEST));
            self.course.not_before = self.course.not_before.max(until);
            // One that waits for a backend would be sent before that.
            let waiting = self.course.hedge.take_if(|hedge| hedge.attempt.member().is_none());
            if waiting.is_some() {
                self.unmake_hedge();
                is_alone = true;
            }
        }
        if !is_alone {
            // The other may do better.
            self.course.last = Some(answer);
            return None;
        }
        self.try_again(answer, verdict)
    }

    /// The first try took so long, or would have taken longer.
    pub(super) fn first_took_until_now(&self) {
        if self.course.is_first {
            self.shared
                .took(self.course.now.saturating_duration_since(self.course.began));
        }
    }

    /// Whether anything was sent to anybody by now.
    pub(super) fn was_sent(&self) -> bool {
        let attempt = self.attempt.as_ref().as_pin_ref();
        self.course.was_sent() || attempt.is_some_and(|attempt| attempt.was_sent())
    }

    /// Gives up whoever is under way.
    pub(super) fn cancel(&mut self) {
        self.course.was_sent = self.was_sent();
        let attempt = self.attempt.as_mut().as_pin_mut();
        let attempt = attempt.and_then(|attempt| attempt.give_up(Outcome::Cancelled));
        self.attempt.set(None);
        let hedge = self.course.hedge.take();
        let hedge = hedge.and_then(|mut hedge| hedge.attempt.as_mut().give_up(Outcome::Cancelled));
        let leases = [attempt, hedge].into_iter().flatten();
        let ids = leases.map(|lease| lease.backend_id().into());
        self.course.ids.extend(ids);
    }

    /// A hedge came to nobody, or was not made.
    pub(super) fn unmake_hedge(&mut self) {
        self.course.tries -= 1;
        self.course.paid -= 1;
        self.shared.budget.refund(self.course.now);
        self.shared.give_back_hedge(self.course.now);
    }

    /// Nobody was to be had.
    fn refused(&mut self, answer: Answer<RawOf<Req, D, P>, Error>, from: From, is_alone: bool) -> Ended<Req, D, P> {
        match from {
            From::Hedge => {
                self.unmake_hedge();
                // What the first has answered meanwhile, if it has.
                let last = self.course.last.take().filter(|_| is_alone)?;
                let verdict = self.shared.policy.judge(self.kept, last.result.as_ref());
                self.try_again(last, verdict)
            }
            From::Attempt if !is_alone => None,
            // Of those not tried yet nobody is open.
            From::Attempt if !self.course.tried.is_empty() => {
                self.course.tries -= 1;
                self.go_around(answer)
            }
            From::Attempt => Some(self.course.end(answer)),
        }
    }

    /// Another try, if there may be one; what it goes by otherwise.
    fn try_again(&mut self, answer: Answer<RawOf<Req, D, P>, Error>, verdict: Verdict) -> Ended<Req, D, P> {
        let member = answer.lease.as_ref().map(Lease::member);
        let times = self
            .course
            .tried
            .iter()
            .filter(|(tried, _)| Some(*tried) == member)
            .count();
        // Who comes to nobody would come there for ever.
        let is_free = verdict == Verdict::Unsent && self.course.round == 0 && times == 1;
        let until = self.course.not_before.filter(|until| *until > self.course.now);
        if !self.prepare(until, is_free) {
            return Some(self.course.end(answer));
        }
        let lease = answer.lease.as_ref();
        self.course.is_rested = until.is_some();
        trace::tried_elsewhere(lease.and_then(Lease::pool), lease.map(Lease::backend_id));
        match until {
            Some(until) => self.course.stage = Stage::Waiting(until),
            None => {
                self.course.last = Some(answer);
                self.course.stage = Stage::Launching;
            }
        }
        None
    }

    /// Begins from the start, with those who were tried: after a while, and not with who is not back by then.
    fn go_around(&mut self, refusal: Answer<RawOf<Req, D, P>, Error>) -> Ended<Req, D, P> {
        let backoff = match self.course.is_rested {
            true => Duration::ZERO,
            false => self.shared.backoff(self.course.round + 1),
        };
        let earliest = self
            .course
            .tried
            .iter()
            .map(|(_, back)| back.unwrap_or(self.course.now))
            .min();
        let until = self.course.now + backoff.min(LONGEST);
        let until = until.max(earliest.unwrap_or(until));
        let is_paid = self.course.is_paid;
        // Where nobody could be sent anything nobody will a moment later; and a budget that such requests have emptied would
        // be missed when the first is back.
        if !self.course.was_sent || !self.prepare(Some(until), is_paid) {
            let last = self.course.last.take().unwrap_or(refusal);
            return Some(self.course.end(last));
        }
        self.course.is_paid = false;
        // Its place is free for who comes around.
        self.course.last = None;
        self.course.round += 1;
        self.course
            .tried
            .retain(|(_, back)| back.is_some_and(|back| back > until));
        let members = self.course.tried.iter().map(|(member, _)| *member);
        self.ask.set_tried(members.chain(self.course.others.iter().copied()));
        self.course.stage = Stage::Waiting(until);
        None
    }

    /// Whether there may be another try at that time, for nothing or from the budget: it is then ready to be sent.
    pub(super) fn prepare(&mut self, at: Option<Instant>, is_free: bool) -> bool {
        let at = at.unwrap_or(self.course.now);
        let wait = at.saturating_duration_since(self.course.now);
        let in_time =
            self.course.deadline.is_none_or(|deadline| at < deadline) && wait <= self.shared.settings.longest_wait;
        if !in_time || !(is_free || self.course.paid + 1 < self.shared.settings.tries) {
            return false;
        }
        self.course.next = self.shared.policy.again(self.kept, self.course.tries + 1);
        if self.course.next.is_none() || !(is_free || self.shared.budget.withdraw(self.course.now)) {
            self.course.next = None;
            return false;
        }
        self.course.paid += u32::from(!is_free);
        self.course.is_paid = !is_free;
        true
    }
}

/// The pool had nobody for it, and not only for the last try of a service within.
fn is_refusal<Raw>(answer: &Answer<Raw, Error>) -> bool {
    let is_refusal = |error: &Error| {
        matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Overloaded) && error.tried().next().is_none()
    };
    answer.lease.is_none() && answer.result.as_ref().is_err_and(is_refusal)
}
