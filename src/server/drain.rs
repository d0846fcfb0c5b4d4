//! What a server knows of all its connections: how many there are, whom to tell, whom to wait for.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

/// What a graceful shutdown came to, of the connections that were open when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that ended by themselves within the grace.
    pub finished: usize,
    /// Connections that were still open when the grace was over, those upgraded included, and those whose last response
    /// is written but whose client has not closed yet.
    pub cut: usize,
}

/// The connections and holds of one server, and how far its shutdown has come.
pub(super) struct Drain {
    lines: Mutex<Lines>,
    begun: OnceLock<Instant>,
    cut: AtomicBool,
    /// Told when a connection or a hold is gone, and at the cut.
    changed: Notify,
}

#[derive(Default)]
struct Lines {
    next: u64,
    /// Who drives each open connection.
    open: HashMap<u64, Arc<AtomicWaker>>,
    holds: usize,
}

impl Drain {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            lines: Mutex::default(),
            begun: OnceLock::new(),
            cut: AtomicBool::new(false),
            changed: Notify::new(),
        })
    }

    /// Takes in a connection, whose driver is woken when the shutdown comes further; it is counted until its [`Slot`] is
    /// dropped.
    pub(super) fn admit(self: &Arc<Self>, driver: Arc<AtomicWaker>) -> Slot {
        let mut lines = self.lines.lock();
        let number = lines.next;
        lines.next += 1;
        lines.open.insert(number, driver);
        Slot {
            drain: Arc::clone(self),
            number,
        }
    }

    pub(super) fn open(&self) -> usize {
        self.lines.lock().open.len()
    }

    /// Resolves as soon as fewer than `most` connections are open.
    pub(super) async fn room(&self, most: usize) {
        self.until(|lines| lines.open.len() < most).await;
    }

    /// Resolves once all connections and holds are gone.
    pub(super) async fn empty(&self) {
        self.until(|lines| lines.open.is_empty() && lines.holds == 0).await;
    }

    async fn until(&self, met: impl Fn(&Lines) -> bool) {
        loop {
            // Made before the look, so that a change in between is not missed.
            let changed = self.changed.notified();
            if met(&self.lines.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Asks all connections to finish what they have in flight.
    pub(super) fn begin(&self) {
        // The first to say so sets the time.
        let _ = self.begun.set(Instant::now());
        self.wake_all();
    }

    /// Ends all connections, and asks all holds to let go.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.wake_all();
        self.changed.notify_waiters();
    }

    fn wake_all(&self) {
        for driver in self.lines.lock().open.values() {
            driver.wake();
        }
    }

    pub(super) fn begun(&self) -> Option<Instant> {
        self.begun.get().copied()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    pub(super) fn hold(&self) {
        self.lines.lock().holds += 1;
    }

    pub(super) fn release(&self) {
        self.lines.lock().holds -= 1;
        self.changed.notify_waiters();
    }

    /// Resolves at the cut.
    pub(super) async fn until_cut(&self) {
        self.until(|_| self.is_cut()).await;
    }
}

/// A connection's place among those counted. It lives in the connection's stream, so that one that was upgraded keeps
/// it: what is limited, and waited for, is open sockets.
pub(super) struct Slot {
    drain: Arc<Drain>,
    number: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let driver = self.drain.lines.lock().open.remove(&self.number);
        self.drain.changed.notify_waiters();
        // After the lock: a waker's drop is not our code.
        drop(driver);
    }
}
