//! Sessions, in memory.

use std::{
    thread,
    time::{Duration, Instant},
};

use ahash::RandomState;
use quick_cache::{
    OptionsBuilder, UnitWeighter,
    sync::{Cache, DefaultLifecycle, EntryAction, EntryResult},
};

use super::{SessionId, homes::Homes};
use crate::Home;

/// Sessions and their homes, of which there is room for so many: who comes after that takes the place of one that is little used.
pub(super) struct Table {
    sessions: Cache<SessionId, Entry, UnitWeighter, RandomState>,
    homes: Homes,
    epoch: Instant,
    terms: Terms,
}

#[derive(Clone)]
struct Entry {
    home: Home,
    /// What the shared store has of the session, as far as is known here. Where that is not the home, it has yet to be told.
    stored: Option<Home>,
    /// In nanoseconds since the epoch, as all times here: 584 years.
    made: u64,
    used: u64,
}

/// For how long a session is remembered.
struct Terms {
    idle: u64,
    lifetime: u64,
    /// A use is noted if the last that was is as long ago as this, so that most are a mere look.
    grain: u64,
}

/// What is known of a session.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) home: Home,
    pub(super) stored: Option<Home>,
}

impl Known {
    /// Whether the store has it otherwise, as far as is known here.
    pub(super) fn is_untold(&self) -> bool {
        self.stored.as_ref() != Some(&self.home)
    }
}

impl Terms {
    fn is_over(&self, entry: &Entry, now: u64) -> bool {
        let idle = now.saturating_sub(entry.used) >= self.idle.saturating_add(self.grain);
        idle || now.saturating_sub(entry.made) >= self.lifetime
    }
}

/// In how many parts the idle time is divided for noting uses.
const GRAINS: u64 = 1_000;
/// No shard has room for fewer: they don't fill evenly.
const LEAST_IN_SHARD: usize = 1_024;
/// The share of places for sessions that have shown that they are in use; those that are new go through the rest.
const IN_USE: f64 = 0.7;
/// With room for fewer the newest would not always have a place.
const FEWEST: usize = 16;

impl Table {
    pub(super) fn new(
        capacity: usize,
        idle: Duration,
        lifetime: Option<Duration>,
        epoch: Instant,
        hashing: RandomState,
    ) -> Self {
        let capacity = capacity.max(FEWEST);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let most = (threads * 4).next_power_of_two();
        let mut shards = 1;
        while shards < most && capacity / (shards * 2) >= LEAST_IN_SHARD {
            shards *= 2;
        }
        // All shards have room for as many: what is left over is left out, as this many is a bound.
        let capacity = capacity - capacity % shards;
        let mut options = OptionsBuilder::new();
        options.shards(shards).weight_capacity(capacity as u64);
        // Those that were driven out by others are not remembered for long: it would cost half as much again as remembering them
        // well.
        options.estimated_items_capacity(capacity).ghost_allocation(0.1);
        // Who comes while there is room is taken for one in use, and counts as that until others in use need the place, even if
        // it is over long before. So there is room for those that come besides.
        options.hot_allocation(IN_USE);
        let options = options
            .build()
            .unwrap_or_else(|_| unreachable!("both capacities are set"));
        let idle = nanos(idle);
        Self {
            sessions: Cache::with_options(options, UnitWeighter, hashing.clone(), DefaultLifecycle::default()),
            homes: Homes::new(hashing),
            epoch,
            terms: Terms {
                idle,
                lifetime: lifetime.map_or(u64::MAX, nanos),
                grain: idle / GRAINS,
            },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// The home with this id, which needs no room of its own.
    pub(super) fn home(&self, id: &str) -> Home {
        self.homes.get(id)
    }

    pub(super) fn nanos(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.epoch))
    }

    /// What is known of a session; that is no use of it.
    pub(super) fn peek(&self, id: SessionId, now: Instant) -> Option<Home> {
        let now = self.nanos(now);
        let entry = self.sessions.peek(&id)?;
        (!self.terms.is_over(&entry, now)).then_some(entry.home)
    }

    /// What is known of a session that is used.
    #[inline]
    pub(super) fn find(&self, id: SessionId, now: Instant) -> Option<Known> {
        let now = self.nanos(now);
        let entry = self.sessions.get(&id)?;
        if self.terms.is_over(&entry, now) {
            drop(self.sessions.remove_if(&id, |entry| self.terms.is_over(entry, now)));
            return None;
        }
        if now.saturating_sub(entry.used) > self.terms.grain {
            // Who can't be had at once is just being changed, which is a use.
            drop(self.sessions.entry(&id, Some(Duration::ZERO), |_, entry| {
                entry.used = entry.used.max(now);
                EntryAction::Retain(())
            }));
        }
        let Entry { home, stored, .. } = entry;
        Some(Known { home, stored })
    }

    /// Puts a session to `to` if it is at `from`, or nowhere: which home it has then. `stored` is what the store has.
    pub(super) fn claim(
        &self,
        id: SessionId,
        from: Option<&Home>,
        to: Home,
        stored: Option<Home>,
        now: Instant,
    ) -> Home {
        let fresh = self.entry(to, stored, now);
        self.change(id, fresh, |entry, fresh| {
            if from == Some(&entry.home) {
                entry.home = fresh.home.clone();
                entry.stored = fresh.stored.clone();
            }
        })
    }

