//! What all requests of a cookie have in common.

use std::{sync::Arc, time::SystemTime};

use http::HeaderMap;

use super::{
    lifetime::{self, Lifetime},
    named,
    seal::{Content, Seal},
};

/// How many cookies of the name are tried in one request.
const MOST_TRIED: usize = 8;

/// What the request's token said.
pub(super) struct Known {
    pub(super) content: Content,
    /// Whether it is sealed with the key that is the first now.
    pub(super) is_current: bool,
}

/// Where the time comes from: the system's clock, if none.
pub(super) type Now = Arc<dyn Fn() -> SystemTime + Send + Sync>;

pub(super) struct Settings {
    pub(super) seal: Seal,
    pub(super) lifetime: Lifetime,
    /// With all but its value.
    pub(super) template: ::cookie::Cookie<'static>,
    pub(super) passes_on: bool,
    pub(super) now: Option<Now>,
}

impl Settings {
    pub(super) fn name(&self) -> &str {
        self.template.name()
    }

    /// In milliseconds since 1970.
    pub(super) fn now(&self) -> u64 {
        lifetime::told(self.now.as_ref().map_or_else(SystemTime::now, |now| now()))
    }

    /// Whether there are cookies of the name, and what the first that is a good token says.
    pub(super) fn known(&self, headers: &HeaderMap) -> (bool, Option<Known>) {
        let mut values = named::values(headers, self.name().as_bytes())
            .take(MOST_TRIED)
            .peekable();
        if values.peek().is_none() {
            return (false, None);
        }
        let now = self.now();
        let known = values.find_map(|value| {
            let (content, is_current) = self.seal.open(value)?;
            let known = Known { content, is_current };
            (!self.lifetime.is_over(&known.content, now)).then_some(known)
        });
        (true, known)
    }

    /// The header's value that sets it.
    pub(super) fn set_cookie(&self, token: String) -> String {
        let mut cookie = self.template.clone();
        cookie.set_value(token);
        cookie.to_string()
    }
}
