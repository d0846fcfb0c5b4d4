//! The driver's book of members: the one strong reference to each.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, Weak, atomic::AtomicU64},
};

use ahash::RandomState;
use parking_lot::Mutex;

use super::snapshot::{Core, Phase, Snapshot};
use crate::{
    backend::Backend,
    member::{Counts, Live, MemberId, Remembered, Replaced, Token},
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
    parting: Vec<Arc<Token<Arc<B>>>>,
    /// Removed or replaced, with leases perhaps: a closing pool waits for them too.
    parted: Vec<Weak<Token<Arc<B>>>>,
    /// Whether a member drains, or a replaced backend may have leases.
    restless: bool,
    version: u64,
}

struct Entry<B, M> {
    id: Arc<str>,
    token: Arc<Token<Arc<B>>>,
    live: Arc<Live<Remembered<B, M>>>,
    /// Replaced under the same id, with leases perhaps. Held until a look finds none, so that a lease is counted however
    /// late it comes.
    earlier: Vec<Replaced<B>>,
    drain: Drain,
}

/// What a look at the members found.
#[derive(Default)]
pub(super) struct Rest {
    /// Draining members that have come to rest.
    pub(super) drained: Vec<Arc<str>>,
    /// Whether replaced backends were forgotten: picks are faster without them.
    pub(super) forgotten: bool,
    /// Whether there is something left to come to rest.
    pub(super) goes_on: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Drain {
    No,
    Draining,
    Drained,
}

/// An entry as it goes into a snapshot.
struct Listed<'a, B, M> {
    entry: &'a Entry<B, M>,
    weight: u32,
    /// None if it takes nothing new.
    priority: Option<u8>,
}

impl<'a, B: Backend, M> Listed<'a, B, M> {
    fn new(entry: &'a Entry<B, M>, serving: bool) -> Self {
        // A closed pool asks nobody: what panics must not keep it open.
        let serves = serving && entry.drain == Drain::No;
        let weight = if serves { entry.token.backend.weight() } else { 0 };
        Self {
            entry,
            weight,
            priority: (weight > 0).then(|| entry.token.backend.priority()),
        }
    }
}

