//! Calls that wait for their member's service.

use std::{collections::BTreeMap, task::Waker, time::Instant};

/// Calls that wait for their member's service, in the order in which they came.
#[derive(Default)]
pub(super) struct Line {
    waiters: BTreeMap<u64, Waiter>,
    tickets: u64,
}

struct Waiter {
    waker: Waker,
    deadline: Instant,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// A new ticket at the end. All have the same patience, so that the first to come are the first to expire.
    pub(super) fn enter(&mut self, deadline: Instant) -> u64 {
        self.tickets += 1;
        let waker = Waker::noop().clone();
        self.waiters.insert(self.tickets, Waiter { waker, deadline });
        self.tickets
    }

    /// Gives the waker of who has this ticket, and takes the last. Whether it is the first; none if it has expired.
    pub(super) fn look(&mut self, ticket: u64, waker: &mut Waker) -> Option<bool> {
        std::mem::swap(&mut self.waiters.get_mut(&ticket)?.waker, waker);
        Some(self.waiters.keys().next() == Some(&ticket))
    }

    /// The waker of who had this ticket.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<Waker> {
        Some(self.waiters.remove(&ticket)?.waker)
    }

    /// Those whose patience is over leave.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Waker> {
        let mut expired = Vec::new();
        while let Some(first) = self.waiters.first_entry() {
            if first.get().deadline > now {
                break;
            }
            expired.push(first.remove().waker);
        }
        expired
    }

    /// When the next will have waited too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.waiters.values().next()?.deadline)
    }

    pub(super) fn first(&self) -> Option<Waker> {
        Some(self.waiters.values().next()?.waker.clone())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Waker> + '_ {
        self.waiters.values().map(|waiter| waiter.waker.clone())
    }
}
