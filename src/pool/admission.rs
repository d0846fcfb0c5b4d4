//! What happens when nobody can be picked just now: the first-come queue.

use std::{
    collections::BTreeMap,
    iter,
    task::Waker,
    time::{Duration, Instant},
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
/// A waiter is *called* when it has reason to look again. The invariant: while there is room that somebody who waits
/// may have, somebody is called or about to be. So a release calls the first who is not called; a waiter takes its call
/// before it looks, never after; one that looked in vain passes the call on to those who may have what it may not; and
/// whoever leaves, served or not, calls the next.
///
/// A release writes the member's count and then reads `waiting`; a waiter writes `waiting` and then reads the counts.
/// With a sequentially consistent fence between the two on either side at least one sees the other.
///
/// Wakers are not our code: they are cloned, dropped and woken outside the lock.
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
    choice: Choice,
    /// Past this it is no more than a name in a list: who does not look after its request holds up nobody.
    deadline: Instant,
}

/// What room a waiter may have: that of which members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Any that another may have.
    Any,
    /// Not all, since it has tried some; or one that others may not have, its home.
    Own,
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

    /// Changes the queue; what the change leaves over is dropped outside the lock.
    fn with_queue<R>(&self, change: impl FnOnce(&mut Queue) -> R) -> R {
        let mut queue = self.queue.lock();
        let result = change(&mut queue);
        self.waiting.store(queue.waiters.len(), Ordering::Relaxed);
        drop(queue);
        result
    }

    /// Joins the queue; none if it is full. Says whether to look once more, now that a release would call: unless there
    /// is somebody ahead who would have taken any room that this one may have.
    pub(crate) fn enter(
        &self,
        waker: &Waker,
        capacity: usize,
        choice: Choice,
        (now, deadline): (Instant, Instant),
    ) -> Option<(Ticket, bool)> {
        let waiter = Waiter {
            waker: waker.clone(),
            called: false,
            choice,
            deadline,
        };
        let (entered, next, _gone) = self.with_queue(|queue| {
            let gone = queue.purge(Ticket::MAX, now);
            // A call that nobody answered goes to the next.
            let unanswered = gone.iter().any(|gone| gone.called);
            let next = |queue: &mut Queue| queue.call(|_, _| unanswered);
            if queue.waiters.len() >= capacity {
                return (Err(waiter), next(queue), gone);
            }
            let looks = choice == Choice::Own || queue.waiters.values().all(|ahead| ahead.choice == Choice::Own);
            let ticket = queue.next;
            queue.next += 1;
            queue.waiters.insert(ticket, waiter);
            (Ok((ticket, looks)), next(queue), gone)
        });
        fence(Ordering::SeqCst);
        next.into_iter().for_each(Waker::wake);
        entered.ok()
    }

    /// Whether the waiter was called since it last asked; its waker from now on.
    pub(crate) fn take_call(&self, ticket: Ticket, waker: &Waker) -> bool {
        let waker = waker.clone();
        let (called, _last) = self.with_queue(|queue| match queue.waiters.get_mut(&ticket) {
            Some(waiter) => {
                let last = std::mem::replace(&mut waiter.waker, waker);
                (std::mem::take(&mut waiter.called), Some(last))
            }
            None => (false, Some(waker)),
        });
        called
    }

    /// What room the waiter may have, by what it is about to look at: told before it looks, so that who passes a call
    /// on never judges it by older members than it has seen.
    pub(crate) fn choose(&self, ticket: Ticket, choice: Choice) {
        self.with_queue(|queue| {
            if let Some(waiter) = queue.waiters.get_mut(&ticket) {
                waiter.choice = choice;
            }
        });
    }

    /// Whether nobody is ahead any more who looks after its request.
    pub(crate) fn is_next(&self, ticket: Ticket, now: Instant) -> bool {
        let (first, _gone) = self.with_queue(|queue| {
            let gone = queue.purge(ticket, now);
            (queue.waiters.keys().next().copied(), gone)
        });
        first == Some(ticket)
    }

    /// Leaves the queue, and calls the next.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let (next, _left) = self.with_queue(|queue| {
            let left = queue.waiters.remove(&ticket);
            (queue.call(|_, _| true), left)
        });
        next.into_iter().for_each(Waker::wake);
    }

    /// What this waiter may not have may suit one behind it: any, if it may not have all itself; else one that may have
    /// what others may not.
    pub(crate) fn pass_on(&self, ticket: Ticket, choice: Choice) {
        let suits = |behind: Ticket, waiter: &Waiter| {
            behind > ticket && (choice == Choice::Own || waiter.choice == Choice::Own)
        };
        let next = self.with_queue(|queue| queue.call(suits));
        next.into_iter().for_each(Waker::wake);
    }

    /// There may be room: calls the first who is not called.
    #[cold]
    fn call(&self) {
        let next = self.with_queue(|queue| queue.call(|_, _| true));
        next.into_iter().for_each(Waker::wake);
    }

    /// All has changed: calls everybody.
    pub(crate) fn call_all(&self) {
        fence(Ordering::SeqCst);
        if self.is_waited_at() {
            let all: Vec<Waker> = self.with_queue(|queue| iter::from_fn(|| queue.call(|_, _| true)).collect());
            all.into_iter().for_each(Waker::wake);
        }
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
    /// Marks the first waiter that is not called and suits; its waker is for the caller to wake, outside the lock.
    fn call(&mut self, suits: impl Fn(Ticket, &Waiter) -> bool) -> Option<Waker> {
        let mut waiters = self.waiters.iter_mut();
        let (_, waiter) = waiters.find(|(ticket, waiter)| !waiter.called && suits(**ticket, waiter))?;
        waiter.called = true;
        Some(waiter.waker.clone())
    }

    /// Takes out who came before `end` and is past its deadline.
    fn purge(&mut self, end: Ticket, now: Instant) -> Vec<Waiter> {
        let late: Vec<Ticket> = self
            .waiters
            .range(..end)
            .filter(|(_, waiter)| waiter.deadline <= now)
            .map(|(ticket, _)| *ticket)
            .collect();
        late.iter().filter_map(|ticket| self.waiters.remove(ticket)).collect()
    }
}
