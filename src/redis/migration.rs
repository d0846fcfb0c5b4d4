//! Many sessions put elsewhere.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use redis::Value;

use super::{
    entry,
    error::{StoreError, StoreErrorKind},
    link::Link,
    script::{self, Call},
};
use crate::{Home, learned::SessionId};

/// How many keys Redis looks at in one step, in which nobody else is served: some 100 µs.
const STEP: usize = 512;
/// How many commands are under way at a time, which those of requests come behind.
const WIDTH: usize = 64;

/// All that are at one home, put to others.
pub(super) struct Migration {
    pub(super) link: Arc<Link>,
    pub(super) prefix: Arc<str>,
    pub(super) from: Home,
    pub(super) choose: Arc<dyn Fn(SessionId) -> Home + Send + Sync>,
}

impl Migration {
    pub(super) async fn run(&self) -> Result<u64, StoreError> {
        let pattern = entry::pattern(&self.prefix);
        let mut cursor = b"0".to_vec();
        let mut moved = 0;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
            let found = self.link.ask(&scan).await?;
            let (next, keys) = self.read(found)?;
            moved += stream::iter(keys.into_iter().map(|key| self.move_one(key)))
                .buffer_unordered(WIDTH)
                .try_fold(0, async |sum, moved| Ok(sum + moved))
                .await?;
            if next == b"0" {
                return Ok(moved);
            }
            cursor = next;
        }
    }

    /// Where to go on, and the keys that were found.
    fn read(&self, found: Value) -> Result<(Vec<u8>, Vec<Vec<u8>>), StoreError> {
        redis::from_redis_value(found).map_err(|_| {
            StoreError::new(
                StoreErrorKind::Malformed,
                self.link.place(),
                "no list of keys in answer to SCAN",
            )
        })
    }

    /// Moves a session, if it is one and at home there; how many.
    async fn move_one(&self, key: Vec<u8>) -> Result<u64, StoreError> {
        let Some(session) = entry::session(&self.prefix, &key) else {
            return Ok(0);
        };
        let mut peek = redis::cmd("GETRANGE");
        peek.arg(&key).arg(0).arg(entry::MOST_VALUE);
        let value = match self.link.ask(&peek).await {
            Ok(Value::BulkString(value)) => value,
            // Something else than a string.
            Err(error) if error.is_wrong_type() => return Ok(0),
            Ok(_) => return Ok(0),
            Err(error) => return Err(error),
        };
        if entry::home(&value) != Some(self.from.id()) {
            return Ok(0);
        }
        let to = (self.choose)(session);
        if to == self.from {
            return Ok(0);
        }
        if to.id().len() > entry::MOST {
            let text = format!(
                "a home's id of {} bytes, and {} are the most",
                to.id().len(),
                entry::MOST
            );
            return Err(StoreError::new(StoreErrorKind::TooLong, self.link.place(), text));
        }
        let call = Call::new(&script::MOVE, key).with(self.from.id()).with(to.id());
        match self.link.run(&call).await? {
            Value::Int(moved) => Ok(u64::from(moved == 1)),
            _ => Ok(0),
        }
    }
}
