//! Whether the store is there.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;

/// For how long a store has to fail until it is taken to be away: one stall of it is none of that, however many wait meanwhile.
/// In nanoseconds, as all times here.
const FAILING: u64 = Duration::from_millis(50).as_nanos() as u64;
/// When a store that is away is asked for the first time whether it is back; then after twice as long each time.
const FIRST_PAUSE: u64 = Duration::from_millis(100).as_nanos() as u64;
const LONGEST_PAUSE: u64 = Duration::from_secs(1).as_nanos() as u64;

/// Whether a store answers. Requests don't wait for one that does not: one of them asks again from time to time.
///
/// That it is away is for looks to show: what can be read and not written is of use.
pub(super) struct Presence {
    /// How long whoever asks waits at most.
    patience: u64,
    /// When somebody is to ask a store that is away; 0 if it is there.
    trial_at: AtomicU64,
    /// Whether it has failed since it last answered.
    is_failing: AtomicBool,
    failing: Mutex<Failing>,
}

#[derive(Default)]
struct Failing {
    /// When a look failed first since the store last answered.
    since: Option<u64>,
    /// From one trial to the next.
    pause: u64,
}

/// What a store is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Matter {
    Look,
    Change,
}

/// Leave to ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Turn {
    matter: Matter,
    begun: u64,
    /// Whether it is to show if a store that is away is back.
    is_trial: bool,
}

impl Turn {
    /// Of one that asks whether or not the store is there.
    pub(super) const UNASKED: Self = Self {
        matter: Matter::Change,
        begun: 0,
        is_trial: true,
    };
}

