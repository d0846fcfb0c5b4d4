//! What clones of a table share.

use siphasher::sip128::SipHasher24;

use super::{changes::Changes, keeper::Keeper, stats::Counts, table::Table};
use crate::{Clock, EventSource};

/// What clones of a table share.
pub(super) struct Shared {
    pub(super) table: Table,
    pub(super) hasher: SipHasher24,
    pub(super) clock: Clock,
    pub(super) keeper: Option<Keeper>,
    pub(super) counts: Counts,
    pub(super) changes: Changes,
    pub(super) events: EventSource,
}
