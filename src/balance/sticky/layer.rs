//! The layer, and how it is to be.

use std::{sync::Arc, time::Duration};

use tower_layer::Layer;

use super::Sticky;
use crate::ask::{Ask, Home};

/// Brings each session to its home backend: a layer around a [`BalanceLayer`](crate::BalanceLayer), further out than a
/// [`FailoverLayer`](crate::FailoverLayer), so that a session moves with the answer that came in the end.
///
/// See [`affinity`](crate::affinity) for when a session moves.
///
/// ```
/// use std::time::Duration;
/// use equipoise::{Assigned, BalanceLayer, BoxError, Endpoint, Pool, StickyLayer};
/// # use equipoise::{Home, affinity::{Bind, Located, Served, SessionAffinity, Undelayed}};
/// # use std::{pin::Pin, task::{Context, Poll}};
/// use tower::{Service, ServiceBuilder, ServiceExt};
/// # struct ByLetter;
/// # struct Kept;
/// # impl SessionAffinity<&'static str, &'static str> for ByLetter {
/// #     type Session = Kept;
/// #     type Later = Undelayed<Kept>;
/// #     fn locate(&self, request: &mut &'static str) -> Located<Kept, Undelayed<Kept>> {
/// #         Located::Now(Kept, Some(Home::new(&request[..1])))
/// #     }
/// # }
/// # impl Bind<&'static str> for Kept {
/// #     fn poll_bind(self: Pin<&mut Self>, _: &mut Context<'_>, _: &Served<'_>, _: &mut &'static str) -> Poll<Option<Home>> {
/// #         Poll::Ready(None)
/// #     }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// # let affinity = ByLetter;
/// # let backends = [Endpoint::new("a", "a"), Endpoint::new("b", "b")];
/// # let pool = Pool::builder().backends(backends).spawn();
/// # let inner = tower::service_fn(async |call: Assigned<&'static str, Endpoint<&'static str>>| Ok::<_, BoxError>(*call.backend.target()));
/// let mut sticky = ServiceBuilder::new()
///     .layer(StickyLayer::new(affinity).grace(Duration::from_secs(30)))
///     .layer(BalanceLayer::new(pool))
///     .service(inner);
/// # assert_eq!(sticky.ready().await?.call("b, please").await?, "b");
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use]
pub struct StickyLayer<A> {
    affinity: Arc<A>,
    settings: Settings,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    grace: Duration,
    strict: bool,
    pub(super) deadline: Duration,
}

impl Settings {
    /// The same ask, of a session that is at home there.
    pub(super) fn at_home(&self, ask: &Ask, home: Home) -> Ask {
        let ask = ask.clone().with_home(home);
        if self.strict {
            ask.strictly()
        } else {
            ask.with_grace(self.grace)
        }
    }
}

impl<A> StickyLayer<A> {
    /// Sessions as this knows them; they move as soon as their home can't serve them.
    pub fn new(affinity: A) -> Self {
        Self {
            affinity: Arc::new(affinity),
            settings: Settings {
                grace: Duration::ZERO,
                strict: false,
                deadline: Duration::from_millis(100),
            },
        }
    }

    /// For how long a session keeps a home that is unfit, in maintenance, or has failed its request, and is a guest elsewhere:
    /// at most 49 days, counted from when the home became so; not at all unless said otherwise. [`strict`](StickyLayer::strict)
    /// comes before it.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// A request whose session's home can't serve it is refused, as unavailable (503), or overloaded where the home is full and
    /// there is no queue: what the session has there is nowhere else. A home that has left the pool, or has drained for longer
    /// than it gave its sessions, has ended them, and they move.
    pub fn strict(mut self) -> Self {
        self.settings.strict = true;
        self
    }

    /// How long an affinity that has to ask may take to find a session, and again to bind it; 100 ms unless said otherwise. A
    /// request is then served as if it were of no session. Stores have shorter ones of their own, and something to fall back to.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }
}

impl<A> Clone for StickyLayer<A> {
    fn clone(&self) -> Self {
        Self {
            affinity: Arc::clone(&self.affinity),
            settings: self.settings,
        }
    }
}

impl<A, D> Layer<D> for StickyLayer<A> {
    type Service = Sticky<D, A>;

    fn layer(&self, inner: D) -> Self::Service {
        Sticky::new(inner, Arc::clone(&self.affinity), self.settings)
    }
}
