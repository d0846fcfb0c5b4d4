//! How long answers took lately, by how busy the server was.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The latencies of the last answers, by how many requests were in flight when each came: so that a server can tell how
/// long a request takes that comes now (Wydrowski et al., "Load is not what you should balance: Introducing Prequal",
/// NSDI 2024, §4). Numbers in flight are a class each up to seven, and then four classes from each power of two to the
/// next: where requests begin to wait a class of its own, as those on either side take another time.
///
/// Answers count for ten seconds. A server whose only one was slow by chance, or came while it started, would otherwise say
/// so for ever to those who therefore ask others.
#[derive(Debug)]
pub(super) struct Latencies(Box<[Class; CLASSES]>);

/// There are two to the power of this many classes from each power of two to the next.
const FINE: u32 = 2;
/// The most requests that are told apart: a class is the leading bit's place, and the two bits behind it.
const MOST: u64 = (1 << 24) - 1;
const CLASSES: usize = 92;
/// The longest that a report can say: with more, it would say nothing at all.
const LONGEST: Duration = Duration::from_secs(3600);
/// For how many seconds they are.
const RECENT: u32 = 10;
/// How many of each class are kept.
const KEPT: usize = 16;

#[derive(Debug, Default)]
struct Class {
    /// In microseconds in the lower half of a word, in the upper in which second it was; 0: none yet.
    micros: [AtomicU64; KEPT],
    next: AtomicU64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| Class::default())))
    }
}

fn class(in_flight: u64) -> usize {
    let number = in_flight.clamp(1, MOST);
    let octave = number.ilog2().saturating_sub(FINE) as usize;
    (octave << FINE) + (number >> octave) as usize
}

impl Latencies {
    /// `now`: since the start.
    pub(super) fn learn(&self, in_flight: u64, latency: Duration, now: Duration) {
        let class = &self.0[class(in_flight)];
        let place = class.next.fetch_add(1, Relaxed) as usize % KEPT;
        let micros = latency.min(LONGEST).as_micros() as u64;
        class.micros[place].store(now.as_secs() << 32 | micros.max(1), Relaxed);
    }

    /// The median at about so many in flight: of the class, or else of the nearest that has any, the busier first; none
    /// if there are none.
    pub(super) fn median(&self, in_flight: u64, now: Duration) -> Option<Duration> {
        let here = class(in_flight);
        let around = (0..CLASSES).flat_map(|off| [here.checked_add(off), here.checked_sub(off)]);
        let around = around.flatten().filter_map(|class| self.0.get(class));
        around.filter_map(|class| class.median(now)).next()
    }
}

impl Class {
    fn median(&self, now: Duration) -> Option<Duration> {
        let mut micros = [0; KEPT];
        let mut count = 0;
        // In 136 years the seconds' 32 bits begin anew.
        let is_recent = |word: u64| (now.as_secs() as u32).wrapping_sub((word >> 32) as u32) < RECENT;
        let words = self.micros.iter().map(|word| word.load(Relaxed));
        for word in words.filter(|word| *word > 0 && is_recent(*word)) {
            micros[count] = word as u32;
            count += 1;
        }
        let micros = &mut micros[..count];
        micros.sort_unstable();
        let median = micros.get(count / 2)?;
        Some(Duration::from_micros((*median).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_last_answers_at_about_that_load() {
        let latencies = Latencies::default();
        let now = Duration::from_secs(100);
        let millis = |millis| Duration::from_millis(millis);
        assert_eq!(latencies.median(1, now), None);
        for latency in [9, 1, 2, 100, 3] {
            latencies.learn(1, millis(latency), now);
        }
        assert_eq!(latencies.median(1, now), Some(millis(3)));
        // There is nothing better to go by.
        assert_eq!(latencies.median(1_000_000, now), Some(millis(3)));
        latencies.learn(9, millis(50), now);
        for (in_flight, median) in [
            (0, 3),
            (1, 3),
            (2, 3),
            // By classes there are 3 to either side, and the busier comes first.
            (4, 3),
            (5, 50),
            (8, 50),
            (9, 50),
            (15, 50),
            (16, 50),
            (u64::MAX, 50),
        ] {
            assert_eq!(latencies.median(in_flight, now), Some(millis(median)), "{in_flight}");
        }
        // What is long ago is forgotten.
        (0..16).for_each(|_| latencies.learn(1, millis(7), now));
        assert_eq!(latencies.median(1, now), Some(millis(7)));
        latencies.learn(1 << 40, Duration::MAX, now);
        assert_eq!(latencies.median(1 << 40, now), Some(LONGEST));
        // Nor is what was not repeated for long.
        let later = now + Duration::from_secs(9);
        latencies.learn(2, millis(8), later);
        assert_eq!(latencies.median(1, later), Some(millis(7)));
        assert_eq!(latencies.median(1, later + Duration::from_secs(1)), Some(millis(8)));
        assert_eq!(latencies.median(1, later + Duration::from_secs(10)), None);
    }
}
