//! How a cookie is to be.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    Cookie, CookieError, Keys,
    lifetime::Lifetime,
    seal::Seal,
    settings::{Now, Settings},
};

/// On which requests from other sites a browser sends the cookie (RFC 6265bis §5.6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// On none.
    Strict,
    /// When somebody follows a link, but not for what a page loads or sends.
    #[default]
    Lax,
    /// On all. Demands [`secure`](CookieBuilder::secure).
    None,
}

/// How a [`Cookie`] is to be: made by [`Cookie::builder`].
#[derive(Clone)]
#[must_use]
pub struct CookieBuilder {
    pool: String,
    keys: Keys,
    name: String,
    path: String,
    domain: Option<String>,
    is_secure: bool,
    is_http_only: bool,
    is_partitioned: bool,
    same_site: SameSite,
    max_age: Option<Duration>,
    idle: Duration,
    lifetime: Duration,
    passes_on: bool,
    now: Option<Now>,
}

impl CookieBuilder {
    pub(super) fn new(pool: &str, keys: Keys) -> Self {
        Self {
            pool: pool.to_owned(),
            keys,
            name: "equipoise".to_owned(),
            path: "/".to_owned(),
            domain: None,
            is_secure: false,
            is_http_only: true,
            is_partitioned: false,
            same_site: SameSite::Lax,
            max_age: None,
            idle: Duration::from_secs(30 * 60),
            lifetime: Duration::from_secs(24 * 60 * 60),
            passes_on: false,
            now: None,
        }
    }

    /// Its name; `equipoise` unless said otherwise. With the prefix `__Secure-` browsers take it only with
    /// [`secure`](CookieBuilder::secure), with `__Host-` also only with the path `/` and without a domain.
    pub fn name(self, name: &str) -> Self {
        let name = name.to_owned();
        Self { name, ..self }
    }

    /// Below which path clients send it; `/`, which is everywhere, unless said otherwise.
    pub fn path(self, path: &str) -> Self {
        let path = path.to_owned();
        Self { path, ..self }
    }

    /// To which hosts clients send it: this one and all below it. To the one that has set it alone, unless said otherwise.
    pub fn domain(self, domain: &str) -> Self {
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        let domain = Some(domain.to_owned());
        Self { domain, ..self }
    }

    /// Whether clients send it over TLS only; not unless said otherwise, as the balancer can't know whether there is TLS before
    /// it. Where there is, say so.
    pub fn secure(self, is_secure: bool) -> Self {
        Self { is_secure, ..self }
    }

    /// Whether it is kept from scripts; it is unless said otherwise.
    pub fn http_only(self, is_http_only: bool) -> Self {
        Self { is_http_only, ..self }
    }

    /// On which requests from other sites browsers send it; [`SameSite::Lax`] unless said otherwise.
    pub fn same_site(self, same_site: SameSite) -> Self {
        Self { same_site, ..self }
    }

    /// Whether browsers keep one for each site that ours is embedded in (CHIPS); not unless said otherwise. Demands
    /// [`secure`](CookieBuilder::secure).
    pub fn partitioned(self, is_partitioned: bool) -> Self {
        Self { is_partitioned, ..self }
    }

    /// For how long clients keep it, in whole seconds, from when it was last set: at least the [idle](CookieBuilder::idle) time
    /// and a tenth, as clients would forget sessions in use otherwise. Until they are closed, unless said otherwise.
    pub fn max_age(self, max_age: Duration) -> Self {
        let max_age = Some(max_age);
        Self { max_age, ..self }
    }

    /// After how long without a request a session is over; at least a second, and 30 minutes unless said otherwise. A token
    /// is renewed when a tenth of that has passed, and is good for a tenth longer: no session is over before its time, and none
    /// more than a tenth after it.
    pub fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// After how long a session is over, however busy; at least a second, and 24 hours unless said otherwise. The session is
    /// balanced anew then, so that pages that ask for ever do not keep a pool from ever becoming even again, and a token that
    /// somebody has copied is of no use for longer.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// Whether the backend is to see it; not unless said otherwise.
    pub fn pass_on(self, passes_on: bool) -> Self {
        Self { passes_on, ..self }
    }

