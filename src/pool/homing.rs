//! A session's home: whether it can be had, and what becomes of the session while it can't.

use std::time::{Duration, Instant};

use super::{
    Refusal,
    snapshot::{Phase, Snapshot},
};
use crate::{
    backend::Backend,
    readiness::Condition,
    selector::{At, Selector, View},
};

/// What becomes of a session whose home can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// It is served by another, which is its home from now on.
    Moves,
    /// It is served by another as a guest.
    Keeps,
    /// It is served by nobody.
    Refused(Refusal),
}

impl<B: Backend, S: Selector<B>> Snapshot<B, S> {
    /// The home, if there is one and it can be had.
    #[inline(always)]
    pub(super) fn at_home(&self, view: &View<'_, B>) -> Option<At> {
        let home = view.ask().home()?;
        let at = self
            .find(home.id())
            .filter(|at| at.index() < self.roster.homes() as usize)?;
        (self.phase != Phase::Closed && view.admits(at)).then_some(at)
    }

    /// What becomes of an ask with a home that can't be had.
    #[cold]
    pub(super) fn without_home(&self, view: &View<'_, B>, now: Instant) -> Absence {
        let ask = view.ask();
        let home = ask.home().and_then(|home| self.find(home.id()));
        let Some(at) = home.filter(|_| self.phase != Phase::Closed) else {
            return Absence::Moves;
        };
        let facts = &self.facts[at.index()];
        if facts.leave.is_some_and(|leave| leave <= now) {
            return Absence::Moves;
        }
        let is_away = at.index() >= self.roster.homes() as usize;
        let condition = self.roster.condition(at);
        let has_failed = ask.has_tried(self.roster.member(at)) || condition == Condition::Failing;
        // Full, or not ready for a moment, is no reason to move.
        let keeps = match facts.away.filter(|_| is_away) {
            Some(since) => now.saturating_duration_since(since) < ask.grace(),
            None => !has_failed || ask.grace() > Duration::ZERO,
        };
        match (ask.is_strict(), keeps) {
            (false, true) => Absence::Keeps,
            (false, false) => Absence::Moves,
            (true, _) => Absence::Refused(match condition {
                _ if is_away || has_failed => Refusal::Homeless,
                Condition::Waiting => Refusal::Unready,
                _ => Refusal::Full,
            }),
        }
    }
}