    /// Takes over what the store has.
    pub(super) fn learn(&self, id: SessionId, home: Home, now: Instant) {
        let fresh = self.entry(home.clone(), Some(home), now);
        self.change(id, fresh, |entry, fresh| {
            entry.home = fresh.home.clone();
            entry.stored = fresh.stored.clone();
        });
    }

    /// Puts a session there, wherever it was; whether it was elsewhere, or nowhere.
    pub(super) fn put(&self, id: SessionId, to: Home, now: Instant) -> bool {
        let fresh = self.entry(to, None, now);
        let mut has_moved = true;
        self.change(id, fresh, |entry, fresh| {
            has_moved = entry.home != fresh.home;
            entry.home = fresh.home.clone();
        });
        has_moved
    }

    pub(super) fn forget(&self, id: SessionId) {
        drop(self.sessions.remove(&id));
    }

    /// Puts all that are at `from` where they are chosen to be; how many have moved.
    pub(super) fn migrate(&self, from: &Home, choose: &dyn Fn(SessionId) -> Home, now: Instant) -> u64 {
        let now = self.nanos(now);
        let mut moved = 0;
        for (id, entry) in self.sessions.iter() {
            if entry.home != *from || self.terms.is_over(&entry, now) {
                continue;
            }
            // Asked outside all locks: it is not our code.
            let to = self.homes.get(choose(id).id());
            if to == *from {
                continue;
            }
            drop(self.sessions.entry(&id, None, |_, entry| {
                if entry.home == *from {
                    entry.home = to;
                    moved += 1;
                }
                EntryAction::Retain(())
            }));
        }
        moved
    }

    fn entry(&self, home: Home, stored: Option<Home>, now: Instant) -> Entry {
        let now = self.nanos(now);
        Entry {
            home,
            stored,
            made: now,
            used: now,
        }
    }

    /// Changes what is known of a session, or makes it known, as one step: which home it has then.
    fn change(&self, id: SessionId, fresh: Entry, change: impl FnOnce(&mut Entry, &Entry)) -> Home {
        let changed = self.sessions.entry(&id, None, |_, entry| {
            if self.terms.is_over(entry, fresh.used) {
                *entry = fresh.clone();
            } else {
                entry.used = entry.used.max(fresh.used);
                change(entry, &fresh);
            }
            EntryAction::Retain(entry.home.clone())
        });
        match changed {
            EntryResult::Retained(home) => home,
            EntryResult::Vacant(place) => {
                let home = fresh.home.clone();
                // Refused if it was forgotten meanwhile: then it is.
                let _ = place.insert(fresh);
                home
            }
            // Not asked for.
            EntryResult::Removed(..) | EntryResult::Replaced(..) | EntryResult::Timeout => fresh.home,
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn home(id: &str) -> Home {
        Home::new(id)
    }

    /// With 30 minutes of idle time and 100 of life, its epoch, and a session.
    fn table() -> (Table, Instant, SessionId) {
        let epoch = Instant::now();
        let hashing = RandomState::with_seeds(1, 2, 3, 4);
        let table = Table::new(100, 30 * MINUTE, Some(100 * MINUTE), epoch, hashing);
        (table, epoch, SessionId::new(7))
    }

    #[test]
    fn one_that_was_over_begins_its_life_anew() {
        let (table, epoch, id) = table();
        table.learn(id, home("a"), epoch);
        // Never asked for when it was over, and so still there.
        table.put(id, home("b"), epoch + 50 * MINUTE);
        for minutes in [70, 90, 110, 130, 149] {
            let known = table.find(id, epoch + minutes * MINUTE);
            assert_eq!(known.map(|known| known.home), Some(home("b")), "{minutes}");
        }
        assert_eq!(table.find(id, epoch + 150 * MINUTE), None);
    }

    #[test]
    fn a_claim_notes_where_the_store_has_it() {
        let (table, epoch, id) = table();
        table.claim(id, None, home("a"), None, epoch);
        assert!(table.find(id, epoch).unwrap().is_untold());
        let now = table.claim(id, Some(&home("a")), home("b"), Some(home("a")), epoch);
        assert_eq!(now, home("b"));
        let (home, stored) = (home("b"), Some(home("a")));
        assert_eq!(table.find(id, epoch), Some(Known { home, stored }));
    }

    #[test]
    fn one_that_has_left_while_its_home_was_chosen_is_not_brought_back() {
        let (table, epoch, id) = table();
        table.learn(id, home("a"), epoch);
        let choose = |chosen| {
            table.put(chosen, home("c"), epoch);
            home("b")
        };
        assert_eq!(table.migrate(&home("a"), &choose, epoch), 0);
        assert_eq!(table.peek(id, epoch), Some(home("c")));
    }

    #[test]
    fn to_bind_a_session_is_to_use_it() {
        type Use = fn(&Table, SessionId, Instant);
        let uses: [Use; 4] = [
            |table, id, now| drop(table.claim(id, None, home("b"), None, now)),
            |table, id, now| drop(table.claim(id, Some(&home("a")), home("b"), None, now)),
            |table, id, now| table.learn(id, home("a"), now),
            |table, id, now| assert!(!table.put(id, home("a"), now)),
        ];
        for (index, bind) in uses.into_iter().enumerate() {
            let (table, epoch, id) = table();
            table.learn(id, home("a"), epoch);
            bind(&table, id, epoch + 20 * MINUTE);
            assert!(table.peek(id, epoch + 49 * MINUTE).is_some(), "{index}");
            assert_eq!(table.peek(id, epoch + 51 * MINUTE), None, "{index}");
        }
    }
}
