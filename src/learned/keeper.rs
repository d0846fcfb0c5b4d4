//! The store that a table shares with others.

use std::time::Duration;

use super::{SessionStore, presence::Presence};

/// The store that a table shares with others.
pub(super) struct Keeper {
    pub(super) store: Box<dyn SessionStore>,
    /// How long a request waits for it.
    pub(super) deadline: Duration,
    pub(super) presence: Presence,
}
