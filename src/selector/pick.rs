//! What a selector sees while it chooses.

use std::{
    cell::Cell,
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use super::{
    generator::Generator,
    memories::{Memories, Part},
    narrowed::Narrowed,
    roster::{At, Roster},
};
use crate::{
    ask::Ask,
    clock::{Clock, Stamp},
    member::Lives,
    readiness::Condition,
    sync::Line,
};

/// What a pick looks at besides members: the time, and what is in flight in all.
pub(crate) struct Surroundings {
    pub(crate) clock: Clock,
    /// What stamps count from.
    pub(crate) epoch: Instant,
    /// Kept only for a selector that needs it.
    pub(crate) in_flight: Line<AtomicU64>,
}

impl Surroundings {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            epoch: clock.now(),
            clock,
            in_flight: Line::default(),
        }
    }
}

/// What all selectors of one pick share, however they are nested.
pub(crate) struct View<'a, B> {
    /// All members: those that one of the selectors sees are with its [`Pick`].
    whole: &'a Roster<B>,
    ask: &'a Ask,
    surroundings: &'a Surroundings,
    now: Cell<Option<Instant>>,
    /// By value, and put back after the pick: a borrow would make nested picks' lifetimes invariant.
    random: Cell<Generator>,
    /// Nothing but an outer selector can have closed a member: no limits, nothing tried, all ready without a word.
    plain: bool,
    /// Whether members that say they fail may be chosen: nobody else is left.
    takes_failing: Cell<bool>,
    /// Whether members that are being brought in may be chosen for any key, likewise.
    takes_all_keys: Cell<bool>,
    /// The request's, or one that was drawn for it.
    key: Cell<Option<u64>>,
}

impl<'a, B> View<'a, B> {
    pub(crate) fn new(roster: &'a Roster<B>, ask: &'a Ask, surroundings: &'a Surroundings, random: Generator) -> Self {
        Self {
            whole: roster,
            ask,
            surroundings,
            now: Cell::new(None),
            random: Cell::new(random),
            plain: !roster.is_limited() && ask.tried().is_empty() && !roster.has_readiness() && !roster.has_ramps(),
            takes_failing: Cell::new(false),
            takes_all_keys: Cell::new(false),
            key: Cell::new(ask.key()),
        }
    }

    /// When the pick was, if a selector asked, and where its random numbers go on.
    #[inline]
    pub(crate) fn end(self) -> (Option<Instant>, Generator) {
        (self.now.get(), self.random.into_inner())
    }

    pub(crate) fn ask(&self) -> &'a Ask {
        self.ask
    }

    /// What a request that found no member open is up against. Each member is looked at once, so that one whose
    /// condition changes meanwhile is not taken for neither of two.
    #[cold]
    #[inline(never)]
    pub(crate) fn obstacle(&self) -> Obstacle {
        let mut obstacle = Obstacle::Nobody;
        for at in (0..self.whole.open()).map(At) {
            if self.ask.tried().contains(&self.whole.member(at)) {
                continue;
            }
            obstacle = obstacle.max(match (self.whole.condition(at), self.has_place(self.whole, at)) {
                (Condition::Ready, true) => Obstacle::Gone(at),
                (Condition::Waiting, true) => Obstacle::Unready,
                (Condition::Failing, true) => Obstacle::Failing,
                (Condition::Failing, false) => Obstacle::FailingFull,
                // One that is not ready because of what is in flight is worth waiting for as well.
                (_, false) => Obstacle::Full,
            });
        }
        obstacle
    }

    /// Below its limit, not tried, and ready. Unlike [`Pick::is_open`] this holds for members without weight too.
    pub(crate) fn admits(&self, at: At) -> bool {
        self.admits_of(self.whole, at)
    }

    /// The same of a member of all, or of a part of them.
    fn admits_of(&self, roster: &Roster<B>, at: At) -> bool {
        self.plain || (self.has_place(roster, at) && self.is_ready(roster, at))
    }

    /// Whether a member takes the request's key, if it is being brought in.
    #[inline]
    fn takes_key(&self, roster: &Roster<B>, at: At) -> bool {
        self.plain || !roster.has_ramps() || self.takes_all_keys.get() || {
            let key = self.key.get().unwrap_or_else(|| {
                let mut random = self.random.get();
                let key = random.next();
                self.random.set(random);
                self.key.set(Some(key));
                key
            });
            roster.takes_key(at, key)
        }
    }

    /// Below its limit and not tried.
    fn has_place(&self, roster: &Roster<B>, at: At) -> bool {
        roster.admits(at, roster.load(at).saturating_add(1)) && !self.ask.tried().contains(&roster.member(at))
    }

    fn is_ready(&self, roster: &Roster<B>, at: At) -> bool {
        match roster.condition(at) {
            Condition::Ready => true,
            Condition::Waiting => false,
            Condition::Failing => self.takes_failing.get(),
        }
    }

    /// From now on members that are being brought in are open for any key. Whether that may change anything.
    pub(crate) fn take_all_keys(&self) -> bool {
        self.whole.has_ramps() && !self.takes_all_keys.replace(true)
    }

    /// From now on members that say they fail are open.
    pub(crate) fn take_failing(&self) {
        self.takes_failing.set(true);
    }
}

