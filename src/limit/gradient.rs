//! The limit's course: by the gradient of latency against what it is without a queue.
//!
//! The step is that of Envoy's [adaptive concurrency filter]: the limit times `tolerance × latency unqueued / latency
//! now`, and its square root on top as room for bursts. A server with `s` slots that is asked for more than it can do is
//! then held at `1.25 s + √limit`, with a queue of that less `s`. Latencies are means over a window, as in Netflix's
//! `Gradient2Limit` and `WindowedLimit` ([concurrency-limits]), which needs no histogram; and a limit that is not reached
//! does not grow, as there.
//!
//! What latency is without a queue can't be seen while there is one, so the limit is lowered from time to time to look.
//! Envoy lowers it to its minimum, which takes long where the minimum is a small part of what a server can do. Here it is
//! halved, and halved again for as long as that makes requests faster: behind a queue half as many in flight take half as
//! long, without one as long as before. (bRPC's auto limiter lowers its limit by a part to look, once.) So the measuring
//! ends at about half of a server's slots; only where a server looks slower than it was does it go down to the minimum,
//! as a queue of others' making looks the same.
//! Netflix's long mean needs no such look, but takes a queue that stays for the way the server is, and grows with it.
//!
//! Failures lower it as DCTCP's marks do a window (RFC 8257, section 3.3, equation 9): by half the part that failed, of
//! that above what is tolerated; a dead zone as that of bRPC's auto limiter. Above the limit at which that last happened
//! it grows by one a window, as in congestion avoidance (RFC 5681, section 3.1).
//!
//! [adaptive concurrency filter]: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter
//! [concurrency-limits]: https://github.com/Netflix/concurrency-limits

use std::mem;

use super::{Sample, Settings, window::Window};

pub(super) struct Gradient {
    settings: Settings,
    /// A fraction is kept, so that small steps add up.
    limit: f64,
    window: Window,
    /// What was known before does not count: it tells of the last limit. In nanoseconds, as all times and latencies.
    opens: u64,
    /// The latency without a queue.
    unqueued: Option<f64>,
    measuring: Option<Measuring>,
    /// Whether the limit was reached in the last window too: in the first the queue is still on its way to what it will be.
    was_reached: bool,
    /// When to measure next.
    due: u64,
    /// Not before this, whatever happens: what chance makes of latency is not to have it measured again and again.
    soon: u64,
    /// The limit and the unqueued latency as they were when that was last seen without a doubt.
    certain: (f64, f64),
    /// Above this it grows with care.
    careful: f64,
    salt: u64,
}

/// The limit is lowered, to see whether that makes requests faster.
struct Measuring {
    level: u32,
    /// The latency before.
    before: f64,
}

/// The most that one step makes of the limit, or leaves of it; Envoy's bounds.
const STEEPEST: (f64, f64) = (0.5, 2.0);
/// How many requests a window has at least. Of exponential latencies the error of a mean is a fifth with 25.
const FEWEST: u64 = 25;
/// The same while it is measured, as with Envoy.
const MEASURED: u64 = 50;
/// Halving the limit leaves half of the latency behind a queue, and all of it without one.
const FASTER: f64 = 0.8;
/// From one window to the next so much faster is another server, not chance.
const ANOTHER: f64 = 2.0;
/// How much of a new latency is taken over while the limit is not reached.
const GAIN: f64 = 0.1;
/// The part of the usual time after which it may be measured again for a reason.
const SOON: u32 = 10;
/// How many times the unqueued latency is waited for what was in flight before a change.
const SETTLED: f64 = 8.0;

impl Gradient {
    pub(super) fn new(settings: Settings, salt: u64) -> Self {
        Self {
            limit: f64::from(settings.initial),
            settings,
            window: Window::of(FEWEST),
            opens: 0,
            unqueued: None,
            measuring: None,
            was_reached: false,
            due: 0,
            soon: 0,
            certain: (f64::INFINITY, f64::INFINITY),
            careful: f64::INFINITY,
            salt,
        }
    }

    /// Learns from a request; the limit from now on, at most `most`, if it is time to say.
    pub(super) fn learn(&mut self, sample: &Sample, most: u32) -> Option<u32> {
        let at = sample.at.0;
        if at < self.opens {
            return None;
        }
        self.window.add(sample);
        let interval = self.settings.interval.as_nanos() as u64;
        if at - self.opens < interval || !self.window.is_full() {
            return None;
        }
        let window = self.window;
        let last = self.current();
        match self.measuring.take() {
            Some(measuring) => self.measured(&window, measuring, at),
            None => self.step(&window, at),
        }
        let highest = self.settings.max.min(most).max(1);
        let lowest = self.settings.min.min(highest);
        self.limit = self.limit.clamp(f64::from(lowest), f64::from(highest));
        if let Some(measuring) = &mut self.measuring {
            measuring.level = measuring.level.min(highest);
        }
        let current = self.current();
        // The next window is to tell of the new limit alone.
        self.window = Window::of(if self.measuring.is_some() { MEASURED } else { FEWEST });
        let settles = if current == last { 0.0 } else { self.settles(&window) };
        self.opens = at.saturating_add(settles as u64);
        Some(current)
    }

