//! Whether the store is there.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A store is taken to be away once it has failed so many times with no success between: one answer that is late is none of that.
const FAILURES: u32 = 3;
/// How often a store that is away is asked whether it is back, in nanoseconds.
const ASKED_EVERY: u64 = Duration::from_secs(1).as_nanos() as u64;

/// Whether a store answers. Requests don't wait for one that does not: one of them asks again every second.
#[derive(Default)]
pub(super) struct Presence {
    is_away: AtomicBool,
    failures: AtomicU32,
    ask_again: AtomicU64,
}

/// Leave to ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Turn {
    /// Like everybody.
    Regular,
    /// Alone, whether it is back.
    Trial,
}

impl Presence {
    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Relaxed)
    }

    /// Whether it may be asked. A trial that is given up unanswered is followed by another in its time.
    pub(super) fn turn(&self, now: u64) -> Option<Turn> {
        if !self.is_away() {
            return Some(Turn::Regular);
        }
        let due = self.ask_again.load(Relaxed);
        let next = now.saturating_add(ASKED_EVERY);
        let is_mine = now >= due && self.ask_again.compare_exchange(due, next, Relaxed, Relaxed).is_ok();
        is_mine.then_some(Turn::Trial)
    }

    /// It has answered. Whether it is back with that: what was asked before it went away does not show it.
    pub(super) fn answered(&self, turn: Turn) -> bool {
        self.failures.store(0, Relaxed);
        turn == Turn::Trial && self.is_away.swap(false, Relaxed)
    }

    /// It has failed, or taken too long. Whether it is away with that, and was not before.
    pub(super) fn failed(&self, now: u64) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures < FAILURES || self.is_away() {
            return false;
        }
        self.ask_again.store(now.saturating_add(ASKED_EVERY), Relaxed);
        !self.is_away.swap(true, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_away_after_failures_in_a_row_and_one_asks_at_a_time() {
        let presence = Presence::default();
        assert_eq!([presence.failed(0), presence.failed(0)], [false, false]);
        assert!(!presence.answered(Turn::Regular));
        assert_eq!([1, 2, 3, 4].map(|at| presence.failed(at)), [false, false, true, false]);
        assert_eq!(presence.turn(3), None);
        assert_eq!(presence.turn(2 + ASKED_EVERY), None, "a second after it was lost");
        let later = 3 + ASKED_EVERY;
        assert_eq!([presence.turn(later), presence.turn(later)], [Some(Turn::Trial), None]);
        assert!(!presence.failed(later), "told once");
        assert_eq!(presence.turn(later + ASKED_EVERY - 1), None);
        assert_eq!(presence.turn(later + ASKED_EVERY), Some(Turn::Trial));
        assert!(!presence.answered(Turn::Regular) && presence.is_away(), "an old answer");
        assert!(presence.answered(Turn::Trial) && !presence.is_away());
        assert!(!presence.answered(Turn::Trial), "told once");
        assert_eq!(presence.turn(0), Some(Turn::Regular));
    }
}
