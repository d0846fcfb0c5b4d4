//! How many tries there may be beyond the first.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use parking_lot::Mutex;

use crate::selector::ParameterError;

/// The time over which deposits and wishes count, in slices of a second.
const WINDOW: usize = 10;
/// So many deposits may pass between two looks at the clock, which costs more than they do.
const UNSEEN: u64 = 64;

/// How many tries there may be beyond the first of each request: a share of the requests that succeeded within the last
/// 10 s, and so many a second besides, for who sends few. Clones are one budget: give the same to all layers before one
/// fleet. What processes have besides adds up: with a hundred of few requests each let that be 1 a second or less.
///
/// That is Finagle's [`RetryBudget`] with its defaults, 20 % and 10 a second (Envoy's [retry budget] allows 20 % of the
/// requests that are on their way, and 3), but for two things, both from the [retry throttling] of gRPC. Only a request that
/// succeeded deposits; and a try that is wished for counts whether there was one or not. So who fails more often than the
/// budget has tries for gets none, until that is over for as long as it takes to be forgotten. Otherwise a fleet may stay
/// overloaded by tries alone for ever after a brief outage: at a load of 0.9 it takes no more than 11 % on top of that
/// (Bronson et al., ["Metastable failures in distributed systems"], HotOS 2021; `docs/failover.md` in the repository has it
/// simulated).
///
/// A deposit costs a load and a store: of two that are made in the same moment by different threads one may be lost, none
/// is ever counted twice, and up to 63 may count as made later than they were.
///
/// [`RetryBudget`]: https://twitter.github.io/finagle/docs/com/twitter/finagle/service/RetryBudget$.html
/// [retry budget]: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/circuit_breaker.proto
/// [retry throttling]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs
/// ["Metastable failures in distributed systems"]: https://sigops.org/s/conferences/hotos/2021/papers/hotos21-s11-bronson.pdf
#[derive(Clone)]
pub struct RetryBudget(Arc<Account>);

struct Account {
    ratio: f64,
    /// Within a window.
    floor: f64,
    /// Ever made.
    deposits: AtomicU64,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    since: Option<Instant>,
    /// Those deposits that are in a slice.
    seen: u64,
    slices: [Slice; WINDOW],
}

#[derive(Clone, Copy, Default)]
struct Slice {
    second: u64,
    deposits: u64,
    /// Tries that were asked for, the refused ones included.
    wishes: u64,
}

impl RetryBudget {
    /// 20 % of the requests that succeed, and 10 a second.
    pub fn new() -> Self {
        Self::with(0.2, 10.0)
    }

    /// Another: a share of the requests that succeed, from 0 to 100, and so many a second, from 0 to 1,000,000. With
    /// both 0 nothing that costs anything is tried again.
    ///
    /// # Errors
    /// For what is out of these ranges, or no number.
    pub fn of(ratio: f64, per_second: f64) -> Result<Self, ParameterError> {
        let wrong = |parameter, value, allowed| Err(ParameterError::of("RetryBudget", parameter, value, allowed));
        match (ratio, per_second) {
            _ if !(0.0..=100.0).contains(&ratio) => wrong("ratio", ratio, "a number from 0 to 100"),
            _ if !(0.0..=1e6).contains(&per_second) => wrong("per_second", per_second, "a number from 0 to 1000000"),
            _ => Ok(Self::with(ratio, per_second)),
        }
    }

    pub(super) fn with(ratio: f64, per_second: f64) -> Self {
        Self(Arc::new(Account {
            ratio,
            floor: per_second * WINDOW as f64,
            deposits: AtomicU64::new(0),
            book: Mutex::default(),
        }))
    }

    /// A request has succeeded.
    #[inline(always)]
    pub(super) fn deposit(&self, now: impl FnOnce() -> Instant) {
        let deposits = self.0.deposits.load(Relaxed).wrapping_add(1);
        self.0.deposits.store(deposits, Relaxed);
        if deposits % UNSEEN == 0 {
            self.0.turn(now());
        }
    }

