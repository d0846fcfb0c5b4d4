//! How many requests of a member have failed in a row: the part of outlier detection that is on a request's way.

use super::EjectionReason;
use crate::{
    outcome::Outcome,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// How far a member is in each row of failures: of any kind, gateway failures and local failures, 20 bits each; whether
/// its last request failed; and whether it is on probation.
///
/// A row that reaches its limit begins anew, so that the same member is told of again after as many further failures:
/// when it was first told of, its ejection may have been refused. So no row needs to hold more than its limit.
///
/// One value, so that what is read is what was at one time; nothing else is read by it, so relaxed is enough.
#[derive(Default)]
pub(crate) struct Streak(AtomicU64);

/// After how many failures in a row a member is ejected; 0 for never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) failures: u32,
    pub(crate) gateway: u32,
    pub(crate) local: u32,
}

const BITS: u32 = 20;
const MASK: u64 = (1 << BITS) - 1;
/// The last request failed.
const FAILED: u64 = 1 << 62;
/// Each success and each failure is to be told of.
const PROBATION: u64 = 1 << 63;

impl Limits {
    /// No row is ever too long.
    pub(crate) const NONE: Self = Self {
        failures: 0,
        gateway: 0,
        local: 0,
    };

    /// The most that a row holds.
    pub(crate) const MOST: u32 = 1_000_000;

    /// What comes after these rows with a failure, and what is to be told of it.
    fn after(&self, rows: u64, outcome: Outcome) -> (u64, Option<EjectionReason>) {
        let (is_gateway, is_local) = match outcome {
            Outcome::Failure => (false, false),
            Outcome::BadGateway => (true, false),
            Outcome::Unreachable => (true, true),
            // Neither good nor bad.
            Outcome::Success | Outcome::Cancelled | Outcome::Broken => return (rows, None),
        };
        let row = |at: u32, goes_on: bool, limit: u32| {
            let count = (rows >> (at * BITS) & MASK) as u32 + 1;
            match limit {
                0 => (0, false),
                // An answer, if a bad one, ends the row of those that had none.
                _ if !goes_on => (0, false),
                _ if count >= limit => (0, true),
                _ => (u64::from(count) << (at * BITS), false),
            }
        };
        let (failures, is_failing) = row(0, true, self.failures);
        let (gateway, is_gateway_failing) = row(1, is_gateway, self.gateway);
        let (local, is_local_failing) = row(2, is_local, self.local);
        // The narrowest says the most.
        let reason = if is_local_failing {
            Some(EjectionReason::ConsecutiveLocalFailures { count: self.local })
        } else if is_gateway_failing {
            Some(EjectionReason::ConsecutiveGatewayFailures { count: self.gateway })
        } else if is_failing {
            Some(EjectionReason::ConsecutiveFailures { count: self.failures })
        } else {
            None
        };
        (failures | gateway | local | FAILED | rows & PROBATION, reason)
    }
}

impl Streak {
    /// Whether a success is to be told of: not of a member whose requests succeed, which costs a load of a line that is
    /// written with every request anyway.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    /// A request succeeded: all rows end. Whether the member is on probation.
    #[cold]
    pub(crate) fn succeeded(&self) -> bool {
        self.0.fetch_and(PROBATION, Relaxed) & PROBATION != 0
    }

    /// Whether the last request failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.0.load(Relaxed) & FAILED != 0
    }

    /// From now on, or no longer, each success and failure is told of. What was before is not held against it.
    pub(crate) fn put_on_probation(&self, is_on: bool) {
        self.0.store(if is_on { PROBATION } else { 0 }, Relaxed);
    }

    /// A request failed. Some if this very failure has reached a limit, for one thread alone; on probation each does.
    #[cold]
    pub(crate) fn failed(&self, outcome: Outcome, limits: &Limits) -> Option<EjectionReason> {
        let mut rows = self.0.load(Relaxed);
        loop {
            let (next, reason) = limits.after(rows, outcome);
            match self.0.compare_exchange_weak(rows, next, Relaxed, Relaxed) {
                Ok(_) if rows & PROBATION != 0 => return Some(EjectionReason::Probation),
                Ok(_) => return reason,
                Err(now) => rows = now,
            }
        }
    }
}
