//! What a selector's table is made of.

use std::{fmt, time::Instant};

use super::{
    memories::{Memories, Part},
    narrowed::Narrowed,
    roster::{At, Roster},
    view::Surroundings,
};
use crate::{member::Lives, outcome::Tally};

/// The members that a snapshot's picks choose among, as [`prepare`](super::Selector::prepare) sees them: each has a
/// weight of at least 1.
pub struct Members<'a, B, M> {
    roster: &'a Roster<B>,
    backends: &'a [&'a B],
    memories: Memories<'a, B, M>,
    surroundings: &'a Surroundings,
}

impl<'a, B, M> Members<'a, B, M> {
    pub(crate) fn new(
        roster: &'a Roster<B>,
        backends: &'a [&'a B],
        lives: &'a Lives<B, M>,
        surroundings: &'a Surroundings,
    ) -> Self {
        Self {
            roster,
            backends,
            memories: Memories::Own(lives),
            surroundings,
        }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.roster.open() as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All members, in the order in which they joined the pool.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = At> + use<B, M> {
        (0..self.roster.open()).map(At)
    }

    /// The member's backend.
    pub fn backend(&self, at: At) -> &'a B {
        self.backends[at.index()]
    }

    /// The member's weight.
    pub fn weight(&self, at: At) -> u32 {
        self.roster.weight(at)
    }

    /// Whether all weights are the same, so that a cheaper way serves.
    pub fn equal_weights(&self) -> bool {
        self.roster.equal_weights()
    }

    /// Requests in flight at the member, from this process, just now.
    pub fn load(&self, at: At) -> usize {
        self.roster.load(at)
    }

    /// How requests at the member have ended so far, from this process, since its id is in the pool.
    pub fn tally(&self, at: At) -> Tally {
        self.memories.tally(at)
    }

    /// The time now, by the pool's clock.
    pub fn now(&self) -> Instant {
        self.surroundings.clock.now()
    }

    /// What the selector remembers of the member.
    pub fn memory(&self, at: At) -> &'a M {
        self.memories.get(at)
    }

    /// These members for an inner selector whose memory is a part of this one's.
    pub fn within<N, R>(&self, part: impl Fn(&M) -> &N, inner: impl FnOnce(&Members<'_, B, N>) -> R) -> R {
        inner(&Members {
            roster: self.roster,
            backends: self.backends,
            memories: Memories::Within(&Part {
                whole: self.memories,
                part,
            }),
            surroundings: self.surroundings,
        })
    }
}

impl<B, M> Members<'_, B, M> {
    /// Some of these members, which [`Pick::narrowed`](super::Pick::narrowed) then shows an inner selector.
    ///
    /// `share`: the part of all requests that comes to them.
    pub(crate) fn narrow(&self, places: Box<[At]>, share: f64) -> Narrowed<B> {
        Narrowed::new(self.roster, places, share)
    }

    /// Some of these members for an inner selector that sees no others.
    pub(crate) fn narrowed<R>(&self, narrowed: &Narrowed<B>, inner: impl FnOnce(&Members<'_, B, M>) -> R) -> R {
        let backends: Vec<&B> = narrowed.places().iter().map(|at| self.backend(*at)).collect();
        inner(&Members {
            surroundings: self.surroundings,
            roster: narrowed.roster(),
            backends: &backends,
            memories: Memories::Within(&narrowed.memories(self.memories)),
        })
    }
}

impl<B, M> fmt::Debug for Members<'_, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").field("len", &self.len()).finish()
    }
}
