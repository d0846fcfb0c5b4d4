//! How long to wait before the next attempt.

use std::time::Duration;

/// Less would be a spin, whatever the base.
const LEAST: Duration = Duration::from_millis(1);
/// Some 136 years, which every platform's instants can bear.
const MOST: Duration = Duration::from_secs(u32::MAX as u64);

/// How long a member is left alone after a failed attempt to connect: `base` at first, `factor` times as long after each
/// further failure, `max` at most, and of that a random share of up to `jitter` more or less, so that those who failed
/// together do not come back together.
///
/// The rule is that of gRPC's [connection backoff], with shorter times: its 1 s, 1.6, 0.2 and 120 s are made for one
/// server far away, with nobody to take its place. Here the other members serve meanwhile, an attempt is cheap, all
/// attempts together are [limited](super::Connector::connecting_limit), and a server that has restarted should be back
/// soon: 100 ms, 1.6, 0.2 and 30 s, which are reached with the 14th failure. Delays count from the end of an attempt.
///
/// A connection that has answered a request, or has held for `proof`, has proven itself: when it is lost, the next
/// attempt comes at once, and delays begin anew. A server that takes connections and drops them is none the better for
/// it: its delays go on growing.
///
/// While a member waits after a failure it is [failing](crate::Condition::Failing), and so it is during the next
/// attempt, until that has succeeded. Only a connection that was lost without proof, and after no other failure, has
/// requests wait for the first delay: it may be that they were the reason, such as a request that was given up, with
/// which HTTP/1.1 closes its connection.
///
/// [connection backoff]: https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    base: Duration,
    factor: f64,
    max: Duration,
    jitter: f64,
    proof: Duration,
}

impl Backoff {
    /// 100 ms, 1.6, 30 s, 0.2 and 10 s.
    pub fn new() -> Self {
        Self {
            base: Duration::from_millis(100),
            factor: 1.6,
            max: Duration::from_secs(30),
            jitter: 0.2,
            proof: Duration::from_secs(10),
        }
    }

    /// The first delay; at least 1 ms.
    pub fn with_base(mut self, base: Duration) -> Self {
        self.base = base.clamp(LEAST, MOST);
        self
    }

    /// How many times as long each delay is as the last; at least 1.
    pub fn with_factor(mut self, factor: f64) -> Self {
        // Also of what is no number.
        self.factor = factor.max(1.0);
        self
    }

    /// The longest delay, before jitter; at least 1 ms.
    pub fn with_max(mut self, max: Duration) -> Self {
        self.max = max.clamp(LEAST, MOST);
        self
    }

    /// The share of a delay by which it is longer or shorter, 0 to 1.
    pub fn with_jitter(mut self, jitter: f64) -> Self {
        // None of what is no number.
        self.jitter = if jitter > 0.0 { jitter.min(1.0) } else { 0.0 };
        self
    }

    /// How long a connection that has answered nothing has to hold to have proven itself.
    pub fn with_proof(mut self, proof: Duration) -> Self {
        self.proof = proof;
        self
    }

    /// The delay after so many failures in a row before this one, with a random number from 0 to 1.
    pub(super) fn delay(&self, failures: u32, random: f64) -> Duration {
        let times = self.factor.powi(failures.min(i32::MAX as u32) as i32);
        let delay = (self.base.as_secs_f64() * times).min(self.max.as_secs_f64());
        let jittered = delay * (1.0 + self.jitter * (2.0 * random - 1.0));
        Duration::from_secs_f64(jittered).max(LEAST)
    }

    pub(super) fn proof(&self) -> Duration {
        self.proof
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_by_the_factor_up_to_the_longest() {
        let backoff = Backoff::new();
        let delays: Vec<_> = (0..20).map(|failures| backoff.delay(failures, 0.5)).collect();
        assert_eq!(delays[0], Duration::from_millis(100));
        for (shorter, longer) in delays.iter().zip(&delays[1..13]) {
            let factor = longer.as_secs_f64() / shorter.as_secs_f64();
            assert!((factor - 1.6).abs() < 1e-6, "{delays:?}");
        }
        assert!(delays[12] < backoff.max && delays[13..].iter().all(|delay| *delay == backoff.max));
    }

    #[test]
    fn jitter_is_a_share_of_the_delay_to_either_side() {
        let backoff = Backoff::new().with_base(Duration::from_secs(10));
        assert_eq!(backoff.delay(0, 0.0), Duration::from_secs(8));
        assert_eq!(backoff.delay(0, 0.5), Duration::from_secs(10));
        assert_eq!(backoff.delay(0, 1.0), Duration::from_secs(12));
        assert_eq!(backoff.with_jitter(0.0).delay(0, 1.0), Duration::from_secs(10));
    }

    #[test]
    fn whatever_the_numbers_a_delay_is_neither_a_spin_nor_an_overflow() {
        let durations = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];
        let numbers = [0.0, -1.0, 1.0, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        for (base, max) in durations.iter().flat_map(|base| durations.map(|max| (*base, max))) {
            for (factor, jitter) in numbers
                .iter()
                .flat_map(|factor| numbers.map(|jitter| (*factor, jitter)))
            {
                let backoff = Backoff::new().with_base(base).with_max(max);
                let backoff = backoff.with_factor(factor).with_jitter(jitter);
                for failures in [0, 1, 1000, u32::MAX] {
                    for random in [0.0, 0.5, 1.0] {
                        let delay = backoff.delay(failures, random);
                        assert!(delay >= LEAST && delay <= MOST * 2, "{backoff:?}: {delay:?}");
                    }
                }
            }
        }
    }
}
