//! The queue that a server reported, and how much that is worth by now.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Failures;

/// What [`FleetLeastLoaded`](super::FleetLeastLoaded) remembers of a member: the queue that it reported last, and its failures.
#[derive(Debug, Default)]
pub struct ReportedQueue {
    /// Milliseconds since the epoch in the upper 40 bits, which are 34 years; the upper 24 of an `f32`'s bits in the
    /// lower, a queue to within 2⁻¹⁵ of itself.
    word: AtomicU64,
    pub(super) failures: Failures,
}

const QUEUE: u32 = 24;

impl ReportedQueue {
    /// `now` is not 0.
    pub(super) fn learn(&self, queue: f64, now: u64) {
        let bits = (queue as f32).to_bits() >> (32 - QUEUE);
        self.word.store(now << QUEUE | u64::from(bits), Relaxed);
    }

    /// The queue as it was reported, and how many milliseconds ago: for ever, if it never was.
    #[inline]
    pub(super) fn get(&self, now: u64) -> (f32, u64) {
        let word = self.word.load(Relaxed);
        let bits = (word as u32) << (32 - QUEUE);
        let age = now.saturating_sub(word >> QUEUE);
        (f32::from_bits(bits), if word == 0 { u64::MAX } else { age })
    }
}

/// 2⁻ᵗ for t of 0 and more, exact at whole numbers and straight in between, which is at most 6.2 % too much.
#[inline]
pub(super) fn halved(times: f32) -> f32 {
    // More than 126 times is nothing, and has no exponent.
    let times = times.min(126.0);
    let whole = times as u32;
    let rest = times - whole as f32;
    f32::from_bits((127 - whole) << 23) * (1.0 - rest / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_remembered_and_never_is_for_ever_ago() {
        let memory = ReportedQueue::default();
        assert_eq!(memory.get(1 << 39), (0.0, u64::MAX));
        for (queue, kept) in [
            (0.0, 0.0),
            (1.0, 1.0),
            (1000.0, 1000.0),
            (1e8, 1e8),
            (1.0 / 3.0, 1.0 / 3.0),
        ] {
            memory.learn(queue, (1 << 40) - 1);
            let (got, age) = memory.get((1 << 40) + 6);
            assert!((got - kept).abs() <= kept / 32_768.0, "{got} for {queue}");
            assert_eq!(age, 7);
            // Another thread's clock may be behind.
            assert_eq!(memory.get(5).1, 0);
        }
    }

    #[test]
    fn halves_are_halves() {
        for (times, left) in [(0.0, 1.0), (1.0, 0.5), (2.0, 0.25), (10.0, 1.0 / 1024.0)] {
            assert_eq!(halved(times), left);
        }
        assert!(halved(1e12) < 1e-30 && halved(f32::INFINITY) < 1e-30);
        for step in 0..1_000 {
            let times = step as f32 / 100.0;
            let more = halved(times) / (-times).exp2();
            assert!((0.999..1.062).contains(&more), "{more} at {times}");
        }
    }
}
