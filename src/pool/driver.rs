//! The one background task of a pool.

mod intake;
mod rest;
mod verdicts;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use rest::Waiting;
pub(super) use verdicts::Sweeps;

use super::{
    checking::Checking,
    fault::{Retry, guarded},
    probing::Probing,
    registry::Registry,
    snapshot::{Core, Phase, Shared, Snapshot},
};
use crate::{
    backend::Backend,
    clock::Sleep,
    discover::{Mailbox, Source},
    event::{Event, Subscribers},
    selector::Selector,
    trace,
};

/// The most often that a selector may want its table anew.
const REFRESH: Duration = Duration::from_millis(1);
/// How often to look whether retired snapshots are read by nobody any more.
const RETIRE: Duration = Duration::from_secs(1);

/// The background task of a pool: takes in discovery and what handles post, publishes, sweeps. A future to be
/// spawned; it is ready once the last clone of the pool is gone (a [`Handle`](crate::Handle) is none) or the pool is
/// closed and at rest.
///
/// A panic in a selector, a backend or discovery is caught and told as an event; the driver goes on.
#[must_use = "a pool changes only while its driver is polled"]
pub struct Driver<B: Backend, S: Selector<B>> {
    shared: Weak<Shared<B, S>>,
    core: Arc<Core<B, S>>,
    mailbox: Arc<Mailbox<B>>,
    subscribers: Arc<Subscribers>,
    registry: Registry<B, S>,
    source: Option<Box<dyn Source<B>>>,
    phase: Phase,
    /// Told once published.
    news: Vec<Event>,
    applied: Vec<(futures_channel::oneshot::Sender<bool>, bool)>,
    closers: Vec<futures_channel::oneshot::Sender<bool>>,
    /// Who waits for members to come to rest.
    waiting: Vec<Waiting>,
    dirty: bool,
    /// Snapshots that were in force; they are freed here, not by the request that lets go of them last.
    retired: Vec<Arc<Snapshot<B, S>>>,
    discovery: Retry,
    publishing: Retry,
    rest: Option<(Instant, Duration)>,
    retire: Option<Instant>,
    refresh: Option<Instant>,
    /// None if the selector wants no probes.
    probing: Option<Probing<B, S>>,
    /// None if members are not checked.
    checking: Option<Checking<B, S::Memory>>,
    /// None without outlier detection.
    sweeps: Option<Sweeps>,
    timer: Option<(Instant, Sleep)>,
}

/// What the driver asks of backends and sees of requests.
pub(super) struct Watchers<B: Backend, S: Selector<B>> {
    pub(super) probing: Option<Probing<B, S>>,
    pub(super) checking: Option<Checking<B, S::Memory>>,
    pub(super) sweeps: Option<Sweeps>,
}

impl<B: Backend, S: Selector<B>> Driver<B, S> {
    pub(super) fn new(
        shared: &Arc<Shared<B, S>>,
        registry: Registry<B, S>,
        phase: Phase,
        source: Option<Box<dyn Source<B>>>,
        Watchers {
            probing,
            checking,
            sweeps,
        }: Watchers<B, S>,
    ) -> Self {
        let core = Arc::clone(&shared.core);
        let mut driver = Self {
            shared: Arc::downgrade(shared),
            mailbox: Arc::clone(&shared.mailbox),
            subscribers: Arc::clone(&shared.subscribers),
            registry,
            phase,
            source,
            news: Vec::new(),
            applied: Vec::new(),
            closers: Vec::new(),
            waiting: Vec::new(),
            dirty: false,
            retired: Vec::new(),
            discovery: Retry::default(),
            publishing: Retry::default(),
            rest: None,
            retire: None,
            refresh: None,
            probing,
            checking,
            sweeps,
            timer: None,
            core,
        };
        driver.plan_refresh();
        driver
    }

    fn plan_refresh(&mut self) {
        let every = guarded(|| self.core.selector.refresh()).unwrap_or_else(|error| {
            self.news.push(Event::PublishFailed { error });
            None
        });
        self.refresh = every.map(|every| self.core.clock().deadline(every.max(REFRESH)));
    }

    fn unless_failed<T>(&mut self, result: Result<T, Arc<str>>) -> Option<T> {
        result
            .map_err(|error| self.news.push(Event::PublishFailed { error }))
            .ok()
    }

