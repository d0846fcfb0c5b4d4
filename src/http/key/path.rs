//! The key of a path.

use http::{Request, Uri};

use crate::key::{HashFunction, HashKey};

/// The hash of the path, without the query unless it is to count; none if there is no path, as in a CONNECT.
///
/// The path is hashed as it came: `/a`, `/%61` and `/b/../a` are three. Envoy's header `:path` and nginx's
/// `$request_uri` are the path [with its query](PathKey::with_query), as it came unless Envoy is told to normalise it;
/// nginx's `$uri` is decoded and normalised.
///
/// ```
/// use equipoise::{KeyedLayer, http::PathKey};
///
/// // Each object at one cache, whatever its version.
/// let layer = KeyedLayer::new(PathKey::new());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathKey {
    with_query: bool,
    function: HashFunction,
}

impl PathKey {
    /// Of the path alone, hashed with XXH3.
    pub fn new() -> Self {
        Self::default()
    }

    /// The query counts as well, and that there is one.
    pub fn with_query(self) -> Self {
        Self {
            with_query: true,
            ..self
        }
    }

    /// Hashed with another function.
    pub fn with_function(self, function: HashFunction) -> Self {
        Self { function, ..self }
    }

    fn hash(&self, uri: &Uri) -> Option<u64> {
        let target = uri.path_and_query()?;
        let text = if self.with_query {
            target.as_str()
        } else {
            target.path()
        };
        // `http://a?q` is `http://a/?q` (RFC 9110 §4.2.3).
        if text.starts_with('?') {
            return Some(self.function.hash(format!("/{text}").as_bytes()));
        }
        Some(self.function.hash(text.as_bytes()))
    }
}

impl<D> HashKey<Request<D>> for PathKey {
    fn key(&self, request: &Request<D>) -> Option<u64> {
        self.hash(request.uri())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_hashed_as_it_came() {
        let (path, target) = (PathKey::new(), PathKey::new().with_query());
        for (uri, path_text, target_text) in [
            ("/a/b", "/a/b", "/a/b"),
            ("/a/b?c=d", "/a/b", "/a/b?c=d"),
            ("/a?", "/a", "/a?"),
            ("/%61/../A", "/%61/../A", "/%61/../A"),
            ("https://host/a?b#c", "/a", "/a?b"),
            ("http://host", "/", "/"),
            ("http://host?q", "/", "/?q"),
            ("*", "*", "*"),
        ] {
            let request = Request::builder().uri(uri).body(()).unwrap();
            let hash = |text: &str| Some(HashFunction::Xxh3.hash(text.as_bytes()));
            assert_eq!(path.key(&request), hash(path_text), "{uri}");
            assert_eq!(target.key(&request), hash(target_text), "{uri}");
        }
        let connect = Request::connect("host:80").body(()).unwrap();
        assert_eq!((path.key(&connect), target.key(&connect)), (None, None));
        let crc = path.with_function(HashFunction::Crc32);
        let request = Request::builder().uri("/a?b").body(()).unwrap();
        assert_eq!(crc.key(&request), Some(HashFunction::Crc32.hash(b"/a")));
    }
}
