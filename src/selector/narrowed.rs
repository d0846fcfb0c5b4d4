//! Some of a snapshot's members, for an inner selector that sees no others.

use super::{
    memories::{Memories, Recall},
    roster::{At, Roster},
};
use crate::outcome::Tally;

/// Some of the members with positions of their own, from 0 on, so that an inner selector works among them as it does
/// among all. Its positions are translated here, where they come in and go out, and nowhere else.
pub(crate) struct Narrowed<B> {
    roster: Roster<B>,
    /// Where each is among all.
    places: Box<[At]>,
}

impl<B> Narrowed<B> {
    pub(super) fn new(whole: &Roster<B>, places: Box<[At]>, share: f64) -> Self {
        Self {
            roster: whole.part(&places, share),
            places,
        }
    }

    #[inline]
    pub(super) fn roster(&self) -> &Roster<B> {
        &self.roster
    }

    pub(crate) fn places(&self) -> &[At] {
        &self.places
    }

    /// Where one of these members is among all.
    #[inline]
    pub(crate) fn place(&self, at: At) -> At {
        self.places[at.index()]
    }

    /// Their memories, of all.
    #[inline]
    pub(super) fn memories<'a, M>(&'a self, whole: Memories<'a, B, M>) -> Placed<'a, B, M> {
        Placed {
            whole,
            places: &self.places,
        }
    }
}

/// The memories of some of the members, by their own positions.
pub(super) struct Placed<'a, B, M> {
    whole: Memories<'a, B, M>,
    places: &'a [At],
}

impl<B, M> Recall<M> for Placed<'_, B, M> {
    fn recall(&self, at: At) -> &M {
        self.whole.get(self.places[at.index()])
    }

    fn tally(&self, at: At) -> Tally {
        self.whole.tally(self.places[at.index()])
    }
}