/// Why a request found no member open: what can be hoped for, the best last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    /// There are no members, or all were tried.
    Nobody,
    /// All fail, and are at their limits.
    FailingFull,
    /// All fail, and one has room.
    Failing,
    /// One that does not fail is at its limit.
    Full,
    /// One that has room will be ready soon.
    Unready,
    /// None any more: this one is open by now.
    Gone(At),
}

/// What a selector sees while it chooses: the members, which of them are open, the ask, the time and randomness.
///
/// Positions come from [`at`](Pick::at), from [`iter`](Pick::iter) or from the table that
/// [`prepare`](super::Selector::prepare) made of the same snapshot. A position of another snapshot may be out of
/// range: then the methods that take one panic.
pub struct Pick<'a, B, M> {
    view: &'a View<'a, B>,
    roster: &'a Roster<B>,
    memories: Memories<'a, B, M>,
    closed: Option<&'a Closed<'a>>,
}

/// What the outer selectors closed, innermost first.
struct Closed<'a> {
    is_closed: &'a dyn Fn(At) -> bool,
    outer: Option<&'a Closed<'a>>,
}

impl Closed<'_> {
    fn closes(&self, at: At) -> bool {
        (self.is_closed)(at) || self.outer.is_some_and(|outer| outer.closes(at))
    }
}

impl<'a, B, M> Pick<'a, B, M> {
    pub(crate) fn new(view: &'a View<'a, B>, lives: &'a Lives<B, M>) -> Self {
        Self {
            view,
            roster: view.whole,
            memories: Memories::Own(lives),
            closed: None,
        }
    }

    /// How many members can be picked, those that are closed for the moment included.
    #[inline]
    pub fn len(&self) -> usize {
        self.roster.open() as usize
    }

