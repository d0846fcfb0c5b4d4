//! The driver's book of members: the one strong reference to each.

mod judging;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use ahash::RandomState;
pub(super) use judging::Tiers;
use parking_lot::Mutex;

use super::{
    layout::Layout,
    plan::{Candidate, Facts, Rules, plan},
    snapshot::{Core, Phase, Snapshot},
};
use crate::{
    backend::Backend,
    event::Event,
    fitness::{Ejection, Standing},
    health::{Sentence, Warmth},
    key::HashFunction,
    limit,
    member::{Counts, Live, MemberId, Remembered, Replaced, Token},
    needs::Needs,
    outcome::Tally,
    selector::{At, Extent, Members, Ramp, Roster, Row, Selector},
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
    parted: Vec<Parted<B>>,
    /// Whether a member drains, or a replaced backend may have leases.
    restless: bool,
    version: u64,
    rules: Rules,
    /// Priorities whose members all count, as published last.
    panics: Vec<u8>,
    /// When members that are being brought in want the next snapshot.
    warming: Option<Instant>,
    /// When sessions have to leave a member that drains.
    leaving: Option<Instant>,
    /// What has become of members that are being brought in with the last snapshot.
    warmed: Vec<Event>,
}

/// Gone, but for its leases.
struct Parted<B> {
    id: Arc<str>,
    token: Weak<Token<Arc<B>>>,
}

struct Entry<B, M> {
    id: Arc<str>,
    token: Arc<Token<Arc<B>>>,
    live: Arc<Live<Remembered<B, M>>>,
    /// Replaced under the same id, with leases perhaps. Held until a look finds none, so that a lease is counted however
    /// late it comes.
    earlier: Vec<Replaced<B>>,
    drain: Drain,
    facts: Facts,
    sentence: Sentence,
    /// How requests had ended when members were compared last.
    swept: Tally,
    /// The part of keys that it takes while it is brought in by these.
    keys: Arc<AtomicU32>,
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

impl<B: Backend, M> Entry<B, M> {
    fn candidate(&self, serving: bool) -> Candidate<'_> {
        let backend = &self.token.backend;
        let facts = self.facts;
        let weight = if serving && facts.is_willing() {
            backend.weight()
        } else {
            0
        };
        Candidate {
            facts,
            weight,
            priority: if weight > 0 { backend.priority() } else { 0 },
            locality: if weight > 0 { backend.locality() } else { None },
        }
    }
}

impl<B, M> Entry<B, M> {
    /// Of all incarnations.
    fn tokens(&self) -> impl Iterator<Item = &Arc<Token<Arc<B>>>> {
        let earlier = self.earlier.iter().map(|replaced| &replaced.token);
        earlier.chain([&self.token])
    }

    /// Whether it drains, and its sessions have time left.
    fn has_sessions(&self, now: Instant) -> bool {
        self.facts.leave.is_some_and(|leave| now < leave)
    }

    fn in_flight(&self) -> usize {
        // One reference to each is this entry's.
        self.tokens().map(|token| Arc::strong_count(token) - 1).sum()
    }
}

impl<B: Backend, S: Selector<B>> Registry<B, S> {
    pub(super) fn new(core: Arc<Core<B, S>>, limit: Option<Limit<B>>, rules: Rules, hashing: RandomState) -> Self {
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
            rules,
            panics: Vec::new(),
            warming: None,
            leaving: None,
            warmed: Vec::new(),
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
            awaited: self.limit.is_some() || live.account.limit.is_some() || self.core.needs.wants_total(),
            needs: match live.account.limit {
                Some(_) => self.core.needs.and(Needs::nothing().completions()),
                None => self.core.needs,
            },
            is_past: false.into(),
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
                limit: self.core.adaptive.map(|settings| {
                    let salt = HashFunction::default().hash(id.as_bytes());
                    Arc::new(limit::Limit::new(settings, salt))
                }),
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
            facts: Facts::default(),
            sentence: Sentence::default(),
            swept: Tally::default(),
            keys: Arc::default(),
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

    /// Starts or ends a member's drain, whose sessions may stay until `leave`. None if the id is no member, else whether it
    /// began or ended.
    pub(super) fn drain(&mut self, id: &str, drains: bool, leave: Option<Instant>) -> Option<bool> {
        let entry = self.entry(id)?;
        entry.facts.leave = leave;
        let drained_before = entry.drain != Drain::No;
        if drains != drained_before {
            entry.drain = if drains { Drain::Draining } else { Drain::No };
            entry.facts.draining = drains;
            self.restless |= drains;
        }
        Some(drains != drained_before)
    }

    /// Looks at those who are to come to rest: tells the draining members that have, if all drains are `in_force`, and
    /// forgets replaced backends whose last lease has ended. Who gives its sessions a time is not at rest before that is over.
    pub(super) fn rest(&mut self, in_force: bool, now: Instant) -> Rest {
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
            if in_force && entry.drain == Drain::Draining && !entry.has_sessions(now) && entry.in_flight() == 0 {
                entry.drain = Drain::Drained;
                rest.drained.push(Arc::clone(&entry.id));
            }
            rest.goes_on |= entry.drain == Drain::Draining || !entry.earlier.is_empty();
        }
        self.restless = rest.goes_on;
        rest
    }

