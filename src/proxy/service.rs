//! The service.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Method, Request, Response, Version};
use http_body::Body;
use hyper::body::Bytes;
use ipnet::IpNet;
use tower_layer::Layer;
use tower_service::Service;

use super::{ProxyBody, ProxyFuture, UpstreamBody, refusal::Refusal, request::prepare, settings::Settings};
use crate::BoxError;

/// A reverse proxy: an HTTP service that passes requests on to a client for backends.
///
/// See the [module](super) for what it does on the way.
pub struct Proxy<S> {
    client: S,
    settings: Arc<Settings>,
    /// Why the client can take no request, for whom the next call is.
    unready: Option<Refusal>,
}

impl<S> Proxy<S> {
    /// A proxy over this client, with the defaults of [`ProxyLayer`].
    pub fn new(client: S) -> Self {
        ProxyLayer::new().layer(client)
    }
}

/// The layer of [`Proxy`], and how it is to be.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ProxyLayer {
    settings: Settings,
}

impl ProxyLayer {
    /// Nobody is trusted, and the time-outs are those said below.
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes what these peers say of the clients before them, in `X-Forwarded-For`, `-Proto`, `-Host` and
    /// `Forwarded`. May be said several times.
    pub fn trust(mut self, peers: IpNet) -> Self {
        self.settings.trusted.push(peers);
        self
    }

    /// How long nothing of a request's content may come before it is given up: 408 (Request Timeout); 60 s unless said
    /// otherwise. Once the response has begun, only a backend's own gap counts.
    pub fn upload_gap(mut self, gap: Duration) -> Self {
        self.settings.upload_gap = gap;
        self
    }

    /// How long a client that sent `Expect: 100-continue` waits for the backend's word before it is asked for its
    /// content anyhow; 1 s unless said otherwise.
    pub fn continue_wait(mut self, wait: Duration) -> Self {
        self.settings.continue_wait = wait;
        self
    }

    /// How long nothing may go through a tunnel; 1 h unless said otherwise.
    pub fn tunnel_idle(mut self, idle: Duration) -> Self {
        self.settings.tunnel_idle = idle;
        self
    }
}

impl<S> Layer<S> for ProxyLayer {
    type Service = Proxy<S>;

    fn layer(&self, client: S) -> Proxy<S> {
        Proxy {
            client,
            settings: Arc::new(self.settings.clone()),
            unready: None,
        }
    }
}

impl<S, D, RD> Service<Request<D>> for Proxy<S>
where
    S: Service<Request<UpstreamBody<D>>, Response = Response<RD>, Error: Into<BoxError>>,
    D: Body,
    RD: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<ProxyBody<RD>>;
    type Error = Infallible;
    type Future = ProxyFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.client.poll_ready(cx).map(|ready| {
            self.unready = ready.err().map(|error| Refusal::of(error.into().as_ref()));
            Ok(())
        })
    }

    fn call(&mut self, request: Request<D>) -> Self::Future {
        let (to_head, is_multiplexed) = (request.method() == Method::HEAD, request.version() >= Version::HTTP_2);
        let refusal = match self.unready.take() {
            Some(refusal) => refusal,
            None => match prepare(request, &self.settings) {
                Ok((request, exchange)) => return ProxyFuture::calling(self.client.call(request), exchange),
                Err(refusal) => refusal,
            },
        };
        ProxyFuture::answered(refusal.response(to_head, is_multiplexed))
    }
}

impl<S: Clone> Clone for Proxy<S> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            settings: Arc::clone(&self.settings),
            unready: None,
        }
    }
}

impl<S> fmt::Debug for Proxy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
