//! What a request goes through that did not end at once.

mod next;
mod time;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use super::{
    FailoverPolicy, Judge,
    policy::{RawOf, SentOf},
    service::Shared,
};
use crate::{
    ask::Ask,
    balance::{Answer, Dispatch, Dispatched},
    clock::Sleep,
    error::Error,
    member::MemberId,
};

/// How far a request is, from when its first try did not answer at once.
pub(super) struct Course<Sent, D: Dispatch<Sent>> {
    now: Instant,
    began: Instant,
    deadline: Option<Instant>,
    /// The one alarm, and for when it is set.
    alarm: Option<(Instant, Sleep)>,
    stage: Stage,
    /// Of the one try, or the first of two that are under way.
    try_ends: Option<Instant>,
    pub(super) hedge: Option<Hedged<D::Dispatching>>,
    hedge_at: Option<Instant>,
    /// A clone that tries are made with, ready or being made so.
    service: Option<D>,
    /// What is sent next.
    next: Option<Sent>,
    /// That the next try is paid for.
    is_paid: bool,
    /// That it was waited for, as it was asked for.
    is_rested: bool,
    /// How many tries were made, hedges included, and how many of them were paid for.
    tries: u32,
    paid: u32,
    /// The first is under way, or has been until now.
    is_first: bool,
    /// And it did not wait for its backend.
    has_all_the_time: bool,
    /// Before which nobody is to be asked, by the word of one who was.
    not_before: Option<Instant>,
    /// How often all who were open have been tried.
    round: u32,
    /// The members that were tried by whoever is around this.
    others: Vec<MemberId>,
    /// Those of this round, and when they said that they would be back.
    tried: Vec<(MemberId, Option<Instant>)>,
    ids: Vec<Box<str>>,
    was_sent: bool,
    /// The last answer, until another try is with its backend.
    last: Option<Answer<D::Raw, Error>>,
}

#[derive(Clone, Copy)]
enum Stage {
    UnderWay,
    Waiting(Instant),
    Launching,
}

pub(super) struct Hedged<F> {
    pub(super) attempt: Pin<Box<F>>,
    ends: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Attempt,
    Hedge,
}

impl<Sent, D: Dispatch<Sent>> Course<Sent, D> {
    /// Of a request whose first try has its backend, or has none yet.
    pub(super) fn new<P>(shared: &Shared<D, P>, ask: &Ask, has_backend: bool) -> Self {
        let now = shared.now();
        let after = |delay: Duration| now.checked_add(delay);
        Self {
            now,
            began: now,
            deadline: shared.settings.deadline.and_then(after),
            alarm: None,
            stage: Stage::UnderWay,
            try_ends: None,
            hedge: None,
            hedge_at: shared.hedge_delay().and_then(after),
            service: None,
            next: None,
            is_paid: false,
            is_rested: false,
            tries: 1,
            paid: 0,
            is_first: true,
            has_all_the_time: has_backend,
            not_before: None,
            round: 0,
            others: ask.tried().to_vec(),
            tried: Vec::new(),
            ids: Vec::new(),
            was_sent: false,
            last: None,
        }
    }

    /// Whether any try that is over was sent something, or the hedge that is not.
    pub(super) fn was_sent(&self) -> bool {
        self.was_sent || (self.hedge.as_ref()).is_some_and(|hedge| hedge.attempt.was_sent())
    }

    /// Who was tried for this answer.
    fn note(&mut self, answer: &Answer<D::Raw, Error>) {
        let before = self.ids.len();
        // A service within has tried more than the last.
        if let Err(error) = &answer.result {
            self.ids.extend(error.tried().map(Box::from));
        }
        if self.ids.len() == before {
            self.ids
                .extend(answer.lease.as_ref().map(|lease| lease.backend_id().into()));
        }
    }

    /// It ends with this.
    fn end(&mut self, mut answer: Answer<D::Raw, Error>) -> Answer<D::Raw, Error> {
        let (ids, was_sent) = (std::mem::take(&mut self.ids), self.was_sent);
        answer.result = answer.result.map_err(|error| error.after(ids, was_sent));
        answer
    }
}

/// A course, with the rest of its future.
pub(super) struct Trial<'a, Req, D: Dispatch<SentOf<Req, P>>, P: FailoverPolicy<Req>> {
    pub(super) attempt: Pin<&'a mut Option<D::Dispatching>>,
    pub(super) kept: &'a P::Kept,
    pub(super) ask: &'a mut Ask,
    pub(super) shared: &'a Arc<Shared<D, P>>,
    pub(super) course: &'a mut Course<SentOf<Req, P>, D>,
}

