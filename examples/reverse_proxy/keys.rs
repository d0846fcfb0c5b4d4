//! What is the key of a request, by the command line.

use std::{net::IpAddr, sync::Arc};

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

/// Who the client is.
#[derive(Clone, Copy)]
struct Client(IpAddr);

/// Notes with each request who the client is: who is connected, or whoever trusted proxies say is behind them. Before the proxy
/// makes the headers that say so anew.
pub(crate) fn note_client<B>(trusted: &[IpNet]) -> impl Fn(Request<B>) -> Request<B> + Clone + use<B> {
    let peer = ClientAddress::new(|connection: &Connection| connection.peer().ip());
    let client = trusted.iter().fold(peer, |client, peers| client.trust(*peers));
    move |mut request| {
        if let Some(address) = client.address(&request) {
            request.extensions_mut().insert(Client(address));
        }
        request
    }
}

/// The error says what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Key, String> {
    match text.split_once(':') {
        None if text == "client" => Ok(Arc::new(ClientAddress::new(|client: &Client| client.0))),
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
