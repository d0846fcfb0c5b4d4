//! The task that keeps a member's one service: makes it, asks it, makes it anew.

use std::{
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use pin_project_lite::pin_project;
use rand::{Rng, rngs::SmallRng};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

use super::{Backoff, ConnectError, memory::Remembered, panic::panicked, report, slot::Slot};
use crate::{Backend, BoxError, Clock, Sleep};

/// How long an attempt keeps others from theirs. One that takes longer waits for the other side and costs nothing here;
/// a server that hangs must not hold up those that would answer.
pub(super) const TURN: Duration = Duration::from_millis(250);

/// How a connector's keepers keep.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) clock: Clock,
    pub(super) backoff: Backoff,
    /// How long an attempt may take.
    pub(super) timeout: Duration,
    /// How long a call waits for a service that another request has taken.
    pub(super) patience: Duration,
    /// Attempts that there may be at once.
    pub(super) attempts: Arc<Semaphore>,
    /// Connections that there may be at once.
    pub(super) connections: Option<Arc<Semaphore>>,
}

pin_project! {
    /// Keeps, and looks after the calls that wait meanwhile. It holds its slot weakly: the slot ends it.
    pub(super) struct Keeper<Svc, F> {
        slot: Weak<Slot<Svc>>,
        clock: Clock,
        #[pin]
        keeping: F,
        timer: Option<(Instant, Sleep)>,
    }

    impl<Svc, F> PinnedDrop for Keeper<Svc, F> {
        fn drop(this: Pin<&mut Self>) {
            // The runtime ends, or the slot does.
            if let Some(slot) = this.slot.upgrade() {
                slot.end();
            }
        }
    }
}

impl<Svc, F: Future<Output = ()>> Keeper<Svc, F> {
    pub(super) fn new(slot: &Arc<Slot<Svc>>, clock: Clock, keeping: F) -> Self {
        Self {
            slot: Arc::downgrade(slot),
            clock,
            keeping,
            timer: None,
        }
    }
}

impl<Svc, F: Future<Output = ()>> Future for Keeper<Svc, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            let Some(slot) = this.slot.upgrade() else {
                return Poll::Ready(());
            };
            let next = slot.tend(cx.waker());
            drop(slot);
            if this.keeping.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let Some(next) = next else {
                *this.timer = None;
                return Poll::Pending;
            };
            let (_, sleep) = match this.timer.take() {
                Some((deadline, sleep)) if deadline == next => this.timer.insert((deadline, sleep)),
                _ => this.timer.insert((next, this.clock.sleep_until(next))),
            };
            ready!(Pin::new(sleep).poll(cx));
            *this.timer = None;
        }
    }
}

/// Until the service has failed. None if nobody wants it any more.
async fn lost<Svc, Req>(slot: &Weak<Slot<Svc>>) -> Option<ConnectError>
where
    Svc: Service<Req, Error: Into<BoxError>>,
{
    poll_fn(|_| match slot.upgrade() {
        // It is the keeper's waker that the slot has, and gives to the service.
        Some(slot) => slot.poll_lost().map(Some),
        None => Poll::Ready(None),
    })
    .await
}

/// Until the last service has proven itself, by an answer that was read only after it was lost.
async fn proven<Svc>(slot: &Weak<Slot<Svc>>) {
    poll_fn(|_| match slot.upgrade() {
        Some(slot) if slot.is_proven() => Poll::Ready(()),
        _ => Poll::Pending,
    })
    .await
}

/// Keeps a service that was given and that nobody can make anew.
pub(super) async fn keep_given<Svc, Req>(slot: Weak<Slot<Svc>>, id: Arc<str>)
where
    Svc: Service<Req, Error: Into<BoxError>>,
{
    if let Some(error) = lost(&slot).await {
        report::lost(&id, &error, None);
        if let Some(slot) = slot.upgrade() {
            slot.fail(error);
        }
    }
}

