//! The rules of others, as far as they differ, for comparison: written from what is documented of them.

use super::{super::Sample, station::Rule};
use crate::outcome::Outcome;

/// A fixed limit.
pub(super) fn fixed(limit: u32) -> Rule {
    Box::new(move |_| limit)
}

/// Means over windows of at least 100 ms and 10 requests, as Netflix's `WindowedLimit` makes them.
fn windowed(mut step: impl FnMut(f64, usize, bool) -> f64 + 'static) -> Rule {
    let (mut opens, mut count, mut sum, mut peak, mut dropped, mut limit) = (0, 0u32, 0.0, 0, false, 20.0);
    Box::new(move |sample: &Sample| {
        count += 1;
        sum += sample.latency.as_secs_f64();
        peak = peak.max(sample.in_flight);
        dropped |= sample.outcome != Outcome::Success;
        if sample.at.0 >= opens + 100_000_000 && count >= 10 {
            limit = step(sum / f64::from(count), peak, dropped);
            (opens, count, sum, peak, dropped) = (sample.at.0, 0, 0.0, 0, false);
        }
        limit as u32
    })
}

/// Netflix's Gradient2: the mean of 600 windows against that of one.
pub(super) fn gradient2() -> Rule {
    let (mut limit, mut long, mut windows) = (20.0f64, 0.0f64, 0u32);
    windowed(move |short, peak, _| {
        windows += 1;
        // It warms up with the plain mean of ten.
        long = if windows <= 10 {
            (long * f64::from(windows - 1) + short) / f64::from(windows)
        } else {
            long + (short - long) * 2.0 / 601.0
        };
        if long > 2.0 * short {
            long *= 0.9;
        }
        if peak as f64 >= limit / 2.0 {
            let next = limit * (long / short).clamp(0.5, 1.0) + 4.0;
            limit = (0.8 * limit + 0.2 * next).clamp(1.0, 1000.0);
        }
        limit
    })
}

/// Netflix's Vegas, by the least mean of a window.
pub(super) fn vegas() -> Rule {
    let (mut limit, mut least, mut count) = (20.0f64, f64::INFINITY, 0.0);
    windowed(move |latency, peak, dropped| {
        count += 1.0;
        let log = limit.log10().max(1.0).floor();
        if count >= 0.75 * 30.0 * limit || latency < least {
            if latency >= least {
                count = 0.0;
            }
            least = latency;
            return limit;
        }
        let queue = (limit * (1.0 - least / latency)).ceil();
        if dropped {
            limit -= log;
        } else if peak as f64 * 2.0 >= limit {
            if queue <= log {
                limit += 6.0 * log;
            } else if queue < 3.0 * log {
                limit += log;
            } else if queue > 6.0 * log {
                limit -= log;
            }
        }
        limit = limit.clamp(1.0, 1000.0);
        limit
    })
}

/// Netflix's AIMD: one more with each request, a tenth less with each that takes longer than that many seconds or fails.
pub(super) fn aimd(slow: f64) -> Rule {
    let mut limit = 20.0f64;
    Box::new(move |sample| {
        if sample.outcome != Outcome::Success || sample.latency.as_secs_f64() > slow {
            limit *= 0.9;
        } else if sample.in_flight as f64 * 2.0 >= limit {
            limit += 1.0;
        }
        limit = limit.clamp(1.0, 1000.0);
        limit as u32
    })
}

/// Envoy's: the least measured at a limit of 3 with 50 requests each minute. By means in place of medians.
pub(super) fn envoy() -> Rule {
    let (mut limit, mut least, mut measuring, mut due, mut at_least) = (3.0f64, 0.0f64, true, 0, 0);
    let (mut opens, mut count, mut sum) = (0, 0u32, 0.0);
    Box::new(move |sample: &Sample| {
        let began = sample.at.0 - sample.latency.as_nanos() as u64;
        if !measuring || began >= opens {
            count += 1;
            sum += sample.latency.as_secs_f64();
        }
        let mean = sum / f64::from(count.max(1));
        if measuring && count >= 50 {
            (least, measuring, due) = (mean, false, sample.at.0 + 60_000_000_000);
        } else if measuring || sample.at.0 < opens + 100_000_000 || count == 0 {
            return if measuring { 3 } else { limit as u32 };
        } else {
            let next = limit * (1.25 * least / mean).clamp(0.5, 2.0);
            limit = (next + next.sqrt()).floor().clamp(3.0, 1000.0);
            at_least = if limit == 3.0 { at_least + 1 } else { 0 };
            measuring = sample.at.0 >= due || at_least >= 5;
        }
        (opens, count, sum) = (sample.at.0, 0, 0.0);
        if measuring { 3 } else { limit as u32 }
    })
}
