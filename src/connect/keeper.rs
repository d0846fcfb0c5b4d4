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
use tokio::sync::{AcquireError, Semaphore};
use tower_service::Service;

use super::{
    Backoff, ConnectError,
    memory::Remembered,
    panic::panicked,
    report,
    slot::{Live, Slot},
};
use crate::{Backend, BoxError, Clock, Sleep};

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

/// Until the service has failed: why, and whether it had proven itself by an answer. None if nobody wants it any more.
async fn lost<Svc, Req>(slot: &Weak<Slot<Svc>>) -> Option<(ConnectError, bool)>
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

/// Keeps a service that was given and that nobody can make anew.
pub(super) async fn keep_given<Svc, Req>(slot: Weak<Slot<Svc>>, id: Arc<str>)
where
    Svc: Service<Req, Error: Into<BoxError>>,
{
    if let Some((error, _)) = lost(&slot).await {
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
        loop {
            let attempt = AssertUnwindSafe(self.attempt()).catch_unwind().await;
            let (error, delay) = match attempt.unwrap_or_else(|panic| Err(panicked(&*panic))) {
                Err(error) => {
                    let delay = self.delay(failures);
                    report::failed(&self.id, &error, delay);
                    (error, delay)
                }
                Ok(live) => {
                    report::connected(&self.id);
                    let Some(slot) = self.slot.upgrade() else { return };
                    slot.install(live);
                    drop(slot);
                    let since = self.rules.clock.now();
                    let Some((error, has_answered)) = lost(&self.slot).await else {
                        return;
                    };
                    let held = self.rules.clock.now().saturating_duration_since(since);
                    if has_answered || held >= self.rules.backoff.proof() {
                        failures = 0;
                        report::lost(&self.id, &error, Some(Duration::ZERO));
                        let Some(slot) = self.slot.upgrade() else { return };
                        slot.reconnect();
                        continue;
                    }
                    let delay = self.delay(failures);
                    report::lost(&self.id, &error, Some(delay));
                    (error, delay)
                }
            };
            failures = failures.saturating_add(1);
            let Some(slot) = self.slot.upgrade() else { return };
            slot.fail(error);
            drop(slot);
            let clock = &self.rules.clock;
            clock.sleep_until(clock.now() + delay).await;
        }
    }

    fn delay(&mut self, failures: u32) -> Duration {
        // 53 bits are what a number from 0 to 1 can have.
        let random = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        self.rules.backoff.delay(failures, random)
    }

    /// Makes a service, in turn. A place among the connections goes with the service, or back if there is none.
    async fn attempt(&mut self) -> Result<Live<M::Response>, ConnectError> {
        let place = match &self.rules.connections {
            Some(connections) => Some(Arc::clone(connections).acquire_owned().await.map_err(closed)?),
            None => None,
        };
        // A fresh one each time: one that has failed is not to be used again.
        let mut maker = self.maker.clone();
        poll_fn(|cx| maker.poll_ready(cx)).await.map_err(failed)?;
        let _turn = self.rules.attempts.acquire().await.map_err(closed)?;
        let making = pin!(maker.call(self.backend.clone()));
        let clock = &self.rules.clock;
        let timeout = clock.sleep_until(clock.now() + self.rules.timeout);
        match select(making, timeout).await {
            Either::Left((made, _)) => Ok(Live {
                service: made.map_err(failed)?,
                _place: place,
            }),
            Either::Right(_) => Err(ConnectError::TimedOut),
        }
    }
}

fn failed(error: impl Into<BoxError>) -> ConnectError {
    ConnectError::Failed(Arc::from(error.into()))
}

fn closed(_: AcquireError) -> ConnectError {
    ConnectError::Ended
}