    /// Takes one try; false if there is none, which counts as well.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        let mut book = self.0.turn(now);
        let is_left = book.is_left(self.0.ratio, self.0.floor);
        book.current().wishes += 1;
        is_left
    }

    /// The same where a refusal is forgotten: for what may always be as much as this, and never more.
    pub(super) fn withdraw_if_left(&self, now: Instant) -> bool {
        let mut book = self.0.turn(now);
        let is_left = book.is_left(self.0.ratio, self.0.floor);
        book.current().wishes += u64::from(is_left);
        is_left
    }

    /// One that was taken has not been made.
    pub(super) fn refund(&self, now: Instant) {
        let mut book = self.0.turn(now);
        let current = book.current();
        // It may have been taken from the last slice: then that one keeps it, and lets go of it in a while.
        current.wishes = current.wishes.saturating_sub(1);
    }
}

impl Account {
    /// Takes in what was deposited, as of now.
    #[cold]
    fn turn(&self, now: Instant) -> impl std::ops::DerefMut<Target = Book> + '_ {
        let mut book = self.book.lock();
        book.advance(now, self.deposits.load(Relaxed));
        book
    }
}

impl Book {
    fn advance(&mut self, now: Instant, deposits: u64) {
        let since = *self.since.get_or_insert(now);
        // Begun a window on, so that slices which were never used are too old.
        let second = now.saturating_duration_since(since).as_secs() + 2 * WINDOW as u64;
        // Clocks of several clones may be read in one order and get here in another.
        let second = second.max(self.latest());
        let slice = &mut self.slices[second as usize % WINDOW];
        if slice.second != second {
            *slice = Slice {
                second,
                ..Slice::default()
            };
        }
        slice.deposits += deposits.saturating_sub(self.seen);
        // Less than before, if one thread overtook another: those between are lost.
        self.seen = deposits;
    }

    fn latest(&self) -> u64 {
        self.slices.iter().map(|slice| slice.second).max().unwrap_or(0)
    }

    /// The one in which it is now.
    fn current(&mut self) -> &mut Slice {
        let latest = self.latest();
        &mut self.slices[latest as usize % WINDOW]
    }