/// What it takes to make one member's service.
pub(super) struct Making<B, M: Service<B>> {
    pub(super) slot: Weak<Slot<M::Response>>,
    pub(super) id: Arc<str>,
    pub(super) backend: B,
    pub(super) maker: M,
    pub(super) rules: Rules,
    pub(super) random: SmallRng,
    /// Forgotten when this ends.
    pub(super) _remembered: Remembered<B, M::Response>,
}

impl<B, M> Making<B, M>
where
    B: Backend + Clone,
    M: Service<B, Error: Into<BoxError>> + Clone,
{
    /// Keeps a service for as long as somebody wants one.
    pub(super) async fn keep<Req>(mut self)
    where
        M::Response: Service<Req, Error: Into<BoxError>>,
    {
        let mut failures = 0;
        // Its place among the connections, which it keeps unless it is failing.
        let mut place = None;
        loop {
            let attempt = AssertUnwindSafe(self.attempt(&mut place)).catch_unwind().await;
            let service = match attempt.unwrap_or_else(|panic| Err(panicked(&*panic))) {
                Ok(service) => service,
                Err(error) => {
                    let delay = self.delay(failures);
                    failures = failures.saturating_add(1);
                    report::failed(&self.id, &error, delay);
                    place = None;
                    let Some(slot) = self.slot.upgrade() else { return };
                    slot.fail(error);
                    drop(slot);
                    pause(&self.rules.clock, delay).await;
                    continue;
                }
            };
            report::connected(&self.id);
            let since = self.rules.clock.now();
            let Some(slot) = self.slot.upgrade() else { return };
            slot.install(service);
            drop(slot);
            let Some(error) = lost(&self.slot).await else { return };
            let held = self.rules.clock.now().saturating_duration_since(since);
            let Some(slot) = self.slot.upgrade() else { return };
            if held >= self.rules.backoff.proof() || slot.is_proven() {
                failures = 0;
                report::lost(&self.id, &error, Some(Duration::ZERO));
                slot.reconnect();
                continue;
            }
            let delay = self.delay(failures);
            report::lost(&self.id, &error, Some(delay));
            if failures == 0 && !matches!(error, ConnectError::Panicked(_)) {
                // Requests wait: the first delay is short, and an answer may be about to be read.
                slot.reconnect();
            } else {
                place = None;
                slot.fail(error);
            }
            drop(slot);
            failures = match select(pause(&self.rules.clock, delay), pin!(proven(&self.slot))).await {
                Either::Left(_) => failures.saturating_add(1),
                Either::Right(_) => 0,
            };
        }
    }

    fn delay(&mut self, failures: u32) -> Duration {
        // 53 bits are what a number from 0 to 1 can have.
        let random = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        self.rules.backoff.delay(failures, random)
    }

    /// Makes a service, in turn.
    async fn attempt(&mut self, place: &mut Option<OwnedSemaphorePermit>) -> Result<M::Response, ConnectError> {
        if let (None, Some(connections)) = (&place, &self.rules.connections) {
            *place = Some(Arc::clone(connections).acquire_owned().await.map_err(closed)?);
        }
        // A fresh one each time: one that has failed is not to be used again.
        let mut maker = self.maker.clone();
        poll_fn(|cx| maker.poll_ready(cx)).await.map_err(failed)?;
        let turn = self.rules.attempts.acquire().await.map_err(closed)?;
        let mut making = pin!(maker.call(self.backend.clone()));
        let clock = &self.rules.clock;
        let begun = clock.now();
        let timeout = clock.sleep_until(begun + self.rules.timeout);
        if let Either::Left((made, _)) = select(making.as_mut(), clock.sleep_until(begun + TURN)).await {
            return made.map_err(failed);
        }
        drop(turn);
        match select(making, timeout).await {
            Either::Left((made, _)) => made.map_err(failed),
            Either::Right(_) => Err(ConnectError::TimedOut),
        }
    }
}

fn pause(clock: &Clock, delay: Duration) -> Sleep {
    clock.sleep_until(clock.now() + delay)
}

fn failed(error: impl Into<BoxError>) -> ConnectError {
    ConnectError::Failed(Arc::from(error.into()))
}

fn closed(_: AcquireError) -> ConnectError {
    ConnectError::Ended
}
