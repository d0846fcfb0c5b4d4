//! HTTP: requests sent to the chosen backend's origin, leases that live in response bodies, keys of requests.
//!
//! [`BalanceLayer::http`] is the ready pair for any client that takes an `http::Request` with an absolute URI, such as
//! hyper-util's. reqwest has request and response types of its own, which tower translates:
//!
//! ```
//! use equipoise::{BalanceLayer, BoxError, Pool, http::HttpEndpoint};
//! use tower::{Service, ServiceBuilder};
//!
//! # fn client(pool: Pool<HttpEndpoint>) -> impl Service<http::Request<reqwest::Body>> {
//! ServiceBuilder::new()
//!     .layer(BalanceLayer::http(pool))
//!     .map_response(http::Response::<reqwest::Body>::from)
//!     .filter(|request: http::Request<reqwest::Body>| reqwest::Request::try_from(request))
//!     .service(reqwest::Client::new())
//! # }
//! ```
//!
//! # Keys
//! For selectors that bring the same key to the same backend, a [`KeyedLayer`](crate::KeyedLayer) takes a key from each
//! request: [`CookieKey`], [`HeaderKey`], [`PathKey`], [`QueryKey`] or [`ClientAddress`], a closure, or a
//! [chain](crate::key#chains) of them. A value that is empty is no key. Each is hashed with XXH3 unless told otherwise.
//!
//! ```
//! use std::net::SocketAddr;
//!
//! use equipoise::{BalanceLayer, KeyedLayer, Pool, http::{ClientAddress, CookieKey, HttpEndpoint}, key::Terminal};
//! use tower::ServiceBuilder;
//!
//! # fn client<C: Clone>(pool: Pool<HttpEndpoint>, client: C) -> Result<(), equipoise::BoxError> {
//! // The session if there is one, or else the client.
//! let key = (Terminal(CookieKey::new("session")?), ClientAddress::new(SocketAddr::ip));
//! let balanced = ServiceBuilder::new()
//!     .layer(KeyedLayer::new(key))
//!     .layer(BalanceLayer::http(pool))
//!     .service(client);
//! # Ok(()) }
//! ```

mod body;
mod failover;
mod forwarded;
mod key;
mod origin;
mod protocol;
mod replay;

use tower_layer::Layer;

pub use body::LeasedBody;
pub use failover::{Attempt, GrpcFailover, HttpFailover, Kept};
pub use forwarded::{ForwardedHeader, forwarded_for};
pub use key::{ClientAddress, CookieKey, HeaderKey, KeyNameError, PathKey, QueryKey};
pub use origin::{Origin, OriginError, ToOrigin, ToOriginLayer};
pub use protocol::Http;
pub use replay::{NotKept, Replay, Superseded};

use crate::{Backend, BalanceLayer, Endpoint, Pool, Selector};

/// A backend that is reached by HTTP.
pub type HttpEndpoint = Endpoint<Origin>;

impl<B: Backend + AsRef<Origin>, S: Selector<B>> BalanceLayer<B, S, Http, ToOriginLayer> {
    /// A layer over an HTTP client: each request is given the scheme and authority of the backend chosen for it, and
    /// counts as in flight until its response's body has ended.
    ///
    /// hyper-util's `HttpConnector` leaves Nagle's algorithm on: for HTTP/2, whose frames are small, tell it
    /// `set_nodelay(true)`, or each call may wait some 40 ms for the last one's acknowledgement.
    ///
    /// ```
    /// use equipoise::{BalanceLayer, Pool, http::HttpEndpoint};
    /// use tower_layer::Layer;
    /// # fn client<C: Clone>(client: C) -> Result<(), Box<dyn std::error::Error>> {
    /// let a: HttpEndpoint = "http://127.0.0.1:9001".parse()?;
    /// let b: HttpEndpoint = "http://127.0.0.1:9002,weight=2".parse()?;
    /// let pool = Pool::builder().backend(a).backend(b).spawn();
    /// let balanced = BalanceLayer::http(pool).layer(client);
    /// # Ok(()) }
    /// ```
    pub fn http(pool: Pool<B, S>) -> Self {
        Self::with(pool, Http, ToOriginLayer)
    }
}

impl<I> Layer<I> for ToOriginLayer {
    type Service = ToOrigin<I>;

    fn layer(&self, inner: I) -> ToOrigin<I> {
        ToOrigin::new(inner)
    }
}
