//! Which HTTP requests may be sent again, and what answers say.

use std::{fmt, sync::Arc};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;

use super::{
    kept::{Kept, is_unsent},
    retry_after::retry_after,
};
use crate::{
    BoxError, Error, FailoverPolicy,
    balance::{Judge, Verdict},
    http::Replay,
};

/// How much of a request's content is kept by default, in bytes: that of linkerd2-proxy.
const REPLAY: usize = 64 * 1024;

type IsRepeatable = Arc<dyn Fn(&Method, &HeaderMap) -> bool + Send + Sync>;

/// When an HTTP request is sent to another backend.
///
/// - One of which nothing was sent, whatever it asks for: the connection was refused, or the client's error comes from an
///   [`Unsent`](crate::Unsent), as a client should say of whatever fails before there is a connection.
/// - A safe or idempotent one (RFC 9110 §9.2: GET, HEAD, OPTIONS, TRACE, PUT, DELETE), and what else is
///   [said](HttpFailover::repeatable) to be, after any error, and after an answer of 500 to 599 but for 501 and 505, which
///   would be the same elsewhere. A backend that says `Retry-After` is left alone until then, for 300 s at most; others are
///   not.
///
/// Its content is kept while it is sent, up to 64 KiB unless [said](HttpFailover::replay) otherwise. What is longer is not
/// sent again once any of it has been read.
#[derive(Clone)]
#[must_use]
pub struct HttpFailover {
    replay: usize,
    repeatable: Option<IsRepeatable>,
}

impl HttpFailover {
    /// By these rules.
    pub fn new() -> Self {
        Self {
            replay: REPLAY,
            repeatable: None,
        }
    }

    /// How many bytes of a request's content are kept while it is sent, to send it again.
    pub fn replay(mut self, bytes: usize) -> Self {
        self.replay = bytes;
        self
    }

    /// Which requests besides may be sent twice, such as those with an idempotency key that all backends know:
    ///
    /// ```
    /// use equipoise::http::HttpFailover;
    /// let policy = HttpFailover::new().repeatable(|_, headers| headers.contains_key("idempotency-key"));
    /// ```
    pub fn repeatable(mut self, is_repeatable: impl Fn(&Method, &HeaderMap) -> bool + Send + Sync + 'static) -> Self {
        self.repeatable = Some(Arc::new(is_repeatable));
        self
    }
}

impl<D: Body<Error: Into<BoxError>> + Unpin> FailoverPolicy<Request<D>> for HttpFailover {
    type Sent = Request<Replay<D>>;
    type Kept = Kept<D>;

    fn keep(&self, request: Request<D>) -> (Self::Sent, Option<Self::Kept>) {
        Kept::keep(request, self.replay, |request| {
            let says = |says: &IsRepeatable| says(request.method(), request.headers());
            request.method().is_idempotent() || self.repeatable.as_ref().is_some_and(says)
        })
    }

    fn again(&self, kept: &Self::Kept, attempt: u32) -> Option<Self::Sent> {
        kept.again(attempt)
    }

    fn may_hedge(&self, kept: &Self::Kept) -> bool {
        kept.may_hedge()
    }

    fn is_there(&self, kept: &Self::Kept) -> bool {
        kept.is_there()
    }
}

impl<D, R> Judge<Request<D>, Response<R>> for HttpFailover
where
    D: Body<Error: Into<BoxError>> + Unpin,
{
    fn judge(&self, kept: &Kept<D>, result: Result<&Response<R>, &Error>) -> Verdict {
        match result {
            Err(error) if is_unsent(error) => Verdict::Unsent,
            Ok(response) if !response.status().is_server_error() => Verdict::Success,
            _ if !kept.is_repeatable() => Verdict::Failure,
            Err(_) => Verdict::Elsewhere { back_in: None },
            Ok(response) => match response.status() {
                StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => Verdict::Failure,
                _ => Verdict::Elsewhere {
                    back_in: retry_after(response.headers()),
                },
            },
        }
    }
}

impl Default for HttpFailover {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HttpFailover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFailover")
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
