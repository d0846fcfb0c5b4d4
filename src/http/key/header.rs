//! The key of a header.

use http::{HeaderName, Request};

use super::hash_unless_empty;
use crate::key::{HashFunction, HashKey};

/// The hash of a header's value; none if the request has no such header, or it is empty.
///
/// If it came in several lines, they are hashed as one with a comma between, in the order in which they came, as gRPC
/// does (RFC 9110 §5.3 makes them one; Envoy sorts them first). That one costs an allocation.
///
/// ```
/// use equipoise::{KeyedLayer, http::HeaderKey};
/// use http::HeaderName;
///
/// let layer = KeyedLayer::new(HeaderKey::new(HeaderName::from_static("x-user")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderKey {
    name: HeaderName,
    function: HashFunction,
}

impl HeaderKey {
    /// Of the header of this name, hashed with XXH3.
    pub fn new(name: HeaderName) -> Self {
        Self {
            name,
            function: HashFunction::Xxh3,
        }
    }

    /// Hashed with another function.
    pub fn with_function(self, function: HashFunction) -> Self {
        Self { function, ..self }
    }
}

impl<D> HashKey<Request<D>> for HeaderKey {
    fn key(&self, request: &Request<D>) -> Option<u64> {
        let mut lines = request.headers().get_all(&self.name).iter();
        let first = lines.next()?;
        let Some(second) = lines.next() else {
            return hash_unless_empty(self.function, first.as_bytes());
        };
        let mut joined = first.as_bytes().to_vec();
        for line in [second].into_iter().chain(lines) {
            joined.push(b',');
            joined.extend_from_slice(line.as_bytes());
        }
        // Lines without anything in them are nothing, however many.
        let is_empty = joined.iter().all(|byte| *byte == b',');
        hash_unless_empty(self.function, if is_empty { b"" } else { &joined })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(lines: &[&str]) -> Option<u64> {
        let mut request = Request::builder().header("x-other", "other");
        for line in lines {
            request = request.header("X-User", *line);
        }
        HeaderKey::new(HeaderName::from_static("x-user")).key(&request.body(()).unwrap())
    }

    #[test]
    fn the_value_is_hashed() {
        let hash = |text: &str| Some(HashFunction::Xxh3.hash(text.as_bytes()));
        assert_eq!(key(&["ann"]), hash("ann"));
        assert_eq!(key(&["Ann"]), hash("Ann"), "values have a case");
        assert_eq!(key(&["a", "b", "c"]), hash("a,b,c"));
        assert_eq!(key(&["b", "a"]), hash("b,a"));
        assert_eq!(key(&[""]), None);
        assert_eq!(key(&[]), None);
    }

    /// `HeaderHashForSingleHeaderValue` and `hash_test.cc` of Envoy together: the header's bytes under XXH64.
    #[test]
    fn under_xxh64_one_value_has_envoys_key() {
        let key = HeaderKey::new(HeaderName::from_static("x-user")).with_function(HashFunction::Xxh64);
        let request = Request::builder().header("x-user", "lyft").body(()).unwrap();
        assert_eq!(key.key(&request), Some(4_400_747_396_090_729_504));
    }
}
