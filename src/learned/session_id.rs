//! What a session is known by.

use std::fmt;

/// A session: a keyed 128-bit hash of whatever its requests have in common, such as the application's session cookie. Who has
/// the table, or sees what is shared of it, but not the key, learns nothing of that, and makes no two sessions one.
// Two words, which take no more room in a table than they are long.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u64; 2]);

impl SessionId {
    pub(super) fn new(hash: u128) -> Self {
        Self([(hash >> 64) as u64, hash as u64])
    }

    fn hash(self) -> u128 {
        let [high, low] = self.0;
        u128::from(high) << 64 | u128::from(low)
    }

    /// The 16 bytes that it is stored under. Each of them is as good as random.
    pub fn to_bytes(self) -> [u8; 16] {
        self.hash().to_be_bytes()
    }

    /// The session that is stored under these.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::new(u128::from_be_bytes(bytes))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({:032x})", self.hash())
    }
}
