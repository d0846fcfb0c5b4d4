//! The driver's book of members: the one strong reference to each.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, Weak},
};

use ahash::RandomState;

use super::snapshot::{Core, Phase, Snapshot};
use crate::{
    backend::Backend,
    member::{Counts, Live, MemberId, Report, Token},
    selector::{Members, Roster, Row, Selector},
};

/// How many requests may be in flight at a backend; none: any number.
pub(super) type Limit<B> = Box<dyn Fn(&B) -> Option<u32> + Send + Sync>;

pub(super) struct Registry<B: Backend, S: Selector<B>> {
    core: Arc<Core<B, S>>,
    limit: Option<Limit<B>>,
    hashing: RandomState,
    /// In the order of joining; a hole where one has left, until enough have.
    entries: Vec<Option<Entry<B, S::Memory>>>,
    places: HashMap<Arc<str>, usize, RandomState>,
    /// Removed or replaced, and possibly still in the published snapshot: they go when the next is.
    parting: Vec<Arc<Token<B>>>,
    version: u64,
}

struct Entry<B, M> {
    id: Arc<str>,
    token: Arc<Token<B>>,
    live: Arc<Live<Report<M>>>,
    /// Replaced under the same id, with leases left.
    earlier: Vec<Weak<Token<B>>>,
    drain: Drain,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Drain {
    No,
    Draining,
    Drained,
}

impl<B, M> Entry<B, M> {
    fn in_flight(&self) -> usize {
        let earlier: usize = self.earlier.iter().map(Weak::strong_count).sum();
        // One reference is this entry's.
        Arc::strong_count(&self.token) - 1 + earlier
    }
}

impl<B: Backend, S: Selector<B>> Registry<B, S> {
    pub(super) fn new(core: Arc<Core<B, S>>, limit: Option<Limit<B>>, hashing: RandomState) -> Self {
        Self {
            core,
            limit,
            places: HashMap::with_hasher(hashing.clone()),
            hashing,
            entries: Vec::new(),
            parting: Vec::new(),
            version: 0,
        }
    }

    fn entry(&mut self, id: &str) -> Option<&mut Entry<B, S::Memory>> {
        let place = *self.places.get(id)?;
        self.entries[place].as_mut()
    }

    /// Whether the id is a member.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    fn token(&self, backend: Arc<B>, live: &Arc<Live<Report<S::Memory>>>) -> Arc<Token<B>> {
        Arc::new(Token {
            backend,
            live: Arc::clone(live) as _,
            awaited: self.limit.is_some(),
            observed: S::OBSERVES,
        })
    }

    /// Makes the backend a member, or replaces the one of its id. Whether the id is new.
    pub(super) fn insert(&mut self, backend: B) -> bool {
        let id: Arc<str> = backend.id().into();
        let backend = Arc::new(backend);
        if let Some(live) = self.entry(&id).map(|entry| Arc::clone(&entry.live)) {
            self.replace(&id, self.token(backend, &live));
            return false;
        }
        let live = Arc::new(Live {
            counts: Counts::default(),
            id: (&*id).into(),
            member: MemberId::fresh(),
            account: Report {
                memory: self.core.selector.memory(&backend),
                keeper: Arc::clone(&self.core) as _,
            },
        });
        let token = self.token(backend, &live);
        self.places.insert(Arc::clone(&id), self.entries.len());
        self.entries.push(Some(Entry {
            id,
            token,
            live,
            earlier: Vec::new(),
            drain: Drain::No,
        }));
        true
    }

    fn replace(&mut self, id: &str, token: Arc<Token<B>>) {
        let Some(entry) = self.entry(id) else { return };
        let last = std::mem::replace(&mut entry.token, token);
        entry.earlier.push(Arc::downgrade(&last));
        self.parting.push(last);
    }

