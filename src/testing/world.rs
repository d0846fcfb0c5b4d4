//! A pool and, beside it, what is known of its members: whom a selector may choose.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;

use super::{Suite, Violation};
use crate::{
    Applied, Ask, Backend, Driver, Event, Events, Handle, Home, Lease, LoadReport, ManualClock, MemberId, Outcome,
    Pool, Selector,
};

/// A pool whose driver runs when told to, and its members as they should be.
pub(super) struct World<'a, B: Backend, S: Selector<B>> {
    suite: &'a Suite<S, B>,
    pool: Pool<B, S>,
    driver: Driver<B, S>,
    handle: Handle<B>,
    events: Events,
    clock: ManualClock,
    limits: Limits,
    pub(super) members: Vec<Expected>,
    joined: usize,
}

/// In-flight limits by id.
type Limits = Arc<Mutex<HashMap<String, u32>>>;

/// What is known of a member.
pub(super) struct Expected {
    pub(super) id: String,
    pub(super) weight: u32,
    pub(super) limit: Option<u32>,
    pub(super) draining: bool,
    /// Known once the member was leased.
    member: Option<MemberId>,
    leases: Vec<Lease>,
}

impl Expected {
    /// Why the member must not be chosen; none if it may.
    fn closed(&self, ask: &Ask) -> Option<&'static str> {
        if self.weight == 0 {
            Some("it has no weight")
        } else if self.draining {
            Some("it drains")
        } else if self.limit.is_some_and(|limit| self.leases.len() >= limit as usize) {
            Some("it is at its in-flight limit")
        } else if self.member.is_some_and(|member| ask.has_tried(member)) {
            Some("it was tried")
        } else {
            None
        }
    }
}

impl<'a, B: Backend, S: Selector<B>> World<'a, B, S> {
    /// A pool of members `m0`, `m1`, … of these weights and limits.
    pub(super) fn new(suite: &'a Suite<S, B>, seed: u64, members: &[(u32, Option<u32>)]) -> Self {
        let clock = ManualClock::new();
        let limits = Limits::default();
        let expected: Vec<Expected> = (members.iter().enumerate())
            .map(|(index, (weight, limit))| expected(index, *weight, *limit, &limits))
            .collect();
        let asked = Arc::clone(&limits);
        let (pool, driver) = Pool::builder_on(clock.clock())
            .selector(suite.selector())
            .seed(seed)
            .in_flight_limit_by(move |backend: &B| asked.lock().get(backend.id()).copied())
            .backends(expected.iter().map(|member| suite.backend(&member.id, member.weight)))
            .build();
        Self {
            suite,
            handle: pool.handle(),
            events: pool.events(),
            pool,
            driver,
            clock,
            limits,
            joined: expected.len(),
            members: expected,
        }
    }

    /// The driver runs until it has nothing to do.
    fn drive(&mut self) -> Result<(), Violation> {
        let ended = (&mut self.driver).now_or_never();
        debug_assert!(ended.is_none(), "a driver ends after its pool");
        while let Some(Some(event)) = self.events.next().now_or_never() {
            if let Event::PublishFailed { error } = event {
                return Err(Violation::new(format!("panicked while a change was prepared: {error}")));
            }
        }
        Ok(())
    }

    /// A change comes into force.
    fn apply(&mut self, change: Applied) -> Result<(), Violation> {
        self.drive()?;
        match change.now_or_never() {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(Violation::new("panicked while a change was prepared")),
        }
    }

    pub(super) fn insert(&mut self, weight: u32, limit: Option<u32>) -> Result<(), Violation> {
        let member = expected(self.joined, weight, limit, &self.limits);
        self.joined += 1;
        let change = self.handle.insert(self.suite.backend(&member.id, weight));
        self.members.push(member);
        self.apply(change)
    }

    pub(super) fn update(&mut self, index: usize, weight: u32, limit: Option<u32>) -> Result<(), Violation> {
        let member = &mut self.members[index];
        (member.weight, member.limit) = (weight, limit);
        note(&self.limits, &member.id, limit);
        let change = self.handle.update(self.suite.backend(&member.id, weight));
        self.apply(change)
    }

    pub(super) fn remove(&mut self, index: usize) -> Result<(), Violation> {
        let member = self.members.remove(index);
        self.limits.lock().remove(&member.id);
        let change = self.handle.remove(member.id);
        self.apply(change)
    }

    pub(super) fn drain(&mut self, index: usize, draining: bool) -> Result<(), Violation> {
        let member = &mut self.members[index];
        member.draining = draining;
        let change = if draining {
            self.handle.drain(member.id.as_str())
        } else {
            self.handle.undrain(member.id.as_str())
        };
        self.apply(change)
    }

