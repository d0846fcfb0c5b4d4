//! What all selectors of one pick share, however they are nested.

use std::{
    cell::{Cell, RefCell},
    sync::atomic::AtomicU64,
    time::Instant,
};

use super::{
    generator::Generator,
    roster::{At, Roster},
};
use crate::{
    ask::Ask,
    clock::{Clock, Stamp},
    member::MemberId,
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

    /// When a pick was: now, if its selector did not ask.
    pub(crate) fn stamped(&self, stamp: Stamp) -> Stamp {
        if stamp == Stamp::default() {
            Stamp::since(self.epoch, Some(self.clock.now()))
        } else {
            stamp
        }
    }
}

/// What all selectors of one pick share, however they are nested.
pub(crate) struct View<'a, B> {
    /// All members: those that one of the selectors sees are with its [`Pick`].
    pub(super) whole: &'a Roster<B>,
    pub(super) ask: &'a Ask,
    pub(super) surroundings: &'a Surroundings,
    pub(super) now: Cell<Option<Instant>>,
    /// By value, and put back after the pick: a borrow would make nested picks' lifetimes invariant.
    pub(super) random: Cell<Generator>,
    /// Nothing but an outer selector can have closed a member: no limits, nothing tried, all ready without a word.
    pub(super) plain: bool,
    takes: Cell<Takes>,
    /// One that was drawn for a request that has none.
    key: Cell<Option<u64>>,
    /// The session is served elsewhere, and its home stays where it is.
    keeps_home: Cell<bool>,
    /// Where levels note what they chose, if anybody wants to know.
    pub(super) trail: Option<&'a RefCell<Vec<Noted>>>,
}

/// Who may be chosen as nobody else is left.
#[derive(Clone, Copy, Default)]
struct Takes {
    /// Members that say they fail.
    failing: bool,
    /// Members that are being brought in, for any key.
    all_keys: bool,
}

/// What a level of a selector chose.
pub(crate) struct Noted {
    pub(crate) level: String,
    pub(crate) chosen: Option<MemberId>,
}

impl<'a, B> View<'a, B> {
    pub(crate) fn new(roster: &'a Roster<B>, ask: &'a Ask, surroundings: &'a Surroundings, random: Generator) -> Self {
        Self {
            whole: roster,
            ask,
            surroundings,
            now: Cell::new(None),
            random: Cell::new(random),
            plain: roster.is_plain() && ask.tried().is_empty(),
            takes: Cell::new(Takes::default()),
            key: Cell::new(None),
            keeps_home: Cell::new(false),
            trail: None,
        }
    }

    /// Where levels are to note what they choose.
    pub(crate) fn with_trail(self, trail: &'a RefCell<Vec<Noted>>) -> Self {
        let trail = Some(trail);
        Self { trail, ..self }
    }

    /// When the pick was, if a selector asked, and where its random numbers go on.
    #[inline]
    pub(crate) fn end(self) -> (Option<Instant>, Generator) {
        (self.now.get(), self.random.into_inner())
    }

    pub(crate) fn ask(&self) -> &'a Ask {
        self.ask
    }

    /// All members.
    pub(crate) fn roster(&self) -> &'a Roster<B> {
        self.whole
    }

    /// What a request that found no member open is up against. Each member is looked at once, so that one whose
    /// condition changes meanwhile is not taken for neither of two.
    #[cold]
    #[inline(never)]
    pub(crate) fn obstacle(&self) -> Obstacle {
        let mut obstacle = Obstacle::Nobody;
        for at in (0..self.whole.open()).map(At) {
            if self.ask.has_tried(self.whole.member(at)) {
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
    pub(super) fn admits_of(&self, roster: &Roster<B>, at: At) -> bool {
        self.plain || (self.has_place(roster, at) && self.is_ready(roster, at))
    }

    /// Whether a member takes the request's key, if it is being brought in.
    #[inline]
    pub(crate) fn takes_key(&self, roster: &Roster<B>, at: At) -> bool {
        self.plain || !roster.has_ramps() || self.takes.get().all_keys || {
            let key = self.ask.key().or(self.key.get()).unwrap_or_else(|| {
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
        roster.admits(at, 1) && !self.ask.has_tried(roster.member(at))
    }

    fn is_ready(&self, roster: &Roster<B>, at: At) -> bool {
        match roster.condition(at) {
            Condition::Ready => true,
            Condition::Waiting => false,
            Condition::Failing => self.takes.get().failing,
        }
    }

    /// From now on members that are being brought in are open for any key. Whether that may change anything.
    pub(crate) fn take_all_keys(&self) -> bool {
        let takes = self.takes.get();
        self.takes.set(Takes {
            all_keys: true,
            ..takes
        });
        self.whole.has_ramps() && !takes.all_keys
    }

    /// Whether the session keeps its home, though another is chosen.
    pub(crate) fn keep_home(&self, keeps: bool) {
        self.keeps_home.set(keeps);
    }

    #[inline(always)]
    pub(crate) fn keeps_home(&self) -> bool {
        self.keeps_home.get()
    }

    /// From now on members that say they fail are open.
    pub(crate) fn take_failing(&self) {
        let takes = self.takes.get();
        self.takes.set(Takes { failing: true, ..takes });
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
