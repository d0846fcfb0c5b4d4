//! The future of a request that may be tried again.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

use super::{
    FailoverPolicy, Judge, Verdict,
    course::{Course, Trial},
    policy::{RawOf, SentOf},
    service::Shared,
};
use crate::{
    ask::Ask,
    balance::{Answer, Dispatch, Dispatched},
    error::Error,
    member::MemberId,
    outcome::Outcome,
    pool::Lease,
};

pin_project! {
    /// The future of a `Failover::dispatch`. Dropped before it is ready, all that is under way counts as cancelled.
    pub struct FailingOver<Req, D: Dispatch<SentOf<Req, P>>, P: FailoverPolicy<Req>> {
        #[pin]
        attempt: Option<<D as Dispatch<SentOf<Req, P>>>::Dispatching>,
        // None if this layer leaves it alone.
        kept: Option<P::Kept>,
        // None wants nothing.
        ask: Option<Ask>,
        shared: Arc<Shared<D, P>>,
        // Boxed: most requests have no need of it.
        course: Option<Box<Course<SentOf<Req, P>, D>>>,
    }
}

impl<Req, D: Dispatch<SentOf<Req, P>>, P: FailoverPolicy<Req>> FailingOver<Req, D, P> {
    #[inline(always)]
    pub(super) fn new(
        attempt: D::Dispatching,
        kept: Option<P::Kept>,
        ask: Option<Ask>,
        shared: Arc<Shared<D, P>>,
    ) -> Self {
        Self {
            attempt: Some(attempt),
            kept,
            ask,
            shared,
            course: None,
        }
    }
}

impl<Req, D, P> Future for FailingOver<Req, D, P>
where
    P: FailoverPolicy<Req>,
    D: Dispatch<SentOf<Req, P>, Error = Error> + Clone,
    P: Judge<Req, RawOf<Req, D, P>>,
{
    type Output = Answer<RawOf<Req, D, P>, Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut attempt = this.attempt.as_mut().as_pin_mut();
        let Some(kept) = this.kept else {
            return attempt.as_mut().expect(POLLED_AGAIN).as_mut().poll(cx);
        };
        let mut answer = None;
        if this.course.is_none() {
            // The usual way, straight.
            answer = match attempt.expect(POLLED_AGAIN).poll(cx) {
                Poll::Ready(answer) => {
                    if this.shared.policy.judge(kept, answer.result.as_ref()) == Verdict::Success {
                        this.shared.took(Duration::ZERO);
                        this.shared.succeeded();
                        return Poll::Ready(answer);
                    }
                    Some(answer)
                }
                Poll::Pending if this.shared.settings.is_timed() => None,
                Poll::Pending => return Poll::Pending,
            };
        }
        let ask = this.ask.get_or_insert_default();
        let has_backend = || {
            this.attempt
                .as_ref()
                .as_pin_ref()
                .is_some_and(|attempt| attempt.member().is_some())
        };
        let course = this
            .course
            .get_or_insert_with(|| Box::new(Course::new(&**this.shared, ask, has_backend())));
        let trial = Trial {
            attempt: this.attempt,
            kept,
            ask,
            shared: this.shared,
            course,
        };
        trial.poll(answer, cx)
    }
}

const POLLED_AGAIN: &str = "a future is not polled again after it was ready";

impl<Req, D, P> Dispatched<RawOf<Req, D, P>, Error> for FailingOver<Req, D, P>
where
    P: FailoverPolicy<Req>,
    D: Dispatch<SentOf<Req, P>, Error = Error> + Clone,
    P: Judge<Req, RawOf<Req, D, P>>,
{
    fn member(&self) -> Option<MemberId> {
        // Once the first try has failed a hedge may have it all the same.
        let hedge = || self.course.as_ref()?.hedge.as_ref()?.attempt.member();
        self.attempt.as_ref().and_then(Dispatched::member).or_else(hedge)
    }

    fn was_sent(&self) -> bool {
        self.attempt.as_ref().is_some_and(Dispatched::was_sent)
            || self.course.as_ref().is_some_and(|course| course.was_sent())
    }

    fn give_up(self: Pin<&mut Self>, outcome: Outcome) -> Option<Lease> {
        let mut this = self.project();
        let attempt = this.attempt.as_mut().as_pin_mut();
        let lease = attempt.and_then(|attempt| attempt.give_up(outcome));
        this.attempt.set(None);
        let hedge = this.course.take().and_then(|mut course| course.hedge.take());
        match (lease, hedge) {
            (None, Some(mut hedge)) => hedge.attempt.as_mut().give_up(outcome),
            (lease, _) => lease,
        }
    }
}

impl<Req, D: Dispatch<SentOf<Req, P>>, P: FailoverPolicy<Req>> fmt::Debug for FailingOver<Req, D, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailingOver")
    }
}
