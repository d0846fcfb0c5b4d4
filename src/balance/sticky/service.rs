//! The service.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{Sticking, future::Held, layer::Settings};
use crate::{
    affinity::{Located, SessionAffinity},
    ask::Ask,
    balance::{Answer, Concluding, Dispatch},
    clock::Clock,
};

/// A balanced service whose sessions stay with their home: what [`StickyLayer`](super::StickyLayer) makes. Clones share
/// the affinity.
///
/// A request that was [dispatched](Dispatch::dispatch) with a home is passed on as it is: whoever is further out has decided.
pub struct Sticky<D, A> {
    inner: D,
    affinity: Arc<A>,
    settings: Settings,
}

impl<D, A> Sticky<D, A> {
    pub(super) fn new(inner: D, affinity: Arc<A>, settings: Settings) -> Self {
        Self {
            inner,
            affinity,
            settings,
        }
    }

    /// The service that is asked for homes.
    pub fn get_ref(&self) -> &D {
        &self.inner
    }
}

impl<Req, D, A> Dispatch<Req> for Sticky<D, A>
where
    D: Dispatch<Req> + Clone,
    A: SessionAffinity<Req, D::Raw>,
{
    type Raw = D::Raw;
    type Dispatching = Sticking<Req, D, A>;

    #[inline]
    fn dispatch(&mut self, ask: &Ask, mut request: Req) -> Self::Dispatching {
        let clock = self.inner.clock().clone();
        let located = match ask.home() {
            None => self.affinity.locate(&mut request),
            Some(_) => Located::Nothing,
        };
        let (session, home) = match located {
            Located::Nothing => (None, None),
            Located::Now(session, home) => (Some(session), home),
            Located::Later(later) => {
                // The readiness that was asked for belongs to this call: it goes along, or ends with it. A clone stays.
                let spare = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, spare);
                let ask = ask.clone();
                return Sticking::locating(later, Held { inner, ask, request }, self.settings, clock);
            }
        };
        let dispatching = match home {
            Some(home) => self.inner.dispatch(&self.settings.at_home(ask, home), request),
            None => self.inner.dispatch(ask, request),
        };
        Sticking::dispatching(dispatching, session, self.settings, clock)
    }

    fn clock(&self) -> &Clock {
        self.inner.clock()
    }

    #[inline]
    fn conclude(answer: Answer<Self::Raw, Self::Error>) -> Result<D::Response, D::Error> {
        D::conclude(answer)
    }
}

impl<Req, D, A> Service<Req> for Sticky<D, A>
where
    D: Dispatch<Req> + Clone,
    A: SessionAffinity<Req, D::Raw>,
{
    type Response = D::Response;
    type Error = D::Error;
    type Future = Concluding<Req, Self>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), D::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        Concluding::new(self.dispatch(Ask::nothing(), request))
    }
}

impl<D: Clone, A> Clone for Sticky<D, A> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.affinity), self.settings)
    }
}

impl<D: fmt::Debug, A> fmt::Debug for Sticky<D, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sticky")
            .field("inner", &self.inner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
