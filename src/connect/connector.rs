//! What makes members' services and has them kept.

use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::sync::Semaphore;
use tower::discover::Discover;
use tower_service::Service;

use super::{
    Backoff, Connected, ConnectedDiscover,
    connected::PATIENCE,
    keeper::{Keeper, Making, Rules},
    memory::Memory,
    slot::Slot,
};
use crate::{Backend, BoxError, Clock, Endpoint};

/// Some 136 years, which every platform's instants can bear.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// Makes of backends [`Connected`] ones: each is given one service, by the maker, which is kept until the last member
/// and lease is gone, and made anew when it fails.
///
/// The maker is any `Service<B, Response = Svc> + Clone`; a clone of it is taken for each attempt, and its readiness is
/// waited for. A member has requests wait while its first connection is being made, or one to take the place of one that
/// had proven itself; once an attempt has failed, it is failing until there is a connection again: see [`Backoff`].
///
/// A connector remembers the services that it made, for as long as they live: a backend of the same id that is reached
/// in the same way is given the same one, so that an update of weight, priority or locality keeps the connection. So do
/// two members of one id in two pools; to have two connections take two connectors. (Two that are asked for in the same
/// instant, by two threads, may get one each.)
///
/// Clones share the services and the limits, and what was set before they were taken.
///
/// ```
/// use equipoise::{BalanceLayer, Endpoint, Pool, connect::{CallMember, Connector}};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), equipoise::Error> {
/// // A maker: a service that makes of a backend a connected service.
/// let connector = Connector::new(service_fn(async |backend: Endpoint<&'static str>| {
///     let address = *backend.target();
///     // … here the connection is made …
///     Ok::<_, std::io::Error>(service_fn(move |request: &'static str| async move {
///         Ok::<_, std::io::Error>(format!("{request} to {address}"))
///     }))
/// }));
///
/// let pool = Pool::builder()
///     .backend(connector.backend(Endpoint::new("a", "10.0.0.1:80")))
///     .backend(connector.backend(Endpoint::new("b", "10.0.0.2:80").with_weight(2)))
///     .spawn();
/// let mut balanced = ServiceBuilder::new().layer(BalanceLayer::new(pool)).service(CallMember);
///
/// println!("{}", balanced.ready().await?.call("hello").await?);
/// # Ok(()) }
/// ```
pub struct Connector<B, M: Service<B>, Req> {
    maker: M,
    same: Arc<Same<B>>,
    rules: Rules,
    memory: Arc<Memory<B, M::Response>>,
    /// The seed of the next keeper.
    seeds: Arc<AtomicU64>,
    requests: PhantomData<fn(Req)>,
}

/// Whether two backends of one id are reached in the same way.
type Same<B> = dyn Fn(&B, &B) -> bool + Send + Sync;

impl<T: PartialEq, M: Service<Endpoint<T>>, Req> Connector<Endpoint<T>, M, Req> {
    /// A connector of endpoints: those with one id and equal targets share a connection.
    pub fn new(maker: M) -> Self {
        Self::with(maker, |one: &Endpoint<T>, other: &Endpoint<T>| {
            one.target() == other.target()
        })
    }
}

impl<B, M: Service<B>, Req> Connector<B, M, Req> {
    /// A connector of any backends: those with one id share a connection if they are the `same` where it matters to the
    /// maker.
    pub fn with(maker: M, same: impl Fn(&B, &B) -> bool + Send + Sync + 'static) -> Self {
        Self {
            maker,
            same: Arc::new(same),
            rules: Rules {
                clock: Clock::system(),
                backoff: Backoff::new(),
                timeout: Duration::from_secs(5),
                patience: PATIENCE,
                attempts: Arc::new(Semaphore::new(32)),
                connections: None,
            },
            memory: Arc::new(Memory::new()),
            seeds: Arc::new(AtomicU64::new(rand::make_rng::<SmallRng>().next_u64())),
            requests: PhantomData,
        }
    }

