//! A pool in the making.

use std::{hash::Hash, sync::Arc, time::Duration};

use ahash::RandomState;
use rand::{Rng, rngs::SmallRng};
use tower::discover::Discover;

use super::{
    AdaptiveLimit, Admission, Driver, Pool,
    checking::Checking,
    driver::{Sweeps, Watchers},
    plan::Rules,
    probing::Probing,
    registry::{Limit, Registry},
    snapshot::{Core, Phase, Shared},
};
use crate::{
    backend::{Backend, Locality},
    clock::Clock,
    discover::{Discovery, Mailbox, Source},
    error::BoxError,
    event::Subscribers,
    health::{AnyProbe, HealthCheck, HealthProbe, OutlierDetection, SlowStart},
    selector::{Generator, LeastLoaded, Selector},
};

/// How a pool is to be; everything has a default but the members.
#[must_use]
pub struct PoolBuilder<B: Backend, S = LeastLoaded> {
    name: Option<Box<str>>,
    clock: Clock,
    selector: S,
    backends: Vec<B>,
    source: Option<MakeSource<B>>,
    limit: Option<Limit<B>>,
    adaptive: Option<AdaptiveLimit>,
    admission: Admission,
    patience: Duration,
    probe: Option<AnyProbe<B>>,
    probe_timeout: Duration,
    fitness: Fitness<B>,
    seed: Option<u64>,
}

/// How it is found out who is fit, and what follows from that.
struct Fitness<B: Backend> {
    check: Option<HealthCheck<B>>,
    outliers: Option<OutlierDetection>,
    panic: f64,
    here: Option<Locality>,
    slow_start: Option<SlowStart>,
}

/// Envoy's default.
const PANIC: f64 = 0.5;

/// A source whose hashing is seeded when the pool is built.
type MakeSource<B> = Box<dyn FnOnce(RandomState) -> Box<dyn Source<B>> + Send>;

impl<B: Backend> PoolBuilder<B> {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            name: None,
            clock,
            selector: LeastLoaded::new(),
            backends: Vec::new(),
            source: None,
            limit: None,
            adaptive: None,
            admission: Admission::Shed,
            patience: Duration::from_secs(5),
            probe: None,
            probe_timeout: Duration::from_secs(1),
            fitness: Fitness {
                check: None,
                outliers: None,
                panic: PANIC,
                here: None,
                slow_start: None,
            },
            seed: None,
        }
    }
}

impl<B: Backend, S: Selector<B>> PoolBuilder<B, S> {
    /// What the pool is called in traces; nothing unless said otherwise.
    pub fn name(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A member from the start. Of two with one id the later replaces the earlier.
    pub fn backend(mut self, backend: B) -> Self {
        self.backends.push(backend);
        self
    }

    /// Members from the start.
    pub fn backends(mut self, backends: impl IntoIterator<Item = B>) -> Self {
        self.backends.extend(backends);
        self
    }

    /// Members from a discovery: it speaks in keys, of which the later owns an id that two bring. Its failure keeps
    /// the last good set.
    pub fn discover<D>(mut self, discover: D) -> Self
    where
        D: Discover<Key: Hash + Clone + Send, Service = B, Error: Into<BoxError>> + Send + 'static,
    {
        self.source = Some(Box::new(|hashing| Box::new(Discovery::new(discover, hashing))));
        self
    }

    /// Which member a request goes to; [`LeastLoaded`] unless said otherwise.
    pub fn selector<T: Selector<B>>(self, selector: T) -> PoolBuilder<B, T> {
        PoolBuilder {
            name: self.name,
            clock: self.clock,
            selector,
            backends: self.backends,
            source: self.source,
            limit: self.limit,
            adaptive: self.adaptive,
            admission: self.admission,
            patience: self.patience,
            probe: self.probe,
            probe_timeout: self.probe_timeout,
            fitness: self.fitness,
            seed: self.seed,
        }
    }

    /// At most so many requests in flight at each member; without, any number. 0 admits none.
    pub fn in_flight_limit(self, limit: u32) -> Self {
        self.in_flight_limit_by(move |_| Some(limit))
    }

    /// At most so many requests in flight at a member, by its backend; none: any number. Asked at each publish.
    pub fn in_flight_limit_by(mut self, limit: impl Fn(&B) -> Option<u32> + Send + Sync + 'static) -> Self {
        self.limit = Some(Box::new(limit));
        self
    }

    /// Has each member's limit follow what its requests tell: latency and failures; fixed unless said otherwise. An
    /// [`in_flight_limit`](PoolBuilder::in_flight_limit) given besides is the most that it becomes.
    pub fn adaptive_limit(mut self, limit: AdaptiveLimit) -> Self {
        self.adaptive = Some(limit);
        self
    }

    /// What becomes of requests while every member is at its limit; shed at once unless said otherwise.
    pub fn admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// How long a request waits for discovery to speak for the first time and, without a queue, for a member to become
    /// [ready](crate::Condition::Waiting); 5 s unless said otherwise. At most 1,024 requests wait; who comes on top is
    /// turned away at once, as unavailable.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How backends are asked how they are, for a selector that wants to know, such as [`Prequal`](crate::Prequal); others
    /// have nobody asked. The driver asks beside the requests, at most 256 members at once and none twice.
    pub fn probe(mut self, probe: impl HealthProbe<B>) -> Self {
        self.probe = Some(AnyProbe::new(probe));
        self
    }

    /// How long an answer to a [`probe`](PoolBuilder::probe) may take; 1 s unless said otherwise.
    pub fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.probe_timeout = timeout;
        self
    }

