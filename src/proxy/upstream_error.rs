//! What can go wrong between the proxy and a backend.

use std::{error, fmt, io};

use hyper_util::client::legacy;

use super::connector::ConnectTimeout;
use crate::{BoxError, Unsent};

/// Why a backend gave no response. Where there was no connection, or the backend did not look at the request, it comes
/// from an [`Unsent`].
#[derive(Debug)]
pub struct UpstreamError {
    kind: UpstreamErrorKind,
    source: Option<BoxError>,
}

/// The kinds of [`UpstreamError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamErrorKind {
    /// There is no connection: refused, no route, no such name.
    Unreachable,
    /// There was no connection in time.
    ConnectTimeout,
    /// The response's head did not come in time.
    HeadTimeout,
    /// The connection broke before the response's head was there.
    Broken,
    /// The backend has refused the request's stream before it did anything with it (RFC 9113 §8.7).
    Refused,
    /// The response is no valid HTTP, or can be read in more than one way.
    Invalid,
    /// The backend speaks HTTP/1.0, which can't be sent content whose length is not known: it answered a request
    /// without.
    Unsendable,
}

impl UpstreamError {
    pub(super) fn new(kind: UpstreamErrorKind, source: Option<BoxError>) -> Self {
        Self { kind, source }
    }

    /// Which of them.
    pub fn kind(&self) -> UpstreamErrorKind {
        self.kind
    }
}

impl From<legacy::Error> for UpstreamError {
    fn from(error: legacy::Error) -> Self {
        let kind = UpstreamErrorKind::of(&error);
        let source = match kind {
            UpstreamErrorKind::Unreachable | UpstreamErrorKind::ConnectTimeout | UpstreamErrorKind::Refused => {
                Unsent::new(error).into()
            }
            _ => error.into(),
        };
        Self::new(kind, Some(source))
    }
}

impl UpstreamErrorKind {
    pub(super) fn of(error: &legacy::Error) -> Self {
        let is_late = |source: &(dyn error::Error + 'static)| {
            source.is::<ConnectTimeout>()
                || (source.downcast_ref::<io::Error>()).is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        let is_parse = |source: &(dyn error::Error + 'static)| {
            source
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_parse)
        };
        let is_refused = |source: &(dyn error::Error + 'static)| {
            (source.downcast_ref::<h2::Error>()).is_some_and(|error| {
                error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
            })
        };
        match error.is_connect() {
            true if sources(error).any(is_late) => Self::ConnectTimeout,
            true => Self::Unreachable,
            false if sources(error).any(is_parse) => Self::Invalid,
            false if sources(error).any(is_refused) => Self::Refused,
            false => Self::Broken,
        }
    }
}

/// An error and all that it comes from.
pub(super) fn sources<'a>(
    error: &'a (dyn error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            UpstreamErrorKind::Unreachable => "no connection",
            UpstreamErrorKind::ConnectTimeout => "no connection in time",
            UpstreamErrorKind::HeadTimeout => "no response in time",
            UpstreamErrorKind::Broken => "the connection broke before the response",
            UpstreamErrorKind::Refused => "the backend refused the request's stream",
            UpstreamErrorKind::Invalid => "the response is not valid HTTP",
            UpstreamErrorKind::Unsendable => "content of unknown length could not be sent by HTTP/1.0",
        })
    }
}

impl error::Error for UpstreamError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
