//! The key of a cookie.

use std::sync::Arc;

use http::{HeaderMap, Request, header::COOKIE};

use super::{KeyNameError, hash_unless_empty};
use crate::key::{HashFunction, HashKey};

/// The hash of a cookie's value; none if the request has no such cookie, or it is empty.
///
/// Cookies are read as they are written (RFC 6265 §4.2.1), in one `Cookie` header or several, as HTTP/2 has them; names
/// have a case; the quotes around a value are none of it. Of two with the same name the first counts, which is the one
/// for the longer path (RFC 6265 §5.4). As Envoy does it. This reads cookies and sets none.
///
/// ```
/// use equipoise::{KeyedLayer, http::CookieKey};
///
/// let layer = KeyedLayer::new(CookieKey::new("session")?);
/// # Ok::<_, equipoise::http::KeyNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieKey {
    name: Arc<str>,
    function: HashFunction,
}

impl CookieKey {
    /// Of the cookie of this name, hashed with XXH3.
    ///
    /// # Errors
    /// The name is empty, or has white space, a control character, `=` or `;` in it.
    pub fn new(name: &str) -> Result<Self, KeyNameError> {
        Ok(Self {
            name: KeyNameError::check(name, "cookie", "=;")?.into(),
            function: HashFunction::Xxh3,
        })
    }

    /// Hashed with another function.
    pub fn with_function(self, function: HashFunction) -> Self {
        Self { function, ..self }
    }

    /// The cookie's value, of any bytes, and maybe empty; none if there is no such cookie.
    pub fn value<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        cookie(headers, self.name.as_bytes())
    }

    /// The cookie's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<D> HashKey<Request<D>> for CookieKey {
    fn key(&self, request: &Request<D>) -> Option<u64> {
        hash_unless_empty(self.function, self.value(request.headers())?)
    }
}

/// The value of the first cookie of this name.
fn cookie<'a>(headers: &'a HeaderMap, name: &[u8]) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let behind = pair.trim_ascii_start().strip_prefix(name)?;
        let value = behind.trim_ascii_start().strip_prefix(b"=")?;
        Some(unquoted(value.trim_ascii()))
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', within @ .., b'"'] => within,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, line.parse().unwrap());
        }
        cookie(&headers, b"sid").map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn cookies_are_found_as_they_are_written() {
        for (lines, value) in [
            (&["sid=1"][..], Some("1")),
            (&["a=0; sid=1; b=2"], Some("1")),
            (&["a=0;sid=1;b=2"], Some("1")),
            (&["a=0;  sid=1 "], Some("1")),
            (&["a=0;\tsid = 1"], Some("1")),
            // Several lines; the first of that name.
            (&["a=0", "b=2; sid=1", "sid=3"], Some("1")),
            (&["sid=1; sid=3"], Some("1")),
            // Quotes are around the value only if they are on both sides.
            (&["sid=\"1\""], Some("1")),
            (&["sid=\"\""], Some("")),
            (&["sid=\""], Some("\"")),
            (&["sid=\"1"], Some("\"1")),
            (&["sid=1=2"], Some("1=2")),
            (&["sid="], Some("")),
            // Not of that name, or no cookies.
            (&["SID=1; xsid=2; sidx=3"], None),
            (&["a=sid=1"], None),
            (&["a=\"; b"], None),
            (&["sid; sid"], None),
            (&["", ";;=;", "=sid"], None),
            (&[], None),
        ] {
            assert_eq!(found(lines).as_deref(), value, "{lines:?}");
        }
    }

    #[test]
    fn the_value_is_hashed_unless_it_is_empty() {
        let key = |line: &[u8]| {
            let request = Request::builder().header(COOKIE, line).body(()).unwrap();
            CookieKey::new("sid").unwrap().key(&request)
        };
        assert_eq!(key(b"a=0; sid=\"1\""), Some(HashFunction::Xxh3.hash(b"1")));
        assert_eq!(
            key(b"sid=\xff\xfe"),
            Some(HashFunction::Xxh3.hash(b"\xff\xfe")),
            "no text"
        );
        assert_eq!(key(b"sid="), None);
        assert_eq!(key(b"sid=\"\""), None);
    }
}