impl Presence {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience: u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX),
            trial_at: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            failing: Mutex::default(),
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.trial_at.load(Relaxed) != 0
    }

    /// Whether it may be asked. A trial that is given up unanswered is followed by another in its time, and none before the one
    /// before it has ended.
    pub(super) fn turn(&self, matter: Matter, now: u64) -> Option<Turn> {
        let turn = |is_trial| Turn {
            matter,
            begun: now,
            is_trial,
        };
        match self.trial_at.load(Relaxed) {
            0 => return Some(turn(false)),
            due if now < due => return None,
            _ => {}
        }
        let mut failing = self.failing.lock();
        let due = self.trial_at.load(Relaxed);
        if due == 0 || now < due {
            return (due == 0).then(|| turn(false));
        }
        failing.pause = failing.pause.saturating_mul(2).min(LONGEST_PAUSE);
        let next = now.saturating_add(failing.pause.max(self.patience));
        self.trial_at.store(next, Relaxed);
        Some(turn(true))
    }

    /// It has answered. Whether it is back with that: what was asked before it went away does not show it.
    #[inline]
    pub(super) fn answered(&self, turn: Turn) -> bool {
        self.is_failing.load(Relaxed) && self.answered_again(turn)
    }

    #[cold]
    fn answered_again(&self, turn: Turn) -> bool {
        let mut failing = self.failing.lock();
        let was_away = self.is_away();
        if was_away && !turn.is_trial {
            return false;
        }
        failing.since = None;
        self.trial_at.store(0, Relaxed);
        self.is_failing.store(false, Relaxed);
        was_away
    }

    /// It has failed, or taken too long. Whether it is away with that, and was not before: a look failed that was begun after
    /// another had, long enough ago, and nothing was answered between.
    pub(super) fn failed(&self, turn: Turn, now: u64) -> bool {
        if turn.matter != Matter::Look {
            return false;
        }
        let mut failing = self.failing.lock();
        if self.is_away() {
            return false;
        }
        let Some(since) = failing.since else {
            failing.since = Some(now);
            self.is_failing.store(true, Relaxed);
            return false;
        };
        if turn.begun <= since || now.saturating_sub(since) < FAILING {
            return false;
        }
        failing.pause = FIRST_PAUSE;
        self.trial_at.store(now.saturating_add(FIRST_PAUSE), Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn look(begun: u64) -> Turn {
        Turn {
            matter: Matter::Look,
            begun: begun * MS,
            is_trial: false,
        }
    }

    fn away() -> Presence {
        let presence = Presence::new(Duration::from_millis(5));
        assert!(!presence.failed(look(0), 5 * MS));
        assert!(presence.failed(look(50), 55 * MS));
        presence
    }

    fn trial(presence: &Presence, at: u64) -> Option<Turn> {
        let turn = presence.turn(Matter::Look, at);
        assert!(turn.is_none_or(|turn| turn.is_trial && turn.begun == at));
        turn
    }

    #[test]
    fn one_stall_is_no_loss_however_many_wait() {
        let presence = Presence::new(Duration::from_millis(5));
        // Begun before the first of them failed, however late it is told.
        assert!((0..10).all(|_| !presence.failed(look(0), 5 * MS)));
        assert!((0..10).all(|_| !presence.failed(look(5), 100 * MS)));
        // Begun after that, but too soon.
        assert!((0..10).all(|_| !presence.failed(look(6), 54 * MS)));
        assert!(!presence.is_away());
        assert!(presence.failed(look(50), 55 * MS), "50 ms after the first");
        assert!(presence.is_away());
        assert!(!presence.failed(look(50), 55 * MS), "told once");
    }

    #[test]
    fn any_answer_clears_what_failed_before() {
        for matter in [Matter::Look, Matter::Change] {
            let presence = Presence::new(Duration::from_millis(5));
            presence.failed(look(0), 5 * MS);
            assert!(!presence.answered(Turn { matter, ..look(0) }));
            assert!(!presence.failed(look(60), 65 * MS), "the first again");
            assert!(presence.failed(look(110), 115 * MS));
        }
    }

    #[test]
    fn what_cannot_be_changed_may_be_looked_at() {
        let presence = Presence::new(Duration::from_millis(5));
        for at in 0..100 {
            let turn = presence.turn(Matter::Change, at * MS).unwrap();
            assert!(!presence.failed(turn, (at + 5) * MS));
            assert!(!presence.failed(Turn::UNASKED, (at + 5) * MS));
        }
        assert!(!presence.failed(look(100), 105 * MS), "the first look that failed");
    }

    #[test]
    fn one_asks_at_a_time_and_ever_less_often_while_it_is_away() {
        let presence = away();
        let mut at = 55 * MS;
        for pause in [100, 200, 400, 800, 1_000, 1_000] {
            assert_eq!(trial(&presence, at + pause * MS - 1), None, "{pause}");
            at += pause * MS;
            let turn = trial(&presence, at).unwrap();
            assert_eq!(trial(&presence, at), None);
            assert!(!presence.failed(turn, at + 5 * MS), "told once");
        }
        at += 1_000 * MS;
        let turn = trial(&presence, at).unwrap();
        assert!(!presence.answered(look(0)) && presence.is_away(), "an old answer");
        assert!(presence.answered(turn) && !presence.is_away());
        assert!(!presence.answered(turn), "told once");
        assert_eq!(presence.turn(Matter::Look, at), Some(look(at / MS)));
        // And soon again, if it is lost again.
        presence.failed(look(5_000), 5_005 * MS);
        assert!(presence.failed(look(5_050), 5_055 * MS));
        assert!(trial(&presence, 5_155 * MS).is_some());
    }

    #[test]
    fn no_trial_begins_before_the_last_has_ended() {
        let presence = Presence::new(Duration::from_millis(700));
        presence.failed(look(0), 5 * MS);
        presence.failed(look(50), 55 * MS);
        assert!(trial(&presence, 155 * MS).is_some());
        assert_eq!(trial(&presence, 854 * MS), None);
        assert!(trial(&presence, 855 * MS).is_some());
    }

    #[test]
    fn whoever_asks_unasked_shows_that_it_is_back() {
        let presence = away();
        assert!(!presence.failed(Turn::UNASKED, 60 * MS) && presence.is_away());
        assert!(presence.answered(Turn::UNASKED) && !presence.is_away());
    }
}