    fn publish(&mut self, shared: &Shared<B, S>) {
        let now = self.core.clock().now();
        if self.refresh.is_some_and(|refresh| refresh <= now) {
            self.dirty = true;
        }
        if self.registry.leaving().is_some_and(|leaving| leaving <= now) {
            self.dirty = true;
        }
        if self.registry.warming().is_some_and(|warming| warming <= now) {
            self.dirty |= self.registry.bring_in(now);
        }
        if !self.dirty || self.publishing.holds(now) {
            return;
        }
        let panics = self.registry.panics().to_vec();
        let (registry, phase) = (&mut self.registry, self.phase);
        match guarded(|| registry.snapshot(phase)) {
            Ok(snapshot) => {
                // Where homes are asked for, the index is made here, or else by the first request that asks.
                if shared.current().homes.get().is_some() {
                    snapshot.homes();
                }
                self.retired.push(shared.publish(snapshot));
                self.dirty = false;
                self.tell_panics(&panics);
                self.news.extend(self.registry.warmed());
                self.publishing = Retry::default();
                let parted = guarded(|| self.registry.part());
                self.unless_failed(parted);
                if let Some(probing) = &mut self.probing {
                    probing.part(&self.registry);
                }
                for (applied, done) in self.applied.drain(..) {
                    // Nobody has to listen.
                    let _ = applied.send(done);
                }
                self.plan_refresh();
            }
            Err(error) => {
                // What was published serves on; those who wait learn that this is not in force.
                self.applied.clear();
                self.publishing.failed(now);
                self.announce(&Event::PublishFailed { error });
            }
        }
    }

    /// One turn of everything. Whether discovery has more.
    fn turn(&mut self, shared: &Shared<B, S>, cx: &mut Context<'_>) -> bool {
        self.take_orders(cx);
        let more = self.take_found(cx);
        self.take_checks(cx);
        self.take_outliers(cx);
        self.look();
        self.publish(shared);
        self.tell();
        self.free();
        if let Some(probing) = &mut self.probing {
            probing.turn(&shared.current(), self.core.clock(), cx);
        }
        more
    }

    /// Tells what has happened, once it is in force.
    fn tell(&mut self) {
        if !self.dirty {
            for event in std::mem::take(&mut self.news) {
                self.announce(&event);
            }
            // Changes without effect, such as the removal of who is no member, need no publish.
            for (applied, done) in self.applied.drain(..) {
                let _ = applied.send(done);
            }
        }
    }

    fn announce(&self, event: &Event) {
        trace::change(self.core.name.as_deref(), event);
        self.subscribers.tell(event);
    }

    /// Frees the retired snapshots that nobody reads any more.
    fn free(&mut self) {
        let retired = self.retired.drain(..);
        let (read, free): (Vec<_>, Vec<_>) = retired.partition(|snapshot| Arc::strong_count(snapshot) > 1);
        self.retired = read;
        let freed = guarded(|| drop(free));
        self.unless_failed(freed);
        self.retire = (!self.retired.is_empty()).then(|| self.core.clock().now() + RETIRE);
    }

    /// Whether it is time to run again; else the timer is set.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let publishing = self.publishing.until.filter(|_| self.dirty);
        let discovery = self.discovery.until.filter(|_| self.source.is_some());
        let rest = self.rest.map(|(at, _)| at);
        let refresh = self.refresh.filter(|_| publishing.is_none());
        let probing = self.probing.as_ref().map(Probing::next);
        let checking = self.checking.as_ref().and_then(Checking::next);
        let sweeps = self.sweeps.as_ref().map(Sweeps::next);
        let warming = self.registry.warming().filter(|_| publishing.is_none());
        let leaving = self.registry.leaving().filter(|_| publishing.is_none());
        let watching = [probing, checking, sweeps, warming, leaving];
        let deadlines = [publishing, discovery, rest, self.retire, refresh];
        let Some(next) = deadlines.into_iter().chain(watching).flatten().min() else {
            self.timer = None;
            return Poll::Pending;
        };
        let clock = self.core.clock();
        match &mut self.timer {
            Some((deadline, _)) if *deadline == next => {}
            timer => *timer = Some((next, clock.sleep_until(next))),
        }
        match &mut self.timer {
            Some((_, sleep)) => Pin::new(sleep).poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<B: Backend, S: Selector<B>> Future for Driver<B, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            let Some(shared) = this.shared.upgrade() else {
                // Probes hold backends.
                this.probing = None;
                this.checking = None;
                return Poll::Ready(());
            };
            // Much of what a turn runs is not our code, down to the drop of a backend and the waker of a listener. What
            // is known to panic is caught where it stands; whatever else does must not end the driver either.
            let more = guarded(|| this.turn(&shared, cx));
            let more = this.unless_failed(more).unwrap_or(false);
            drop(shared);
            if this.phase == Phase::Closed && !this.dirty && this.registry.is_at_rest() {
                for closer in this.closers.drain(..) {
                    let _ = closer.send(true);
                }
                return Poll::Ready(());
            }
            if more {
                // Others may want to run between two batches.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let due = guarded(|| this.poll_timer(cx).is_ready());
            if !this.unless_failed(due).unwrap_or(false) {
                return Poll::Pending;
            }
            this.timer = None;
        }
    }
}

impl<B: Backend, S: Selector<B>> Unpin for Driver<B, S> {}

impl<B: Backend, S: Selector<B>> Drop for Driver<B, S> {
    fn drop(&mut self) {
        self.mailbox.close();
        self.subscribers.end();
        // A driver that was never spawned, or was aborted, leaves the last good set behind; a closed pool needs none.
        match self.shared.upgrade() {
            Some(shared) if self.phase != Phase::Closed => shared.keep(self.registry.tokens()),
            _ => {}
        }
    }
}

impl<B: Backend, S: Selector<B>> fmt::Debug for Driver<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}
