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
        if is_on {
            self.0.store(PROBATION, Relaxed);
        } else {
            self.0.fetch_and(FAILED, Relaxed);
        }
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{sync::Barrier, thread};

    use proptest::prelude::*;

    use super::*;

    const FAILURES: [Outcome; 3] = [Outcome::Failure, Outcome::BadGateway, Outcome::Unreachable];

    fn limits(failures: u32, gateway: u32, local: u32) -> Limits {
        Limits {
            failures,
            gateway,
            local,
        }
    }

    /// How many failures of this kind it takes, again and again.
    fn reached(streak: &Streak, outcome: Outcome, limits: &Limits, tries: usize) -> Vec<usize> {
        let is_told = |_: &usize| streak.failed(outcome, limits).is_some();
        (1..=tries).filter(is_told).collect()
    }

    /// Envoy, test/common/upstream/outlier_detection_impl_test.cc, RemoveWhileEjected, NotEnforcing and
    /// FailurePercentageLocalOrigin: four failures do nothing, the fifth is told of, and so is every fifth thereafter.
    #[test]
    fn the_fifth_in_a_row_is_told_of_and_each_fifth_after_it() {
        let streak = Streak::default();
        assert_eq!(
            reached(&streak, Outcome::Failure, &limits(5, 0, 0), 25),
            [5, 10, 15, 20, 25]
        );
    }

    #[test]
    fn a_success_ends_the_row() {
        let (streak, limits) = (Streak::default(), limits(5, 5, 5));
        for outcome in FAILURES {
            assert_eq!(reached(&streak, outcome, &limits, 4), [0; 0]);
            streak.succeeded();
        }
        assert_eq!(reached(&streak, Outcome::Unreachable, &limits, 5), [5]);
    }

    #[test]
    fn a_return_ends_the_row() {
        let streak = Streak::default();
        assert_eq!(reached(&streak, Outcome::Failure, &limits(2, 0, 0), 1), [0; 0]);
        streak.put_on_probation(false);
        assert_eq!(reached(&streak, Outcome::Failure, &limits(2, 0, 0), 2), [2]);
    }

    #[test]
    fn on_probation_each_request_is_told_of() {
        let (streak, limits) = (Streak::default(), limits(5, 0, 0));
        assert!(!streak.is_marked());
        streak.put_on_probation(true);
        assert!(streak.is_marked() && !streak.is_failing());
        assert_eq!(
            streak.failed(Outcome::Failure, &limits),
            Some(EjectionReason::Probation)
        );
        assert!(streak.is_failing());
        assert!(streak.succeeded() && streak.is_marked() && !streak.is_failing());
        assert_eq!(
            streak.failed(Outcome::Failure, &limits),
            Some(EjectionReason::Probation)
        );
        // Whether the last request failed is known of who is ejected again.
        streak.put_on_probation(false);
        assert!(streak.is_failing());
        assert!(!streak.succeeded() && !streak.is_marked());
    }

    #[test]
    fn what_is_neither_good_nor_bad_leaves_the_row_be() {
        let (streak, limits) = (Streak::default(), limits(2, 0, 0));
        assert_eq!(streak.failed(Outcome::Failure, &limits), None);
        assert_eq!(streak.failed(Outcome::Cancelled, &limits), None);
        assert_eq!(streak.failed(Outcome::Broken, &limits), None);
        let reason = EjectionReason::ConsecutiveFailures { count: 2 };
        assert_eq!(streak.failed(Outcome::Failure, &limits), Some(reason));
    }

    #[test]
    fn an_answer_ends_the_row_of_those_that_had_none() {
        let (streak, limits) = (Streak::default(), limits(0, 3, 2));
        let local = EjectionReason::ConsecutiveLocalFailures { count: 2 };
        let gateway = EjectionReason::ConsecutiveGatewayFailures { count: 3 };
        for (outcome, told) in [
            (Outcome::Unreachable, None),
            (Outcome::BadGateway, None),
            (Outcome::Unreachable, Some(gateway)),
            (Outcome::Failure, None),
            (Outcome::Unreachable, None),
            (Outcome::Unreachable, Some(local)),
        ] {
            assert_eq!(streak.failed(outcome, &limits), told, "{outcome:?}");
        }
    }

    #[test]
    fn the_narrowest_reason_is_told() {
        let streak = Streak::default();
        for (outcome, told) in [
            (
                Outcome::Unreachable,
                EjectionReason::ConsecutiveLocalFailures { count: 1 },
            ),
            (
                Outcome::BadGateway,
                EjectionReason::ConsecutiveGatewayFailures { count: 1 },
            ),
            (Outcome::Failure, EjectionReason::ConsecutiveFailures { count: 1 }),
        ] {
            assert_eq!(streak.failed(outcome, &limits(1, 1, 1)), Some(told));
        }
    }

    #[test]
    fn what_is_off_is_never_told() {
        let streak = Streak::default();
        for outcome in FAILURES {
            assert_eq!(reached(&streak, outcome, &limits(0, 0, 0), 20), [0; 0]);
        }
    }

    #[test]
    fn the_rows_do_not_run_into_each_other() {
        let (streak, most) = (Streak::default(), Limits::MOST);
        let all = limits(most, most, most);
        for _ in 1..most {
            assert_eq!(streak.failed(Outcome::Unreachable, &all), None);
        }
        let reason = EjectionReason::ConsecutiveLocalFailures { count: most };
        assert_eq!(streak.failed(Outcome::Unreachable, &all), Some(reason));
    }

    /// Long enough that threads get into each other's way with every run.
    #[test]
    fn each_limit_is_told_of_once_however_many_threads() {
        const EACH: usize = 100_000;
        for (threads, limit) in [(2, 1), (2, 5), (3, 7), (4, 1000)] {
            let (streak, limits) = (Streak::default(), limits(limit, 0, 0));
            let start = Barrier::new(threads);
            let told: usize = thread::scope(|scope| {
                let fail = || {
                    start.wait();
                    reached(&streak, Outcome::Failure, &limits, EACH).len()
                };
                let threads: Vec<_> = (0..threads).map(|_| scope.spawn(fail)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(
                told,
                threads * EACH / limit as usize,
                "{threads} threads, limit {limit}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Against three counts that are kept apart.
        #[test]
        fn rows_are_what_they_are_said_to_be(
            outcomes in proptest::collection::vec(0_usize..4, 1..100),
            on in (0_u32..6, 0_u32..6, 0_u32..6),
        ) {
            let (streak, limits) = (Streak::default(), limits(on.0, on.1, on.2));
            let mut rows = [0_u32; 3];
            for outcome in outcomes {
                if outcome == 3 {
                    streak.succeeded();
                    rows = [0; 3];
                    continue;
                }
                for (row, count) in rows.iter_mut().enumerate() {
                    *count = if row <= outcome { *count + 1 } else { 0 };
                }
                let at_limit = |(count, limit): (&u32, u32)| limit > 0 && *count > 0 && count % limit == 0;
                let is_told = rows.iter().zip([on.0, on.1, on.2]).any(at_limit);
                prop_assert_eq!(streak.failed(FAILURES[outcome], &limits).is_some(), is_told);
            }
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use std::sync::Arc;

    use loom::thread;

    use super::*;

    const LIMITS: Limits = Limits {
        failures: 2,
        gateway: 0,
        local: 0,
    };

    fn fails(streak: &Streak) -> bool {
        streak.failed(Outcome::Failure, &LIMITS).is_some()
    }

    #[test]
    fn one_thread_tells_of_a_limit() {
        loom::model(|| {
            let streak = Arc::new(Streak::default());
            let threads = [(); 2].map(|()| {
                let streak = Arc::clone(&streak);
                thread::spawn(move || fails(&streak))
            });
            let told = threads.map(|thread| thread.join().unwrap());
            assert!(told[0] != told[1]);
        });
    }

    #[test]
    fn a_failure_is_before_a_success_or_after_it() {
        loom::model(|| {
            let streak = Arc::new(Streak::default());
            assert!(!fails(&streak));
            let thread = {
                let streak = Arc::clone(&streak);
                thread::spawn(move || fails(&streak))
            };
            streak.succeeded();
            let second = thread.join().unwrap();
            // The second before the success, or the third as the second after it.
            let third = fails(&streak);
            assert!(second != third);
        });
    }
}
