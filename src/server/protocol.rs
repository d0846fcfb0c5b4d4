//! hyper's side of a connection, in the version of HTTP that its client speaks.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http_body::Body;
use hyper::{
    body::Incoming,
    rt::{self, bounds::Http2ServerConnExec},
    server::conn::{http1, http2},
    service::HttpService,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Server,
    line::Line,
    stream::Streams,
    wire::{Version, Wire},
};
use crate::BoxError;

/// hyper allocates for each request when told a number of headers, unless it is told nothing and takes this one.
pub(super) const HYPERS_MAX_HEADERS: usize = 100;
/// What hyper reads ahead and holds unwritten of a connection of HTTP/1, in bytes, if heads may not be longer.
const BUFFER: usize = 128 * 1024;
/// How many streams that were not yet accepted a client may have reset before its connection ends (CVE-2023-44487).
const MAX_RESETS: usize = 20;
/// How long a client of HTTP/2 may take to answer a ping.
const PONG: Duration = Duration::from_secs(20);

impl Server {
    pub(super) fn http1(&self, line: &Arc<Line>) -> http1::Builder {
        let mut http1 = http1::Builder::new();
        http1
            .timer(HeadTimer(Arc::clone(line)))
            // Any will do, see there.
            .header_read_timeout(Duration::ZERO)
            .max_header_size(self.max_header_bytes)
            .max_buf_size(BUFFER.max(self.max_header_bytes));
        if self.max_headers != HYPERS_MAX_HEADERS {
            http1.max_headers(self.max_headers);
        }
        http1
    }

    pub(super) fn http2(&self, line: &Arc<Line>) -> http2::Builder<Streams> {
        let mut http2 = http2::Builder::new(Streams {
            stall: self.stall,
            line: Arc::clone(line),
        });
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.max_streams)
            .max_header_list_size(u32::try_from(self.max_header_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(MAX_RESETS)
            .keep_alive_interval(self.ping)
            .keep_alive_timeout(PONG);
        http2
    }
}

/// Something of a connection that goes on until it ends by itself or has closed as asked.
pub(super) trait Closing {
    type Output;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output>;

    /// Nothing new: finish what is in flight.
    fn close(&mut self);
}

/// A connection whose version is not known yet. None once it is known that it won't be.
pub(super) struct Opening<'a, T> {
    pub(super) wire: &'a mut Wire<T>,
    pub(super) closed: bool,
}

impl<T: AsyncRead + Unpin> Closing for Opening<'_, T> {
    type Output = Option<Version>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.closed {
            return Poll::Ready(None);
        }
        self.wire.poll_version(cx).map(Result::ok)
    }

    fn close(&mut self) {
        self.closed = true;
    }
}

impl<T, H> Closing for http1::UpgradeableConnection<TokioIo<Wire<T>>, H>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: HttpService<Incoming, ResBody: Body<Error: Into<BoxError>> + 'static, Error: Into<BoxError>>,
{
    type Output = ();

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What ended it in error is for the client to know, and logged by hyper.
        Future::poll(Pin::new(self), cx).map(|_| ())
    }

    fn close(&mut self) {
        Pin::new(self).graceful_shutdown();
    }
}

impl<T, H> Closing for http2::Connection<TokioIo<Wire<T>>, H, Streams>
where
    T: AsyncRead + AsyncWrite + Unpin,
    H: HttpService<Incoming, ResBody: Body<Error: Into<BoxError>> + 'static, Error: Into<BoxError>>,
    Streams: Http2ServerConnExec<H::Future, H::ResBody>,
{
    type Output = ();

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Future::poll(Pin::new(self), cx).map(|_| ())
    }

    fn close(&mut self) {
        Pin::new(self).graceful_shutdown();
    }
}

/// Learns from hyper when a connection of HTTP/1 begins to wait for a request, which nobody else knows: the response
/// is written by then, and the request's body read, which a service may have left for later.
///
/// hyper starts a timer there, with each request, on the heap and in the runtime's wheel. This one costs neither: it
/// never fires, the connection's task looks at the line instead.
struct HeadTimer(Arc<Line>);

impl rt::Timer for HeadTimer {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(Instant::now())
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.0.awaits_head();
        Box::pin(Never)
    }

    fn reset(&self, _: &mut Pin<Box<dyn rt::Sleep>>, _: Instant) {
        self.0.awaits_head();
    }
}

/// Of no size, so that its box is no allocation.
struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl rt::Sleep for Never {}