    fn is_left(&self, ratio: f64, floor: f64) -> bool {
        let latest = self.latest();
        let is_recent = |slice: &&Slice| slice.second + WINDOW as u64 > latest;
        let recent = || self.slices.iter().filter(is_recent);
        let deposits: u64 = recent().map(|slice| slice.deposits).sum();
        let wishes: u64 = recent().map(|slice| slice.wishes).sum();
        (wishes + 1) as f64 <= deposits as f64 * ratio + floor
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("ratio", &self.0.ratio)
            .field("per_second", &(self.0.floor / WINDOW as f64))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;

    /// How many there are, and one that there is not.
    fn withdrawn(budget: &RetryBudget, now: Instant) -> usize {
        (0..100_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn a_share_of_what_succeeded_within_ten_seconds_and_a_floor() {
        let clock = ManualClock::new();
        let budget = RetryBudget::new();
        assert_eq!(withdrawn(&budget, clock.now()), 100, "10 a second, for 10 s");
        (0..1_000).for_each(|_| budget.deposit(|| clock.now()));
        assert_eq!(
            withdrawn(&budget, clock.now()),
            199,
            "20 % of them, less the one that was refused"
        );
        clock.advance(Duration::from_secs(9));
        assert_eq!(withdrawn(&budget, clock.now()), 0, "they count still");
        clock.advance(Duration::from_secs(1));
        assert_eq!(
            withdrawn(&budget, clock.now()),
            99,
            "and now only the one that was refused last does"
        );
    }

    #[test]
    fn what_was_deposited_long_ago_is_forgotten_whether_anybody_looked_or_not() {
        let clock = ManualClock::new();
        let budget = RetryBudget::of(1.0, 0.0).unwrap();
        (0..6_400).for_each(|_| budget.deposit(|| clock.now()));
        clock.advance(Duration::from_secs(10));
        assert_eq!(withdrawn(&budget, clock.now()), 0);
        (0..10).for_each(|_| budget.deposit(|| clock.now()));
        assert_eq!(withdrawn(&budget, clock.now()), 9, "before the clock is looked at");
    }

    #[test]
    fn over_any_time_there_are_no_more_tries_than_a_share_and_the_floor() {
        // One in so many fails.
        for fails in [1, 2, 3, 6, 10] {
            let clock = ManualClock::new();
            let budget = RetryBudget::of(0.2, 1.0).unwrap();
            let (mut failures, mut successes, mut tries) = (0_u32, 0_u32, 0_u32);
            for step in 0..10_000_u32 {
                if step % fails == 0 {
                    failures += 1;
                    tries += u32::from(budget.withdraw(clock.now()));
                } else {
                    successes += 1;
                    budget.deposit(|| clock.now());
                }
                clock.advance(Duration::from_millis(10));
            }
            let most = f64::from(successes) * 0.2 + 100.0 + 10.0;
            assert!(f64::from(tries) <= most, "{tries} of at most {most}");
            let expected = if fails >= 6 { failures } else { 10 };
            assert!((expected..expected + 40).contains(&tries), "{tries} of {failures}");
        }
    }

    #[test]
    fn who_wishes_for_more_than_there_is_has_none_until_that_is_forgotten() {
        let clock = ManualClock::new();
        let budget = RetryBudget::of(0.2, 0.0).unwrap();
        // Each tenth of a second 10 requests, of which so many fail.
        let second = |failures: usize| {
            let tries = (0..10).map(|_| {
                (failures..10).for_each(|_| budget.deposit(|| clock.now()));
                clock.advance(Duration::from_millis(100));
                (0..failures).filter(|_| budget.withdraw(clock.now())).count()
            });
            tries.sum::<usize>()
        };
        (0..20).for_each(|_| assert!(second(1) <= 10));
        assert_eq!(second(1), 10);
        // What was not needed until now is there at once.
        let tries: usize = (0..3).map(|_| second(5)).sum();
        assert!((60..130).contains(&tries), "{tries} of 150");
        (0..30).for_each(|_| assert_eq!(second(5), 0));
        (0..5).for_each(|_| assert_eq!(second(1), 0));
        (0..10).for_each(|_| assert!(second(1) <= 10));
        assert_eq!(second(1), 10);
    }

    #[test]
    fn what_was_not_made_is_given_back() {
        let clock = ManualClock::new();
        let budget = RetryBudget::of(0.0, 0.2).unwrap();
        assert!(budget.withdraw(clock.now()) && budget.withdraw(clock.now()));
        budget.refund(clock.now());
        assert!(budget.withdraw(clock.now()) && !budget.withdraw(clock.now()));
        (0..9).for_each(|_| budget.refund(clock.now()));
        assert!(budget.withdraw(clock.now()) && budget.withdraw(clock.now()) && !budget.withdraw(clock.now()));
    }

    #[test]
    fn budgets_are_within_their_ranges() {
        for (ratio, per_second) in [
            (f64::NAN, 1.0),
            (-0.1, 1.0),
            (100.1, 1.0),
            (0.2, f64::NAN),
            (0.2, -1.0),
            (0.2, 2e6),
        ] {
            assert!(RetryBudget::of(ratio, per_second).is_err(), "{ratio} {per_second}");
        }
        let none = RetryBudget::of(0.0, 0.0).unwrap();
        (0..1_000).for_each(|_| none.deposit(Instant::now));
        assert!(!none.withdraw(Instant::now()));
        assert!(RetryBudget::of(100.0, 1e6).unwrap().withdraw(Instant::now()));
    }
}