impl<B, M> Entry<B, M> {
    fn in_flight(&self) -> usize {
        // One reference to each is this entry's.
        let earlier = self.earlier.iter().map(|replaced| &replaced.token);
        let tokens = earlier.chain([&self.token]);
        tokens.map(|token| Arc::strong_count(token) - 1).sum()
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
            parted: Vec::new(),
            restless: false,
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

    /// Whether this is still a member, and this its backend.
    pub(super) fn is_current(&self, live: &Live<Remembered<B, S::Memory>>, backend: &Weak<B>) -> bool {
        let entry = self
            .places
            .get(&*live.id)
            .and_then(|place| self.entries[*place].as_ref());
        entry.is_some_and(|entry| {
            entry.live.member == live.member && Arc::as_ptr(&entry.token.backend) == Weak::as_ptr(backend)
        })
    }

    fn token(&self, backend: Arc<B>, live: &Arc<Live<Remembered<B, S::Memory>>>) -> Arc<Token<Arc<B>>> {
        *live.account.backend.lock() = Arc::downgrade(&backend);
        Arc::new(Token {
            backend,
            live: Arc::clone(live) as _,
            awaited: self.limit.is_some() || self.core.needs.wants_total(),
            needs: self.core.needs,
        })
    }

    /// Makes the backend a member, or replaces the one of its id. Whether the id is new.
    pub(super) fn insert(&mut self, backend: B) -> bool {
        let id: Arc<str> = backend.id().into();
        if let Some(readiness) = backend.readiness() {
            let core: Weak<Core<B, S>> = Arc::downgrade(&self.core);
            readiness.tell(core);
        }
        let backend = Arc::new(backend);
        if let Some(live) = self.entry(&id).map(|entry| Arc::clone(&entry.live)) {
            self.replace(&id, self.token(backend, &live));
            return false;
        }
        let live = Arc::new(Live {
            counts: Counts::default(),
            id: (&*id).into(),
            member: MemberId::fresh(),
            account: Remembered {
                memory: self.core.selector.memory(&backend),
                overseer: Arc::clone(&self.core) as _,
                backend: Mutex::default(),
                rejected_reports: AtomicU64::new(0),
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

    fn replace(&mut self, id: &str, token: Arc<Token<Arc<B>>>) {
        let version = self.version;
        let Some(entry) = self.entry(id) else { return };
        let token = std::mem::replace(&mut entry.token, token);
        entry.earlier.push(Replaced { token, version });
        self.restless = true;
    }

    /// Whether the id was a member.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let Some(entry) = self.places.remove(id).and_then(|place| self.entries[place].take()) else {
            return false;
        };
        self.parting
            .extend(entry.earlier.into_iter().map(|replaced| replaced.token));
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
            self.restless |= drains;
        }
        Some(drains != drained_before)
    }

    /// Looks at those who are to come to rest: tells the draining members that have, if all drains are `in_force`, and
    /// forgets replaced backends whose last lease has ended.
    pub(super) fn rest(&mut self, in_force: bool) -> Rest {
        let mut rest = Rest::default();
        if !self.restless {
            return rest;
        }
        for entry in self.entries.iter_mut().flatten() {
            if !entry.earlier.is_empty() {
                let earlier = entry.earlier.drain(..);
                // Until a newer version is published, a pick may come to it even though it has no lease now.
                let (busy, idle): (Vec<_>, Vec<_>) = earlier
                    .partition(|replaced| replaced.version == self.version || Arc::strong_count(&replaced.token) > 1);
                entry.earlier = busy;
                rest.forgotten |= !idle.is_empty();
                self.parting.extend(idle.into_iter().map(|replaced| replaced.token));
            }
            if in_force && entry.drain == Drain::Draining && entry.in_flight() == 0 {
                entry.drain = Drain::Drained;
                rest.drained.push(Arc::clone(&entry.id));
            }
            rest.goes_on |= entry.drain == Drain::Draining || !entry.earlier.is_empty();
        }
        self.restless = rest.goes_on;
        rest
    }

    /// Whether nothing is in flight, neither at a member nor at one that was.
    pub(super) fn is_at_rest(&self) -> bool {
        let parted = self.parted.iter().all(|token| token.strong_count() == 0);
        parted && self.entries.iter().flatten().all(|entry| entry.in_flight() == 0)
    }

    /// The next snapshot. Runs the selector's and the backends' code, which may panic: then nothing has changed.
    ///
    /// Open are the members with a weight that do not drain, of the lowest priority that has one. O(members), and what
    /// the selector takes.
    pub(super) fn snapshot(&mut self, phase: Phase) -> Snapshot<B, S> {
        // A weight is asked for once: were it to change meanwhile, the snapshot would contradict itself.
        let row = |entry| Listed::new(entry, phase != Phase::Closed);
        let members: Vec<_> = self.entries.iter().flatten().map(row).collect();
        let priority = members.iter().filter_map(|member| member.priority).min();
        let is_open = |member: &Listed<'_, B, S::Memory>| member.priority.is_some() && member.priority == priority;
        let (mut order, rest): (Vec<_>, Vec<_>) = members.into_iter().partition(is_open);
        let open = order.len();
        order.extend(rest);
        let limit = self.limit.as_ref().filter(|_| phase != Phase::Closed);
        let rows = order.iter().map(|member| Row {
            token: Arc::downgrade(&member.entry.token),
            member: member.entry.live.member,
            weight: member.weight,
            limit: limit.and_then(|limit| limit(&member.entry.token.backend)),
            readiness: member.entry.token.backend.readiness().cloned(),
            earlier: &member.entry.earlier,
        });
        let roster = Roster::new(rows, open);
        let lives: Box<[_]> = order.iter().map(|member| Arc::clone(&member.entry.live)).collect();
        let backends: Vec<&B> = order.iter().map(|member| &*member.entry.token.backend).collect();
        let members = Members::new(&roster, &backends, &lives, &self.core.surroundings);
        let table = (phase != Phase::Closed).then(|| self.core.selector.prepare(&members));
        let draining = (open..order.len())
            .filter(|index| order[*index].entry.drain != Drain::No)
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
    pub(super) fn tokens(&mut self) -> Vec<Arc<Token<Arc<B>>>> {
        let entries = std::mem::take(&mut self.entries);
        let current = entries.into_iter().flatten();
        let tokens = current.flat_map(|entry| {
            let earlier = entry.earlier.into_iter().map(|replaced| replaced.token);
            earlier.chain([entry.token])
        });
        tokens.chain(self.parting.drain(..)).collect()
    }

    /// Lets go of those that were removed or replaced: to be called once no published snapshot has them.
    pub(super) fn part(&mut self) {
        self.parted.retain(|token| token.strong_count() > 0);
        self.parted.extend(self.parting.iter().map(Arc::downgrade));
        // Backends are dropped here, if no lease holds them: user code, and possibly slow.
        self.parting.clear();
    }
}
