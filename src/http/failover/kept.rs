//! What is kept of a request to send it again.

use std::{
    error::Error as _,
    fmt, io, iter,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use http::Request;
use http_body::Body;

use super::Attempt;
use crate::{BoxError, Error, ErrorKind, http::Replay};

/// What is kept of an HTTP request while it is tried: its head, and a hold on its body.
pub struct Kept<D> {
    request: Request<Replay<D>>,
    is_repeatable: bool,
    /// How much of the content had been read when that was last looked at.
    read: AtomicU64,
}

impl<D: Body<Error: Into<BoxError>> + Unpin> Kept<D> {
    /// Of a request that is to be sent; none if another failover has sent it.
    pub(super) fn keep(
        request: Request<D>,
        limit: usize,
        is_repeatable: impl FnOnce(&Request<D>) -> bool,
    ) -> (Request<Replay<D>>, Option<Self>) {
        if request.extensions().get::<Attempt>().is_some() {
            return (request.map(|body| Replay::new(body, 0)), None);
        }
        let is_repeatable = is_repeatable(&request);
        let mut sent = request.map(|body| Replay::new(body, limit));
        sent.extensions_mut().insert(Attempt::new(1));
        let kept = copy(&sent).map(|request| Self {
            request,
            is_repeatable,
            read: AtomicU64::new(0),
        });
        (sent, kept)
    }

    pub(super) fn again(&self, attempt: u32) -> Option<Request<Replay<D>>> {
        let mut request = copy(&self.request)?;
        request.extensions_mut().insert(Attempt::new(attempt));
        Some(request)
    }
}

impl<D> Kept<D> {
    /// Two may run at once if neither waits for a part of the content that only one of them can have.
    pub(super) fn may_hedge(&self) -> bool {
        self.is_repeatable && self.request.body().is_complete()
    }

    /// Whether the caller has given all of the content that was asked for, and none was since this was last asked.
    pub(super) fn is_there(&self) -> bool {
        let body = self.request.body();
        let (read, is_awaited) = body.progress();
        let is_idle = self.read.swap(read, Relaxed) == read;
        body.is_read() || is_idle && !is_awaited
    }

    pub(super) fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }
}

fn copy<D: Body<Error: Into<BoxError>> + Unpin>(request: &Request<Replay<D>>) -> Option<Request<Replay<D>>> {
    let mut copy = Request::new(request.body().again()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

/// Whether nothing of the request was sent: by the error's own word, or as no connection came to be.
pub(super) fn is_unsent(error: &Error) -> bool {
    let causes = iter::successors(error.source(), |cause| (*cause).source());
    // An error of another balanced call speaks for all that it stands for.
    let mut causes = causes.take_while(|cause| !cause.is::<Error>());
    error.is_unsent()
        || error.kind() == ErrorKind::Backend
            && error.tried().next().is_none()
            && causes.any(|cause| cause.downcast_ref().is_some_and(is_refusal))
}

/// What a connection that is not there yet fails with. One that is there may fail as out of reach as well, when there is no
/// way to its host any more.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::AddrNotAvailable
    )
}

impl<D> fmt::Debug for Kept<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("method", self.request.method())
            .field("uri", self.request.uri())
            .field("is_repeatable", &self.is_repeatable)
            .finish_non_exhaustive()
    }
}