    /// Time passes, and with it whatever the selector does by itself.
    pub(super) fn advance(&mut self, by: Duration) -> Result<(), Violation> {
        self.clock.advance(by);
        self.drive()
    }

    /// One more request in flight at this very member, unless it is at its limit.
    pub(super) fn load(&mut self, index: usize) {
        let member = &mut self.members[index];
        let home = Ask::new().with_home(Home::new(member.id.as_str()));
        // A full home leaves the choice to the selector.
        let home = if self.suite.is_keyed() {
            home.with_key(index as u64)
        } else {
            home
        };
        match self.pool.pick(&home) {
            Ok(lease) if lease.backend_id() == member.id => {
                member.member = Some(lease.member());
                member.leases.push(lease.erase());
            }
            // Somebody else's, as this one is full: not wanted.
            _ => {}
        }
    }

    /// One request fewer in flight at this member.
    pub(super) fn unload(&mut self, index: usize, outcome: Outcome) {
        if let Some(mut lease) = self.members[index].leases.pop() {
            lease.settle(outcome);
        }
    }

    /// The member says with an answer what its load is; to one that has no request open, one more is sent.
    pub(super) fn report(&mut self, index: usize, report: &LoadReport) {
        if self.members[index].leases.is_empty() {
            self.load(index);
        }
        if let Some(lease) = self.members[index].leases.last() {
            lease.report(report);
        }
    }

    /// A request that the selector places: it ends so, or goes on.
    pub(super) fn request(&mut self, ask: &Ask, outcome: Option<Outcome>) -> Option<usize> {
        let mut lease = self.pool.pick(ask).ok()?;
        let at = (self.members.iter()).position(|member| member.id == lease.backend_id())?;
        match outcome {
            Some(outcome) => lease.settle(outcome),
            None => {
                self.members[at].member = Some(lease.member());
                self.members[at].leases.push(lease.erase());
            }
        }
        Some(at)
    }

    /// That this member was tried, if that can be said of it.
    pub(super) fn tried(&mut self, ask: Ask, index: usize) -> Ask {
        if self.members[index].member.is_none() {
            self.load(index);
            self.unload(index, Outcome::Success);
        }
        match self.members[index].member {
            Some(member) => ask.with_tried(member),
            None => ask,
        }
    }

    /// Without a key, unless every ask is to have one; with keys at both ends, and in the middle.
    pub(super) fn asks(&self) -> Vec<Ask> {
        let plain = (!self.suite.is_keyed()).then(Ask::new);
        let keyed = [0, 1 << 63, u64::MAX].map(|key| Ask::new().with_key(key));
        plain.into_iter().chain(keyed).collect()
    }

    /// [`check`](World::check) with all [`asks`](World::asks).
    pub(super) fn check_all(&mut self) -> Result<(), Violation> {
        self.asks().iter().try_for_each(|ask| self.check(ask))
    }

    /// Whether the selector chooses whom it may.
    pub(super) fn check(&mut self, ask: &Ask) -> Result<(), Violation> {
        let chosen = self.pool.select(ask).map(|at| self.pool.id_at(at));
        let mut open = self.members.iter().filter(|member| member.closed(ask).is_none());
        let known = |id: &str| self.members.iter().find(|member| member.id == id);
        let wrong = match chosen {
            None => match open.next() {
                Some(member) => format!("chose nobody while '{}' was open", member.id),
                None => return Ok(()),
            },
            Some(None) => "chose a position where nobody is".to_owned(),
            Some(Some(id)) => match known(id).map(|member| member.closed(ask)) {
                Some(None) => return Ok(()),
                Some(Some(why)) => format!("chose '{id}', which is closed: {why}"),
                None => format!("chose '{id}', which is no member"),
            },
        };
        let members: Vec<String> = self.members.iter().map(|member| self.describe(member, ask)).collect();
        Err(Violation::new(format!(
            "{wrong}\nask: {ask:?}\nmembers:\n{}",
            members.join("\n")
        )))
    }

    fn describe(&self, member: &Expected, ask: &Ask) -> String {
        let limit = member.limit.map_or(String::new(), |limit| format!(" of {limit}"));
        format!(
            "  {} weight {}, {}{limit} in flight: {}",
            member.id,
            member.weight,
            member.leases.len(),
            member.closed(ask).unwrap_or("open"),
        )
    }
}

fn expected(index: usize, weight: u32, limit: Option<u32>, limits: &Limits) -> Expected {
    let id = format!("m{index}");
    note(limits, &id, limit);
    Expected {
        id,
        weight,
        limit,
        draining: false,
        member: None,
        leases: Vec::new(),
    }
}

fn note(limits: &Limits, id: &str, limit: Option<u32>) {
    let mut limits = limits.lock();
    match limit {
        Some(limit) => limits.insert(id.to_owned(), limit),
        None => limits.remove(id),
    };
}
