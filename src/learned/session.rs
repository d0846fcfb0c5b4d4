//! A session whose request is on its way.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    Given, Naming, SessionId,
    affinity::{Ways, Whereabouts},
    asking::Asking,
    presence::Matter,
    shared::Shared,
    stats::count,
};
use crate::{
    Home,
    affinity::{Bind, Served},
};

/// A session of [`Learned`](super::Learned) whose request is on its way.
pub struct LearnedSession<N, Req> {
    ways: Arc<Ways<N>>,
    id: Option<SessionId>,
    /// Where the request was sent.
    home: Option<Home>,
    /// Where the store has the session, as far as is known.
    stored: Option<Home>,
    /// Boxed, as most have nothing to tell.
    telling: Option<Box<Telling>>,
    request: PhantomData<fn(&Req)>,
}

/// What a store is told of a session.
enum Telling {
    Claim(SessionId, Home, Asking<Home>),
    Put(SessionId, Home, Asking<()>),
    Forget(Asking<()>),
}

/// What is to be done for a session that was served.
enum Binding {
    Done(Option<Home>),
    Telling(Telling),
}

impl<N, Req> LearnedSession<N, Req> {
    #[inline]
    pub(super) fn new(ways: Arc<Ways<N>>, id: Option<SessionId>) -> Self {
        Self {
            ways,
            id,
            home: None,
            stored: None,
            telling: None,
            request: PhantomData,
        }
    }

    /// The same, located, and its home.
    #[inline]
    pub(super) fn at(self, (home, stored): Whereabouts) -> (Self, Option<Home>) {
        let located = Self {
            home: home.clone(),
            stored,
            ..self
        };
        (located, home)
    }

    pub(super) fn ways(&self) -> &Ways<N> {
        &self.ways
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.ways.sessions.0
    }

    /// Binds the session of the request to who has served it.
    #[inline]
    fn bind(&self, served: &Served<'_>) -> Binding {
        let Some(id) = self.id.filter(|_| served.may_bind()) else {
            return Binding::Done(None);
        };
        let shared = self.shared();
        let is_at_home = self.home.as_ref().is_some_and(|home| home.id() == served.by());
        if is_at_home && (shared.keeper.is_none() || self.stored == self.home) {
            return Binding::Done(None);
        }
        let to = shared.table.home(served.by());
        let from = self.stored.clone();
        match Asking::of(shared, Matter::Change, |store| store.claim(id, from, to.clone())) {
            Some(asking) => Binding::Telling(Telling::Claim(id, to, asking)),
            None => Binding::Done(self.claim_here(id, to)),
        }
    }

    /// Binds the session in this table alone: which home it has, if another.
    fn claim_here(&self, id: SessionId, to: Home) -> Option<Home> {
        let shared = self.shared();
        let (from, stored) = (self.home.as_ref(), self.stored.clone());
        let home = shared.table.claim(id, from, to.clone(), stored, shared.clock.now());
        self.settled(to, home)
    }

    /// Counts what has become of the session: which home it has, if another.
    fn settled(&self, to: Home, home: Home) -> Option<Home> {
        let counts = &self.shared().counts;
        if home != to {
            count(&counts.lost_races);
            return Some(home);
        }
        match &self.home {
            None => count(&counts.bound),
            Some(from) if *from != to => count(&counts.moved),
            Some(_) => {}
        }
        None
    }

    /// Puts a session there that the application has just made.
    fn put(&self, id: SessionId, served: &Served<'_>) -> Binding {
        let shared = self.shared();
        let to = shared.table.home(served.by());
        shared.table.put(id, to.clone(), shared.clock.now());
        count(&shared.counts.bound);
        match Asking::of(shared, Matter::Change, |store| store.put(id, to.clone())) {
            Some(asking) => Binding::Telling(Telling::Put(id, to, asking)),
            None => Binding::Done(None),
        }
    }

    fn forget(&self, id: SessionId) -> Binding {
        let shared = self.shared();
        shared.table.forget(id);
        match Asking::of(shared, Matter::Change, |store| store.forget(id)) {
            Some(asking) => Binding::Telling(Telling::Forget(asking)),
            None => Binding::Done(None),
        }
    }

    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Option<Home>> {
        let home = match self.telling.as_deref_mut() {
            None => None,
            Some(Telling::Claim(id, to, asking)) => {
                let answer = ready!(Pin::new(&mut *asking).poll(cx));
                let (id, to, is_current) = (*id, to.clone(), asking.is_current());
                match answer {
                    Some(home) => {
                        let shared = self.shared();
                        let home = shared.table.home(home.id());
                        if is_current {
                            shared.table.learn(id, home.clone(), shared.clock.now());
                        }
                        self.settled(to, home)
                    }
                    None => self.claim_here(id, to),
                }
            }
            Some(Telling::Put(id, to, asking)) => {
                let answer = ready!(Pin::new(&mut *asking).poll(cx));
                let (id, to, is_current) = (*id, to.clone(), asking.is_current());
                if answer.is_some() && is_current {
                    let shared = self.shared();
                    shared.table.learn(id, to, shared.clock.now());
                }
                None
            }
            Some(Telling::Forget(asking)) => {
                ready!(Pin::new(asking).poll(cx));
                None
            }
        };
        self.telling = None;
        Poll::Ready(home)
    }
}

impl<Req, Res, N: Naming<Req, Res>> Bind<Res> for LearnedSession<N, Req> {
    #[inline]
    fn poll_bind(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        served: &Served<'_>,
        response: &mut Res,
    ) -> Poll<Option<Home>> {
        let this = self.get_mut();
        if this.telling.is_some() {
            return this.poll_told(cx);
        }
        let ways = &*this.ways;
        let given = match ways.naming.is_told_by_answers() {
            true => ways.naming.given(response),
            false => Given::Nothing,
        };
        let binding = match given {
            Given::Name(name) if !name.is_empty() => {
                let id = ways.sessions.id(&name);
                match (this.id == Some(id), served.is_bad()) {
                    (true, _) => this.bind(served),
                    (false, false) => this.put(id, served),
                    (false, true) => Binding::Done(None),
                }
            }
            Given::End | Given::Name(_) => this.id.map_or(Binding::Done(None), |id| this.forget(id)),
            Given::Nothing => this.bind(served),
        };
        match binding {
            Binding::Done(home) => Poll::Ready(home),
            Binding::Telling(telling) => {
                this.telling = Some(Box::new(telling));
                this.poll_told(cx)
            }
        }
    }
}

impl<N, Req> fmt::Debug for LearnedSession<N, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LearnedSession")
            .field("id", &self.id)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}
