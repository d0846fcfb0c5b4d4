//! Sessions that stay by a cookie: an authenticated token of the backend, which needs no table.
//!
//! A [`Cookie`] is a [`SessionAffinity`](crate::SessionAffinity) that keeps nothing: what there is to know of a session is in
//! the token that its client brings along. So it survives a restart of the balancer, and every balancer that has the same
//! [`Keys`] and the same name for the pool knows it.
//!
//! ```
//! use equipoise::{BalanceLayer, Pool, StickyLayer, cookie::{Cookie, Keys}, http::HttpEndpoint};
//! use tower::ServiceBuilder;
//!
//! # fn client<C: Clone>(pool: Pool<HttpEndpoint>, client: C) -> Result<(), equipoise::BoxError> {
//! let keys: Keys = std::fs::read_to_string("/etc/shop/cookie_keys")?.parse()?;
//! let cookie = Cookie::builder("shop", keys).name("__Host-home").secure(true).build()?;
//! let sticky = ServiceBuilder::new()
//!     .layer(StickyLayer::new(cookie))
//!     .layer(BalanceLayer::http(pool))
//!     .service(client);
//! # Ok(()) }
//! ```
//!
//! # What the client sees
//! One cookie, `equipoise` unless said otherwise, with 146 characters of base64url (RFC 4648 §5) for a backend's id of up to 51
//! bytes; 231, 316 or 402 for ids of up to 115, 179 or [243 bytes](Cookie::LONGEST_ID). In it are a version and the key's id, and
//! then, sealed with XChaCha20-Poly1305 under a nonce of its own: when the session began, when it was last seen, and the
//! backend's id, padded, so that no backend is known by the length of its token. Whoever has not the key learns nothing of
//! backends, not even whether two sessions share one; and makes no token that is taken for one. A token is bound to the version,
//! the key, the pool and the cookie's name: one made for another of these is none.
//!
//! It says where a session is at home, and not whose it is: it is no proof of anything about the client, and who has stolen one
//! gets to the same backend with it and no further. A client that collects tokens, one of each backend, can send its load where
//! it likes: that is what [limits](crate::PoolBuilder::in_flight_limit) are for, at which a session is a guest elsewhere.
//!
//! # What it costs
//! A request of a session costs some 230 times what an uncontended atomic addition does, and one that is told a token somewhat
//! more; most of it is the cipher's (`cargo bench --features cookie,learned --bench sticky -- units`). In a build for processors
//! that are known to have AVX2 (`-C target-cpu=x86-64-v3`) the cipher takes a quarter of that, as its crate can inline what it is
//! made of.
//!
//! # What the balancer does
//! - Of cookies with this name the first counts that is a good token, in the order of RFC 6265 §5.4, of 8 at most.
//! - They are taken out of the request before it goes on, unless they are to be [passed on](CookieBuilder::pass_on). All others
//!   stay as they are.
//! - An answer carries a `Set-Cookie` only if something has changed: a session begins, or has moved, or a tenth of its
//!   [idle time](CookieBuilder::idle) has passed since it was last told so, or its token is sealed with an older key. A bad answer
//!   begins no session, and moves none.
//! - An answer with our `Set-Cookie` is marked private, as a cache that gave it to others would bring them all to one backend:
//!   `Cache-Control` gets `private` (RFC 9111 §5.2.2.7) and loses `public`, `s-maxage` and a `private` that names fields; so do
//!   the fields for caches of one kind (RFC 9213), such as `CDN-Cache-Control`, if they are there; `Surrogate-Control` gets
//!   `no-store`. What is no list of directives gives way to `private, no-store`.
//! - A cookie of this name that the backend sets is dropped, as HAProxy does it (its configuration manual, §4.2, `cookie`,
//!   keyword `insert` without `preserve`): two of one name would be one session too many.

mod affinity;
mod builder;
mod caching;
mod error;
mod key;
mod keys;
mod keys_error;
mod lifetime;
mod named;
mod seal;
mod session;
mod settings;

pub use affinity::Cookie;
pub use builder::{CookieBuilder, SameSite};
pub use error::CookieError;
pub use keys::Keys;
pub use keys_error::KeysError;
pub use session::CookieSession;
