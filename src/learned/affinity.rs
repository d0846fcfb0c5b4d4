//! The affinity.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    ByFunction, ByKey, LearnedSession, Name, Naming, SessionId, Sessions, asking::Asking, presence::Matter,
    shared::Shared, stats::count,
};
use crate::{Home, SessionAffinity, affinity::Located};

/// Sessions that are at home where a table has learned that they are: give it to a [`StickyLayer`](crate::StickyLayer). See
/// [the module](super).
pub struct Learned<N>(pub(super) Arc<Ways<N>>);

/// What requests share.
pub(super) struct Ways<N> {
    pub(super) sessions: Sessions,
    pub(super) naming: N,
}

impl<N> Learned<N> {
    /// By this table; which session a request is of is told by a [`Naming`].
    pub fn new(sessions: Sessions, naming: N) -> Self {
        Self(Arc::new(Ways { sessions, naming }))
    }

    /// The table.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What tells which session a request is of.
    pub fn naming(&self) -> &N {
        &self.0.naming
    }
}

impl<F> Learned<ByFunction<F>> {
    /// The session of a request is that which these bytes name; none, if they are none or empty.
    pub fn by<Req>(sessions: Sessions, name: F) -> Self
    where
        F: for<'a> Fn(&'a Req) -> Option<Name<'a>> + Send + Sync + 'static,
    {
        Self::new(sessions, ByFunction(name))
    }
}

impl<K> Learned<ByKey<K>> {
    /// The session of a request is that of its [key](crate::key::HashKey): all requests with one key are one session. A key is
    /// 64 bits, of which two sessions may have the same: to be expected, by chance, once there are 5 billion.
    pub fn by_key(sessions: Sessions, key: K) -> Self {
        Self::new(sessions, ByKey(key))
    }
}

impl<N> Clone for Learned<N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<N: fmt::Debug> fmt::Debug for Learned<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learned")
            .field("sessions", &self.0.sessions)
            .field("naming", &self.0.naming)
            .finish()
    }
}

impl<Req, Res, N> SessionAffinity<Req, Res> for Learned<N>
where
    N: Naming<Req, Res>,
{
    type Session = LearnedSession<N, Req>;
    type Later = Locating<N, Req>;

    #[inline]
    fn locate(&self, request: &mut Req) -> Located<Self::Session, Self::Later> {
        let Ways { sessions, naming } = &*self.0;
        let shared = &sessions.0;
        let name = naming.named(request).filter(|name| !name.is_empty());
        let Some(id) = name.map(|name| sessions.id(&name)) else {
            return match naming.is_told_by_answers() {
                true => Located::Now(LearnedSession::new(self.0.clone(), None), None),
                false => Located::Nothing,
            };
        };
        let session = LearnedSession::new(self.0.clone(), Some(id));
        match Asking::of(shared, Matter::Look, |store| store.get(id)) {
            Some(asking) => Located::Later(Locating {
                asking,
                session: Some((id, session)),
            }),
            None => {
                if shared.keeper.is_some() {
                    count(&shared.counts.from_copy);
                }
                let (session, home) = session.at(shared.known(id));
                Located::Now(session, home)
            }
        }
    }
}

/// Where a session is, as far as is known here: its home, and where the store has it.
pub(super) type Whereabouts = (Option<Home>, Option<Home>);

impl Shared {
    #[inline]
    fn known(&self, id: SessionId) -> Whereabouts {
        let known = self.table.find(id, self.clock.now());
        let (home, stored) = known.map(|known| (known.home, known.stored)).unzip();
        self.counted((home, stored.flatten()))
    }

    /// With what the store has said, which is learned if it is current.
    fn reconciled(&self, id: SessionId, stored: Option<Home>, is_current: bool) -> Whereabouts {
        let now = self.clock.now();
        let known = self.table.find(id, now);
        let home = match (&stored, known) {
            // It was moved here while the store could not be told, which has it still where it was.
            (Some(_), Some(known)) if known.is_untold() && known.stored == stored => Some(known.home),
            (Some(home), known) => {
                let home = self.table.home(home.id());
                if is_current && known.is_none_or(|known| known.home != home || known.is_untold()) {
                    self.table.learn(id, home.clone(), now);
                }
                Some(home)
            }
            // The store has lost it.
            (None, known) => known.map(|known| known.home),
        };
        self.counted((home, stored))
    }

    #[inline]
    fn counted(&self, whereabouts: Whereabouts) -> Whereabouts {
        count(match whereabouts.0 {
            Some(_) => &self.counts.hits,
            None => &self.counts.misses,
        });
        whereabouts
    }
}

/// A session that the store is asked for: what [`Learned`]'s `locate` returns if there is a store.
pub struct Locating<N, Req> {
    asking: Asking<Option<Home>>,
    session: Option<(SessionId, LearnedSession<N, Req>)>,
}

impl<N, Req> Future for Locating<N, Req> {
    type Output = (LearnedSession<N, Req>, Option<Home>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.asking).poll(cx));
        let Some((id, session)) = self.session.take() else {
            return Poll::Pending;
        };
        let shared = Arc::clone(&session.ways().sessions.0);
        let whereabouts = match answer {
            Some(stored) => shared.reconciled(id, stored, self.asking.is_current()),
            None => {
                count(&shared.counts.from_copy);
                shared.known(id)
            }
        };
        Poll::Ready(session.at(whereabouts))
    }
}

impl<N, Req> fmt::Debug for Locating<N, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locating")
    }
}