    /// Whether there is no member to pick.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.roster.open() == 0
    }

    /// The member at an index below [`len`](Pick::len), in the order in which they joined the pool.
    ///
    /// # Panics
    /// If the index is out of range.
    #[inline]
    pub fn at(&self, index: usize) -> At {
        assert!(index < self.len(), "no member at {index}: there are {}", self.len());
        At(index as u32)
    }

    /// All members, in the order in which they joined the pool.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = At> + use<B, M> {
        (0..self.roster.open()).map(At)
    }

    /// Whether the member may be chosen: below its in-flight limit, not tried for this request,
    /// [ready](crate::Condition), brought in far enough to take the key, not closed by an outer selector.
    #[inline]
    pub fn is_open(&self, at: At) -> bool {
        at.0 < self.roster.open()
            && self.view.admits_of(self.roster, at)
            && self.view.takes_key(self.roster, at)
            && self.closed.is_none_or(|closed| !closed.closes(at))
    }

    /// Whether every member is open: the common case, in which nothing needs to be asked member by member.
    #[inline]
    pub fn all_open(&self) -> bool {
        self.view.plain && self.closed.is_none()
    }

    /// Requests in flight at the member, from this process.
    #[inline]
    pub fn load(&self, at: At) -> usize {
        self.roster.load(at)
    }

    /// Requests in flight in the whole pool, from this process: at its members and at those that were. Kept only if the
    /// selector [needs](super::Selector::needs) it; else 0.
    #[inline]
    pub fn total_in_flight(&self) -> u64 {
        self.view.surroundings.in_flight.0.load(Relaxed)
    }

    /// Whether nothing needs to be asked member by member, neither if it is open nor for its earlier incarnations.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.all_open() && self.roster.is_settled()
    }

    /// [`load`](Pick::load) in a [plain](Pick::is_plain) pick.
    #[inline]
    pub(super) fn plain_load(&self, at: At) -> usize {
        self.roster.settled_load(at)
    }

    /// The member's weight, at least 1.
    #[inline]
    pub fn weight(&self, at: At) -> u32 {
        self.roster.weight(at)
    }

    /// What the selector remembers of the member.
    #[inline]
    pub fn memory(&self, at: At) -> &'a M {
        self.memories.get(at)
    }

    /// All [memories](Pick::memory) by position, if they are not within an outer selector's: to ask for each where it is
    /// costs more than to read it.
    #[inline]
    pub(super) fn own_memories(&self) -> Option<&'a Lives<B, M>> {
        match self.memories {
            Memories::Own(lives) => Some(lives),
            Memories::Within(_) => None,
        }
    }

    /// What the request wants.
    #[inline]
    pub fn ask(&self) -> &'a Ask {
        self.view.ask
    }

    /// The time of the pick. Only if this is called is the clock read, once, and the latency of the request measured.
    pub fn now(&self) -> Instant {
        self.view.now.get().unwrap_or_else(|| {
            let now = self.view.surroundings.clock.now();
            self.view.now.set(Some(now));
            now
        })
    }

    /// [`now`](Pick::now), counted from when the pool was made.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp::since(self.view.surroundings.epoch, Some(self.now()))
    }

    /// 64 random bits.
    #[inline]
    pub fn random(&self) -> u64 {
        self.with_random(Generator::next)
    }

    /// A random number below `bound`, which must not be 0.
    #[inline]
    pub fn below(&self, bound: u64) -> u64 {
        self.with_random(|random| random.below(bound))
    }

    /// For many random numbers at once.
    #[inline]
    pub fn with_random<R>(&self, draw: impl FnOnce(&mut Generator) -> R) -> R {
        // Copied out and back: meanwhile the generator lives in a register.
        let mut random = self.view.random.get();
        let drawn = draw(&mut random);
        self.view.random.set(random);
        drawn
    }

    /// The first open member at or after `from`, wrapping around; none if all are closed. For a selector whose own
    /// way did not come to an open one. O(members).
    #[cold]
    pub fn next_open(&self, from: At) -> Option<At> {
        let len = self.roster.open();
        let from = from.0.min(len);
        (from..len).chain(0..from).map(At).find(|at| self.is_open(*at))
    }

    /// A random one among the open members, by weight; none if all are closed. For a selector whose own way did not
    /// come to an open one. O(members).
    #[cold]
    pub fn any_open(&self) -> Option<At> {
        let open = || self.iter().filter(|at| self.is_open(*at));
        // Two passes may see different loads: the walk below then ends early or late, at an open member all the same.
        let total: u64 = open().map(|at| u64::from(self.weight(at))).sum();
        let mut left = if total == 0 { 0 } else { self.below(total) };
        let mut last = None;
        for at in open() {
            last = Some(at);
            match left.checked_sub(u64::from(self.weight(at))) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        last
    }

    /// This pick for an inner selector, with more members closed.
    pub fn closing<R>(&self, is_closed: &dyn Fn(At) -> bool, inner: impl FnOnce(&Pick<'_, B, M>) -> R) -> R {
        inner(&Pick {
            view: self.view,
            roster: self.roster,
            memories: self.memories,
            closed: Some(&Closed {
                is_closed,
                outer: self.closed,
            }),
        })
    }

    /// This pick for an inner selector whose memory is a part of this one's.
    pub fn within<N, R>(&self, part: impl Fn(&M) -> &N, inner: impl FnOnce(&Pick<'_, B, N>) -> R) -> R {
        inner(&Pick {
            view: self.view,
            roster: self.roster,
            memories: Memories::Within(&Part {
                whole: self.memories,
                part,
            }),
            closed: self.closed,
        })
    }
}

impl<B, M> Pick<'_, B, M> {
    /// This pick for an inner selector that sees some of the members alone. What it chose, among all.
    #[inline]
    pub(crate) fn narrowed(
        &self,
        narrowed: &Narrowed<B>,
        inner: impl FnOnce(&Pick<'_, B, M>) -> Option<At>,
    ) -> Option<At> {
        let is_closed = |at| self.closed.is_some_and(|closed| closed.closes(narrowed.place(at)));
        let closed = Closed {
            is_closed: &is_closed,
            outer: None,
        };
        let chosen = inner(&Pick {
            view: self.view,
            roster: narrowed.roster(),
            memories: Memories::Within(&narrowed.memories(self.memories)),
            closed: self.closed.map(|_| &closed),
        });
        chosen.map(|at| narrowed.place(at))
    }
}

impl<B, M> fmt::Debug for Pick<'_, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick")
            .field("len", &self.len())
            .field("ask", self.view.ask)
            .finish()
    }
}
