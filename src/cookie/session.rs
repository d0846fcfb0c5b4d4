//! A session, while its request is on its way.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Response, header::SET_COOKIE};

use super::{
    caching, named,
    settings::{Known, Settings},
};
use crate::{
    Home,
    affinity::{Bind, Served},
};

/// A session that its client keeps, or the first request of one: what [`Cookie`](super::Cookie) remembers until the answer.
pub struct CookieSession {
    settings: Arc<Settings>,
    known: Option<Known>,
}

impl CookieSession {
    pub(super) fn new(settings: Arc<Settings>, known: Option<Known>) -> Self {
        Self { settings, known }
    }

    /// What the client is to bring along from now on, if that is something else than before.
    fn told(&self, served: &Served<'_>) -> Option<String> {
        let now = self.settings.now();
        let seal = |created, id: &str| self.settings.seal.seal(created, now, id);
        match &self.known {
            None if served.may_bind() => seal(now, served.by()),
            None => None,
            Some(Known { content, .. }) if served.may_bind() && content.home.id() != served.by() => {
                seal(content.created, served.by())
            }
            // A guest, and one who was served badly, has been here as well.
            Some(Known { content, is_current }) => {
                let is_due = !is_current || self.settings.lifetime.is_due(content, now);
                is_due.then(|| seal(content.created, content.home.id())).flatten()
            }
        }
    }
}

impl<R> Bind<Response<R>> for CookieSession {
    fn poll_bind(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        served: &Served<'_>,
        response: &mut Response<R>,
    ) -> Poll<Option<Home>> {
        let headers = response.headers_mut();
        named::drop_set(headers, self.settings.name().as_bytes());
        if let Some(token) = self.told(served) {
            let written = self.settings.set_cookie(token);
            if let Ok(mut value) = HeaderValue::try_from(written) {
                // Neither for logs nor for tables of header compression (RFC 7541 §7.1.3).
                value.set_sensitive(true);
                headers.append(SET_COOKIE, value);
                caching::mark_private(headers);
            }
        }
        let stays = self.known.as_ref().filter(|_| !served.may_bind());
        let home = stays.map(|known| &known.content.home);
        Poll::Ready(home.filter(|home| home.id() != served.by()).cloned())
    }
}

impl fmt::Debug for CookieSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieSession")
            .field("is_new", &self.known.is_none())
            .finish_non_exhaustive()
    }
}
