//! What a store in Redis failed at.

use std::{error::Error, fmt, sync::Arc};

use redis::RedisError;

/// How much is told of what a server said: it may be anything.
const TOLD: usize = 200;

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The address is none of a Redis.
    Address,
    /// There is no tokio runtime to connect in.
    Runtime,
    /// There is no connection: it was refused, took too long, the password was wrong, or the certificate is not trusted.
    Unreachable,
    /// The connection was lost while an answer was waited for.
    Lost,
    /// There was no answer in time.
    Silent,
    /// Redis has answered with an error, such as that it has no memory left.
    Refused,
    /// There is something else where the session's home should be, or an answer is none to the question.
    Malformed,
    /// The id of the home is too long: more than 4096 bytes.
    TooLong,
}

/// Why a store in Redis has no answer: what failed, and of which Redis. No password is in it.
#[derive(Clone)]
pub struct StoreError(Arc<Inner>);

struct Inner {
    kind: StoreErrorKind,
    place: Arc<str>,
    text: String,
    source: Option<RedisError>,
}

impl StoreError {
    pub(super) fn new(kind: StoreErrorKind, place: &Arc<str>, text: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            place: Arc::clone(place),
            text: text.into(),
            source: None,
        }))
    }

    /// What Redis, or the way there, has said. A server that does not know a command quotes its arguments, and so it may be
    /// with the password: then nothing of it is told but its kind.
    pub(super) fn of(
        kind: StoreErrorKind,
        place: &Arc<str>,
        doing: &str,
        error: RedisError,
        password: Option<&str>,
    ) -> Self {
        // In Redis' own words, which is what is looked for.
        let said = match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => format!("{code} {detail}"),
            _ => error.to_string(),
        };
        let is_telling = password.is_some_and(|password| !password.is_empty() && said.contains(password));
        let (said, source) = match is_telling {
            true => (error.category().to_owned(), None),
            false => (said.chars().take(TOLD).collect(), Some(error)),
        };
        Self(Arc::new(Inner {
            kind,
            place: Arc::clone(place),
            text: format!("{doing}: {said}"),
            source,
        }))
    }

    /// Whether there is something else than a string under a key.
    pub(super) fn is_wrong_type(&self) -> bool {
        let source = self.0.source.as_ref();
        source.is_some_and(|error| error.code() == Some("WRONGTYPE"))
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis at {}: {}", self.0.place, self.0.text)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, place, text, .. } = &*self.0;
        let mut debug = f.debug_struct("StoreError");
        debug.field("kind", kind).field("place", place).field("text", text);
        debug.finish()
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|error| error as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &str, password: Option<&str>) -> StoreError {
        let error = RedisError::from((redis::ErrorKind::Extension, "the server", said.to_owned()));
        StoreError::of(
            StoreErrorKind::Unreachable,
            &"cache:6379".into(),
            "connecting",
            error,
            password,
        )
    }

    #[test]
    fn a_server_that_quotes_the_password_is_not_quoted() {
        let error = of(
            "unknown command 'AUTH', with args beginning with: 'hunter2'",
            Some("hunter2"),
        );
        let all = format!("{error} {error:?} {:?}", error.source());
        assert!(!all.contains("hunter2") && all.contains("connecting"), "{all}");
        // Without one there is nothing to hide.
        for password in [None, Some("")] {
            let error = of("BUSY", password);
            assert!(error.to_string().contains("BUSY") && error.source().is_some());
        }
    }

    #[test]
    fn what_a_server_says_is_cut() {
        let error = of(&"é".repeat(100_000), None);
        assert!(error.to_string().chars().count() < TOLD + 100);
    }
}
