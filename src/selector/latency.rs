//! What is known of how long members take, and the choice by it: what [`PeakEwma`](super::PeakEwma) and
//! [`LeastTime`](super::LeastTime) have in common.
//!
//! A member's cost is its estimate × (1 + open requests ∕ relative weight), the relative weight being 1 on average. With
//! equal weights that is estimate × (outstanding + 1), and at rest weights are honoured as ties are broken: by weight.
//! (Dividing the 1 as well would send everything to the heaviest while nothing is open.)
//!
//! - Estimates fade while nothing is heard (Finagle's `PeakEwma` fades what it reads towards 0 as well): who was not
//!   asked for long is asked again.
//! - A failure [keeps a place](super::failures), of a request that takes as long as one does at members on average, so that
//!   who fails fast attracts nothing, however fast it was before. For the estimate it is a sample like others, of what the
//!   pool's successes take on average, or what it took itself if that is more: did it take the estimate's place at once, then
//!   where all fail now and then estimates would tell who failed last, and not who is slow.
//! - A request that was given up is a censored sample: it may raise an estimate, never lower it.
//! - Who has no history gets one request at a time, with the pool's mean as its estimate; with one open, everybody who
//!   has a history comes first.

use std::{f32::consts::LOG2_E, ops::Deref, time::Duration};

use super::{
    Choices, Completion, Failures, Members, Pick,
    alias::Alias,
    draw::Draw,
    fading::{Fading, Moment},
    failures::{Failing, Usual},
    roster::At,
};
use crate::{clock::Stamp, outcome::Outcome};

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
    of_all: Learnt,
}

/// How a sample changes an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// An exponentially weighted moving average over time.
    Mean,
    /// The same, but a sample above it takes its place at once.
    Peak,
}

/// What is known of the pool as a whole: apart, as settings are moved about.
#[derive(Debug, Default)]
struct Learnt(Box<OfAll>);

/// The mean is written at most once a millisecond, so that requests do not meet there.
#[derive(Debug, Default)]
#[repr(align(64))]
struct OfAll {
    /// Of successes.
    mean: Estimate,
    /// What members are estimated to take, however many requests each gets; kept while some have failed.
    usual: Usual,
    failing: Failing,
}

/// What was learnt is no setting: a clone starts without it.
impl Clone for Learnt {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// For the same reason.
impl PartialEq for Learnt {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Deref for Learnt {
    type Target = OfAll;

    fn deref(&self) -> &OfAll {
        &self.0
    }
}

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
            of_all: Learnt::default(),
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
            ticks: (stamp.0 / 1_000_000) as u32,
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
        let (shares, now) = (table.0.as_ref(), self.at(pick.stamp()));
        if !self.of_all.failing.is_clear() {
            return self.among_failing(shares, pick, now);
        }
        let cost = |at| self.cost(shares, pick, at, now, (0.0, 0.0));
        self.draw(shares).cheapest(pick, cost)
    }

    /// Some have failed of late: what they cost besides.
    #[cold]
    #[inline(never)]
    fn among_failing<B>(&self, shares: Option<&Shares>, pick: &Pick<'_, B, Latency>, now: Moment) -> Option<At> {
        let OfAll { failing, usual, .. } = &*self.of_all;
        let mean = || self.of_all.mean.read(now).unwrap_or(0.0);
        if failing.pass(pick, f32::INFINITY, |at| pick.load(at) as f32) {
            usual.look(pick, |at| pick.memory(at).estimate.read(now).unwrap_or_else(mean));
        }
        let usual = match usual.get() {
            0.0 => mean(),
            usual => usual,
        };
        let failed = failing.now();
        let cost = |at| {
            let failures = pick.memory(at).failures.weight(failed);
            self.cost(shares, pick, at, now, (failures.into(), usual.into()))
        };
        self.draw(shares).cheapest(pick, cost)
    }

