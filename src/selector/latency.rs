//! What is known of how long members take, and the choice by it: what [`PeakEwma`](super::PeakEwma) and
//! [`LeastTime`](super::LeastTime) have in common.
//!
//! A member's cost is its estimate × (1 + open requests ∕ relative weight), the relative weight being 1 on average. With
//! equal weights that is estimate × (outstanding + 1), and at rest weights are honoured as ties are broken: by weight.
//! (Dividing the 1 as well would send everything to the heaviest while nothing is open.)
//!
//! - Estimates fade while nothing is heard (Finagle's `PeakEwma` fades what it reads towards 0 as well): who was not
//!   asked for long is asked again.
//! - A failure raises the estimate at once to twice what the pool's slowest successes of late took, and weighs like a
//!   request that is open, until a second after the last one: who fails fast attracts nothing.
//! - A request that was given up is a censored sample: it may raise an estimate, never lower it.
//! - Who has no history gets one request at a time, with the pool's mean as its estimate; with one open, everybody who
//!   has a history comes first.

use std::{
    f32::consts::{LN_2, LOG2_E},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{Choices, Completion, Failures, Members, Pick, alias::Alias, draw::Draw, roster::At};
use crate::{clock::Stamp, member::Outcome, sync::Line};

/// What selectors that go by latency remember of a member.
#[derive(Debug, Default)]
pub struct Latency {
    estimate: Estimate,
    failures: Failures,
}

/// What selectors that go by latency prepare: nothing while the weights are equal.
#[derive(Debug)]
pub struct LatencyTable(Option<Shares>);

#[derive(Debug)]
struct Shares {
    alias: Alias,
    mean_weight: f64,
}

/// A choice by latency.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ByLatency {
    pub(super) rule: Rule,
    pub(super) choices: Choices,
    /// How long it takes to forget all but a third (1 ∕ e).
    pub(super) decay: Duration,
    /// How often what is known halves in a millisecond.
    halvings: f32,
    of_all: OfAll,
}

/// How a sample changes an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// An exponentially weighted moving average over time.
    Mean,
    /// The same, but a sample above it takes its place at once.
    Peak,
}

/// What is known of the pool as a whole. Written at most once a millisecond, or by who is slower than all, so that
/// requests do not meet there; and apart, as settings are moved about.
#[derive(Debug, Default)]
struct OfAll(Box<Line<(Estimate, Estimate)>>);

/// What was learnt is no setting: a clone starts without it.
impl Clone for OfAll {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// For the same reason.
impl PartialEq for OfAll {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl OfAll {
    fn mean(&self) -> &Estimate {
        &self.0.0.0
    }

    /// Of successes.
    fn slowest(&self) -> &Estimate {
        &self.0.0.1
    }
}

/// What a failure is taken for, in terms of the slowest successes.
const FAILURE: f32 = 2.0;
/// More than any cost that is known: of who has no history, and a request open.
const UNKNOWN: f64 = 1e100;

const DECAY: Duration = Duration::from_secs(10);

fn halvings(decay: Duration) -> f32 {
    LOG2_E / (decay.as_secs_f32() * 1e3)
}

impl ByLatency {
    pub(super) const LEAST_DECAY: Duration = Duration::from_millis(10);
    pub(super) const MOST_DECAY: Duration = Duration::from_secs(3600);
    pub(super) const DECAYS: &'static str = "a time from 10ms to 60m";

    pub(super) fn new(rule: Rule, choices: Choices) -> Self {
        Self {
            rule,
            choices,
            decay: DECAY,
            halvings: halvings(DECAY),
            of_all: OfAll::default(),
        }
    }

    /// None if it is out of range.
    pub(super) fn with_decay(self, decay: Duration) -> Option<Self> {
        let is_in_range = (Self::LEAST_DECAY..=Self::MOST_DECAY).contains(&decay);
        let halvings = halvings(decay);
        is_in_range.then_some(Self {
            decay,
            halvings,
            ..self
        })
    }

