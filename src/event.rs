//! What happens to a pool, as a stream.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_channel::mpsc;
use futures_core::Stream;
use parking_lot::Mutex;

use crate::fitness::{EjectionReason, Health, Standing};

/// One change of a pool's state, told once it is in force.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A backend became a member.
    Added {
        /// Its id.
        id: Arc<str>,
    },
    /// A member's backend was replaced under the same id: another weight, address, ….
    Updated {
        /// Its id.
        id: Arc<str>,
    },
    /// A member left.
    Removed {
        /// Its id.
        id: Arc<str>,
    },
    /// An operator wants a member to finish what is open and take nothing new.
    DrainStarted {
        /// Its id.
        id: Arc<str>,
    },
    /// A draining member has nothing in flight any more.
    Drained {
        /// Its id.
        id: Arc<str>,
    },
    /// A draining member takes requests again.
    DrainEnded {
        /// Its id.
        id: Arc<str>,
    },
    /// Health checks have found something else of a member than before.
    HealthChanged {
        /// Its id.
        id: Arc<str>,
        /// What it is from now on.
        health: Health,
        /// What the last answer, or the want of one, said.
        reason: Arc<str>,
    },
    /// A member has said something else than before of whether it wants requests.
    StandingChanged {
        /// Its id.
        id: Arc<str>,
        /// What it said.
        standing: Standing,
    },
    /// A member has said another weight than before.
    WeightChanged {
        /// Its id.
        id: Arc<str>,
        /// In hundredths of the weight that it has as a backend.
        percent: u32,
    },
    /// Requests have shown that a member is bad: it gets none.
    Ejected {
        /// Its id.
        id: Arc<str>,
        /// What they have shown.
        reason: EjectionReason,
        /// For how long.
        time: Duration,
    },
    /// A member was ejected for long enough: it gets one request at a time.
    ProbationStarted {
        /// Its id.
        id: Arc<str>,
    },
    /// A member that was ejected has shown that it is good again.
    EjectionEnded {
        /// Its id.
        id: Arc<str>,
        /// What has shown it.
        reason: &'static str,
    },
    /// A member is being brought in: it has a part of its share, which grows.
    SlowStartStarted {
        /// Its id.
        id: Arc<str>,
    },
    /// A member is being brought in no more: it has its whole share, or serves no longer.
    SlowStartEnded {
        /// Its id.
        id: Arc<str>,
    },
    /// Of the members of a priority too few are fit, so that all count.
    PanicStarted {
        /// The priority.
        priority: u8,
    },
    /// Of the members of a priority those count again that are fit.
    PanicEnded {
        /// The priority.
        priority: u8,
    },
    /// Discovery reported an error, or panicked. The last good set serves on.
    DiscoveryFailed {
        /// What it said.
        error: Arc<str>,
    },
    /// Discovery has ended. The last set serves on.
    DiscoveryEnded,
    /// The selector or a backend panicked while a change was prepared. What was published before serves on, and the
    /// change is tried again.
    PublishFailed {
        /// What it said.
        error: Arc<str>,
    },
    /// The pool was closed: nothing new is picked.
    Closed,
    /// A store of sessions fails, which several balancers share: each serves from what it knows itself.
    SessionStoreLost {
        /// What it said last.
        error: Arc<str>,
    },
    /// A store of sessions answers again.
    SessionStoreRecovered,
    /// This subscriber was too slow: so many events are missing here.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// A subscription to [`Event`]s: a stream that ends with who tells them, such as a pool's driver.
pub struct Events(mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

/// How many events wait for a slow subscriber before it misses some.
const BACKLOG: usize = 1024;

/// Where events go. None once the driver has ended.
pub(crate) struct Subscribers(Mutex<Option<Vec<Subscriber>>>);

pub(crate) struct Subscriber {
    sender: mpsc::Sender<Event>,
    missed: u64,
}

impl Default for Subscribers {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }
}

impl Subscribers {
    pub(crate) fn subscribe(&self) -> Events {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        if let Some(subscribers) = self.0.lock().as_mut() {
            subscribers.retain(|subscriber| !subscriber.sender.is_closed());
            subscribers.push(Subscriber { sender, missed: 0 });
        }
        Events(receiver)
    }

