//! A backend with a service of its own.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use tower_service::Service;

use super::{
    keeper::{Keeper, keep_given},
    slot::Slot,
};
use crate::{Backend, BoxError, Clock, Locality, Readiness};

/// A backend `B` with one connected service `Svc` for requests `Req`: what the members of a pool are whose calls
/// [`CallMember`](super::CallMember) makes.
///
/// It is [ready](Backend::readiness) when its service is. Clones share the one service, which is dropped with the last
/// of them: a pool holds its members until they are removed, a lease its member until it ends.
pub struct Connected<B, Svc, Req> {
    backend: B,
    slot: Arc<Slot<Svc>>,
    /// What the service is asked whether it is ready for.
    requests: PhantomData<fn(Req)>,
}

impl<B, Svc, Req> Connected<B, Svc, Req> {
    pub(super) fn with(backend: B, slot: Arc<Slot<Svc>>) -> Self {
        Self {
            backend,
            slot,
            requests: PhantomData,
        }
    }

    /// The backend itself.
    pub fn get_ref(&self) -> &B {
        &self.backend
    }

    pub(super) fn slot(&self) -> &Arc<Slot<Svc>> {
        &self.slot
    }
}

/// How long a call waits for a service that another request has taken.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

impl<B, Svc, Req> Connected<B, Svc, Req>
where
    B: Backend,
    Svc: Service<Req, Error: Into<BoxError>> + Send + 'static,
    Req: 'static,
{
    /// A backend with a service that is there already and that nobody can make anew: once the service has failed, the
    /// backend is failing for good.
    ///
    /// # Panics
    /// Outside a tokio runtime with a timer, on which the service is kept.
    pub fn new(backend: B, service: Svc) -> Self {
        let clock = Clock::system();
        let slot = Arc::new(Slot::new(Some(service), clock.clone(), PATIENCE));
        let keeping = keep_given::<Svc, Req>(Arc::downgrade(&slot), backend.id().into());
        let keeper = tokio::spawn(Keeper::new(&slot, clock, keeping));
        slot.kept_by(keeper.abort_handle());
        Self::with(backend, slot)
    }
}

impl<B, Svc, Req> Backend for Connected<B, Svc, Req>
where
    B: Backend,
    Svc: Send + 'static,
    Req: 'static,
{
    fn id(&self) -> &str {
        self.backend.id()
    }
    fn weight(&self) -> u32 {
        self.backend.weight()
    }
    fn priority(&self) -> u8 {
        self.backend.priority()
    }
    fn locality(&self) -> Option<&Locality> {
        self.backend.locality()
    }
    fn readiness(&self) -> Option<&Readiness> {
        Some(self.slot.readiness())
    }
}

impl<T, B: AsRef<T>, Svc, Req> AsRef<T> for Connected<B, Svc, Req> {
    fn as_ref(&self) -> &T {
        self.backend.as_ref()
    }
}

impl<B: Clone, Svc, Req> Clone for Connected<B, Svc, Req> {
    fn clone(&self) -> Self {
        Self::with(self.backend.clone(), Arc::clone(&self.slot))
    }
}

impl<B: fmt::Debug, Svc, Req> fmt::Debug for Connected<B, Svc, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected")
            .field("backend", &self.backend)
            .field("readiness", self.slot.readiness())
            .finish()
    }
}
