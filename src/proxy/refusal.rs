//! Answers of the proxy's own.

use std::error::Error;

use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE},
};
use hyper::body::Bytes;

use super::upstream_error::{UpstreamError, UpstreamErrorKind, sources};
use crate::ErrorKind;

/// Why a request is answered here: a status and one plain sentence, which names no address and no backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    text: &'static str,
}

const fn of(status: StatusCode, text: &'static str) -> Refusal {
    Refusal { status, text }
}

impl Refusal {
    /// No refusal, but an answer that is given here: the request asked how far it would come (`Max-Forwards: 0`).
    pub(super) const HERE: Self = of(StatusCode::OK, "");

    // The client's fault: what it sends next on this connection could be anything, so that is closed.
    pub(super) const HOST: Self = of(StatusCode::BAD_REQUEST, "The request does not name one valid host.\n");
    pub(super) const TARGET: Self = of(
        StatusCode::BAD_REQUEST,
        "The request target has a form that this method does not take.\n",
    );
    pub(super) const LENGTH: Self = of(
        StatusCode::BAD_REQUEST,
        "The request does not say in one way how long its content is.\n",
    );
    pub(super) const UPLOAD: Self = of(
        StatusCode::BAD_REQUEST,
        "The request's content broke off or is not well formed.\n",
    );
    pub(super) const METHOD: Self = of(
        StatusCode::METHOD_NOT_ALLOWED,
        "CONNECT and TRACE are not served here.\n",
    );
    pub(super) const STALLED: Self = of(
        StatusCode::REQUEST_TIMEOUT,
        "The request's content did not come in time.\n",
    );
    pub(super) const EXPECTATION: Self = of(
        StatusCode::EXPECTATION_FAILED,
        "No expectation but 100-continue can be met.\n",
    );
    pub(super) const CODING: Self = of(
        StatusCode::NOT_IMPLEMENTED,
        "No transfer coding but chunked is understood.\n",
    );

    // The backends'.
    pub(super) const UNREACHABLE: Self = of(StatusCode::BAD_GATEWAY, "The backend could not be reached.\n");
    pub(super) const BROKEN: Self = of(
        StatusCode::BAD_GATEWAY,
        "The backend broke off before it had answered.\n",
    );
    pub(super) const REFUSED: Self = of(StatusCode::BAD_GATEWAY, "The backend refused the request.\n");
    pub(super) const INVALID: Self = of(StatusCode::BAD_GATEWAY, "The backend's answer is not valid HTTP.\n");
    pub(super) const UNSENDABLE: Self = of(
        StatusCode::BAD_GATEWAY,
        "The backend can not be sent content of unknown length.\n",
    );
    pub(super) const UNAVAILABLE: Self = of(StatusCode::SERVICE_UNAVAILABLE, "No backend is available.\n");
    pub(super) const OVERLOADED: Self = of(StatusCode::SERVICE_UNAVAILABLE, "Every backend is busy.\n");
    pub(super) const CONNECT_LATE: Self = of(
        StatusCode::GATEWAY_TIMEOUT,
        "The backend could not be reached in time.\n",
    );
    pub(super) const HEAD_LATE: Self = of(StatusCode::GATEWAY_TIMEOUT, "The backend did not answer in time.\n");

    pub(super) const LATE: Self = of(StatusCode::GATEWAY_TIMEOUT, "No backend answered in time.\n");

    /// What a client for backends failed with.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        for source in sources(error) {
            if let Some(error) = source.downcast_ref::<crate::Error>() {
                match error.kind() {
                    ErrorKind::Unavailable => return Self::UNAVAILABLE,
                    ErrorKind::Overloaded => return Self::OVERLOADED,
                    ErrorKind::Timeout => return Self::LATE,
                    // Its source says more.
                    _ => continue,
                }
            }
            let client = source.downcast_ref().map(UpstreamErrorKind::of);
            let kind = source.downcast_ref().map(UpstreamError::kind).or(client);
            if let Some(kind) = kind {
                return match kind {
                    UpstreamErrorKind::Unreachable => Self::UNREACHABLE,
                    UpstreamErrorKind::ConnectTimeout => Self::CONNECT_LATE,
                    UpstreamErrorKind::HeadTimeout => Self::HEAD_LATE,
                    UpstreamErrorKind::Broken => Self::BROKEN,
                    UpstreamErrorKind::Refused => Self::REFUSED,
                    UpstreamErrorKind::Invalid => Self::INVALID,
                    UpstreamErrorKind::Unsendable => Self::UNSENDABLE,
                };
            }
        }
        Self::BROKEN
    }

    /// Whether nothing more can be read from the client's connection.
    fn closes(self) -> bool {
        self.status.is_client_error() || self.status == StatusCode::NOT_IMPLEMENTED
    }

    /// The answer. That to `HEAD` has no content, and to HTTP/2 (`multiplexed`) no connection that it could close.
    pub(super) fn response(self, to_head: bool, multiplexed: bool) -> Response<Bytes> {
        #[cfg(feature = "tracing")]
        if self != Self::HERE {
            let (status, reason) = (self.status.as_u16(), self.text.trim_end());
            // What a balanced client failed with is told by the pool, with the backend, and louder.
            tracing::debug!(target: "equipoise::proxy", status, reason, "not passed on");
        }
        let text = if to_head { "" } else { self.text };
        let mut response = Response::new(Bytes::from_static(text.as_bytes()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.text.len()));
        // A client's mistake or a backend's bad moment is nobody else's answer.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static(ALLOWED));
        }
        if self.closes() && !multiplexed {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// What a 405 has to tell (RFC 9110 §15.5.6): other methods are passed on as well.
const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
