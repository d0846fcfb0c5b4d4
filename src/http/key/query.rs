//! The key of a query parameter.

use std::sync::Arc;

use http::Request;

use super::{KeyNameError, hash_unless_empty};
use crate::key::{HashFunction, HashKey};

/// The hash of the value of the first query parameter of a name; none if there is no such parameter, or it is empty.
///
/// Name and value are compared and hashed as they came, without percent-decoding, as Envoy's `query_parameter` and
/// nginx's `$arg_` do: `?user=a%40b` and `?user=a@b` are two keys. Parameters have `&` between them, and their names
/// have a case as they have for Envoy; for nginx they have none.
///
/// ```
/// use equipoise::{KeyedLayer, http::QueryKey};
///
/// let layer = KeyedLayer::new(QueryKey::new("user")?);
/// # Ok::<_, equipoise::http::KeyNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryKey {
    name: Arc<str>,
    function: HashFunction,
}

impl QueryKey {
    /// Of the parameter of this name, as requests have it, hashed with XXH3.
    ///
    /// # Errors
    /// The name is empty, or has white space, a control character, `=`, `&` or `#` in it: in a request they are
    /// percent-encoded.
    pub fn new(name: &str) -> Result<Self, KeyNameError> {
        Ok(Self {
            name: KeyNameError::check(name, "query parameter", "=&#")?.into(),
            function: HashFunction::Xxh3,
        })
    }

    /// Hashed with another function.
    pub fn with_function(self, function: HashFunction) -> Self {
        Self { function, ..self }
    }
}

impl<D> HashKey<Request<D>> for QueryKey {
    fn key(&self, request: &Request<D>) -> Option<u64> {
        let query = request.uri().query()?.as_bytes();
        hash_unless_empty(self.function, parameter(query, self.name.as_bytes())?)
    }
}

/// The value of the first parameter of this name.
fn parameter<'a>(query: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut pairs = query.split(|byte| *byte == b'&');
    pairs.find_map(|pair| match pair.strip_prefix(name)? {
        [b'=', value @ ..] => Some(value),
        [] => Some(&[][..]),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_parameter_of_that_name_is_hashed_as_it_came() {
        let hash = |text: &str| Some(HashFunction::Xxh3.hash(text.as_bytes()));
        for (uri, key) in [
            ("/?user=ann", hash("ann")),
            ("/?a=1&user=ann&b=2", hash("ann")),
            ("http://host/p?user=ann", hash("ann")),
            ("/?user=ann&user=bob", hash("ann")),
            ("/?user=a=b", hash("a=b")),
            ("/?user=a%40b", hash("a%40b")),
            ("/?user=a@b", hash("a@b")),
            ("/?user=a+b;c", hash("a+b;c")),
            // Empty, whatever comes behind.
            ("/?user=", None),
            ("/?user&a=1", None),
            ("/?user&user=ann", None),
            ("/?user=&user=ann", None),
            // Not of that name.
            ("/?User=ann", None),
            ("/?xuser=ann&userx=ann&us%65r=ann", None),
            ("/user=ann", None),
            ("/?", None),
            ("/?&&=&", None),
            ("/#?user=ann", None),
        ] {
            let request = Request::builder().uri(uri).body(()).unwrap();
            assert_eq!(QueryKey::new("user").unwrap().key(&request), key, "{uri}");
        }
    }
}
