//! The table, as it is used.

use std::{fmt, sync::Arc};

use super::{SessionId, SessionStats, SessionsBuilder, shared::Shared, stats::count};
use crate::{BoxError, Clock, Events, Home};

/// Sessions, and where they are at home: a table in memory, bounded, and maybe the copy of one that several balancers share.
/// Cheap to clone; clones are one table.
///
/// ```
/// use std::time::Duration;
/// use equipoise::{Home, ManualClock, learned::Sessions};
///
/// # futures_util::FutureExt::now_or_never(async {
/// let time = ManualClock::new();
/// let sessions = Sessions::builder_on(time.clock()).idle(Duration::from_secs(600)).build();
/// let session = sessions.id(b"31d4d96e407aad42");
/// assert_eq!(sessions.get(session), None);
/// sessions.migrate(session, Home::new("b")).await?;
/// assert_eq!(sessions.get(session), Some(Home::new("b")));
/// time.advance(Duration::from_secs(601));
/// assert_eq!(sessions.get(session), None);
/// # Ok::<_, equipoise::BoxError>(()) });
/// ```
#[derive(Clone)]
pub struct Sessions(pub(super) Arc<Shared>);

impl Sessions {
    /// A table on the system's clock.
    #[cfg(feature = "tokio")]
    pub fn builder() -> SessionsBuilder {
        Self::builder_on(Clock::system())
    }

    /// A table on this clock.
    pub fn builder_on(clock: Clock) -> SessionsBuilder {
        SessionsBuilder::new(clock)
    }

    /// The session that these bytes name.
    #[inline]
    pub fn id(&self, name: &[u8]) -> SessionId {
        SessionId::new(self.0.hasher.hash(name).as_u128())
    }

    /// The home of a session, as far as is known here: a store is not asked. It is no use of the session.
    pub fn get(&self, session: SessionId) -> Option<Home> {
        self.0.table.peek(session, self.0.clock.now())
    }

    /// Puts a session to this home, whatever home it had, from its next request on: one that was on its way does not bring it
    /// back. It is in force here once the future was polled; with a store, for all once it is ready.
    ///
    /// # Errors
    /// The store's. The session is at home there for this balancer all the same, and its next request tells the store, if that
    /// has it still where it was known to be.
    pub async fn migrate(&self, session: SessionId, to: Home) -> Result<(), BoxError> {
        let shared = &self.0;
        let to = shared.table.home(to.id());
        let change = shared.changes.begin();
        if shared.table.put(session, to.clone(), shared.clock.now()) {
            count(&shared.counts.moved);
        }
        let told = shared.tell(|store| store.put(session, to.clone())).await;
        drop(change);
        // Whoever asked meanwhile may have learned where it was.
        match told {
            Ok(Some(())) => shared.table.learn(session, to, shared.clock.now()),
            Ok(None) => {}
            Err(_) => drop(shared.table.put(session, to, shared.clock.now())),
        }
        told.map(drop)
    }

    /// Puts every session that is at `from` to the home that is chosen for it, as when a backend retires: how many, in the store
    /// if there is one. [Drain](crate::Handle::drain) the backend before, so that no new session goes there meanwhile.
    ///
    /// With a store a home is chosen there and here: for the same session it is to be the same. The
    /// [bytes](SessionId::to_bytes) of sessions are as good as random, so that any of them spreads sessions evenly:
    ///
    /// ```
    /// use equipoise::{Home, ManualClock, learned::Sessions};
    /// # futures_util::FutureExt::now_or_never(async {
    /// # let sessions = Sessions::builder_on(ManualClock::new().clock()).build();
    /// let homes = [Home::new("b"), Home::new("c")];
    /// let choose = move |session: equipoise::learned::SessionId| homes[session.to_bytes()[0] as usize % homes.len()].clone();
    /// let moved = sessions.migrate_all(Home::new("a"), choose).await?;
    /// # assert_eq!(moved, 0);
    /// # Ok::<_, equipoise::BoxError>(()) });
    /// ```
    ///
    /// It takes a while, for which it does not yield: some 50 ms for a million sessions, and with a store as long again when that has
    /// been told, for those that were asked for meanwhile.
    ///
    /// # Errors
    /// The store's: the sessions that are known here have moved for this balancer all the same.
    pub async fn migrate_all(
        &self,
        from: Home,
        choose: impl Fn(SessionId) -> Home + Send + Sync + 'static,
    ) -> Result<u64, BoxError> {
        let shared = &self.0;
        let choose = Arc::new(choose);
        let change = shared.changes.begin();
        let here = shared.table.migrate(&from, &*choose, shared.clock.now());
        shared
            .counts
            .moved
            .fetch_add(here, std::sync::atomic::Ordering::Relaxed);
        let there = shared.tell(|store| store.migrate(from.clone(), choose.clone())).await;
        drop(change);
        if shared.keeper.is_some() {
            // Whoever asked meanwhile may have learned where they were.
            shared.table.migrate(&from, &*choose, shared.clock.now());
        }
        Ok(there?.unwrap_or(here))
    }

    /// Forgets a session: its next request is taken as its first. Here once the future was polled, in a store once it is ready.
    /// Another balancer that has it in its copy takes it for one that the store has lost, though, and with the session's next
    /// request there it is at home where it was, for all; so may one that was on its way.
    ///
    /// # Errors
    /// The store's, which goes on remembering it.
    pub async fn forget(&self, session: SessionId) -> Result<(), BoxError> {
        let shared = &self.0;
        let change = shared.changes.begin();
        shared.table.forget(session);
        let told = shared.tell(|store| store.forget(session)).await;
        drop(change);
        if shared.keeper.is_some() {
            // Whoever asked meanwhile may have learned where it was.
            shared.table.forget(session);
        }
        told.map(drop)
    }

    /// How many sessions are remembered here, at most the [capacity](SessionsBuilder::capacity). Those whose time is over count
    /// until somebody asks for them, or their place is needed: they give way as others come, and a table that was full stays so.
    pub fn len(&self) -> usize {
        self.0.table.len()
    }

    /// Whether none is remembered here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has become of sessions.
    pub fn stats(&self) -> SessionStats {
        let keeper = self.0.keeper.as_ref();
        let is_away = keeper.is_some_and(|keeper| keeper.presence.is_away());
        self.0.counts.stats(self.len(), is_away)
    }

    /// Whenever the store goes away or comes back, from now on. It ends with the last clone.
    pub fn events(&self) -> Events {
        self.0.events.events()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
