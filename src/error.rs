//! What a balanced call can fail with.

use std::{error, fmt};

/// Any error, as tower's own.
pub type BoxError = Box<dyn error::Error + Send + Sync>;

/// Why a call failed: nobody to pick, everybody full, or the backend's own error.
///
/// ```
/// # use equipoise::{BoxError, Error, ErrorKind};
/// fn report(error: &Error) {
///     match (error.kind(), error.backend()) {
///         (ErrorKind::Backend, Some(id)) => eprintln!("{id} failed: {:?}", std::error::Error::source(error)),
///         _ => eprintln!("{error}"),
///     }
/// }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    why: &'static str,
    backend: Option<Box<str>>,
    source: Option<BoxError>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is nobody to pick: no members, none with a weight, all tried before, or the pool is closed.
    Unavailable,
    /// Every member is at its in-flight limit, and the request was shed, the queue was full, or the wait too long.
    Overloaded,
    /// The inner service failed: the error has the backend's id and the service's own error as its source.
    Backend,
}

impl ErrorKind {
    /// One word, for logs and metrics: `unavailable`, `overloaded` or `backend`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Backend => "backend",
        }
    }
}

impl Error {
    pub(crate) fn unavailable(why: &'static str) -> Self {
        Self::new(ErrorKind::Unavailable, why, None, None)
    }

    pub(crate) fn overloaded(why: &'static str) -> Self {
        Self::new(ErrorKind::Overloaded, why, None, None)
    }

    /// A backend's failure, for services that stand in for an inner service.
    pub fn backend_failed(id: Option<&str>, source: impl Into<BoxError>) -> Self {
        Self::new(ErrorKind::Backend, "the inner service failed", id, Some(source.into()))
    }

    fn new(kind: ErrorKind, why: &'static str, backend: Option<&str>, source: Option<BoxError>) -> Self {
        Self(Box::new(Inner {
            kind,
            why,
            backend: backend.map(Box::from),
            source,
        }))
    }

    /// What kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The id of the backend that failed; none if no backend was chosen.
    pub fn backend(&self) -> Option<&str> {
        self.0.backend.as_deref()
    }

    /// Whether the same request may succeed on another backend or a moment later. Whether it may be sent twice is the
    /// caller's to know.
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Unavailable => false,
            ErrorKind::Overloaded | ErrorKind::Backend => true,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.kind, self.backend()) {
            (ErrorKind::Backend, Some(id)) => write!(f, "backend '{}' failed", id.escape_debug()),
            (kind, _) => write!(f, "{}: {}", kind.name(), self.0.why),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("why", &self.0.why)
            .field("backend", &self.0.backend)
            .field("source", &self.0.source)
            .finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_not_break_the_line_of_a_message() {
        let error = Error::backend_failed(Some("a\n\u{1b}[2J"), "refused");
        assert_eq!(error.to_string(), r"backend 'a\n\u{1b}[2J' failed");
        assert_eq!(error.backend(), Some("a\n\u{1b}[2J"));
    }
}
