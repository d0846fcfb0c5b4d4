//! What is the key of a request, by the command line.

use std::sync::Arc;

use equipoise::{
    http::{ClientAddress, CookieKey, HeaderKey, PathKey, QueryKey},
    key::HashKey,
    proxy::UpstreamBody,
    server::Connection,
};
use http::{HeaderName, Request};
use hyper::body::Incoming;

/// One of several, of which each is asked in turn and all are combined.
pub(crate) type Key = Arc<dyn HashKey<Request<UpstreamBody<Incoming>>> + Send + Sync>;

pub(crate) const ALLOWED: &str = "client, path, header:NAME, cookie:NAME or query:NAME";

/// The address of who is connected.
pub(crate) fn client() -> Key {
    Arc::new(ClientAddress::new(|connection: &Connection| connection.peer().ip()))
}

pub(crate) fn read(text: &str) -> Result<Key, String> {
    let wrong = |why: &str| format!("invalid --key '{}': {why}", text.escape_debug());
    match text.split_once(':') {
        None if text == "client" => Ok(client()),
        None if text == "path" => Ok(Arc::new(PathKey::new())),
        Some(("header", name)) => {
            let name: HeaderName = name
                .parse()
                .map_err(|_| wrong("expected header: and a header's name"))?;
            Ok(Arc::new(HeaderKey::new(name)))
        }
        Some(("cookie", name)) => match CookieKey::new(name) {
            Ok(key) => Ok(Arc::new(key)),
            Err(error) => Err(wrong(&error.to_string())),
        },
        Some(("query", name)) => match QueryKey::new(name) {
            Ok(key) => Ok(Arc::new(key)),
            Err(error) => Err(wrong(&error.to_string())),
        },
        _ => Err(wrong(&format!("expected {ALLOWED}"))),
    }
}
