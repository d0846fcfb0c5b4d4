//! A table in the making.

use std::{fmt, sync::Arc, time::Duration};

use ahash::RandomState;
use rand::{TryRng, rngs::SysRng};
use siphasher::sip128::SipHasher24;

use super::{
    SessionStore, Sessions, changes::Changes, keeper::Keeper, presence::Presence, shared::Shared, stats::Counts,
    table::Table,
};
use crate::{Clock, EventSource};

/// How a table of sessions is to be; everything has a default.
#[must_use]
pub struct SessionsBuilder {
    clock: Clock,
    capacity: usize,
    idle: Duration,
    lifetime: Option<Duration>,
    key: Option<[u8; 16]>,
    store: Option<Box<dyn SessionStore>>,
    deadline: Duration,
}

/// Times are no longer than this: some 136 years, which every platform's instants can bear.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

impl SessionsBuilder {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            capacity: 1 << 20,
            idle: Duration::from_secs(30 * 60),
            lifetime: None,
            key: None,
            store: None,
            deadline: Duration::from_millis(5),
        }
    }

    /// How many sessions are remembered at most: 1,048,576 unless said otherwise, which take 170 MB once there are as many, and
    /// nothing before; at least 16. Whoever comes after that takes the place of a session that was not used again since it came,
    /// or else not for long.
    ///
    /// Seven tenths of the places are for sessions that were used again: so many are not driven out by a flood of sessions that
    /// are made up. The rest is what new ones have to be used again in: in a full table a session is kept if fewer others come
    /// before its second request than a quarter of the capacity. Sessions whose time is over hold their places until they are
    /// needed, and give way as others come and are used.
    ///
    /// The table is divided, into four parts a CPU at most, of which a part may be full a little before all are.
    pub fn capacity(mut self, sessions: usize) -> Self {
        self.capacity = sessions;
        self
    }

    /// For how long a session is remembered that is not used: 30 minutes unless said otherwise, or up to a thousandth longer.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle.min(LONGEST);
        self
    }

    /// For how long a session is remembered at most, however much it is used; for ever unless said otherwise, as what it has at
    /// its home does not end while it is in use. A move makes it no younger. With a store each balancer counts from when it
    /// learned of the session, and one that still remembers it brings it back to a store that does not.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime.min(LONGEST));
        self
    }

    /// The key under which names of sessions become [`SessionId`](super::SessionId)s. Balancers that share a store have to have the
    /// same, and so does one that is to know its sessions there after a restart. It is to be random and secret: who knows it can
    /// find out names from the store. Unless said otherwise it is random, of the operating system.
    pub fn key(mut self, key: [u8; 16]) -> Self {
        self.key = Some(key);
        self
    }

    /// A table that is shared with other balancers: each request of a session asks it, and this one serves as a copy while it
    /// fails. See [there](super#shared).
    pub fn store(mut self, store: impl SessionStore) -> Self {
        self.store = Some(Box::new(store));
        self
    }

    /// How long a request waits for the store, when it is asked for a session's home and again when one is bound: 5 ms unless
    /// said otherwise. It is to be less than the [layer's](crate::StickyLayer::deadline), which gives up both store and session.
    pub fn store_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.min(LONGEST);
        self
    }

    /// The table.
    ///
    /// # Panics
    /// The operating system gives no randomness, of which each table has some.
    pub fn build(self) -> Sessions {
        let key = self.key.unwrap_or_else(|| random().to_be_bytes());
        let seed = random() as u64;
        let hashing = RandomState::with_seeds(seed, seed.rotate_left(21), !seed, seed.rotate_left(42));
        let deadline = self.deadline;
        let keeper = self.store.map(|store| Keeper {
            store,
            deadline,
            presence: Presence::new(deadline),
        });
        Sessions(Arc::new(Shared {
            table: Table::new(self.capacity, self.idle, self.lifetime, self.clock.now(), hashing),
            hasher: SipHasher24::new_with_key(&key),
            clock: self.clock,
            keeper,
            counts: Counts::default(),
            changes: Changes::default(),
            events: EventSource::new(),
        }))
    }
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    let filled = SysRng.try_fill_bytes(&mut bytes);
    filled.unwrap_or_else(|error| panic!("no randomness: {error}"));
    u128::from_be_bytes(bytes)
}

/// Without the key.
impl fmt::Debug for SessionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionsBuilder")
            .field("capacity", &self.capacity)
            .field("idle", &self.idle)
            .field("lifetime", &self.lifetime)
            .field("is_shared", &self.store.is_some())
            .field("store_deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
