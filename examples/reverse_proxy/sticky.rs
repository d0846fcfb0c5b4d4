//! Sessions that stay with their backend, by the command line.

use std::time::Duration;

use equipoise::{
    StickyLayer, Strategy,
    affinity::AnyAffinity,
    cookie::{Cookie, CookieBuilder, Keys, KeysError, SameSite},
    http::CookieKey,
    learned::{Learned, Sessions},
    proxy::{DownstreamBody, UpstreamBody},
    redis::RedisStore,
};
use http::{Request, Response};
use hyper::body::Incoming;

use crate::{flags::time, keys};

type Affinity = AnyAffinity<Request<UpstreamBody<Incoming>>, Response<DownstreamBody>>;

/// What is said of it; without a word nothing stays.
#[derive(Default)]
pub(crate) struct Stickiness {
    way: Option<Way>,
    keys: Option<Keys>,
    redis: Option<RedisStore>,
    idle: Option<Duration>,
    lost: Lost,
    /// Flags that are in vain where nothing but a key is taken from requests.
    vain: Vec<&'static str>,
}

/// How a session is known.
enum Way {
    /// By a cookie of the proxy's own, with these attributes.
    Cookie(String),
    /// By a key, from which the strategy finds the backend.
    Key(String),
    /// By the application's cookie of this name, in a table.
    Learned(String),
}

/// What becomes of a session whose backend can't serve it.
#[derive(Clone, Copy, Default)]
enum Lost {
    #[default]
    Moves,
    MovesAfter(Duration),
    Refused,
}

/// What all of it comes to.
pub(crate) struct Sticky {
    pub(crate) layer: StickyLayer<Option<Affinity>>,
    redis: Option<RedisStore>,
}

impl Sticky {
    /// Connects before there are requests, and says so if that fails.
    pub(crate) async fn connect(&self) {
        let Some(redis) = &self.redis else { return };
        if let Err(error) = redis.ping().await {
            eprintln!("{error}; until it is there this proxy learns alone");
        }
    }
}

const WAYS: &str = "expected cookie, source, header:NAME or learned:COOKIE";

impl Stickiness {
    /// Takes in one of the flags; the error names the flag, the value and what is allowed.
    pub(crate) fn with(mut self, flag: &str, value: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("invalid {flag} '{}': {why}", value.escape_debug());
        match flag {
            "--sticky" => {
                let (way, rest) = value.split_once([':', ',']).unwrap_or((value, ""));
                self.way = Some(match way {
                    "cookie" if !value.starts_with("cookie:") => Way::Cookie(rest.to_owned()),
                    "source" if value == way => Way::Key("client".to_owned()),
                    "header" if value != way => Way::Key(value.to_owned()),
                    "learned" if value != way => Way::Learned(rest.to_owned()),
                    _ => return Err(wrong(WAYS)),
                });
                // Whatever is wrong with it is said now.
                self.check().map_err(|why| wrong(&why))?;
            }
            "--sticky-keys" => {
                // What was given may be the secret itself, by mistake: it is not repeated.
                let wrong = |why: String| format!("invalid --sticky-keys: expected a file: {why}");
                let text = std::fs::read_to_string(value).map_err(|error| wrong(error.to_string()))?;
                self.keys = Some(text.parse().map_err(|error: KeysError| wrong(error.to_string()))?);
                self.vain.push("--sticky-keys");
            }
            "--sticky-idle" => {
                let idle = time(flag, value)?;
                self.idle = Some(idle).filter(|idle| *idle >= Duration::from_secs(1));
                self.idle.ok_or_else(|| wrong("expected at least 1s"))?;
                self.vain.push("--sticky-idle");
            }
            "--home-lost" => {
                self.lost = match value {
                    "move" => Lost::Moves,
                    "refuse" => Lost::Refused,
                    _ => Lost::MovesAfter(time(flag, value).map_err(|_| wrong("expected move, refuse, or a time"))?),
                };
                self.vain.push("--home-lost");
            }
            // `--redis`. What may be in it is not repeated.
            _ => self.redis = Some(RedisStore::new(value).map_err(|error| format!("invalid --redis: {error}"))?),
        }
        Ok(self)
    }

    fn check(&self) -> Result<(), String> {
        match &self.way {
            Some(Way::Cookie(attributes)) => {
                let keys = Keys::random().map_err(|error| error.to_string())?;
                cookie(attributes, keys)?.build().map_err(|error| error.to_string())?;
            }
            Some(Way::Learned(name)) => drop(CookieKey::new(name).map_err(|error| error.to_string())?),
            Some(Way::Key(key)) => drop(keys::read(key)?),
            None => {}
        }
        Ok(())
    }

