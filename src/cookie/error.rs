//! Why there can be no such cookie.

use std::{error, fmt};

/// Why a [`CookieBuilder`](super::CookieBuilder) makes no cookie: no browser would keep it, or it could not do what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieError {
    /// The name is no token (RFC 9110 §5.6.2) of at most 256 bytes.
    Name(String),
    /// The name begins with this prefix, which demands that (RFC 6265bis §4.1.3).
    Prefix {
        /// Such as `__Host-`.
        prefix: &'static str,
        /// What is missing.
        demands: &'static str,
    },
    /// The path does not begin with `/`, has a character that is not printable ASCII, or a `;`, or more than 1,024 bytes.
    Path(String),
    /// The domain is no host name.
    Domain(String),
    /// `SameSite=None` or `Partitioned`, without `Secure`.
    Insecure {
        /// Which of them.
        attribute: &'static str,
    },
    /// The idle time or the lifetime is shorter than a second.
    TooShort {
        /// Which of them.
        what: &'static str,
    },
    /// Max-Age is shorter than the idle time and a tenth, so that clients would forget sessions that are in use, or longer than
    /// can be written.
    MaxAge,
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(
                f,
                "no cookie has the name {}: expected a token of 1 to 256 characters, such as equipoise",
                Shown(name)
            ),
            Self::Prefix { prefix, demands } => write!(f, "a cookie whose name begins with {prefix} needs {demands}"),
            Self::Path(path) => write!(
                f,
                "no cookie has the path {}: expected one that begins with '/' and has neither ';' nor anything but printable ASCII",
                Shown(path)
            ),
            Self::Domain(domain) => write!(f, "no cookie has the domain {}: expected a host name", Shown(domain)),
            Self::Insecure { attribute } => write!(f, "a cookie with {attribute} needs Secure"),
            Self::TooShort { what } => write!(f, "{what} is at least a second"),
            Self::MaxAge => {
                f.write_str("Max-Age is at least the idle time and a tenth, so that no client forgets a session in use")
            }
        }
    }
}

impl error::Error for CookieError {}

/// The beginning of what was given, with nothing in it that could break a line.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 60;
        let dots = if self.0.chars().nth(MOST).is_some() { "…" } else { "" };
        let shown: String = self.0.chars().take(MOST).collect();
        write!(f, "'{}{dots}'", shown.escape_debug())
    }
}
