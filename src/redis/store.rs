//! Sessions in Redis.

use std::{fmt, sync::Arc, time::Duration};

use redis::Value;

use super::{
    entry,
    error::{StoreError, StoreErrorKind},
    link::{Link, Patience},
    migration::Migration,
    script::{self, Call, Script},
};
use crate::{
    Home,
    learned::{SessionId, SessionStore, Stored},
};

/// Some 136 years: a time to live that Redis can add to its clock.
const MOST: Duration = Duration::from_secs(u32::MAX as u64);

/// A table of sessions in Redis, which all balancers share that have the same address, prefix and key of session ids. See the
/// [module](super) for what it writes, and what it does while Redis fails.
///
/// Clones share one connection, which is made when it is first needed. It needs a tokio runtime with I/O and time.
#[derive(Clone)]
pub struct RedisStore {
    link: Arc<Link>,
    prefix: Arc<str>,
    idle: Duration,
    lifetime: Option<Duration>,
}

impl RedisStore {
    /// The Redis at this address: `redis://[[user]:password@]host[:port][/database]`, `rediss://` for TLS, or `unix:///path` for a
    /// socket. It need not be there yet.
    ///
    /// Under TLS its certificate has to be trusted by the system, or by what `SSL_CERT_FILE` names. In a program that has rustls
    /// with several providers of cryptography one of them has to be
    /// [the default](https://docs.rs/rustls/latest/rustls/crypto/struct.CryptoProvider.html#using-the-per-process-default-cryptoprovider).
    ///
    /// # Errors
    /// If the address is none of a Redis.
    pub fn new(address: &str) -> Result<Self, StoreError> {
        let patience = Patience {
            connect: Duration::from_secs(1),
            answer: Duration::from_secs(1),
        };
        Ok(Self {
            link: Link::new(Link::client(address)?, patience),
            prefix: "equipoise:".into(),
            idle: Duration::from_secs(30 * 60),
            lifetime: None,
        })
    }

    /// What all keys begin with, `equipoise:` unless said otherwise: tables of different prefixes know nothing of one another.
    /// None may be the beginning of another's keys where sessions are migrated.
    pub fn with_prefix(mut self, prefix: impl Into<Arc<str>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a session is remembered after its last request: 30 minutes unless said otherwise, at least 1 ms. Give tables
    /// [the same](crate::learned::SessionsBuilder::idle).
    pub fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// How long a session is remembered at most, from when it was learned and however often it moves: for ever, while it is used,
    /// unless said otherwise; at least 1 ms. Give tables [the same](crate::learned::SessionsBuilder::lifetime), as one that still
    /// remembers a session [brings it back](super#when-a-session-ends).
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// How long connecting may take: 1 s unless said otherwise. While a first attempt lasts operations wait for it, and while
    /// others do they end in an error at once.
    pub fn with_connect_timeout(self, timeout: Duration) -> Self {
        let connect = timeout.min(MOST);
        self.with_patience(|patience| Patience { connect, ..patience })
    }

    /// How long Redis may take to answer: 1 s unless said otherwise. Then the operation fails, and the connection is given up.
    pub fn with_answer_timeout(self, timeout: Duration) -> Self {
        let answer = timeout.min(MOST);
        self.with_patience(|patience| Patience { answer, ..patience })
    }

    /// Asks whether Redis is there, and so connects: for those who want to know before the first request does.
    ///
    /// # Errors
    /// It is not, or does not let us in. It is looked for all the same from then on.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.link.ask(&redis::cmd("PING")).await.map(drop)
    }

    fn with_patience(mut self, change: impl FnOnce(Patience) -> Patience) -> Self {
        self.link = self.link.anew(change(self.link.patience()));
        self
    }

    fn call(&self, script: &'static Script, session: SessionId) -> Call {
        Call::new(script, entry::key(&self.prefix, session))
    }

    /// A script that is told how long sessions last.
    fn lasting(&self, script: &'static Script, session: SessionId) -> Call {
        let lifetime = self.lifetime.map_or(0, millis);
        self.call(script, session)
            .with_number(millis(self.idle))
            .with_number(lifetime)
    }

    fn check(&self, home: &Home) -> Result<(), StoreError> {
        let length = home.id().len();
        if length <= entry::MOST {
            return Ok(());
        }
        let text = format!("a home's id of {length} bytes, and {} are the most", entry::MOST);
        Err(StoreError::new(StoreErrorKind::TooLong, self.link.place(), text))
    }
}

/// In milliseconds, at least one.
fn millis(duration: Duration) -> u64 {
    let millis = duration.min(MOST).as_millis().max(1);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// The home that a script has told.
fn home(link: &Link, session: SessionId, value: Value) -> Result<Option<Home>, StoreError> {
    let malformed = |what| {
        let text = format!("the home of {session:?} is {what}");
        StoreError::new(StoreErrorKind::Malformed, link.place(), text)
    };
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => match String::from_utf8(bytes) {
            Ok(id) => Ok(Some(Home::new(id))),
            Err(_) => Err(malformed("not UTF-8")),
        },
        Value::Int(_) => Err(malformed("of no form that is known")),
        _ => Err(malformed("answered with something else")),
    }
}

impl SessionStore for RedisStore {
    fn get(&self, session: SessionId) -> Stored<Option<Home>> {
        let call = self.call(&script::GET, session).with_number(millis(self.idle));
        let link = Arc::clone(&self.link);
        Box::pin(async move { Ok(home(&link, session, link.run(&call).await?)?) })
    }

    /// A session that is nowhere, because it has expired or Redis has lost it, goes to `to` also if it was to be at `from`.
    fn claim(&self, session: SessionId, from: Option<Home>, to: Home) -> Stored<Home> {
        if let Err(error) = self.check(&to) {
            return Box::pin(async { Err(error.into()) });
        }
        let mut call = self.lasting(&script::CLAIM, session).with(to.id());
        if let Some(from) = from {
            call = call.with(from.id());
        }
        let link = Arc::clone(&self.link);
        Box::pin(async move {
            let now = home(&link, session, link.run(&call).await?)?;
            // A claim leaves nobody nowhere.
            Ok(now.unwrap_or(to))
        })
    }

    fn put(&self, session: SessionId, to: Home) -> Stored<()> {
        if let Err(error) = self.check(&to) {
            return Box::pin(async { Err(error.into()) });
        }
        let call = self.lasting(&script::PUT, session).with(to.id());
        let link = Arc::clone(&self.link);
        Box::pin(async move { Ok(link.run(&call).await.map(drop)?) })
    }

    fn forget(&self, session: SessionId) -> Stored<()> {
        let mut command = redis::cmd("DEL");
        command.arg(entry::key(&self.prefix, session));
        let link = Arc::clone(&self.link);
        Box::pin(async move { Ok(link.ask(&command).await.map(drop)?) })
    }

    /// Goes through all keys of the database in batches, beside the commands of others, at most 64 of its own at a time. Ends
    /// with the first error; whoever was moved by then stays so. Where `choose` returns a home whose id is too long the session
    /// stays, and that is an error in the end.
    fn migrate(&self, from: Home, choose: Arc<dyn Fn(SessionId) -> Home + Send + Sync>) -> Stored<u64> {
        let migration = Migration {
            link: Arc::clone(&self.link),
            prefix: Arc::clone(&self.prefix),
            from,
            choose,
        };
        Box::pin(async move { Ok(migration.run().await?) })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("address", self.link.place())
            .field("prefix", &self.prefix)
            .field("idle", &self.idle)
            .field("lifetime", &self.lifetime)
            .field("patience", &self.link.patience())
            .finish()
    }
}
