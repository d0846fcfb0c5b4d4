//! Which gRPC calls may be made again, and what answers say.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body;

use super::kept::{Kept, is_unsent};
use crate::{
    BoxError, Error, FailoverPolicy,
    balance::{Judge, Verdict},
    http::Replay,
};

/// How much of a call's messages is kept by default, in bytes: as in gRPC, per call (A6, "Limits on retries and hedges").
const REPLAY: usize = 256 * 1024;
/// `UNAVAILABLE`.
const UNAVAILABLE: i32 = 14;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const PREVIOUS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");

type IsRepeatable = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// When a gRPC call is made again at another backend, by the rules of gRPC's proposal [A6], "Client Retries".
///
/// - One of which nothing was sent: always (its "transparent retries").
/// - One of a method that is [said](GrpcFailover::repeatable) to be repeatable, while there is no answer but a status:
///   after an error, and after a status of `UNAVAILABLE`, or of [others](GrpcFailover::codes) if said so. Nothing tells that
///   a method may be called twice, so without a word none is. An answer of HTTP only stands for [a status][mapping].
/// - The server's word counts: `grpc-retry-pushback-ms` says when whoever it is may be called again, at most 300 s later, or,
///   negative or no number, that nobody is to be.
///
/// Servers are told by `grpc-previous-rpc-attempts` which call it is.
///
/// [A6]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md
/// [mapping]: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
#[derive(Clone)]
#[must_use]
pub struct GrpcFailover {
    replay: usize,
    repeatable: Option<IsRepeatable>,
    codes: Vec<i32>,
}

impl GrpcFailover {
    /// By these rules.
    pub fn new() -> Self {
        Self {
            replay: REPLAY,
            repeatable: None,
            codes: vec![UNAVAILABLE],
        }
    }

    /// How many bytes of a call's messages are kept while it is made, to make it again; 256 KiB unless said otherwise.
    pub fn replay(mut self, bytes: usize) -> Self {
        self.replay = bytes;
        self
    }

    /// Which methods may be called twice, by their path, such as `/helloworld.Greeter/SayHello`.
    pub fn repeatable(mut self, is_repeatable: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.repeatable = Some(Arc::new(is_repeatable));
        self
    }

    /// After which status codes; 14 (`UNAVAILABLE`) unless said otherwise.
    pub fn codes(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.codes = codes.into_iter().collect();
        self
    }

    /// After an answer that is no more than this status.
    fn of_status(&self, code: i32, headers: &HeaderMap) -> Verdict {
        if !self.codes.contains(&code) {
            return Verdict::Failure;
        }
        let Some(pushback) = headers.get(PUSHBACK) else {
            return Verdict::Elsewhere { back_in: None };
        };
        // Negative or no number: not again.
        let millis = pushback.to_str().ok().and_then(|text| text.parse().ok());
        millis.map_or(Verdict::Failure, |millis| Verdict::Later(Duration::from_millis(millis)))
    }
}

impl<D: Body<Error: Into<BoxError>> + Unpin> FailoverPolicy<Request<D>> for GrpcFailover {
    type Sent = Request<Replay<D>>;
    type Kept = Kept<D>;

    fn keep(&self, request: Request<D>) -> (Self::Sent, Option<Self::Kept>) {
        Kept::keep(request, self.replay, |request| {
            (self.repeatable.as_ref()).is_some_and(|says| says(request.uri().path()))
        })
    }

    fn again(&self, kept: &Self::Kept, attempt: u32) -> Option<Self::Sent> {
        let mut request = kept.again(attempt)?;
        let before = HeaderValue::from(attempt.saturating_sub(1));
        request.headers_mut().insert(PREVIOUS, before);
        Some(request)
    }

    fn may_hedge(&self, kept: &Self::Kept) -> bool {
        kept.may_hedge()
    }

    fn is_there(&self, kept: &Self::Kept) -> bool {
        kept.is_there()
    }
}

impl<D, R> Judge<Request<D>, Response<R>> for GrpcFailover
where
    D: Body<Error: Into<BoxError>> + Unpin,
{
    fn judge(&self, kept: &Kept<D>, result: Result<&Response<R>, &Error>) -> Verdict {
        let verdict = match result {
            Err(error) if is_unsent(error) => return Verdict::Unsent,
            Err(_) => Verdict::Elsewhere { back_in: None },
            Ok(response) => match code(response) {
                // Its status comes with the trailers: it is committed to this backend.
                None | Some(0) => return Verdict::Success,
                Some(code) => self.of_status(code, response.headers()),
            },
        };
        if kept.is_repeatable() {
            verdict
        } else {
            Verdict::Failure
        }
    }
}

/// The status of an answer that is nothing else ("Trailers-Only").
fn code<R>(response: &Response<R>) -> Option<i32> {
    // A status that is no number is `UNKNOWN`.
    const UNKNOWN: i32 = 2;
    if let Some(status) = response.headers().get(STATUS) {
        return Some(
            status
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .unwrap_or(UNKNOWN),
        );
    }
    match response.status() {
        StatusCode::OK => None,
        StatusCode::BAD_REQUEST => Some(13),
        StatusCode::UNAUTHORIZED => Some(16),
        StatusCode::FORBIDDEN => Some(7),
        StatusCode::NOT_FOUND => Some(12),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Some(UNAVAILABLE),
        _ => Some(UNKNOWN),
    }
}

impl Default for GrpcFailover {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for GrpcFailover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcFailover")
            .field("replay", &self.replay)
            .field("codes", &self.codes)
            .finish_non_exhaustive()
    }
}