    /// Whether a member of this id drains, and its sessions have time left.
    pub(super) fn has_sessions(&mut self, id: &str, now: Instant) -> bool {
        self.entry(id).is_some_and(|entry| entry.has_sessions(now))
    }

    /// Requests that are in flight at members of this id that were removed, and at the one that is, in all its
    /// incarnations, if it drains, by whoever's wish.
    pub(super) fn still_open(&mut self, id: &str) -> usize {
        let parted = self.parted.iter().filter(|parted| *parted.id == *id);
        let parting = self.parting.iter().filter(|token| &*token.live.id == id);
        let gone: usize = parted.map(|parted| parted.token.strong_count()).sum();
        let going: usize = parting.map(|token| Arc::strong_count(token) - 1).sum();
        let draining = self.entry(id);
        let draining = draining.filter(|entry| entry.drain != Drain::No || entry.facts.standing != Standing::Ready);
        gone + going + draining.map_or(0, |entry| entry.in_flight())
    }

    /// Whether nothing is in flight, neither at a member nor at one that was.
    pub(super) fn is_at_rest(&self) -> bool {
        let parted = self.parted.iter().all(|parted| parted.token.strong_count() == 0);
        parted && self.entries.iter().flatten().all(|entry| entry.in_flight() == 0)
    }

    /// The next snapshot. Runs the selector's and the backends' code, which may panic: then nothing has changed.
    ///
    /// O(members), and what the selector takes.
    pub(super) fn snapshot(&mut self, phase: Phase) -> Snapshot<B, S> {
        let now = self.core.clock().now();
        // A closed pool asks nobody: what panics must not keep it open.
        let serving = phase != Phase::Closed;
        let entries: Vec<&Entry<B, S::Memory>> = self.entries.iter().flatten().collect();
        // A weight is asked for once: were it to change meanwhile, the snapshot would contradict itself.
        let candidates: Vec<_> = entries.iter().map(|entry| entry.candidate(serving)).collect();
        let planned = plan(&candidates, &self.rules, self.core.needs.wants_keys(), now);
        let limit = self.limit.as_ref().filter(|_| serving);
        let fixed = |entry: &Entry<B, S::Memory>| {
            let fixed = limit.and_then(|limit| limit(&entry.token.backend));
            if let Some(adaptive) = &entry.live.account.limit {
                adaptive.bound(fixed.unwrap_or(u32::MAX));
            }
            fixed
        };
        let rows = planned.order.iter().enumerate().map(|(place, index)| {
            let entry = entries[*index];
            let backend = &entry.token.backend;
            Row {
                token: Arc::downgrade(&entry.token),
                member: entry.live.member,
                weight: planned.weights.get(place).copied().unwrap_or(0),
                limit: fixed(entry),
                adaptive: entry.live.account.limit.clone().filter(|_| serving),
                spared: planned.spares && entry.facts.ejection == Ejection::Probation,
                readiness: backend.readiness().cloned(),
                earlier: &entry.earlier,
            }
        });
        let extent = Extent {
            open: planned.open,
            homes: planned.homes,
        };
        let ramp = |(at, part): &(At, u32)| {
            let entry = entries[planned.order[at.index()]];
            entry.keys.store(*part, Relaxed);
            Ramp {
                at: *at,
                id: HashFunction::default().hash(entry.id.as_bytes()),
                part: Arc::clone(&entry.keys),
            }
        };
        let roster = Roster::new(rows, extent, planned.ramps.iter().map(ramp).collect());
        let order = || planned.order.iter().map(|index| entries[*index]);
        let lives: Box<[_]> = order().map(|entry| Arc::clone(&entry.live)).collect();
        let backends: Vec<&B> = order().map(|entry| &*entry.token.backend).collect();
        let members = Members::new(&roster, &backends, &lives, &self.core.surroundings);
        let layout = match serving {
            true => Layout::new(planned.groups, &self.core.selector, &members),
            false => Layout::Nobody,
        };
        let facts = planned.order.iter().map(|index| planned.facts[*index]).collect();
        drop(candidates);
        for (entry, facts) in self.entries.iter_mut().flatten().zip(planned.facts) {
            let id = || Arc::clone(&entry.id);
            match (entry.facts.warmth, facts.warmth) {
                (Warmth::Cold, Warmth::Since(_)) => self.warmed.push(Event::SlowStartStarted { id: id() }),
                (Warmth::Since(_), Warmth::Warm | Warmth::Cold) => self.warmed.push(Event::SlowStartEnded { id: id() }),
                _ => {}
            }
            (entry.facts.warmth, entry.facts.part) = (facts.warmth, facts.part);
            entry.facts.away = facts.away;
        }
        self.leaving = planned.leave;
        self.panics = planned.panics;
        self.warming = planned.again.map(|again| now + again);
        self.version += 1;
        Snapshot {
            version: self.version,
            phase,
            roster,
            lives,
            facts,
            layout,
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
        self.parted.retain(|parted| parted.token.strong_count() > 0);
        self.parted.extend(self.parting.iter().map(|token| Parted {
            id: (&*token.live.id).into(),
            token: Arc::downgrade(token),
        }));
        // Backends are dropped here, if no lease holds them: user code, and possibly slow.
        self.parting.clear();
    }
}
