//! What the parts of one connection tell each other.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::{Server, drain::Drain, interim::Interims};

/// How long a connection without a request is still listened to once the shutdown has begun: its first may be on the
/// way, and a client has no reason to send that again.
const FIRST: Duration = Duration::from_millis(100);
/// How long a client may go on sending, to nobody, after the last response: closing at once would make its system throw
/// away that response (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);

/// The state of one connection that its stream, its service and its task share.
///
/// No timer is set when any of this changes: instants are noted, and the task looks at them when its one timer fires.
pub(super) struct Line {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) drain: Arc<Drain>,
    pub(super) interims: Interims,
    /// Who drives the connection.
    driver: Arc<AtomicWaker>,
    born: Instant,
    http2: AtomicBool,
    /// Requests that have come, and those of them in flight.
    requests: AtomicU64,
    in_flight: AtomicUsize,
    /// Since when the next request is waited for; HTTP/2 waits only while none is in flight.
    waiting: Moment,
    /// When the first byte of its head came, on HTTP/1.
    head: Moment,
    /// Since when the client takes nothing of what is written.
    blocked: Moment,
    /// Since when the client is waited for to close as well.
    lingering: Moment,
}

/// What a connection is late with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// The client, with what it owes: the connection ends at once.
    Client,
    /// A next request, which nobody owes: the connection is closed gracefully.
    Request,
}

impl Line {
    pub(super) fn new(drain: Arc<Drain>, peer: SocketAddr, local: SocketAddr) -> Self {
        let line = Self {
            peer,
            local,
            drain,
            interims: Interims::default(),
            driver: Arc::default(),
            born: Instant::now(),
            http2: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            waiting: Moment::default(),
            head: Moment::default(),
            blocked: Moment::default(),
            lingering: Moment::default(),
        };
        line.waiting.set(&line);
        line
    }

    /// Who drives the connection, to be woken by [`wake`](Self::wake).
    pub(super) fn attend(&self, waker: &Waker) {
        self.driver.register(waker);
    }

    pub(super) fn wake(&self) {
        self.driver.wake();
    }

    /// Whom [`wake`](Self::wake) wakes, for those who know no more of the connection.
    pub(super) fn driver(&self) -> Arc<AtomicWaker> {
        Arc::clone(&self.driver)
    }

    /// The client speaks HTTP/2.
    pub(super) fn is_http2(&self) {
        self.waiting.set(self);
        self.http2.store(true, Ordering::Release);
    }

    /// HTTP/1 begins to wait for a request. The first is waited for since the connection was made.
    pub(super) fn awaits_head(&self) {
        if self.requests.load(Ordering::Relaxed) > 0 {
            self.head.clear();
            self.waiting.set(self);
        }
    }

    /// Bytes came.
    pub(super) fn heard(&self) {
        if self.waiting.is_set() && !self.head.is_set() {
            self.head.set(self);
        }
    }

    /// A request's head is complete: its number, from 1.
    pub(super) fn begin(&self) -> u64 {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        self.waiting.clear();
        self.head.clear();
        self.requests.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Something of a request goes on when its response has been handed over.
    pub(super) fn goes_on(&self) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    /// A request's response has been handed over, or the request dropped.
    pub(super) fn end(&self) {
        if self.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 && self.http2.load(Ordering::Acquire) {
            self.waiting.set(self);
        }
    }

    /// A write or flush had to wait for the client.
    pub(super) fn is_blocked(&self) {
        if !self.blocked.is_set() {
            self.blocked.set(self);
        }
    }

    /// The client took something.
    pub(super) fn moves(&self) {
        if self.blocked.is_set() {
            self.blocked.clear();
        }
    }

    /// The writing side is closed. True if the client may still be sending: it is then given a little time to close.
    pub(super) fn lingers(&self) -> bool {
        let idle = self.waiting.is_set() && (!self.head.is_set() || self.http2.load(Ordering::Acquire));
        if idle && self.in_flight.load(Ordering::Acquire) == 0 {
            return false;
        }
        self.lingering.set(self);
        true
    }

    /// Nothing has come yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.requests.load(Ordering::Acquire) == 0 && !self.head.is_set()
    }

    /// By when something must have happened, and what it is; `closing`: since when the connection is asked to close.
    pub(super) fn due(&self, server: &Server, closing: Option<Instant>) -> Option<(Instant, Late)> {
        let blocked = self.blocked.get(self).map(|at| (after(at, server.stall), Late::Client));
        let lingering = self.lingering.get(self).map(|at| (after(at, LINGER), Late::Client));
        let fresh = self.drain.begun().filter(|_| closing.is_none() && self.is_fresh());
        let fresh = fresh.map(|at| (after(at, FIRST), Late::Request));
        [blocked, lingering, fresh, self.request_due(server, closing)]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    fn request_due(&self, server: &Server, closing: Option<Instant>) -> Option<(Instant, Late)> {
        let waiting = self.waiting.get(self)?;
        if self.http2.load(Ordering::Acquire) {
            if self.in_flight.load(Ordering::Acquire) > 0 {
                return None;
            }
        } else if self.requests.load(Ordering::Acquire) == 0 {
            return Some((after(self.born, server.header), Late::Client));
        } else if let Some(head) = self.head.get(self) {
            return Some((after(head, server.header), Late::Client));
        }
        // Asked to close it has to follow: a client of HTTP/2 may not answer to that.
        let due = match closing {
            Some(at) => (after(at.max(waiting), server.header), Late::Client),
            None => (after(waiting, server.idle), Late::Request),
        };
        Some(due)
    }
}

/// An instant of a connection's life that may be unset.
#[derive(Default)]
pub(super) struct Moment(AtomicU64);

impl Moment {
    pub(super) fn set(&self, line: &Line) {
        let age = u64::try_from(line.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.store(age.saturating_add(1), Ordering::Release);
    }

    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    pub(super) fn get(&self, line: &Line) -> Option<Instant> {
        let age = self.0.load(Ordering::Acquire).checked_sub(1)?;
        Some(line.born + Duration::from_nanos(age))
    }
}

/// The instant so much later, or one that nobody lives to see.
pub(super) fn after(at: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    at + time.min(FAR)
}
