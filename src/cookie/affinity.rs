//! The affinity.

use std::{fmt, sync::Arc};

use http::{Request, Response};

use super::{CookieBuilder, CookieSession, Keys, named, seal, settings::Settings};
use crate::affinity::{Located, SessionAffinity, Undelayed};

/// Sessions that stay by a cookie; see [the module](super) for what it does.
///
/// ```
/// use equipoise::{StickyLayer, cookie::{Cookie, Keys}};
///
/// let layer = StickyLayer::new(Cookie::new("shop", Keys::random()?));
/// # Ok::<_, equipoise::cookie::KeysError>(())
/// ```
#[derive(Clone)]
pub struct Cookie(Arc<Settings>);

impl Cookie {
    /// The most bytes that a backend's id may have. A backend with a longer one serves, but sessions are not bound to it.
    pub const LONGEST_ID: usize = seal::LONGEST_ID;

    /// As it is unless said otherwise; see [`CookieBuilder`].
    ///
    /// The name of the pool is bound into tokens: all balancers of the same backends have to say the same, and other pools
    /// something else. Pools that are reached under the same host and path need cookies of different
    /// [names](CookieBuilder::name) as well, or a client has but one of them.
    pub fn new(pool: &str, keys: Keys) -> Self {
        Self::builder(pool, keys).made()
    }

    /// To say how it is to be. What is said of the pool's name [above](Cookie::new) holds here as well.
    pub fn builder(pool: &str, keys: Keys) -> CookieBuilder {
        CookieBuilder::new(pool, keys)
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }
}

impl<D, R> SessionAffinity<Request<D>, Response<R>> for Cookie {
    type Session = CookieSession;
    type Later = Undelayed<CookieSession>;

    fn locate(&self, request: &mut Request<D>) -> Located<CookieSession, Undelayed<CookieSession>> {
        let settings = &self.0;
        let (is_any, known) = settings.known(request.headers());
        if is_any && !settings.passes_on {
            named::strip(request.headers_mut(), settings.name().as_bytes());
        }
        let home = known.as_ref().map(|known| known.content.home.clone());
        Located::Now(CookieSession::new(Arc::clone(settings), known), home)
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookie")
            .field("attributes", &self.0.template)
            .field("lifetime", &self.0.lifetime)
            .field("passes_on", &self.0.passes_on)
            .finish_non_exhaustive()
    }
}
