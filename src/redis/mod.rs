//! A table of sessions that several balancers share, in Redis.
//!
//! [`RedisStore`] is a [`SessionStore`](crate::learned::SessionStore) in one Redis, or Valkey, of version 6 or above. Every
//! operation is one command and one round trip, pipelined with all others on one connection.
//!
//! # What is in Redis
//! A string for each session. Its key is the prefix and the session's 16 bytes in hex, `equipoise:` and 32 digits unless said
//! otherwise; nothing of what named the session is in it. Its value is the home's id, and when the session ends whatever its
//! use: `1:1767225600000:backend-7`, in milliseconds since 1970, 0 for never. Keys have the idle time as their time to live, or
//! what is left until the end if that is less, so that Redis forgets sessions by itself. The clock is that of Redis alone.
//!
//! A key of ours under which there is something else, such as a list, or a string of another form, is an error to whoever asks
//! for that session, and is left as it is; but a home that is [put](crate::learned::SessionStore::put) there replaces it.
//!
//! # Memory
//! Where clients choose what names their session, as with a header or a cookie of any value, each
//! name that is served is claimed and kept for the idle time, so that Redis is as full as they like. Give it a `maxmemory` and a
//! `maxmemory-policy` that drops keys: `volatile-lru`, as all keys here have a time to live, or `allkeys-lru` if nothing else is in
//! it. Under `noeviction`, the default, a full Redis tells what it knows and learns nothing (`OOM`), so that balancers may differ
//! about new sessions. A session that was dropped is learned anew, as if lost.
//!
//! # When a session ends
//! That Redis has nothing of a session is taken for lost data by a balancer that remembers its home: it stays there, and is
//! learned anew. So a session that is [forgotten](crate::learned::Sessions::forget), or whose lifetime is over, ends for sure only
//! where no other balancer has it in its copy. Give [tables](crate::learned::SessionsBuilder) the same idle time and lifetime as
//! the store: then a copy ends by itself. It counts the lifetime from when its balancer learned of the session, which is later.
//!
//! # While Redis fails
//! An operation ends in a [`StoreError`] at once while it is known that Redis can't be reached, and within the
//! [`answer timeout`](RedisStore::with_answer_timeout) otherwise. A connection is made with the first operation. One that was
//! lost is made again by itself, with growing pauses of up to a second.
//!
//! A Redis that can be read but not written (`NOREPLICAS`, `READONLY`, `MISCONF`) tells homes all the same; but uses are not noted
//! meanwhile, so that sessions end there by the idle time after the last use that was.
//!
//! Whoever has a deadline of its own drops the future, and that is all there is to it: others on the same connection go on. A
//! command that was sent may be carried out nevertheless; as all of them compare before they set, but for `put`, what comes late
//! moves nobody who has been moved meanwhile.
//!
//! # One Redis, replicas, a cluster
//! - A single server that restarts without its data has forgotten all sessions: each is learned anew, from the home that its
//!   balancer remembers, or else moves once.
//! - Replication is asynchronous: a replica that becomes the primary may lack the last writes. A session of which the write was
//!   lost may be learned anew and so move once; then all agree again. The address has to lead to the primary, as a name, a
//!   virtual address or a proxy does: Sentinels are not asked. One that was made a replica says so with the next command that
//!   would write (`READONLY`); then the name is resolved and the connection is made anew.
//! - Every command has one key, so that proxies that spread keys over several servers, and a Redis Cluster's hash slots, take
//!   them as they are. The store speaks with one server though, and follows no redirection: `MOVED` is an error. With all keys in
//!   one slot, by a prefix such as `{equipoise}:`, the server that has that slot does. Bulk migration goes through the keys of the
//!   server that it asks.
//!
//! ```
//! # fn main() -> Result<(), equipoise::redis::StoreError> {
//! use std::time::Duration;
//! use equipoise::redis::RedisStore;
//!
//! // Connects when it is first used.
//! let store = RedisStore::new("redis://:secret@sessions.internal:6379/0")?
//!     .with_prefix("shop:sessions:")
//!     .with_idle(Duration::from_secs(20 * 60))
//!     .with_lifetime(Duration::from_secs(12 * 60 * 60));
//! assert!(!format!("{store:?}").contains("secret"));
//! # Ok(()) }
//! ```

mod entry;
mod error;
mod line;
mod link;
mod migration;
mod script;
mod store;

pub use error::{StoreError, StoreErrorKind};
pub use store::RedisStore;