    /// The limit as it is now, measuring or not.
    fn current(&self) -> u32 {
        let limit = self.limit as u32;
        self.measuring.as_ref().map_or(limit, |measuring| measuring.level)
    }

    fn settles(&self, window: &Window) -> f64 {
        let (latency, unqueued) = (window.latency().unwrap_or(0.0), self.unqueued.unwrap_or(0.0));
        let longest = self.settings.remeasure.as_nanos() as f64;
        latency.min(SETTLED * unqueued).min(longest)
    }

    fn step(&mut self, window: &Window, at: u64) {
        // A limit that is not reached is neither too low nor, as far as can be seen, too high.
        let level = self.current();
        let is_reached = window.peak as u64 * 4 >= u64::from(level) * 3;
        let was_reached = mem::replace(&mut self.was_reached, is_reached);
        let good = window.good().filter(|_| window.is_told());
        if let Some(good) = good {
            self.see(good, is_reached, at);
        }
        let limit = match (self.unqueued, window.latency()) {
            (Some(unqueued), Some(latency)) if is_reached => self.follow(self.settings.tolerance * unqueued / latency),
            _ => self.limit,
        };
        let failed = self.excess(window.failed());
        if failed > 0.0 {
            self.limit = self.limit.min(limit) * (1.0 - failed / 2.0);
            self.careful = self.limit;
        } else if window.is_told() || limit < self.limit {
            self.limit = limit;
        }
        // A limit that has halved, or a server that has become faster, may be chance, or an error that feeds on itself.
        let (limit, unqueued) = self.certain;
        let has_moved = self.limit < limit / 2.0
            || self
                .unqueued
                .is_some_and(|now| unqueued.is_finite() && now < FASTER * unqueued);
        let is_due = at >= self.due || (at >= self.soon && has_moved);
        match good {
            // Half of what this latency was seen at.
            Some(good) if is_reached && was_reached && is_due => self.measure(level, good),
            _ => {}
        }
    }

    /// What a gradient makes of the limit.
    fn follow(&self, gradient: f64) -> f64 {
        let (least, most) = STEEPEST;
        let limit = self.limit * gradient.clamp(least, most);
        let limit = limit + limit.sqrt();
        if self.limit >= self.careful {
            limit.min(self.limit + 1.0)
        } else {
            limit
        }
    }

    /// The part of failures above what is tolerated, of 1.
    fn excess(&self, failed: f64) -> f64 {
        let tolerated = self.settings.failures;
        if failed > tolerated {
            (failed - tolerated) / (1.0 - tolerated)
        } else {
            0.0
        }
    }

    /// Takes in a mean latency, as far as it tells of the server without a queue.
    fn see(&mut self, latency: f64, is_reached: bool, at: u64) {
        let is_least = self.limit as u32 <= self.settings.min;
        self.unqueued = Some(match self.unqueued {
            None => {
                // Behind a limit that is reached there may be a queue already.
                if !is_reached {
                    self.plan(at);
                }
                latency
            }
            Some(unqueued) if latency * ANOTHER < unqueued => latency,
            Some(unqueued) if !is_reached => {
                let unqueued = unqueued + GAIN * (latency - unqueued);
                self.certain = (self.limit, unqueued);
                self.plan(at);
                unqueued
            }
            // There is nothing lower to compare with.
            Some(unqueued) if is_least => (unqueued + latency) / 2.0,
            Some(unqueued) => unqueued.min((unqueued + latency) / 2.0),
        });
    }

    /// Lowers the limit to half of this, at which latency was so.
    fn measure(&mut self, level: u32, before: f64) {
        let level = (level / 2).max(self.settings.min);
        self.measuring = Some(Measuring { level, before });
    }

    fn measured(&mut self, window: &Window, Measuring { level, before }: Measuring, at: u64) {
        let Some(good) = window.good().filter(|_| window.is_told()) else {
            // Nothing to go by but that it went badly: no reason to raise it again.
            self.limit = self.limit.min(f64::from(level));
            return self.step(window, at);
        };
        // What looks like a slower server may be a queue that is not this limit's, or chance: it is looked at as closely
        // as can be before it is believed.
        let may_be_less = good < FASTER * before || self.certain.1 < FASTER * good;
        if may_be_less && level > self.settings.min {
            self.measure(level, good);
        } else {
            self.found(good, at);
        }
    }

    fn found(&mut self, unqueued: f64, at: u64) {
        let (_, last) = mem::replace(&mut self.certain, (self.limit, unqueued));
        self.unqueued = Some(unqueued);
        let soon = self.settings.remeasure / SOON;
        self.soon = at.saturating_add(soon.as_nanos() as u64);
        self.plan(at);
        // What is new, or chance, is soon looked at again.
        if unqueued < FASTER * last || last < FASTER * unqueued {
            self.due = self.soon;
        }
    }

    /// When to measure next: a quarter earlier or later than usual, each member and each time otherwise.
    fn plan(&mut self, at: u64) {
        // The golden ratio's multiples are spread evenly (Knuth, TAOCP 3, section 6.4).
        self.salt = self.salt.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let part = 0.75 + 0.5 * (self.salt >> 11) as f64 / (1u64 << 53) as f64;
        let after = self.settings.remeasure.mul_f64(part);
        self.due = at.saturating_add(after.as_nanos() as u64);
    }
}
