//! Keys of HTTP requests. What a client left empty is no key: all who do would meet at one backend.

mod client;
mod cookie;
mod header;
mod path;
mod query;

use std::{error, fmt};

pub use client::ClientAddress;
pub use cookie::CookieKey;
pub use header::HeaderKey;
pub use path::PathKey;
pub use query::QueryKey;

use crate::key::HashFunction;

fn hash_unless_empty(function: HashFunction, value: &[u8]) -> Option<u64> {
    (!value.is_empty()).then(|| function.hash(value))
}

/// A name that no cookie, or no query parameter, can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyNameError {
    name: String,
    of: &'static str,
    separators: &'static str,
}

impl KeyNameError {
    /// The name, unless it is empty or has white space, a control character or one of the separators in it.
    fn check<'a>(name: &'a str, of: &'static str, separators: &'static str) -> Result<&'a str, Self> {
        let is_wrong = |c: char| c.is_whitespace() || c.is_control() || separators.contains(c);
        if name.is_empty() || name.contains(is_wrong) {
            let name = name.to_owned();
            return Err(Self { name, of, separators });
        }
        Ok(name)
    }
}

impl fmt::Display for KeyNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, of, separators } = self;
        write!(
            f,
            "no {of} has the name '{}': expected at least one character, no white space and none of {separators}",
            name.escape_debug()
        )
    }
}

impl error::Error for KeyNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_not_be_are_refused() {
        for name in ["", "a b", "a\n", "session=", "a;b"] {
            assert!(CookieKey::new(name).is_err(), "{name:?}");
        }
        for name in ["", "a b", "a=b", "a&b", "a#"] {
            assert!(QueryKey::new(name).is_err(), "{name:?}");
        }
        // What separates the one does not separate the other, and browsers and frameworks take more than tokens.
        for name in ["a&b", "a[0]", "__Host-id"] {
            assert!(CookieKey::new(name).is_ok(), "{name:?}");
        }
        for name in ["a;b", "a[0]", "a%20b"] {
            assert!(QueryKey::new(name).is_ok(), "{name:?}");
        }
        let error = CookieKey::new("session=\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no cookie has the name 'session=\\n': expected at least one character, no white space and none of =;"
        );
    }
}
