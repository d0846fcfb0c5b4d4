//! A second try while the first is still under way.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::RetryBudget;
use crate::selector::ParameterError;

/// When a request that has no answer yet is sent to a second backend as well; the first good answer counts, and the
/// other request is cancelled (Dean and Barroso, ["The tail at scale"], CACM 2013, "hedged requests").
///
/// Each is taken from the [budget](super::RetryBudget), and besides there are no more than a share of the requests that
/// succeed within 10 s, and one each 10 s: when all requests take longer than before, as in an overload, all would be hedged,
/// which makes them take longer still. (Finagle's [`BackupRequestFilter`] has a bound on the extra load for the same reason.)
///
/// ["The tail at scale"]: https://research.google/pubs/the-tail-at-scale/
/// [`BackupRequestFilter`]: https://twitter.github.io/finagle/docs/com/twitter/finagle/client/BackupRequestFilter$.html
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge {
    pub(super) when: When,
    share: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    After(Duration),
    Quantile(f64),
}

impl Hedge {
    /// After a fixed time, however long requests take; 5 % of them unless said [otherwise](Hedge::with_share).
    pub fn after(delay: Duration) -> Self {
        let when = When::After(delay);
        Self { when, share: 0.05 }
    }

    /// Once it has taken longer than this part of the requests before it, above 0 and below 1, such as 0.95; none of the
    /// first 100 requests. The share that is hedged is what is left, here 5 %, unless said [otherwise](Hedge::with_share).
    ///
    /// # Errors
    /// For what is out of this range, or no number.
    pub fn after_quantile(quantile: f64) -> Result<Self, ParameterError> {
        if !(quantile > 0.0 && quantile < 1.0) {
            let allowed = "a number above 0 and below 1";
            return Err(ParameterError::of("Hedge", "quantile", quantile, allowed));
        }
        let (when, share) = (When::Quantile(quantile), 1.0 - quantile);
        Ok(Self { when, share })
    }

    /// How many of the requests may be hedged at most, from 0 to 1.
    ///
    /// # Errors
    /// For what is out of this range, or no number.
    pub fn with_share(self, share: f64) -> Result<Self, ParameterError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(ParameterError::of("Hedge", "share", share, "a number from 0 to 1"));
        }
        Ok(Self { share, ..self })
    }

    /// What hedges are taken from, besides the budget of all tries.
    pub(super) fn budget(&self) -> RetryBudget {
        RetryBudget::with(self.share, 0.1)
    }
}

/// An estimate of a latency's quantile that follows it: up by a little for each that took longer, down by the right share
/// of that for each that did not, so that it stands still where that part is below it (the idea of Ma, Muthukrishnan and
/// Sandler, "Frugal streaming for estimating quantiles", 2013, with steps in proportion). Of each latency it needs to know no
/// more than whether it was longer: so one that was given up, as a faster one came, tells as much as any.
#[derive(Debug)]
pub(super) struct Estimate {
    quantile: f64,
    /// Seconds, as bits.
    seconds: AtomicU64,
    seen: AtomicU64,
}

/// So many are seen before the estimate is believed.
const ENOUGH: u64 = 100;
/// The shortest latency that it tells.
const SHORTEST: f64 = 1e-5;

impl Estimate {
    pub(super) fn new(quantile: f64) -> Self {
        Self {
            quantile,
            seconds: AtomicU64::new(SHORTEST.to_bits()),
            seen: AtomicU64::new(0),
        }
    }

    /// It is now this, if so many have been seen that it can be said.
    pub(super) fn get(&self) -> Option<Duration> {
        let seconds = f64::from_bits(self.seconds.load(Relaxed));
        (self.seen.load(Relaxed) >= ENOUGH).then(|| Duration::from_secs_f64(seconds))
    }

    /// One took so long, or would have taken longer than that. What two threads see at the same moment may count as one.
    pub(super) fn observe(&self, latency: Duration) {
        let seen = self.seen.load(Relaxed);
        self.seen.store(seen.saturating_add(1), Relaxed);
        let (seconds, latency) = (f64::from_bits(self.seconds.load(Relaxed)), latency.as_secs_f64());
        let next = if seen == 0 {
            latency
        } else {
            // In great steps at first, to be there soon.
            let step = (10.0 / (seen + 10) as f64).max(0.05);
            let is_longer = f64::from(u8::from(latency > seconds));
            seconds * (step * (is_longer - (1.0 - self.quantile))).exp()
        };
        self.seconds.store(next.clamp(SHORTEST, 3600.0).to_bits(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::Generator;

    /// Exponential, of this mean in milliseconds.
    fn latency(random: &mut Generator, mean: f64) -> Duration {
        let uniform = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-(1.0 - uniform).ln() * mean / 1e3)
    }

    #[test]
    fn it_finds_the_quantile_and_follows_it() {
        for (quantile, times) in [
            (0.5, 0.5_f64.ln()),
            (0.9, 0.1_f64.ln()),
            (0.95, 0.05_f64.ln()),
            (0.99, 0.01_f64.ln()),
        ] {
            let (estimate, mut random) = (Estimate::new(quantile), Generator::new(1));
            for mean in [10.0, 1_000.0, 1.0] {
                (0..20_000).for_each(|_| estimate.observe(latency(&mut random, mean)));
                let mut sum = 0.0;
                for _ in 0..5_000 {
                    estimate.observe(latency(&mut random, mean));
                    sum += estimate.get().unwrap().as_secs_f64() * 1e3;
                }
                let (found, is) = (sum / 5_000.0, -times * mean);
                assert!(
                    (found / is - 1.0).abs() < 0.15,
                    "{quantile} of {mean}: {found} for {is}"
                );
            }
        }
    }

    #[test]
    fn those_that_were_given_up_there_do_not_move_it() {
        let (whole, cut, mut random) = (Estimate::new(0.9), Estimate::new(0.9), Generator::new(2));
        for _ in 0..20_000 {
            let latency = latency(&mut random, 10.0);
            whole.observe(latency);
            let given_up = cut.get().map(|estimate| estimate + Duration::from_nanos(1));
            cut.observe(given_up.map_or(latency, |given_up| latency.min(given_up)));
        }
        assert_eq!(whole.get(), cut.get());
    }

    #[test]
    fn nothing_is_said_before_enough_was_seen() {
        let estimate = Estimate::new(0.5);
        (0..ENOUGH - 1).for_each(|_| estimate.observe(Duration::from_millis(1)));
        assert_eq!(estimate.get(), None);
        estimate.observe(Duration::from_millis(1));
        assert!(estimate.get().is_some());
    }

    #[test]
    fn whatever_it_sees_it_stays_a_duration() {
        let estimate = Estimate::new(0.999_999);
        for latency in [Duration::ZERO, Duration::MAX, Duration::from_nanos(1)] {
            (0..1_000).for_each(|_| estimate.observe(latency));
            let seconds = estimate.get().unwrap().as_secs_f64();
            assert!((SHORTEST * 0.9..=3600.0).contains(&seconds), "{seconds}");
        }
    }

    #[test]
    fn quantiles_are_within_their_range() {
        for quantile in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Hedge::after_quantile(quantile).is_err(), "{quantile}");
        }
        assert!(Hedge::after_quantile(0.999).is_ok());
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(Hedge::after(Duration::ZERO).with_share(share).is_err(), "{share}");
        }
    }
}