    /// Asks every member again and again whether it is fit; those that are not get no requests while enough others are.
    /// Without, all are taken to be.
    pub fn health_check(mut self, check: HealthCheck<B>) -> Self {
        self.fitness.check = Some(check);
        self
    }

    /// Ejects members whose requests fail, for a while; nobody unless said so. `OutlierDetection::new()` goes by the
    /// defaults of Envoy and gRPC.
    pub fn outlier_detection(mut self, outliers: OutlierDetection) -> Self {
        self.fitness.outliers = Some(outliers);
        self
    }

    /// Below which percentage of fit members, by weight, all of a priority count, fit or not, those first whose last
    /// request did not fail: too few would break under the requests of all. From 0 for never, so that requests fail while
    /// nobody is fit, to 100; 50 unless said otherwise, as with
    /// [Envoy](https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold). More is
    /// taken for 100.
    pub fn panic_threshold(mut self, percent: u32) -> Self {
        self.fitness.panic = f64::from(percent.min(100)) / 100.0;
        self
    }

    /// Where this process stands: members of the same zone come first, as far as they are able to serve what begins there,
    /// then those of the same region, then others. Without, all are equally far away.
    ///
    /// Each zone that has members is taken to be asked for as much as any other. Members of the same zone get 1.4 times what
    /// they are able to do of that, at most all; what is left goes on to the next in the same way.
    pub fn locality(mut self, here: Locality) -> Self {
        self.fitness.here = Some(here);
        self
    }

    /// Brings members in gently that come, or come back, while others serve; at once unless said otherwise.
    pub fn slow_start(mut self, slow_start: SlowStart) -> Self {
        self.fitness.slow_start = Some(slow_start);
        self
    }

    /// Makes all random choices repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The pool, and its driver to be spawned. Without the driver the pool serves the members it has from the start.
    pub fn build(self) -> (Pool<B, S>, Driver<B, S>) {
        let mut random = Generator::new(self.seed.unwrap_or_else(|| rand::make_rng::<SmallRng>().next_u64()));
        let mut number = || random.next();
        let hashing = RandomState::with_seeds(number(), number(), number(), number());
        let Fitness {
            check,
            outliers,
            panic,
            here,
            slow_start,
        } = self.fitness;
        let rules = Rules {
            checked: check.is_some(),
            panic,
            here,
            slow_start,
        };
        let adaptive = self.adaptive.as_ref().map(AdaptiveLimit::settings);
        let core = Arc::new(Core::new(self.name, self.selector, self.clock, adaptive, outliers));
        let clock = core.clock();
        let mut checking = check.map(|check| Checking::new(check, Generator::new(number()), clock));
        let sweeps = core.detector.as_ref().map(|detector| {
            let random = Generator::new(number());
            Sweeps::new(random, &detector.settings, clock.now())
        });
        let mut registry = Registry::new(Arc::clone(&core), self.limit, rules, hashing.clone());
        for backend in self.backends {
            let id = backend.id().to_owned();
            registry.insert(backend);
            if let (Some(checking), Some((live, backend))) = (&mut checking, registry.member(&id)) {
                let health = checking.watch(&live, &backend);
                registry.set_health(&id, live.member, health);
            }
        }
        let phase = if self.source.is_some() {
            Phase::Silent
        } else {
            Phase::Serving
        };
        let first = registry.snapshot(phase);
        registry.part();
        let shared = Arc::new(Shared::new(
            first,
            core,
            Arc::new(Mailbox::new()),
            Arc::new(Subscribers::default()),
            (self.admission, self.patience),
            number(),
        ));
        let source = self.source.map(|make| make(hashing));
        let probing = shared.core.selector.demand().map(|demand| {
            let random = Generator::new(number());
            let clock = shared.core.clock();
            Probing::new(Arc::clone(demand), self.probe, self.probe_timeout, random, clock)
        });
        let watchers = Watchers {
            probing,
            checking,
            sweeps,
        };
        let driver = Driver::new(&shared, registry, phase, source, watchers);
        (Pool::new(Arc::clone(&shared), shared.current()), driver)
    }

    /// The pool, with its driver spawned on the current tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "tokio")]
    pub fn spawn(self) -> Pool<B, S> {
        let (pool, driver) = self.build();
        tokio::spawn(driver);
        pool
    }
}

impl<B: Backend, S> std::fmt::Debug for PoolBuilder<B, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("backends", &self.backends.len())
            .field("admission", &self.admission)
            .finish_non_exhaustive()
    }
}
