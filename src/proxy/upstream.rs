//! The client for backends.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    HeaderValue, Request, Response, StatusCode, Version,
    header::{CONNECTION, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE},
    response,
};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, ResponseFuture},
    rt::{TokioExecutor, TokioTimer},
};
use tower_service::Service;

use super::{
    UpstreamBody, UpstreamError, UpstreamErrorKind,
    connector::Connector,
    download::DownstreamBody,
    framing,
    gap::Gap,
    sent::{Progress, SentBody},
    upgrade,
    upload::Hold,
};
use crate::BoxError;

/// The client that a [`Proxy`](super::Proxy) sends requests to backends with: HTTP/1.1, and HTTP/2 without TLS for
/// requests whose version is HTTP/2, which [`ToOrigin`](crate::http::ToOrigin) makes of those to `h2c` origins.
///
/// It speaks no TLS: a backend of an `https` origin can't be reached. Calls need a tokio runtime with time and IO
/// enabled.
///
/// It takes any body: a proxy's own, or one that a service in between makes of it, such as
/// [`Replay`](crate::http::Replay). How long content may take to come is for whoever makes it, as is
/// [`upload_gap`](super::ProxyLayer::upload_gap): while it is waited for, the backend is not late.
///
/// Connections are kept and used again. All that a backend does wrong is an error here, below the balancer, so that it
/// counts as that backend's failure: no connection, no head in time, a response that could be read in two ways, a
/// switch of protocols that nobody asked for; a response's body that stalls ends in an error.
///
/// A request that was to go over a kept connection which had died is sent again over another, by hyper-util, but only if
/// nothing of it had been written: its body was not looked at then. One that may have been written fails.
///
/// All requests to an `h2c` backend share one connection, and so its limit on streams (200 in hyper's servers): what is
/// beyond waits. To an `h2c` backend, `:authority` is its own; the host that the client asked for is in `X-Forwarded-Host` and
/// `Forwarded`. Its interim responses (1xx) are not seen, as hyper's client does not hand them on in HTTP/2; so
/// `Expect: 100-continue` ends here, and the content follows at once.
pub struct Upstream<B = UpstreamBody<Incoming>> {
    http1: Client<Connector, SentBody<B>>,
    http2: Client<Connector, SentBody<B>>,
    head_timeout: Duration,
    body_gap: Duration,
}

/// An [`Upstream`] in the making.
#[derive(Clone, Debug)]
#[must_use]
pub struct UpstreamBuilder {
    connect_timeout: Duration,
    head_timeout: Duration,
    body_gap: Duration,
    idle_timeout: Duration,
}

impl Upstream {
    /// One whose time-outs are to be set.
    pub fn builder() -> UpstreamBuilder {
        UpstreamBuilder {
            connect_timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(60),
            body_gap: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(4),
        }
    }
}

impl<B> Upstream<B>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    /// One with the default time-outs.
    pub fn new() -> Self {
        Upstream::builder().build()
    }
}

impl<B> Default for Upstream<B>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

impl UpstreamBuilder {
    /// How long a connection may take to be there, the name's resolution included; 5 s unless said otherwise.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a backend may take from the request, or from the last part of its content that it took in, to the
    /// head of its response; 60 s unless said otherwise.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// How long nothing of a response's body may come, while nothing of the request's goes; 60 s unless said
    /// otherwise. A client whose upload stalls meanwhile can't be told from a backend that does. What streams events with longer pauses needs more.
    pub fn body_gap(mut self, gap: Duration) -> Self {
        self.body_gap = gap;
        self
    }

