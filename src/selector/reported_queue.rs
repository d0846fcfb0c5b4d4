//! The queue that a server reported.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use super::Failures;

/// What [`FleetLeastLoaded`](super::FleetLeastLoaded) remembers of a member: the queue that it reported last, and its
/// failures.
#[derive(Debug, Default)]
pub struct ReportedQueue {
    /// When, in the upper 40 bits; the upper 24 of an `f32`'s bits in the lower, a queue to within 2⁻¹⁵ of itself.
    word: AtomicU64,
    pub(super) failures: Failures,
}

const QUEUE: u32 = 24;

/// A time in milliseconds, of which 39 bits are 17 years. It begins so late that 0, when nothing was reported yet, is
/// older than anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Millis(pub(super) u64);

impl Millis {
    pub(super) fn since(epoch: Instant, now: Instant) -> Self {
        Self((1 << 39) + now.saturating_duration_since(epoch).as_millis() as u64)
    }
}

impl ReportedQueue {
    pub(super) fn learn(&self, queue: f64, now: Millis) {
        let bits = (queue as f32).to_bits() >> (32 - QUEUE);
        self.word.store(now.0 << QUEUE | u64::from(bits), Relaxed);
    }

    /// The queue as it was reported, and how many milliseconds ago: years, if it never was. By another thread's time it
    /// may not have been yet.
    #[inline(always)]
    pub(super) fn get(&self, now: Millis) -> (f32, i64) {
        let word = self.word.load(Relaxed);
        let bits = (word as u32) << (32 - QUEUE);
        (f32::from_bits(bits), (now.0 as i64) - (word >> QUEUE) as i64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_queue_is_remembered_and_never_is_long_ago() {
        let epoch = Instant::now();
        let at = |millis| Millis::since(epoch, epoch + Duration::from_millis(millis));
        let memory = ReportedQueue::default();
        let (queue, age) = memory.get(at(0));
        assert_eq!(queue, 0.0);
        assert!(age > 1 << 38);
        for queue in [0.0, 1.0, 1000.0, 1e8, 1.0 / 3.0] {
            memory.learn(queue, at(40_000_000_000));
            let (got, age) = memory.get(at(40_000_000_007));
            assert!((f64::from(got) - queue).abs() <= queue / 32_768.0, "{got} for {queue}");
            assert_eq!(age, 7);
        }
        assert_eq!(memory.get(at(39_999_999_998)).1, -2);
    }
}
