//! How many a second, lately.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Counts what happens in the last ten seconds, second by second, without a lock.
///
/// A second's count shares a word with the second's number, so that the first to count in a new second takes the place
/// of the oldest. A second is counted 2³² times at most.
#[derive(Debug, Default)]
pub(super) struct Window([AtomicU64; SECONDS]);

/// The second that is under way, and the nine before it.
const SECONDS: usize = 10;
const COUNT: u32 = 32;

impl Window {
    /// One more, so long after the start.
    pub(super) fn count(&self, now: Duration) {
        // Second 0 is told from no second at all by its count.
        let second = now.as_secs();
        let count = |word: u64| match (word >> COUNT).cmp(&(second & u64::from(u32::MAX))) {
            std::cmp::Ordering::Equal => Some(word.saturating_add(1)),
            std::cmp::Ordering::Less => Some(second << COUNT | 1),
            // A straggler: its second is over, and its place taken.
            std::cmp::Ordering::Greater => None,
        };
        let _ = self.0[second as usize % SECONDS].fetch_update(Relaxed, Relaxed, count);
    }

    /// How many a second there were in the last nine to ten; since the start, if that is not so long ago, but over no less
    /// than one.
    pub(super) fn rate(&self, now: Duration) -> f64 {
        let second = now.as_secs();
        let oldest = second.saturating_sub(SECONDS as u64 - 1);
        let of = |word: &AtomicU64| {
            let word = word.load(Relaxed);
            let is_recent = (oldest..=second).contains(&(word >> COUNT));
            if is_recent { word & u64::from(u32::MAX) } else { 0 }
        };
        let counted: u64 = self.0.iter().map(of).sum();
        let since = now.saturating_sub(Duration::from_secs(oldest));
        counted as f64 / since.as_secs_f64().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_ten_seconds() {
        let at = Duration::from_secs_f64;
        let window = Window::default();
        assert_eq!(window.rate(at(0.0)), 0.0);
        (0..6).for_each(|_| window.count(at(0.1)));
        assert_eq!(window.rate(at(0.2)), 6.0, "over no less than a second");
        assert_eq!(window.rate(at(3.0)), 2.0);
        // Two each tenth of a second for a minute.
        for tenth in 30..600 {
            window.count(at(f64::from(tenth) / 10.0));
            window.count(at(f64::from(tenth) / 10.0));
        }
        assert_eq!(window.rate(at(60.0)), 20.0);
        assert!((19.9..20.2).contains(&window.rate(at(59.95))));
        // Of the last ten seconds, half are silent; then all.
        assert_eq!(window.rate(at(65.0)), 4.0 * 20.0 / 9.0);
        assert_eq!(window.rate(at(75.0)), 0.0);
        // Nobody counts again what was over.
        window.count(at(80.0));
        window.count(at(70.0));
        assert_eq!(window.rate(at(80.0)), 1.0 / 9.0);
    }

    #[test]
    fn none_is_lost_between_threads() {
        let window = Window::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|count| window.count(Duration::from_millis(count))));
            }
        });
        assert_eq!(window.rate(Duration::from_secs(1)), 4_000.0);
    }
}
