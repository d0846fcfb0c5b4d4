//! Where a selector's memories are found.

use super::roster::At;
use crate::{member::Lives, outcome::Tally};

/// Where the selector's memories are: with the members, or within an outer selector's.
pub(crate) enum Memories<'a, B, M> {
    Own(&'a Lives<B, M>),
    Within(&'a dyn Recall<M>),
}

/// Finds an inner selector's memory within an outer one's, and what else there is with it.
pub(crate) trait Recall<M> {
    fn recall(&self, at: At) -> &M;
    fn tally(&self, at: At) -> Tally;
}

/// The `part` of each of some memories.
pub(super) struct Part<'a, B, M, F> {
    pub(super) whole: Memories<'a, B, M>,
    pub(super) part: F,
}

impl<B, M, N, F: Fn(&M) -> &N> Recall<N> for Part<'_, B, M, F> {
    fn recall(&self, at: At) -> &N {
        (self.part)(self.whole.get(at))
    }

    fn tally(&self, at: At) -> Tally {
        self.whole.tally(at)
    }
}

impl<B, M> Clone for Memories<'_, B, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B, M> Copy for Memories<'_, B, M> {}

impl<'a, B, M> Memories<'a, B, M> {
    pub(super) fn get(self, at: At) -> &'a M {
        match self {
            Self::Own(lives) => &lives[at.index()].account.memory,
            Self::Within(recall) => recall.recall(at),
        }
    }

    /// How requests at the member have ended so far.
    pub(super) fn tally(self, at: At) -> Tally {
        match self {
            Self::Own(lives) => lives[at.index()].counts.tally(),
            Self::Within(recall) => recall.tally(at),
        }
    }
}
