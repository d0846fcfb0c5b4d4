//! Discoveries of members that have services.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use pin_project_lite::pin_project;
use tower::discover::{Change, Discover};
use tower_service::Service;

use super::{Connected, Connector};
use crate::{Backend, BoxError, Endpoint};

pin_project! {
    /// A discovery whose backends are given services by a connector: what
    /// [`Connector::discover`] makes.
    pub struct ConnectedDiscover<D: Discover, M: Service<D::Service>, Req> {
        #[pin]
        discover: D,
        connector: Connector<D::Service, M, Req>,
    }
}

impl<D: Discover, M: Service<D::Service>, Req> ConnectedDiscover<D, M, Req> {
    pub(super) fn new(discover: D, connector: Connector<D::Service, M, Req>) -> Self {
        Self { discover, connector }
    }
}

impl<D, M, Req> Stream for ConnectedDiscover<D, M, Req>
where
    D: Discover<Service: Backend + Clone>,
    M: Service<D::Service, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    M::Response: Service<Req, Error: Into<BoxError>> + Send + 'static,
    Req: 'static,
{
    type Item = Result<Change<D::Key, Connected<D::Service, M::Response, Req>>, D::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let change = ready!(this.discover.poll_discover(cx));
        Poll::Ready(change.map(|change| {
            Ok(match change? {
                Change::Insert(key, backend) => Change::Insert(key, this.connector.backend(backend)),
                Change::Remove(key) => Change::Remove(key),
            })
        }))
    }
}

impl<D: Discover, M: Service<D::Service>, Req> fmt::Debug for ConnectedDiscover<D, M, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectedDiscover")
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A discovery of services, as tower's own balancer takes it, as one of members: a member's id is its key's text,
    /// and its target the key.
    ///
    /// Nobody can make such a service anew: a member whose service has failed is failing for good, which is to say that
    /// it is passed by, until discovery removes it or inserts another under its key. It is to be polled on a tokio
    /// runtime.
    pub struct ServiceDiscover<D, Req> {
        #[pin]
        discover: D,
        requests: PhantomData<fn(Req)>,
    }
}

impl<D: Discover, Req> ServiceDiscover<D, Req> {
    /// For [`PoolBuilder::discover`](crate::PoolBuilder::discover).
    pub fn new(discover: D) -> Self {
        Self {
            discover,
            requests: PhantomData,
        }
    }
}

impl<D, Req> Stream for ServiceDiscover<D, Req>
where
    D: Discover<Key: Clone + fmt::Display + Send + Sync + 'static>,
    D::Service: Service<Req, Error: Into<BoxError>> + Send + 'static,
    Req: 'static,
{
    type Item = Result<Change<D::Key, Connected<Endpoint<D::Key>, D::Service, Req>>, D::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let change = ready!(self.project().discover.poll_discover(cx));
        Poll::Ready(change.map(|change| {
            Ok(match change? {
                Change::Insert(key, service) => {
                    let endpoint = Endpoint::new(key.to_string(), key.clone());
                    Change::Insert(key, Connected::new(endpoint, service))
                }
                Change::Remove(key) => Change::Remove(key),
            })
        }))
    }
}

impl<D, Req> fmt::Debug for ServiceDiscover<D, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceDiscover")
    }
}
