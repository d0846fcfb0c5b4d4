//! How many clients there are.

use super::MOST_CLIENTS;
use crate::selector::reported_queue::Millis;

/// What was seen at those members that reported of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    /// Requests that were reported.
    pub(super) reported: f64,
    /// Requests of this client.
    pub(super) own: f64,
    pub(super) weight: f64,
}

/// How many requests of all clients there are for one of this one's: of both, what is [seen](Look) once in a while,
/// smoothed. The quotient is the number of clients if all send alike, and what is needed if they do not: by how much
/// this client's requests have to be multiplied to stand for all.
///
/// To take it for too large is harmless, as then own requests come first and reports break ties; to take it for too
/// small is not, as then all clients go by the same reports. So it begins large; and it is left at that reports of long
/// queues stand longest, as who made one is not asked again soon, which makes it too large by about a half.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Estimate {
    reported: f64,
    own: f64,
    /// When it was last looked.
    at: Millis,
}

impl Estimate {
    /// How long until half of the estimate is what was seen since, in milliseconds: a look sees few requests of a small
    /// client.
    const HALF_LIFE: f64 = 10_000.0;
    /// As if that much had been seen besides, of a hundred clients.
    const PRIOR: (f64, f64) = (10.0, 0.1);

    pub(super) fn learn(&mut self, look: Look, now: Millis) {
        let keep = (-(now.0.saturating_sub(self.at.0) as f64) / Self::HALF_LIFE).exp2();
        self.reported = self.reported * keep + look.reported * (1.0 - keep);
        self.own = self.own * keep + look.own * (1.0 - keep);
        self.at = now;
    }

    pub(super) fn clients(&self) -> f64 {
        let clients = (self.reported + Self::PRIOR.0) / (self.own + Self::PRIOR.1);
        clients.clamp(1.0, MOST_CLIENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_clients_is_reported_over_own_and_begins_large() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.clients().round(), 100.0);
        let mut now = 0;
        let mut learn = |reported, own, seconds| {
            for _ in 0..seconds {
                now += 1_000;
                let weight = 10.0;
                estimate.learn(Look { reported, own, weight }, Millis(now));
            }
            estimate.clients()
        };
        // Of what is seen, the half counts after ten seconds, and the prior for ten requests of a hundred clients.
        let after = learn(400.0, 20.0, 60);
        assert!((19.5..21.0).contains(&after), "{after}");
        let after = learn(400.0, 400.0, 10);
        assert!((1.8..2.0).contains(&after), "{after}");
        assert!(learn(400.0, 400.0, 120) < 1.1);
        // Nobody is less than one.
        assert_eq!(learn(0.0, 400.0, 120), 1.0);
    }
}