    /// How long a member is left alone after a failure.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.rules.backoff = backoff;
        self
    }

    /// How long an attempt to connect may take before it has failed, 5 s unless said otherwise: from the call of the
    /// maker on, which is when it is its turn and the maker is ready.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.rules.timeout = timeout.min(LONGEST);
        self
    }

    /// How many attempts to connect may begin at once, over all members, first come first served; 32 unless said
    /// otherwise, at least 1. Thousands of members that appear together are not to be thousands of handshakes at once.
    /// An attempt that has taken 250 ms lets the next begin: it waits for the other side, and may do so in vain.
    pub fn connecting_limit(mut self, limit: usize) -> Self {
        self.rules.attempts = Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    /// How many connections there may be, over all members, first come first served; any number unless said otherwise,
    /// at least 1. A member beyond that waits for a place while the others serve, and has one once a member is gone or
    /// failing; a connection that had proven itself and is made anew at once keeps its place. Requests that find only
    /// such members left wait for one, even if the pool sheds: they are taken to be ready soon.
    pub fn connection_limit(mut self, limit: usize) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        self.rules.connections = Some(Arc::new(Semaphore::new(limit)));
        self
    }

    /// How long a call waits for its member's service if another request took it after the pick; 5 s unless said
    /// otherwise. How long requests wait for a pick is the pool's to say.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.rules.patience = patience.min(LONGEST);
        self
    }

    /// The clock by which it waits; the system's unless said otherwise.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.rules.clock = clock;
        self
    }

    /// Makes the jitter of delays repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seeds = Arc::new(AtomicU64::new(seed));
        self
    }
}

impl<B, M, Req> Connector<B, M, Req>
where
    B: Backend + Clone,
    M: Service<B, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    M::Response: Service<Req, Error: Into<BoxError>> + Send + 'static,
    Req: 'static,
{
    /// The backend with its service: one that is there already, or one that is being made from now on.
    ///
    /// # Panics
    /// Outside a tokio runtime with a timer, on which the service is made and kept.
    pub fn backend(&self, backend: B) -> Connected<B, M::Response, Req> {
        let id: Arc<str> = backend.id().into();
        if let Some((made_of, slot)) = self.memory.recall(&id) {
            if (self.same)(&made_of, &backend) {
                return Connected::with(backend, slot);
            }
        }
        let Rules { clock, patience, .. } = &self.rules;
        let slot = Arc::new(Slot::new(None, clock.clone(), *patience));
        let making = Making {
            slot: Arc::downgrade(&slot),
            id: Arc::clone(&id),
            backend: backend.clone(),
            maker: self.maker.clone(),
            rules: self.rules.clone(),
            random: SmallRng::seed_from_u64(self.seeds.fetch_add(1, Relaxed)),
            _remembered: self.memory.remember(&id, backend.clone(), &slot),
        };
        let keeper = tokio::spawn(Keeper::new(&slot, clock.clone(), making.keep::<Req>()));
        slot.kept_by(keeper.abort_handle());
        Connected::with(backend, slot)
    }

    /// A discovery of backends as one of connected backends, for [`PoolBuilder::discover`](crate::PoolBuilder::discover).
    /// It is to be polled on a tokio runtime.
    pub fn discover<D>(&self, discover: D) -> ConnectedDiscover<D, M, Req>
    where
        D: Discover<Service = B>,
    {
        ConnectedDiscover::new(discover, self.clone())
    }
}

impl<B, M: Service<B> + Clone, Req> Clone for Connector<B, M, Req> {
    fn clone(&self) -> Self {
        Self {
            maker: self.maker.clone(),
            same: Arc::clone(&self.same),
            rules: self.rules.clone(),
            memory: Arc::clone(&self.memory),
            seeds: Arc::clone(&self.seeds),
            requests: PhantomData,
        }
    }
}

impl<B, M: Service<B>, Req> fmt::Debug for Connector<B, M, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("backoff", &self.rules.backoff)
            .field("timeout", &self.rules.timeout)
            .field("patience", &self.rules.patience)
            .finish_non_exhaustive()
    }
}
