//! Two affinities, of which the second is asked where the first knows no home.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::{Bind, Located, Served, SessionAffinity};
use crate::ask::Home;

/// The first that knows a home tells it, and then it alone is told who has served. Where the first knows none, the second is
/// asked, and both are told. The second comes first in that: what it says is the home in the end, the first passes on. So a
/// cookie tells its client who won a race in a shared table.
///
/// What the first knows the second need not know any more: as long as a client has its cookie, a table behind that sees no use
/// of the session, and moves it in vain.
///
/// A second that has to ask is asked before the first has answered, should that have to ask as well.
impl<Req, Res, A, B> SessionAffinity<Req, Res> for (A, B)
where
    A: SessionAffinity<Req, Res>,
    B: SessionAffinity<Req, Res>,
{
    type Session = PairSession<A::Session, B::Session>;
    type Later = PairLater<A::Later, A::Session, B::Later, B::Session>;

    fn locate(&self, request: &mut Req) -> Located<Self::Session, Self::Later> {
        let first = Known::from(self.0.locate(request));
        if let Known::Now {
            found: Some((_, Some(_))),
        } = first
        {
            return first.with(Known::nothing());
        }
        first.with(Known::from(self.1.locate(request)))
    }
}

pin_project! {
    /// What is known of a session, or will be.
    #[project = KnownProjection]
    enum Known<L, S> {
        Now { found: Found<S> },
        Later { #[pin] later: L },
    }
}

/// A session, and its home; none if there is none.
type Found<S> = Option<(S, Option<Home>)>;

impl<L, S> From<Located<S, L>> for Known<L, S> {
    fn from(located: Located<S, L>) -> Self {
        match located {
            Located::Nothing => Self::nothing(),
            Located::Now(session, home) => Self::Now {
                found: Some((session, home)),
            },
            Located::Later(later) => Self::Later { later },
        }
    }
}

impl<LA, A> Known<LA, A> {
    fn nothing() -> Self {
        Self::Now { found: None }
    }

    /// Both, of which this is the first.
    fn with<LB, B>(self, second: Known<LB, B>) -> Located<PairSession<A, B>, PairLater<LA, A, LB, B>> {
        match (self, second) {
            (Self::Now { found: None }, Known::Now { found: None }) => Located::Nothing,
            (Self::Now { found: first }, Known::Now { found: second }) => {
                let (session, home) = PairSession::of(first, second);
                Located::Now(session, home)
            }
            (first, second) => Located::Later(PairLater { first, second }),
        }
    }
}

impl<L: Future<Output = (S, Option<Home>)>, S> Known<L, S> {
    fn poll_known<'a>(mut self: Pin<&'a mut Self>, cx: &mut Context<'_>) -> Poll<&'a mut Found<S>> {
        if let KnownProjection::Later { later } = self.as_mut().project() {
            let found = Some(ready!(later.poll(cx)));
            self.set(Self::Now { found });
        }
        match self.project() {
            KnownProjection::Now { found } => Poll::Ready(found),
            KnownProjection::Later { .. } => Poll::Pending,
        }
    }
}

pin_project! {
    /// The session of two affinities, when it is known: what a pair's [`locate`](SessionAffinity::locate) returns.
    pub struct PairLater<LA, A, LB, B> {
        #[pin]
        first: Known<LA, A>,
        #[pin]
        second: Known<LB, B>,
    }
}

impl<LA, A, LB, B> Future for PairLater<LA, A, LB, B>
where
    LA: Future<Output = (A, Option<Home>)>,
    LB: Future<Output = (B, Option<Home>)>,
{
    type Output = (PairSession<A, B>, Option<Home>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Both are asked at once; the second's answer counts if the first's has no home.
        let second = this.second.poll_known(cx);
        let first = ready!(this.first.poll_known(cx));
        let second = match first {
            Some((_, Some(_))) => None,
            _ => ready!(second).take(),
        };
        Poll::Ready(PairSession::of(first.take(), second))
    }
}

impl<LA, A, LB, B> fmt::Debug for PairLater<LA, A, LB, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairLater")
    }
}

pin_project! {
    /// A session of two affinities, or of one of them.
    pub struct PairSession<A, B> {
        #[pin]
        first: Option<A>,
        #[pin]
        second: Option<B>,
        // Once the second is bound: what it said.
        settled: Option<Option<Home>>,
    }
}

impl<A, B> PairSession<A, B> {
    /// The session, and the home: the first's, or else the second's.
    fn of(first: Found<A>, second: Found<B>) -> (Self, Option<Home>) {
        let (first, home) = first.unzip();
        let (second, otherwise) = second.unzip();
        let session = Self {
            first,
            second,
            settled: None,
        };
        (session, home.flatten().or(otherwise.flatten()))
    }
}

impl<Res, A: Bind<Res>, B: Bind<Res>> Bind<Res> for PairSession<A, B> {
    fn poll_bind(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        served: &Served<'_>,
        response: &mut Res,
    ) -> Poll<Option<Home>> {
        let this = self.project();
        let settled = match (this.settled, this.second.as_pin_mut()) {
            (Some(settled), _) => settled,
            (settled @ None, Some(second)) => settled.insert(ready!(second.poll_bind(cx, served, response))),
            (settled @ None, None) => settled.insert(None),
        };
        let Some(first) = this.first.as_pin_mut() else {
            return Poll::Ready(settled.take());
        };
        let told = match &*settled {
            Some(home) => ready!(first.poll_bind(cx, &served.at(home.id()), response)),
            None => ready!(first.poll_bind(cx, served, response)),
        };
        Poll::Ready(told.or(settled.take()))
    }
}

impl<A, B> fmt::Debug for PairSession<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairSession")
    }
}