    /// Whether the id was a member.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let Some(entry) = self.places.remove(id).and_then(|place| self.entries[place].take()) else {
            return false;
        };
        self.parting.push(entry.token);
        if self.places.len() < self.entries.len() / 2 {
            self.entries.retain(Option::is_some);
            for (place, entry) in self.entries.iter().flatten().enumerate() {
                self.places.insert(Arc::clone(&entry.id), place);
            }
        }
        true
    }

    /// Starts or ends a member's drain. None if the id is no member, else whether that changed anything.
    pub(super) fn drain(&mut self, id: &str, drains: bool) -> Option<bool> {
        let entry = self.entry(id)?;
        let drained_before = entry.drain != Drain::No;
        if drains != drained_before {
            entry.drain = if drains { Drain::Draining } else { Drain::No };
        }
        Some(drains != drained_before)
    }

    /// The draining members that have come to rest since this was last asked.
    pub(super) fn drained(&mut self) -> Vec<Arc<str>> {
        self.entries
            .iter_mut()
            .flatten()
            .filter(|entry| entry.drain == Drain::Draining && entry.in_flight() == 0)
            .map(|entry| {
                entry.drain = Drain::Drained;
                Arc::clone(&entry.id)
            })
            .collect()
    }

    /// Whether there is something to come to rest: a draining member, or a replaced backend with leases.
    pub(super) fn is_busy(&self) -> bool {
        let mut entries = self.entries.iter().flatten();
        entries.any(|entry| entry.drain == Drain::Draining || !entry.earlier.is_empty())
    }

    /// Forgets replaced backends whose last lease has ended. Whether there were any: picks are faster without.
    pub(super) fn tidy(&mut self) -> bool {
        let mut tidied = false;
        for entry in self.entries.iter_mut().flatten() {
            let before = entry.earlier.len();
            entry.earlier.retain(|token| token.strong_count() > 0);
            tidied |= entry.earlier.len() < before;
        }
        tidied
    }

    /// Whether nothing is in flight at any member.
    pub(super) fn is_at_rest(&self) -> bool {
        self.entries.iter().flatten().all(|entry| entry.in_flight() == 0)
    }

    /// The next snapshot. Runs the selector's and the backends' code, which may panic: then nothing has changed.
    ///
    /// Open are the members with a weight that do not drain, of the lowest priority that has one. O(members), and what
    /// the selector takes.
    pub(super) fn snapshot(&mut self, phase: Phase) -> Snapshot<B, S> {
        let serves = |entry: &Entry<B, S::Memory>| {
            phase != Phase::Closed && entry.drain == Drain::No && entry.token.backend.weight() > 0
        };
        let members = || self.entries.iter().flatten();
        let priority = members()
            .filter(|entry| serves(entry))
            .map(|entry| entry.token.backend.priority())
            .min();
        let is_open = |entry: &&Entry<B, S::Memory>| serves(entry) && Some(entry.token.backend.priority()) == priority;
        let (mut order, rest): (Vec<_>, Vec<_>) = members().partition(is_open);
        let open = order.len();
        order.extend(rest);
        let rows = order.iter().map(|entry| Row {
            token: Arc::downgrade(&entry.token),
            member: entry.live.member,
            weight: entry.token.backend.weight().max(1),
            limit: self.limit.as_ref().and_then(|limit| limit(&entry.token.backend)),
            earlier: &entry.earlier,
        });
        let roster = Roster::new(rows, open);
        let lives: Box<[_]> = order.iter().map(|entry| Arc::clone(&entry.live)).collect();
        let backends: Vec<&B> = order.iter().map(|entry| &*entry.token.backend).collect();
        let table = self.core.selector.prepare(&Members::new(&roster, &backends, &lives));
        let draining = (open..order.len())
            .filter(|index| order[*index].drain != Drain::No)
            .map(|index| roster.at(index))
            .collect();
        self.version += 1;
        Snapshot {
            version: self.version,
            phase,
            roster,
            lives,
            draining,
            table,
            homes: OnceLock::new(),
            hashing: self.hashing.clone(),
        }
    }

    /// The strong references, for somebody else to hold.
    pub(super) fn tokens(&mut self) -> Vec<Arc<Token<B>>> {
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().flatten().map(|entry| entry.token).collect()
    }

    /// Lets go of those that were removed or replaced: to be called once no published snapshot has them.
    pub(super) fn part(&mut self) {
        // Backends are dropped here, if no lease holds them: user code, and possibly slow.
        self.parting.clear();
    }
}