    /// The key that sessions are known by, if they are by one; then the strategy has to go by keys.
    pub(crate) fn key(&self, strategy: &mut Option<Strategy>) -> Result<Option<&str>, String> {
        let Some(Way::Key(key)) = &self.way else {
            return Ok(None);
        };
        let strategy = strategy.get_or_insert(Strategy::Maglev(Default::default()));
        if !strategy.wants_keys() {
            return Err(format!(
                "--strategy {strategy} goes by no key, so that --sticky source or header:NAME would be in vain: expected \
                 maglev (unless said otherwise), ring, rendezvous, jump or ip_hash"
            ));
        }
        Ok(Some(key))
    }

    /// For backends of these ids.
    pub(crate) fn build<'a>(self, mut ids: impl Iterator<Item = &'a str>) -> Result<Sticky, String> {
        if let (None | Some(Way::Key(_)), Some(flag)) = (&self.way, self.vain.first()) {
            return Err(format!("{flag} is for --sticky cookie or learned:COOKIE"));
        }
        let mut store = None;
        if self.redis.is_some() && !matches!(self.way, Some(Way::Learned(_))) {
            return Err("--redis is for --sticky learned:COOKIE".to_owned());
        }
        let affinity = match self.way {
            None | Some(Way::Key(_)) => None,
            Some(Way::Cookie(attributes)) => {
                if let Some(id) = ids.find(|id| id.len() > Cookie::LONGEST_ID) {
                    let most = Cookie::LONGEST_ID;
                    return Err(format!(
                        "--sticky cookie holds ids of up to {most} bytes: '{}' is longer",
                        id.escape_debug()
                    ));
                }
                let keys = match self.keys {
                    Some(keys) => keys,
                    None => {
                        eprintln!("no --sticky-keys: cookies are good for this process alone, and until it ends");
                        Keys::random().map_err(|error| error.to_string())?
                    }
                };
                let mut cookie = cookie(&attributes, keys)?;
                if let Some(idle) = self.idle {
                    cookie = cookie.idle(idle).lifetime(idle.max(DAY));
                }
                Some(Affinity::new(cookie.build().map_err(|error| error.to_string())?))
            }
            Some(Way::Learned(name)) => {
                let mut table = Sessions::builder();
                if let Some(idle) = self.idle {
                    table = table.idle(idle);
                }
                if let Some(redis) = &self.redis {
                    let keys = self
                        .keys
                        .ok_or("--redis wants --sticky-keys FILE, the same for all who share it")?;
                    let redis = redis.clone();
                    let redis = store.insert(match self.idle {
                        Some(idle) => redis.with_idle(idle),
                        None => redis,
                    });
                    let key = keys
                        .session_key()
                        .ok_or("--redis wants one secret in --sticky-keys: sessions are known by it")?;
                    table = table.key(key).store(redis.clone());
                }
                let learned = Learned::by_cookie(table.build(), &name);
                Some(Affinity::new(learned.map_err(|error| error.to_string())?))
            }
        };
        let layer = StickyLayer::new(affinity);
        let layer = match self.lost {
            Lost::Moves => layer,
            Lost::MovesAfter(grace) => layer.grace(grace),
            Lost::Refused => layer.strict(),
        };
        Ok(Sticky { layer, redis: store })
    }
}

/// After which a session of a cookie is over however busy, unless it may be idle for longer.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const ATTRIBUTES: &str =
    "expected cookie[,pool=TEXT][,name=TEXT][,path=TEXT][,domain=TEXT][,secure][,same-site=strict|lax|none], each once";

/// `[pool=TEXT][,name=TEXT][,path=TEXT][,domain=TEXT][,secure][,same-site=WORD]`; the error is what is allowed.
fn cookie(attributes: &str, keys: Keys) -> Result<CookieBuilder, String> {
    let attributes = || {
        let attributes = attributes.split(',').filter(|_| !attributes.is_empty());
        attributes.map(|attribute| attribute.split_once('=').unwrap_or((attribute, "")))
    };
    let pool = attributes().find(|(name, _)| *name == "pool");
    let mut cookie = Cookie::builder(pool.map_or("", |(_, pool)| pool), keys);
    let mut names = Vec::new();
    for (name, value) in attributes() {
        if names.contains(&name) {
            return Err(ATTRIBUTES.to_owned());
        }
        names.push(name);
        cookie = match (name, value) {
            ("pool", _) => cookie,
            ("name", _) => cookie.name(value),
            ("path", _) => cookie.path(value),
            ("domain", _) => cookie.domain(value),
            ("secure", "") => cookie.secure(true),
            ("same-site", "strict") => cookie.same_site(SameSite::Strict),
            ("same-site", "lax") => cookie.same_site(SameSite::Lax),
            ("same-site", "none") => cookie.same_site(SameSite::None),
            _ => return Err(ATTRIBUTES.to_owned()),
        };
    }
    Ok(cookie)
}