/// How a step of a trial may end the request.
type Ended<Req, D, P> = Option<Answer<RawOf<Req, D, P>, Error>>;

impl<Req, D, P> Trial<'_, Req, D, P>
where
    P: FailoverPolicy<Req>,
    D: Dispatch<SentOf<Req, P>, Error = Error> + Clone,
    P: Judge<Req, RawOf<Req, D, P>>,
{
    /// Goes on, with the answer to the first try if that has come.
    #[cold]
    pub(super) fn poll(
        mut self,
        first: Ended<Req, D, P>,
        cx: &mut Context<'_>,
    ) -> Poll<Answer<RawOf<Req, D, P>, Error>> {
        self.course.now = self.shared.now();
        let mut ended = None;
        if let Some(first) = first {
            self.attempt.set(None);
            ended = self.answered(first, From::Attempt);
        }
        let ended = match ended {
            Some(ended) => ended,
            None => ready!(self.poll_on(cx)),
        };
        // Who has lost the race need not run on, and who has failed be held.
        self.attempt.set(None);
        self.course.hedge = None;
        self.course.last = None;
        Poll::Ready(ended)
    }

    fn poll_on(&mut self, cx: &mut Context<'_>) -> Poll<Answer<RawOf<Req, D, P>, Error>> {
        loop {
            let step = match self.course.stage {
                Stage::UnderWay => self.poll_under_way(cx),
                Stage::Waiting(until) if self.course.now >= until => {
                    self.course.stage = Stage::Launching;
                    continue;
                }
                Stage::Waiting(_) => Poll::Pending,
                Stage::Launching => self.poll_launch(cx),
            };
            match step {
                Poll::Ready(Some(ended)) => return Poll::Ready(ended),
                Poll::Ready(None) => continue,
                Poll::Pending => {}
            }
            match self.poll_time(cx) {
                Poll::Ready(Some(ended)) => return Poll::Ready(ended),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Looks after those that are under way.
    fn poll_under_way(&mut self, cx: &mut Context<'_>) -> Poll<Ended<Req, D, P>> {
        if let Some(attempt) = self.attempt.as_mut().as_pin_mut() {
            if let Poll::Ready(answer) = attempt.poll(cx) {
                self.attempt.set(None);
                return Poll::Ready(self.answered(answer, From::Attempt));
            }
        }
        let member = self.attempt.as_ref().as_pin_ref().and_then(|attempt| attempt.member());
        if member.is_some() {
            // Another has taken its place.
            self.course.last = None;
            let ends = self.end_of_try();
            self.course.try_ends = self.course.try_ends.or(ends);
        }
        let ends = self.end_of_try();
        if let Some(hedge) = &mut self.course.hedge {
            if let Poll::Ready(answer) = hedge.attempt.as_mut().poll(cx) {
                self.course.hedge = None;
                return Poll::Ready(self.answered(answer, From::Hedge));
            }
            hedge.ends = hedge.ends.or(ends.filter(|_| hedge.attempt.member().is_some()));
        }
        Poll::Pending
    }

    pub(super) fn end_of_try(&self) -> Option<Instant> {
        self.course.now.checked_add(self.shared.settings.try_timeout?)
    }

    /// Sends it once more, as soon as the service is ready.
    fn poll_launch(&mut self, cx: &mut Context<'_>) -> Poll<Ended<Req, D, P>> {
        let service = self
            .course
            .service
            .get_or_insert_with(|| self.shared.spare.lock().clone());
        let ready = match service.poll_ready(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(ready) => ready,
        };
        let sent = ready.and_then(|()| {
            self.course
                .next
                .take()
                .ok_or_else(|| Error::unavailable("nothing is left to be sent"))
        });
        let sent = match sent {
            Ok(sent) => sent,
            // What was made ready has failed, and so have the others.
            Err(error) => {
                let failed = || Answer {
                    result: Err(error),
                    lease: None,
                };
                let answer = self.course.last.take().unwrap_or_else(failed);
                return Poll::Ready(Some(self.course.end(answer)));
            }
        };
        self.attempt.set(Some(service.dispatch(self.ask, sent)));
        self.course.tries += 1;
        (self.course.is_first, self.course.has_all_the_time) = (false, false);
        self.course.try_ends = None;
        self.course.stage = Stage::UnderWay;
        Poll::Ready(None)
    }
}
