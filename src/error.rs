//! What a balanced call can fail with.

use std::{
    error::{self, Error as _},
    fmt,
};

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
    tried: Vec<Box<str>>,
    /// Whether anybody was sent anything, if that is known for all who were tried.
    was_sent: Option<bool>,
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
    /// The time given to one try, or to the whole request, was over: what a failover gives up.
    Timeout,
}

impl ErrorKind {
    /// One word, for logs and metrics: `unavailable`, `overloaded`, `backend` or `timeout`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Backend => "backend",
            Self::Timeout => "timeout",
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

    pub(crate) fn timeout(id: Option<&str>, why: &'static str) -> Self {
        Self::new(ErrorKind::Timeout, why, id, None)
    }

    fn new(kind: ErrorKind, why: &'static str, backend: Option<&str>, source: Option<BoxError>) -> Self {
        Self(Box::new(Inner {
            kind,
            why,
            backend: backend.map(Box::from),
            source,
            tried: Vec::new(),
            was_sent: None,
        }))
    }

    /// Notes who was tried for the request, and whether any of them was sent something of it.
    pub(crate) fn after(mut self, tried: Vec<Box<str>>, was_sent: bool) -> Self {
        self.0.tried = tried;
        self.0.was_sent = Some(was_sent);
        self
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
            ErrorKind::Overloaded | ErrorKind::Backend | ErrorKind::Timeout => true,
        }
    }

    /// The ids of the backends that were tried, in order, one as often as it was tried: for a failover's errors.
    pub fn tried(&self) -> impl Iterator<Item = &str> {
        self.0.tried.iter().map(AsRef::as_ref)
    }

    /// Whether it is certain that nothing of the request has been sent to any backend, so that it can be sent again
    /// whatever it asks for: nobody was picked, or the inner service's error comes from an [`Unsent`] or from an error of
    /// which this holds; of a failover's error, that this holds of all that was tried.
    pub fn is_unsent(&self) -> bool {
        match (self.0.was_sent, self.0.kind) {
            (Some(was_sent), _) => !was_sent,
            (None, ErrorKind::Unavailable | ErrorKind::Overloaded) => true,
            (None, ErrorKind::Backend) => self.source().is_some_and(is_unsent),
            (None, ErrorKind::Timeout) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.kind, self.backend()) {
            (ErrorKind::Backend, Some(id)) => write!(f, "backend '{}' failed", id.escape_debug())?,
            (ErrorKind::Timeout, Some(id)) => write!(f, "timeout: {} at backend '{}'", self.0.why, id.escape_debug())?,
            (kind, _) => write!(f, "{}: {}", kind.name(), self.0.why)?,
        }
        // One that was tried and failed is said already.
        match self.0.tried.len() {
            0 | 1 => Ok(()),
            times => write!(f, ", the last of {times} tries"),
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
            .field("tried", &self.0.tried)
            .finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// An error of an inner service that failed before it had sent anything of the request, such as a refused connection, or
/// whose backend said that it had not looked at it: the request may be tried elsewhere, whatever it asks for.
///
/// ```
/// use equipoise::{BoxError, Error, Unsent};
/// fn refused() -> BoxError {
///     Unsent::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)).into()
/// }
/// assert!(Error::backend_failed(Some("a"), refused()).is_unsent());
/// assert!(!Error::backend_failed(Some("a"), "broke off").is_unsent());
/// ```
#[derive(Debug)]
pub struct Unsent(BoxError);

impl Unsent {
    /// Says so of this error.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was sent")
    }
}

impl error::Error for Unsent {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// Whether this error, or what it comes from, says that nothing was sent.
fn is_unsent(error: &(dyn error::Error + 'static)) -> bool {
    match error.downcast_ref::<Error>() {
        // It knows what was before it.
        Some(error) => error.is_unsent(),
        None => error.is::<Unsent>() || error.source().is_some_and(is_unsent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_within_is_unsent_as_long_as_it_says_so_of_all_its_tries() {
        let full = || Error::backend_failed(Some("a"), Error::overloaded("a pool within a pool has no room"));
        assert!(full().is_unsent());
        assert!(!full().after(vec!["a".into()], true).is_unsent());
        let within = Error::backend_failed(Some("a"), Unsent::new("refused")).after(vec!["a".into(), "b".into()], true);
        assert!(!Error::backend_failed(Some("c"), within).is_unsent());
        assert!(!Error::timeout(Some("a"), "late").is_unsent());
    }

    #[test]
    fn an_id_can_not_break_the_line_of_a_message() {
        let error = Error::backend_failed(Some("a\n\u{1b}[2J"), "refused");
        assert_eq!(error.to_string(), r"backend 'a\n\u{1b}[2J' failed");
        assert_eq!(error.backend(), Some("a\n\u{1b}[2J"));
    }
}
