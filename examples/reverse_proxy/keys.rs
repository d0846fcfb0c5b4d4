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
use ipnet::IpNet;

/// One of several, of which each is asked in turn and all are combined.
pub(crate) type Key = Arc<dyn HashKey<Request<UpstreamBody<Incoming>>> + Send + Sync>;

pub(crate) const ALLOWED: &str = "client, path, header:NAME, cookie:NAME or query:NAME";

/// The address of the client: who is connected, or whoever trusted proxies say is behind them.
fn client(trusted: &[IpNet]) -> Key {
    let peer = ClientAddress::new(|connection: &Connection| connection.peer().ip());
    Arc::new(trusted.iter().fold(peer, |client, peers| client.trust(*peers)))
}

/// The error says what is wrong with it.
pub(crate) fn read(text: &str, trusted: &[IpNet]) -> Result<Key, String> {
    match text.split_once(':') {
        None if text == "client" => Ok(client(trusted)),
        None if text == "path" => Ok(Arc::new(PathKey::new())),
        Some(("header", name)) => match name.parse::<HeaderName>() {
            Ok(name) => Ok(Arc::new(HeaderKey::new(name))),
            Err(_) => Err("expected header: and a header's name".to_owned()),
        },
        Some(("cookie", name)) => match CookieKey::new(name) {
            Ok(key) => Ok(Arc::new(key)),
            Err(error) => Err(error.to_string()),
        },
        Some(("query", name)) => match QueryKey::new(name) {
            Ok(key) => Ok(Arc::new(key)),
            Err(error) => Err(error.to_string()),
        },
        _ => Err(format!("expected {ALLOWED}")),
    }
}
