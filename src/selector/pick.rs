//! What a selector sees while it chooses.

use std::{any::type_name, fmt, sync::atomic::Ordering::Relaxed, time::Instant};

use super::{
    generator::Generator,
    memories::{Memories, Part},
    narrowed::Narrowed,
    roster::{At, Roster},
    view::{Noted, View},
};
use crate::{ask::Ask, clock::Stamp, member::Lives};

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

    /// Requests in flight in the whole pool, from this process: at its members and at those that were; where priorities or
    /// places share the requests, those that fall to these members. Kept only if the selector
    /// [needs](super::Selector::needs) it; else 0.
    #[inline]
    pub fn total_in_flight(&self) -> u64 {
        self.roster.share_of(self.view.surroundings.in_flight.0.load(Relaxed))
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

    /// What this selector, one of several within each other, chose: for [`Pool::explain`](crate::Pool::explain). A selector
    /// around another passes its inner one's choice through here.
    #[inline(always)]
    pub fn chosen_by<S>(&self, chosen: Option<At>) -> Option<At> {
        if self.view.trail.is_some() {
            self.note_choice(type_name::<S>(), chosen);
        }
        chosen
    }

    #[cold]
    #[inline(never)]
    fn note_choice(&self, selector: &str, chosen: Option<At>) {
        let name = selector.split('<').next().and_then(|path| path.rsplit("::").next());
        // One without a type tells by itself.
        if let Some(name) = name.filter(|name| *name != "AnySelector") {
            self.note(name, chosen);
        }
    }

    /// What a level chose that is no selector.
    #[cold]
    pub(crate) fn note(&self, level: impl fmt::Display, chosen: Option<At>) {
        if let Some(trail) = self.view.trail {
            let level = level.to_string();
            let chosen = chosen.map(|at| self.roster.member(at));
            trail.borrow_mut().push(Noted { level, chosen });
        }
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