    /// How long a connection is kept that nobody uses; 4 s unless said otherwise.
    ///
    /// Less than what the backends keep it for: where both end is a moment in which a request is sent into a connection
    /// that the backend has just closed, and fails. Node.js, Apache and uvicorn keep one for 5 s by default, nginx for
    /// 75 s.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// The client.
    pub fn build<B>(self) -> Upstream<B>
    where
        B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let connector = Connector::new(self.connect_timeout);
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(self.idle_timeout);
        let http1 = builder.build(connector.clone());
        // All requests to a backend share a connection: what some clients leave unread must not be all that may come.
        let http2 = (builder.timer(TokioTimer::new()).http2_only(true))
            .http2_initial_stream_window_size(256 * 1024)
            .http2_initial_connection_window_size((1 << 31) - 1)
            .build(connector);
        Upstream {
            http1,
            http2,
            head_timeout: self.head_timeout,
            body_gap: self.body_gap,
        }
    }
}

impl<B> Service<Request<B>> for Upstream<B>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<DownstreamBody>;
    type Error = UpstreamError;
    type Future = UpstreamFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> UpstreamFuture {
        let (mut head, body) = request.into_parts();
        let hold = head.extensions.remove::<Hold>();
        let is_http2 = head.version == Version::HTTP_2;
        let asked = head.headers.get(UPGRADE).filter(|_| !is_http2).cloned();
        let client = if is_http2 {
            // RFC 9113 §8.2.2 and §8.3.1.
            for name in [HOST, CONNECTION, UPGRADE, TRANSFER_ENCODING, EXPECT] {
                head.headers.remove(name);
            }
            if let Some(hold) = &hold {
                hold.ask();
            }
            &self.http2
        } else {
            &self.http1
        };
        let (body, progress) = SentBody::new(body, hold);
        let response = client.request(Request::from_parts(head, body));
        UpstreamFuture {
            response,
            gap: Gap::new(self.head_timeout),
            progress,
            body_gap: self.body_gap,
            asked,
        }
    }
}

impl<B> Clone for Upstream<B> {
    fn clone(&self) -> Self {
        Self {
            http1: self.http1.clone(),
            http2: self.http2.clone(),
            ..*self
        }
    }
}

impl<B> fmt::Debug for Upstream<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("head_timeout", &self.head_timeout)
            .field("body_gap", &self.body_gap)
            .finish_non_exhaustive()
    }
}

/// The future of an [`Upstream`]'s call.
pub struct UpstreamFuture {
    response: ResponseFuture,
    gap: Gap,
    progress: Option<Progress>,
    body_gap: Duration,
    /// Which other protocols were asked for.
    asked: Option<HeaderValue>,
}

impl Future for UpstreamFuture {
    type Output = Result<Response<DownstreamBody>, UpstreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let let_go = || this.progress.as_ref().and_then(Progress::let_go);
        match Pin::new(&mut this.response).poll(cx) {
            Poll::Ready(Ok(response)) => {
                let (head, body) = response.into_parts();
                if this.progress.as_ref().is_some_and(Progress::is_ignored) {
                    // On a kept connection to a backend of HTTP/1.0 hyper sends no content whose length is not known,
                    // and does not say so (RFC 9112 §6.1 knows no other way there either).
                    return Poll::Ready(Err(UpstreamError::new(UpstreamErrorKind::Unsendable, None)));
                }
                if let Some(objection) = self::objection(&head, this.asked.as_ref()) {
                    let error = UpstreamError::new(UpstreamErrorKind::Invalid, Some(objection.into()));
                    return Poll::Ready(Err(error));
                }
                let body = DownstreamBody::new(body, Gap::new(this.body_gap), this.progress.take());
                Poll::Ready(Ok(Response::from_parts(head, body)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => match this.gap.poll_over(cx, let_go) {
                Poll::Ready(()) => Poll::Ready(Err(UpstreamError::new(UpstreamErrorKind::HeadTimeout, None))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

/// Why a response can't be passed on.
fn objection(head: &response::Parts, asked: Option<&HeaderValue>) -> Option<&'static str> {
    let is_granted = || asked.and_then(|asked| upgrade::granted(head, asked)).is_some();
    if head.status == StatusCode::SWITCHING_PROTOCOLS && !is_granted() {
        return Some("nobody asked for that protocol");
    }
    framing::objection(head)
}

impl fmt::Debug for UpstreamFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamFuture")
    }
}
