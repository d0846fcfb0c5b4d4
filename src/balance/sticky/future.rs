//! The future of a request that may be of a session.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::layer::Settings;
use crate::{
    affinity::{Bind, Served, SessionAffinity},
    ask::Ask,
    balance::{Answer, Dispatch, Dispatched},
    clock::{Clock, Sleep},
    member::MemberId,
    outcome::Outcome,
    pool::Lease,
};

pin_project! {
    /// A request whose session is looked for, served, and bound: the future of [`Sticky`](super::Sticky)'s dispatch.
    pub struct Sticking<Req, D: Dispatch<Req>, A: SessionAffinity<Req, D::Raw>> {
        #[pin]
        stage: Stage<Req, D, A>,
        #[pin]
        session: Option<A::Session>,
        settings: Settings,
        clock: Clock,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<Req, D: Dispatch<Req>, A: SessionAffinity<Req, D::Raw>> {
        // Boxed, so that a call that need not wait is not as large as one that does.
        Locating { held: Option<Box<Locating<Req, D, A::Later>>> },
        Dispatching { #[pin] dispatching: D::Dispatching },
        Binding { answer: Option<Answer<D::Raw, D::Error>>, sleep: Option<Sleep> },
    }
}

/// A session that is asked for, and the request that waits for it.
struct Locating<Req, D, L> {
    later: Pin<Box<L>>,
    held: Held<Req, D>,
    sleep: Sleep,
}

/// A request that waits until it is known where it is at home: the service is the one that was ready for it.
pub(super) struct Held<Req, D> {
    pub(super) inner: D,
    pub(super) ask: Ask,
    pub(super) request: Req,
}

impl<Req, D: Dispatch<Req>, A: SessionAffinity<Req, D::Raw>> Sticking<Req, D, A> {
    #[inline(always)]
    pub(super) fn dispatching(
        dispatching: D::Dispatching,
        session: Option<A::Session>,
        settings: Settings,
        clock: Clock,
    ) -> Self {
        Self {
            stage: Stage::Dispatching { dispatching },
            session,
            settings,
            clock,
        }
    }

    #[cold]
    pub(super) fn locating(later: A::Later, held: Held<Req, D>, settings: Settings, clock: Clock) -> Self {
        let sleep = clock.sleep_until(clock.deadline(settings.deadline));
        let later = Box::pin(later);
        let held = Some(Box::new(Locating { later, held, sleep }));
        Self {
            stage: Stage::Locating { held },
            session: None,
            settings,
            clock,
        }
    }
}

impl<Req, D: Dispatch<Req>, L: Future> Locating<Req, D, L> {
    /// What was found; nothing if it has taken too long.
    fn poll_found(&mut self, cx: &mut Context<'_>) -> Poll<Option<L::Output>> {
        if let Poll::Ready(found) = self.later.as_mut().poll(cx) {
            return Poll::Ready(Some(found));
        }
        Pin::new(&mut self.sleep).poll(cx).map(|()| None)
    }
}

impl<Req, D, A> Future for Sticking<Req, D, A>
where
    D: Dispatch<Req>,
    A: SessionAffinity<Req, D::Raw>,
{
    type Output = Answer<D::Raw, D::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProjection::Dispatching { dispatching } => {
                    let mut answer = ready!(dispatching.poll(cx));
                    if let Poll::Ready(()) = poll_bound(this.session.as_mut(), &mut answer, cx) {
                        return Poll::Ready(answer);
                    }
                    let deadline = this.clock.deadline(this.settings.deadline);
                    let (answer, sleep) = (Some(answer), Some(this.clock.sleep_until(deadline)));
                    this.stage.set(Stage::Binding { answer, sleep });
                }
                StageProjection::Binding { answer, sleep } => {
                    let late = sleep.as_mut().is_none_or(|sleep| Pin::new(sleep).poll(cx).is_ready());
                    let bound = poll_bound(this.session.as_mut(), answer.as_mut().expect(POLLED_AGAIN), cx);
                    if bound.is_pending() && !late {
                        return Poll::Pending;
                    }
                    this.session.set(None);
                    return Poll::Ready(answer.take().expect(POLLED_AGAIN));
                }
                StageProjection::Locating { held } => {
                    let found = ready!(held.as_mut().expect(POLLED_AGAIN).poll_found(cx));
                    let Held {
                        mut inner,
                        ask,
                        request,
                    } = held.take().expect(POLLED_AGAIN).held;
                    let (session, home) = found.unzip();
                    let dispatching = match home.flatten() {
                        Some(home) => inner.dispatch(&this.settings.at_home(&ask, home), request),
                        None => inner.dispatch(&ask, request),
                    };
                    this.session.set(session);
                    this.stage.set(Stage::Dispatching { dispatching });
                }
            }
        }
    }
}

const POLLED_AGAIN: &str = "a future is not polled again after it was ready";

/// Tells a session who has served it; ready if there is nothing to tell, or nobody.
#[inline(always)]
fn poll_bound<Raw, E>(
    session: Pin<&mut Option<impl Bind<Raw>>>,
    answer: &mut Answer<Raw, E>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    match (session.as_pin_mut(), &mut answer.result, &answer.lease) {
        (Some(session), Ok(raw), Some(lease)) => {
            let served = Served::new(lease.backend_id());
            let served = served.as_guest(lease.keeps_home()).badly(lease.has_ended());
            session.poll_bind(cx, &served, raw).map(drop)
        }
        _ => Poll::Ready(()),
    }
}

impl<Req, D, A> Dispatched<D::Raw, D::Error> for Sticking<Req, D, A>
where
    D: Dispatch<Req>,
    A: SessionAffinity<Req, D::Raw>,
{
    fn member(&self) -> Option<MemberId> {
        match &self.stage {
            Stage::Dispatching { dispatching } => dispatching.member(),
            Stage::Locating { .. } | Stage::Binding { .. } => None,
        }
    }

    fn was_sent(&self) -> bool {
        match &self.stage {
            Stage::Dispatching { dispatching } => dispatching.was_sent(),
            Stage::Locating { .. } => false,
            Stage::Binding { .. } => true,
        }
    }

    fn give_up(self: Pin<&mut Self>, outcome: Outcome) -> Option<Lease> {
        let mut this = self.project();
        let lease = match this.stage.as_mut().project() {
            StageProjection::Dispatching { dispatching } => dispatching.give_up(outcome),
            StageProjection::Locating { .. } => None,
            StageProjection::Binding { answer, .. } => answer.take().and_then(|answer| {
                let mut lease = answer.lease?;
                // The backend has done its part: that it is given up is not for its slowness.
                lease.settle(Outcome::Cancelled);
                Some(lease)
            }),
        };
        this.session.set(None);
        this.stage.set(Stage::Binding {
            answer: None,
            sleep: None,
        });
        lease
    }
}

impl<Req, D: Dispatch<Req>, A: SessionAffinity<Req, D::Raw>> fmt::Debug for Sticking<Req, D, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sticking")
    }
}