    /// Where the time comes from: the system's clock unless said otherwise. It is a wall clock, as tokens outlive processes; those
    /// of balancers that share sessions may differ by 5 minutes.
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        let now: Option<Now> = Some(Arc::new(now));
        Self { now, ..self }
    }

    /// The cookie.
    ///
    /// # Errors
    /// It could not be, as [`CookieError`] says.
    pub fn build(self) -> Result<Cookie, CookieError> {
        self.check_name()?;
        self.check_attributes()?;
        self.check_times()?;
        Ok(self.made())
    }

    fn check_name(&self) -> Result<(), CookieError> {
        // RFC 9110 §5.6.2.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if !(1..=256).contains(&self.name.len()) || !self.name.bytes().all(is_token) {
            return Err(CookieError::Name(self.name.clone()));
        }
        let is_host = || self.path == "/" && self.domain.is_none();
        // Browsers see them in any case (RFC 6265bis §5.4); of two the longer comes first.
        let prefixes = [
            ("__Host-Http-", true, true),
            ("__Host-", true, false),
            ("__Http-", false, true),
            ("__Secure-", false, false),
        ];
        let starts = |prefix: &str| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let Some((prefix, is_of_host, is_of_http)) = prefixes.into_iter().find(|(prefix, ..)| starts(prefix)) else {
            return Ok(());
        };
        let demands = match () {
            () if !self.is_secure => "Secure",
            () if is_of_http && !self.is_http_only => "HttpOnly",
            () if is_of_host && !is_host() => "the path / and no domain",
            () => return Ok(()),
        };
        Err(CookieError::Prefix { prefix, demands })
    }

    fn check_attributes(&self) -> Result<(), CookieError> {
        let is_path = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';';
        let path = &self.path;
        // RFC 6265bis §5.6: browsers ignore attributes longer than that; and one that ends with a blank is read without.
        if !path.starts_with('/') || path.ends_with(' ') || path.len() > 1024 || !path.bytes().all(is_path) {
            return Err(CookieError::Path(path.clone()));
        }
        if let Some(domain) = self.domain.as_ref().filter(|domain| !is_host(domain)) {
            return Err(CookieError::Domain(domain.clone()));
        }
        let attribute = match () {
            () if self.is_secure => return Ok(()),
            () if self.same_site == SameSite::None => "SameSite=None",
            () if self.is_partitioned => "Partitioned",
            () => return Ok(()),
        };
        Err(CookieError::Insecure { attribute })
    }

    fn check_times(&self) -> Result<(), CookieError> {
        for (what, time) in [("the idle time", self.idle), ("the lifetime", self.lifetime)] {
            if time < Duration::from_secs(1) {
                return Err(CookieError::TooShort { what });
            }
        }
        let needed = self.idle.saturating_add(self.idle / 10).min(self.lifetime);
        match self.max_age {
            // Only whole seconds are written.
            Some(age) if Duration::from_secs(age.as_secs()) < needed || written(age).is_none() => {
                Err(CookieError::MaxAge)
            }
            _ => Ok(()),
        }
    }

    /// The cookie, of what was checked.
    pub(super) fn made(self) -> Cookie {
        let seal = Seal::new(&self.keys, &self.pool, &self.name);
        let mut template = ::cookie::Cookie::from(self.name);
        template.set_path(self.path);
        if let Some(domain) = self.domain {
            template.set_domain(domain);
        }
        template.set_secure(self.is_secure.then_some(true));
        template.set_http_only(self.is_http_only.then_some(true));
        template.set_partitioned(self.is_partitioned.then_some(true));
        template.set_same_site(match self.same_site {
            SameSite::Strict => ::cookie::SameSite::Strict,
            SameSite::Lax => ::cookie::SameSite::Lax,
            SameSite::None => ::cookie::SameSite::None,
        });
        template.set_max_age(self.max_age.and_then(written));
        Cookie::with(Settings {
            seal,
            lifetime: Lifetime::new(self.idle, self.lifetime),
            template,
            passes_on: self.passes_on,
            now: self.now,
        })
    }
}

/// As the `cookie` crate has it; none if that is too long for it.
fn written(age: Duration) -> Option<::cookie::time::Duration> {
    age.try_into().ok()
}

/// Labels of letters, digits, `-` and `_`, with dots between them.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=63).contains(&label.len()) && label.bytes().all(is_inside)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

impl std::fmt::Debug for CookieBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieBuilder")
            .field("pool", &self.pool)
            .field("keys", &self.keys)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