    pub(super) fn with_choices(self, choices: Choices) -> Self {
        Self { choices, ..self }
    }

    fn at(&self, stamp: Stamp) -> Moment {
        Moment {
            millis: (stamp.0 / 1_000_000) as u32,
            halvings: self.halvings,
        }
    }

    pub(super) fn prepare<B>(&self, members: &Members<'_, B, Latency>) -> LatencyTable {
        let shares = || {
            let total: f64 = members.iter().map(|at| f64::from(members.weight(at))).sum();
            Shares {
                alias: Alias::new(members),
                mean_weight: total / members.len() as f64,
            }
        };
        LatencyTable((!members.equal_weights()).then(shares))
    }

    #[inline]
    pub(super) fn select<B>(&self, table: &LatencyTable, pick: &Pick<'_, B, Latency>) -> Option<At> {
        if pick.is_empty() {
            return None;
        }
        let (shares, stamp) = (table.0.as_ref(), pick.stamp());
        let now = self.at(stamp);
        let cost = |at| {
            let memory = pick.memory(at);
            let failures = match memory.failures.is_clear() {
                true => 0,
                false => memory.failures.weight(stamp),
            };
            let open = pick.load(at) + failures;
            let estimate = match memory.estimate.read(now) {
                Some(estimate) => f64::from(estimate),
                None if open > 0 => UNKNOWN,
                // Nobody has a history: then all are as good.
                None => self.of_all.mean().read(now).map_or(0.0, f64::from),
            };
            let relative = shares.map_or(1.0, |shares| shares.mean_weight / f64::from(pick.weight(at)));
            estimate * (1.0 + open as f64 * relative)
        };
        let draw = Draw {
            choices: self.choices,
            alias: shares.map(|shares| &shares.alias),
        };
        draw.cheapest(pick, cost)
    }

    pub(super) fn observe(&self, memory: &Latency, completion: &Completion) {
        if completion.outcome == Outcome::Failure {
            memory.failures.add(completion.stamp);
        }
        let now = self.at(completion.stamp);
        let sample = completion.latency.map(nanos);
        match (completion.outcome, sample) {
            (Outcome::Success, Some(sample)) => {
                memory.estimate.learn(sample, self.rule, now);
                self.of_all.mean().learn(sample, Rule::Mean, now);
                self.of_all.slowest().learn(sample, Rule::Peak, now);
            }
            (Outcome::Failure, sample) => {
                // Where nothing has ever succeeded there is nothing to compare with; then failures weigh, no more.
                if let Some(slowest) = self.of_all.slowest().read(now) {
                    memory.estimate.raise(slowest.max(sample.unwrap_or(0.0)) * FAILURE, now);
                }
            }
            // It was given up, or broke off: it would have taken at least as long. Of who may be the fastest of all, as
            // nothing is known of anybody, that says nothing.
            (Outcome::Cancelled | Outcome::Broken, Some(sample)) => {
                let known = memory.estimate.read(now).or_else(|| self.of_all.mean().read(now));
                if known.is_some_and(|known| sample > known) {
                    memory.estimate.learn_more(sample, self.rule, now);
                }
            }
            _ => {}
        }
    }
}

/// Never 0: an estimate of 0 would be none.
fn nanos(latency: Duration) -> f32 {
    (latency.as_nanos() as f32).max(1.0)
}

/// When an estimate is read or changed, in milliseconds since the pool was made, and how fast it fades. After 49 days
/// the milliseconds begin anew: who was not asked for just as long is then taken at its word of that time.
#[derive(Clone, Copy)]
struct Moment {
    millis: u32,
    halvings: f32,
}

impl Moment {
    /// What is left after the time since: 1 at once, towards 0 later.
    #[inline]
    fn left(self, since: u32) -> f32 {
        // What another thread has written a little later than this one looked at the clock is no age of 49 days.
        const SKEW: u32 = 3_600_000;
        let age = self.millis.wrapping_sub(since);
        let age = if age > u32::MAX - SKEW { 0 } else { age };
        halved(age as f32 * self.halvings)
    }
}

/// 2^−`times`, within 1 in 1,000; of 0 it is 1. A tenth of what `exp` takes, for every member that is compared.
#[inline]
fn halved(times: f32) -> f32 {
    /// From here on floats have no fractions: adding it rounds, and leaves the whole number in the lower bits.
    const WHOLE: f32 = (1 << 23) as f32;
    if times > 125.0 {
        return f32::MIN_POSITIVE;
    }
    let rounded = times + WHOLE;
    let part = times - (rounded - WHOLE);
    // √½ at ½ and √2 at −½, so that there is no step from one whole number to the next.
    let power = 1.0 + part * (part * (0.242_640_69 - part * 0.055_838_4) - LN_2);
    let whole = rounded.to_bits() - WHOLE.to_bits();
    f32::from_bits((127 - whole) << 23) * power
}

/// How long something takes in nanoseconds, and as of when, in one word so that both change together: the bits of a
/// 32-bit float, and the lower 32 of a time in milliseconds. 0 is none.
#[derive(Debug, Default)]
struct Estimate(AtomicU64);

impl Estimate {
    /// As it has faded; nothing is written. None if nothing is known.
    #[inline]
    fn read(&self, now: Moment) -> Option<f32> {
        let (estimate, since) = unpack(self.0.load(Relaxed))?;
        Some(estimate * now.left(since))
    }