    fn draw<'a>(&self, shares: Option<&'a Shares>) -> Draw<'a> {
        Draw {
            choices: self.choices,
            alias: shares.map(|shares| &shares.alias),
        }
    }

    /// `failures`: how many weigh, and how long a request in their place is taken for.
    #[inline(always)]
    fn cost<B>(
        &self,
        shares: Option<&Shares>,
        pick: &Pick<'_, B, Latency>,
        at: At,
        now: Moment,
        (failures, usual): (f64, f64),
    ) -> f64 {
        let open = pick.load(at) as f64;
        let (estimate, usual) = match pick.memory(at).estimate.read(now) {
            Some(estimate) => (f64::from(estimate), usual),
            None if open + failures > 0.0 => (UNKNOWN, UNKNOWN),
            // Nobody has a history: then all are as good.
            None => (self.of_all.mean.read(now).map_or(0.0, f64::from), 0.0),
        };
        let relative = shares.map_or(1.0, |shares| shares.mean_weight / f64::from(pick.weight(at)));
        estimate + (estimate * open + usual * failures) * relative
    }

    pub(super) fn observe(&self, memory: &Latency, completion: &Completion) {
        self.of_all.failing.observe(&memory.failures, completion);
        let now = self.at(completion.stamp);
        let sample = completion.latency.map(nanos);
        match (completion.outcome, sample) {
            (Outcome::Success, Some(sample)) => {
                memory.estimate.learn(sample, self.rule, now);
                self.of_all.mean.learn(sample, Rule::Mean, now);
            }
            (Outcome::Failure | Outcome::BadGateway | Outcome::Unreachable, sample) => {
                let sample = sample.unwrap_or(0.0);
                if self.rule == Rule::Peak && memory.estimate.read(now).is_some_and(|known| sample > known) {
                    memory.estimate.raise(sample, now);
                }
                // Where nothing has ever succeeded there is nothing to compare with; then failures weigh, no more.
                if let Some(mean) = self.of_all.mean.read(now) {
                    memory.estimate.learn(mean.max(sample), Rule::Mean, now);
                }
            }
            // It was given up, or broke off: it would have taken at least as long. Of who may be the fastest of all, as
            // nothing is known of anybody, that says nothing.
            (Outcome::Cancelled | Outcome::Broken, Some(sample)) => {
                let known = memory.estimate.read(now).or_else(|| self.of_all.mean.read(now));
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

/// How long something takes in nanoseconds, by a time in milliseconds since the pool was made. After 49 days they begin
/// anew: who was not asked for just as long is then taken at its word of that time.
#[derive(Debug, Default)]
struct Estimate(Fading);

impl Estimate {
    /// As it has faded; nothing is written. None if nothing is known.
    #[inline]
    fn read(&self, now: Moment) -> Option<f32> {
        self.0.read(now)
    }

    fn learn(&self, sample: f32, rule: Rule, now: Moment) {
        self.0.change(|last| learnt(last, sample, rule, now));
    }

    /// The same, unless the sample is less than what is known by then.
    fn learn_more(&self, sample: f32, rule: Rule, now: Moment) {
        self.0.change(|last| {
            let is_more = last.is_none_or(|(estimate, since)| sample > estimate * now.left(since));
            is_more.then(|| learnt(last, sample, rule, now)).flatten()
        });
    }

    fn raise(&self, to: f32, now: Moment) {
        self.0.change(|last| match last {
            Some((estimate, since)) if estimate * now.left(since) >= to => None,
            _ => Some((to, now.ticks)),
        });
    }
}

/// What is known after a sample; none if that is what was known before.
fn learnt(last: Option<(f32, u32)>, sample: f32, rule: Rule, now: Moment) -> Option<(f32, u32)> {
    let Some((estimate, since)) = last else {
        return Some((sample, now.ticks));
    };
    let left = now.left(since);
    match rule {
        Rule::Peak if sample > estimate * left => Some((sample, now.ticks)),
        // Of several within a millisecond the first stands for all.
        _ if left == 1.0 => None,
        _ => Some((estimate * left + sample * (1.0 - left), now.ticks)),
    }
}
