//! The layer, and how it is to be.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;
use rand::{Rng, rngs::SmallRng};
use tower_layer::Layer;

use super::{
    Failover, Hedge, RetryBudget,
    hedge::{Estimate, When},
    service::Shared,
    settings::Settings,
};
use crate::selector::Generator;

/// Sends a request that failed to another backend: a layer around a [`BalanceLayer`](crate::BalanceLayer).
///
/// See the [module](crate::balance::failover) for what it does. Without a word: up to three tries that cost anything, a
/// budget of 20 % and 10 a second, no time-outs and no hedging, since how long a request may take only its maker knows.
///
/// ```
/// use std::time::Duration;
/// use equipoise::{FailoverLayer, Hedge, RetryBudget, balance::Repeatable};
///
/// let failover = FailoverLayer::new(Repeatable)
///     .tries(2)
///     .try_timeout(Duration::from_millis(500))
///     .deadline(Duration::from_secs(2))
///     .hedge(Hedge::after_quantile(0.95)?)
///     .budget(RetryBudget::of(0.1, 5.0)?);
/// # Ok::<_, equipoise::ParameterError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FailoverLayer<P> {
    policy: P,
    settings: Settings,
    budget: RetryBudget,
    seed: Option<u64>,
}

impl<P> FailoverLayer<P> {
    /// A layer by this policy.
    pub fn new(policy: P) -> Self {
        Self {
            policy,
            settings: Settings::default(),
            budget: RetryBudget::new(),
            seed: None,
        }
    }

    /// The same by another policy.
    pub fn policy<T>(self, policy: T) -> FailoverLayer<T> {
        FailoverLayer {
            policy,
            settings: self.settings,
            budget: self.budget,
            seed: self.seed,
        }
    }

    /// How often a request is sent at most, the first time included, those not counted of which nothing was sent; 3 unless
    /// said otherwise. 0 is taken for 1.
    pub fn tries(mut self, tries: u32) -> Self {
        self.settings.tries = tries;
        self
    }

    /// How long one try may take until its answer begins, from when it has a backend; as long as it takes unless said
    /// otherwise. It then counts as a failure of that backend, and may be tried elsewhere if it may be sent twice. While the
    /// caller is still to give content that the backend waits for, or the backend has taken some within that time, it begins
    /// again; so a try may take up to twice as long from there on.
    pub fn try_timeout(mut self, timeout: Duration) -> Self {
        self.settings.try_timeout = Some(timeout);
        self
    }

    /// How long a request may take until its answer begins, all tries and waits together; as long as it takes unless said
    /// otherwise. It counts as a failure of the first backend if that had all the time for itself; a later one's is
    /// cancelled, and so is one for which the caller has not given all of the request's content.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = Some(deadline);
        self
    }

    /// How long to wait before a backend is tried again: a random time up to `base`, twice as long each time, up to `longest`;
    /// 25 ms and 250 ms unless said otherwise. Those not tried yet are not waited for.
    pub fn backoff(mut self, base: Duration, longest: Duration) -> Self {
        self.settings.backoff = base;
        self.settings.longest_backoff = longest;
        self
    }

    /// The longest wait between two tries that is begun; 300 s unless said otherwise, which is also the most that a backend's word
    /// (`Retry-After`, gRPC's pushback) counts for. Where it would be longer the request ends with the answer that there is: its
    /// maker may know better how long to wait, and until when.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.settings.longest_wait = wait;
        self
    }

    /// Sends it to a second backend while the first takes long; not unless said otherwise.
    pub fn hedge(mut self, hedge: Hedge) -> Self {
        self.settings.hedge = Some(hedge);
        self
    }

    /// What tries and hedges are taken from. Without, each layer has a budget of its own, which all services that it makes
    /// share.
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// Makes waits repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

impl<P: Clone, D: Clone> Layer<D> for FailoverLayer<P> {
    type Service = Failover<D, P>;

    fn layer(&self, inner: D) -> Self::Service {
        let seed = self.seed.unwrap_or_else(|| rand::make_rng::<SmallRng>().next_u64());
        let estimate = match self.settings.hedge.map(|hedge| hedge.when) {
            Some(When::Quantile(quantile)) => Some(Estimate::new(quantile)),
            Some(When::After(_)) | None => None,
        };
        let shared = Shared {
            policy: self.policy.clone(),
            settings: self.settings,
            budget: self.budget.clone(),
            hedges: self.settings.hedge.map(|hedge| hedge.budget()),
            estimate,
            random: Mutex::new(Generator::new(seed)),
            clock: OnceLock::new(),
            spare: Mutex::new(inner.clone()),
        };
        Failover::new(inner, Arc::new(shared))
    }
}