    fn learn(&self, sample: f32, rule: Rule, now: Moment) {
        self.change(|last| learnt(last, sample, rule, now));
    }

    /// The same, unless the sample is less than what is known by then.
    fn learn_more(&self, sample: f32, rule: Rule, now: Moment) {
        self.change(|last| {
            let is_more = last.is_none_or(|(estimate, since)| sample > estimate * now.left(since));
            is_more.then(|| learnt(last, sample, rule, now)).flatten()
        });
    }

    fn raise(&self, to: f32, now: Moment) {
        self.change(|last| match last {
            Some((estimate, since)) if estimate * now.left(since) >= to => None,
            _ => Some((to, now.millis)),
        });
    }

    fn change(&self, change: impl Fn(Option<(f32, u32)>) -> Option<(f32, u32)>) {
        let pack = |(estimate, since): (f32, u32)| {
            u64::from(estimate.max(f32::MIN_POSITIVE).to_bits()) << 32 | u64::from(since)
        };
        // It fails only if nothing is to change.
        let _ = self
            .0
            .fetch_update(Relaxed, Relaxed, |word| change(unpack(word)).map(pack));
    }
}

/// What is known after a sample; none if that is what was known before.
fn learnt(last: Option<(f32, u32)>, sample: f32, rule: Rule, now: Moment) -> Option<(f32, u32)> {
    let Some((estimate, since)) = last else {
        return Some((sample, now.millis));
    };
    let left = now.left(since);
    match rule {
        Rule::Peak if sample > estimate * left => Some((sample, now.millis)),
        // Of several within a millisecond the first stands for all.
        _ if left == 1.0 => None,
        _ => Some((estimate * left + sample * (1.0 - left), now.millis)),
    }
}

#[inline]
fn unpack(word: u64) -> Option<(f32, u32)> {
    (word != 0).then(|| (f32::from_bits((word >> 32) as u32), word as u32))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn fading_is_exponential_and_never_goes_up() {
        let mut last = 1.0;
        assert_eq!(halved(0.0), 1.0);
        for times in (0..300_000).map(|step| step as f32 / 1_000.0) {
            let left = halved(times);
            let exact = (-times).exp2();
            assert!(
                (left - exact).abs() <= exact / 1_000.0 || times > 125.0,
                "2^-{times}: {left}"
            );
            assert!(left <= last, "it goes up at {times}");
            last = left;
        }
    }
}
