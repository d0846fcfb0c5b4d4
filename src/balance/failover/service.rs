//! The service.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tower_service::Service;

use super::{
    FailingOver, FailoverPolicy, Judge, RetryBudget,
    hedge::{Estimate, When},
    policy::{RawOf, SentOf},
    settings::Settings,
};
use crate::{
    ask::Ask,
    balance::{Answer, Concluding, Dispatch},
    clock::Clock,
    error::Error,
    selector::Generator,
};

/// A balanced service that sends a request which failed to another backend: what
/// [`FailoverLayer`](super::FailoverLayer) makes. Clones share its budget.
pub struct Failover<D, P> {
    inner: D,
    shared: Arc<Shared<D, P>>,
}

/// What all calls have in common.
pub(super) struct Shared<D, P> {
    pub(super) policy: P,
    pub(super) settings: Settings,
    pub(super) budget: RetryBudget,
    /// What bounds hedges.
    pub(super) hedges: Option<RetryBudget>,
    /// Of the latency after which to hedge.
    pub(super) estimate: Option<Estimate>,
    pub(super) random: Mutex<Generator>,
    /// The pool's, once there was a call.
    pub(super) clock: OnceLock<Clock>,
    /// What calls that have failed clone. The service that a call came to has its readiness for the next, and a clone for each
    /// call would cost those that go well.
    pub(super) spare: Mutex<D>,
}

impl<D, P> Shared<D, P> {
    pub(super) fn now(&self) -> Instant {
        // There is one, as there is a call.
        self.clock.get().map_or_else(Instant::now, Clock::now)
    }

    /// A request has ended well.
    #[inline]
    pub(super) fn succeeded(&self) {
        self.budget.deposit(|| self.now());
        if let Some(hedges) = &self.hedges {
            hedges.deposit(|| self.now());
        }
    }

    /// After how long to hedge, if that is known by now.
    pub(super) fn hedge_delay(&self) -> Option<Duration> {
        match self.settings.hedge?.when {
            When::After(delay) => Some(delay),
            When::Quantile(_) => self.estimate.as_ref()?.get(),
        }
    }

    /// Whether there may be one more hedge, as far as they are concerned.
    pub(super) fn has_hedge(&self, now: Instant) -> bool {
        self.hedges.as_ref().is_some_and(|hedges| hedges.withdraw_if_left(now))
    }

    /// The one that was taken has not been made.
    pub(super) fn give_back_hedge(&self, now: Instant) {
        if let Some(hedges) = &self.hedges {
            hedges.refund(now);
        }
    }

    /// A first try has taken so long, or would have taken longer.
    #[inline]
    pub(super) fn took(&self, latency: Duration) {
        if let Some(estimate) = &self.estimate {
            estimate.observe(latency);
        }
    }

    /// The wait before the so manieth try that comes to a backend again, from 1.
    pub(super) fn backoff(&self, round: u32) -> Duration {
        let doubled = 1_u32.checked_shl(round.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = self
            .settings
            .backoff
            .saturating_mul(doubled)
            .min(self.settings.longest_backoff);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.lock().below(nanos.saturating_add(1)))
    }
}

impl<D, P> Failover<D, P> {
    pub(super) fn new(inner: D, shared: Arc<Shared<D, P>>) -> Self {
        Self { inner, shared }
    }

    /// The service that tries.
    pub fn get_ref(&self) -> &D {
        &self.inner
    }

    #[inline(always)]
    fn start<Req>(&mut self, ask: &Ask, kept_ask: Option<Ask>, request: Req) -> FailingOver<Req, D, P>
    where
        P: FailoverPolicy<Req>,
        D: Dispatch<SentOf<Req, P>>,
    {
        // First, as an atomic operation waits for whatever is on its way to memory.
        let shared = Arc::clone(&self.shared);
        if self.shared.clock.get().is_none() {
            self.shared.clock.get_or_init(|| self.inner.clock().clone());
        }
        let (sent, kept) = self.shared.policy.keep(request);
        let attempt = self.inner.dispatch(ask, sent);
        FailingOver::new(attempt, kept, kept_ask, shared)
    }
}

impl<Req, D, P> Dispatch<Req> for Failover<D, P>
where
    P: FailoverPolicy<Req>,
    D: Dispatch<SentOf<Req, P>, Error = Error> + Clone,
    P: Judge<Req, RawOf<Req, D, P>>,
{
    type Raw = RawOf<Req, D, P>;
    type Dispatching = FailingOver<Req, D, P>;

    #[inline]
    fn dispatch(&mut self, ask: &Ask, request: Req) -> Self::Dispatching {
        self.start(ask, Some(ask.clone()), request)
    }

    fn clock(&self) -> &Clock {
        self.inner.clock()
    }

    #[inline]
    fn conclude(answer: Answer<Self::Raw, Error>) -> Result<D::Response, Error> {
        D::conclude(answer)
    }
}

impl<Req, D, P> Service<Req> for Failover<D, P>
where
    P: FailoverPolicy<Req>,
    D: Dispatch<SentOf<Req, P>, Error = Error> + Clone,
    P: Judge<Req, RawOf<Req, D, P>>,
{
    type Response = D::Response;
    type Error = Error;
    type Future = Concluding<Req, Self>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        // An ask that wants nothing need not be carried along.
        Concluding::new(self.start(Ask::nothing(), None, request))
    }
}

impl<D: Clone, P> Clone for Failover<D, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<D: fmt::Debug, P> fmt::Debug for Failover<D, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failover")
            .field("inner", &self.inner)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
