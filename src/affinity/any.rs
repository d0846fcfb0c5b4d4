//! An affinity whose type is not known: for those that are chosen by a configuration.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use super::{Bind, Located, Served, SessionAffinity};
use crate::ask::Home;

/// Any affinity, its type erased: for those that are chosen by a configuration. What it finds is boxed, for each request.
///
/// None at all is an affinity as well: `None::<AnyAffinity<_, _>>` knows no session.
pub struct AnyAffinity<Req, Res>(Box<dyn Erased<Req, Res>>);

/// A session of an [`AnyAffinity`].
pub struct AnySession<Res>(Pin<Box<dyn Bind<Res>>>);

/// What an [`AnyAffinity`] knows later.
pub struct AnyLater<Res>(Pin<Box<dyn Future<Output = Found<Res>> + Send>>);

type Found<Res> = (AnySession<Res>, Option<Home>);

trait Erased<Req, Res>: Send + Sync {
    fn locate(&self, request: &mut Req) -> Located<AnySession<Res>, AnyLater<Res>>;
}

impl<Req, Res, A> Erased<Req, Res> for A
where
    A: SessionAffinity<Req, Res, Session: 'static, Later: 'static>,
{
    fn locate(&self, request: &mut Req) -> Located<AnySession<Res>, AnyLater<Res>> {
        match SessionAffinity::locate(self, request) {
            Located::Nothing => Located::Nothing,
            Located::Now(session, home) => Located::Now(AnySession(Box::pin(session)), home),
            Located::Later(later) => Located::Later(AnyLater(Box::pin(async {
                let (session, home) = later.await;
                (AnySession(Box::pin(session) as _), home)
            }))),
        }
    }
}

impl<Req, Res> AnyAffinity<Req, Res> {
    /// This affinity.
    pub fn new<A>(affinity: A) -> Self
    where
        A: SessionAffinity<Req, Res, Session: 'static, Later: 'static>,
    {
        Self(Box::new(affinity))
    }
}

impl<Req: 'static, Res: 'static> SessionAffinity<Req, Res> for AnyAffinity<Req, Res> {
    type Session = AnySession<Res>;
    type Later = AnyLater<Res>;

    fn locate(&self, request: &mut Req) -> Located<AnySession<Res>, AnyLater<Res>> {
        self.0.locate(request)
    }
}

/// None knows no session.
impl<Req, Res, A: SessionAffinity<Req, Res>> SessionAffinity<Req, Res> for Option<A> {
    type Session = A::Session;
    type Later = A::Later;

    fn locate(&self, request: &mut Req) -> Located<A::Session, A::Later> {
        self.as_ref()
            .map_or(Located::Nothing, |affinity| affinity.locate(request))
    }
}

impl<Res> Bind<Res> for AnySession<Res> {
    fn poll_bind(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        served: &Served<'_>,
        response: &mut Res,
    ) -> Poll<Option<Home>> {
        self.0.as_mut().poll_bind(cx, served, response)
    }
}

impl<Res> Future for AnyLater<Res> {
    type Output = Found<Res>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<Req, Res> fmt::Debug for AnyAffinity<Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyAffinity")
    }
}

impl<Res> fmt::Debug for AnySession<Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnySession")
    }
}

impl<Res> fmt::Debug for AnyLater<Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyLater")
    }
}