    /// For one thread at a time, such as the driver's. Sending wakes whoever listens, which is not our code: it happens outside the lock.
    pub(crate) fn tell(&self, event: &Event) {
        let told = self.0.lock().as_mut().map(std::mem::take);
        let mut told = told.unwrap_or_default();
        told.retain_mut(|subscriber| subscriber.tell(event));
        if let Some(subscribers) = self.0.lock().as_mut() {
            told.append(subscribers);
            *subscribers = told;
        }
    }

    /// Ends every subscription, and those to come.
    pub(crate) fn end(&self) {
        let ended = self.0.lock().take();
        drop(ended);
    }
}

impl Subscriber {
    /// Whether it still listens.
    fn tell(&mut self, event: &Event) -> bool {
        if self.missed > 0 {
            let missed = self.missed;
            if self.sender.try_send(Event::Lagged { missed }).is_ok() {
                self.missed = 0;
            }
        }
        if self.missed > 0 {
            self.missed += 1;
        } else if let Err(refused) = self.sender.try_send(event.clone()) {
            self.missed = u64::from(refused.is_full());
            return refused.is_full();
        }
        !self.sender.is_closed()
    }
}

/// Tells [`Event`]s of what stands beside pools, such as a table of sessions. Subscriptions end when it is dropped.
///
/// ```
/// use equipoise::{Event, EventSource};
/// use futures_util::{FutureExt, StreamExt};
///
/// let source = EventSource::new();
/// let mut events = source.events();
/// source.tell(Event::SessionStoreRecovered);
/// assert_eq!(events.next().now_or_never(), Some(Some(Event::SessionStoreRecovered)));
/// drop(source);
/// assert_eq!(events.next().now_or_never(), Some(None));
/// ```
#[derive(Default)]
pub struct EventSource {
    subscribers: Subscribers,
    untold: Mutex<VecDeque<Event>>,
    telling: Mutex<()>,
}

impl EventSource {
    /// One that nobody listens to yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// All that is told from now on.
    pub fn events(&self) -> Events {
        self.subscribers.subscribe()
    }

    /// Tells an event to all subscribers, each of which sees those of all threads in one order. It never waits: while another
    /// thread tells, that one tells this too.
    pub fn tell(&self, event: Event) {
        self.untold.lock().push_back(event);
        // Who finds it taken has left the event to its holder, which looks again after it let go.
        while let Some(telling) = self.telling.try_lock() {
            let next = || self.untold.lock().pop_front();
            while let Some(event) = next() {
                self.subscribers.tell(&event);
            }
            drop(telling);
            if self.untold.lock().is_empty() {
                return;
            }
        }
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSource")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};

    #[test]
    fn a_source_that_several_threads_tell_by_loses_nothing() {
        let source = EventSource::new();
        let mut events = source.events();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..400).for_each(|_| source.tell(Event::SessionStoreRecovered)));
            }
        });
        let told = std::iter::from_fn(|| events.next().now_or_never().flatten());
        assert_eq!(told.count(), 800);
        drop(source);
        assert_eq!(events.next().now_or_never(), Some(None));
    }

    #[test]
    fn a_slow_subscriber_learns_how_much_it_missed() {
        let subscribers = Subscribers::default();
        let mut events = subscribers.subscribe();
        let told = BACKLOG + 10;
        (0..told).for_each(|_| subscribers.tell(&Event::DiscoveryEnded));
        let mut seen = 0;
        while let Some(Some(event)) = events.next().now_or_never() {
            assert_eq!(event, Event::DiscoveryEnded);
            seen += 1;
        }
        subscribers.tell(&Event::Closed);
        let lagged = events.next().now_or_never().flatten();
        assert_eq!(
            lagged,
            Some(Event::Lagged {
                missed: (told - seen) as u64
            })
        );
        assert_eq!(events.next().now_or_never().flatten(), Some(Event::Closed));
        subscribers.end();
        assert_eq!(events.next().now_or_never(), Some(None));
        assert_eq!(subscribers.subscribe().next().now_or_never(), Some(None));
    }
}
