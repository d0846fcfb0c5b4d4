//! What happens when nobody can be picked just now: the first-come queue.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    task::Waker,
    time::Duration,
};

use crate::sync::{AtomicUsize, Mutex, Ordering, fence};

/// What becomes of a request while every member is at its in-flight limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// It fails at once, as overloaded.
    #[default]
    Shed,
    /// It waits in a first-come queue.
    Queue {
        /// How many may wait; who comes on top is shed at once.
        capacity: usize,
        /// How long one may wait before it is shed.
        deadline: Duration,
    },
}

/// Those who wait, in the order in which they came.
///
/// A waiter is *called* when it has reason to look again. The invariant: while a place is free and somebody waits,
/// somebody is called or about to be. So a release calls the first who is not called; a waiter takes its call before
/// it looks, never after; and whoever leaves, served or not, calls the next.
///
/// A release writes the place's count and then reads `waiting`; a waiter writes `waiting` and then reads the counts.
/// With a sequentially consistent fence between the two on either side at least one sees the other.
pub(crate) struct Gate {
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

struct Queue {
    next: Ticket,
    waiters: BTreeMap<Ticket, Waiter>,
}

struct Waiter {
    waker: Waker,
    called: bool,
    /// A place that is free may be none for it.
    picky: bool,
}

pub(crate) type Ticket = u64;

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            queue: Mutex::new(Queue {
                next: 0,
                waiters: BTreeMap::new(),
            }),
        }
    }

    /// Whether anybody waits.
    #[inline]
    pub(crate) fn is_waited_at(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
    }

    /// Joins the queue; none if it is full. Says whether to look once more, now that a release would call: unless there
    /// is somebody ahead who would have taken any place that is free.
    pub(crate) fn enter(&self, waker: &Waker, capacity: usize, picky: bool) -> Option<(Ticket, bool)> {
        let mut queue = self.queue.lock();
        if queue.waiters.len() >= capacity {
            return None;
        }
        let looks = queue.waiters.values().all(|waiter| waiter.picky);
        let ticket = queue.next;
        queue.next += 1;
        queue.waiters.insert(
            ticket,
            Waiter {
                waker: waker.clone(),
                called: false,
                picky,
            },
        );
        self.waiting.store(queue.waiters.len(), Ordering::Relaxed);
        drop(queue);
        fence(Ordering::SeqCst);
        Some((ticket, looks))
    }

    /// Whether the waiter was called since it last asked; its waker from now on.
    pub(crate) fn take_call(&self, ticket: Ticket, waker: &Waker) -> bool {
        let mut queue = self.queue.lock();
        queue.waiters.get_mut(&ticket).is_some_and(|waiter| {
            waiter.waker.clone_from(waker);
            std::mem::take(&mut waiter.called)
        })
    }

    /// Leaves the queue, and calls the next.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let mut queue = self.queue.lock();
        queue.waiters.remove(&ticket);
        self.waiting.store(queue.waiters.len(), Ordering::Relaxed);
        let next = queue.call(None);
        drop(queue);
        next.into_iter().for_each(Waker::wake);
    }

    /// The place that this waiter could not use may suit one behind it.
    pub(crate) fn pass_on(&self, ticket: Ticket) {
        let next = self.queue.lock().call(Some(ticket));
        next.into_iter().for_each(Waker::wake);
    }

    /// A place may be free: calls the first who is not called.
    #[cold]
    pub(crate) fn call(&self) {
        let next = self.queue.lock().call(None);
        next.into_iter().for_each(Waker::wake);
    }

    /// A lease was given back.
    pub(crate) fn released(&self) {
        fence(Ordering::SeqCst);
        if self.is_waited_at() {
            self.call();
        }
    }
}

impl Queue {
    /// Marks the first waiter after `after` that is not called; its waker is for the caller to wake, outside the lock.
    fn call(&mut self, after: Option<Ticket>) -> Option<Waker> {
        let from = after.map_or(Unbounded, Excluded);
        let (_, waiter) = self
            .waiters
            .range_mut((from, Unbounded))
            .find(|(_, waiter)| !waiter.called)?;
        waiter.called = true;
        Some(waiter.waker.clone())
    }
}
