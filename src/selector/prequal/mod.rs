//! Prequal: the best of a pool of probe replies, kept fresh beside the requests.

mod numbers;
mod replies;
mod settings;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use super::{
    Completion, Demand, Failures, Members, Needs, Pick, Random, RandomTable, Selector, failures::Failing, roster::At,
};
use crate::{backend::Backend, load::LoadReport};
use numbers::Numbers;
use replies::{Fresh, Removal, Replies, UNLIMITED};
use settings::Settings;

/// Each request goes to the best member of a small pool of probe replies: Wydrowski, Kleinberg, Rumble and Archer, "[Load
/// is not what you should balance: Introducing Prequal](https://www.usenix.org/conference/nsdi24/presentation/wydrowski)",
/// NSDI 2024; parameters, their names and defaults are the paper's (§4 and §5). O(m), three atomic operations, and no
/// reading of the clock; a pick with which a probe is due wakes the driver, if that sleeps.
///
/// Give the pool a [`probe`](crate::PoolBuilder::probe) whose reports carry the server's
/// [`queue`](LoadReport::queue), its requests in flight (RIF), and [`latency`](LoadReport::latency), how long a request
/// takes now. Each request has `r_probe` random members probed, for the requests to come: it waits for none of them. The
/// replies go to a pool of at most `m`, and the request to the best of the pool by the hot-cold lexicographic rule:
/// replies whose RIF is beyond the `q_rif` quantile of the RIFs reported of late are hot; of the cold the one of the
/// least latency is taken, or, if all are hot, that of the least RIF. With fewer than two replies the choice is
/// [`Random`].
///
/// A reply leaves the pool when it is older than `age`; when it was used b_reuse = max(1, (1 + `delta`) ∕
/// ((1 − m∕n) × `r_probe` − `r_remove`)) times for n members, a fraction being spread over replies; when its member
/// sends another; and `r_remove` leave with each request, the worst and the oldest in turn, as the good ones are used
/// first. With each use its RIF is counted one up. Where that formula has no answer (up to 24 members, by default)
/// nearly every member is in the pool: then nothing is removed, and a reply is used until there is a newer one.
///
/// Reports that ride on ordinary answers ([`Lease::report`](crate::Lease::report)) are replies as well. A reply that says
/// nothing of latency has the least. In a pool without a probe they are the only ones, and who has none would never be
/// chosen, nor ever send one: there one request in four goes to a random member, in a probe's stead.
///
/// Weights: members are drawn for probes, and where the choice is random, by weight; a RIF counts over the weight,
/// relative to the mean. Among the cold the latency decides, whatever the weights.
///
/// The paper leaves out how it keeps from members that fail fast. Here a failure takes the member's reply out of the pool,
/// and counts as a request in flight in its replies, which fades: on average it is kept until eight times as many requests
/// have been picked for as all replies together say are in flight or, if that is more, as there are members
/// ([`LeastLoaded`](super::LeastLoaded) says why).
#[derive(Debug)]
pub struct Prequal {
    settings: Settings,
    /// Apart, as it is large, and settings are moved about.
    state: Box<State>,
}

#[derive(Debug)]
struct State {
    /// The greatest age of a reply, in milliseconds.
    most: u32,
    demand: Arc<Demand>,
    replies: Replies,
    /// The number of the last member that joined.
    numbers: AtomicU32,
    /// In 2⁻²⁰; the greatest number for without bound.
    b_reuse: AtomicU64,
    reuses: AtomicU64,
    failing: Failing,
}

/// What [`Prequal`] remembers of a member: its number in the pool of replies.
#[derive(Debug)]
pub struct Probed {
    number: u32,
    /// What a request adds to its RIF: the mean weight over its own, as the bits of a 32-bit float.
    step: AtomicU32,
    failures: Failures,
}

/// What [`Prequal`] prepares.
#[derive(Debug)]
pub struct PrequalTable {
    members: Numbers,
    random: RandomTable,
    mean_weight: f64,
    /// In 2⁻²⁰.
    r_remove: u64,
}

const ONE: u32 = 20;

fn fixed(number: f64) -> u64 {
    (number * f64::from(1 << ONE)) as u64
}

/// So many parts in whole numbers.
#[inline]
fn whole(count: u64, part: u64) -> u64 {
    ((u128::from(count) * u128::from(part)) >> ONE) as u64
}

impl Prequal {
    /// With the parameters of the paper: `r_probe` = 3, `m` = 16, `q_rif` = 2^−0.25 ≈ 0.84, `r_remove` = 1, `delta` = 1,
    /// `age` = 1 s. Of how long it is idle before it probes unasked the paper says nothing: here half the age, so that
    /// the pool does not run empty.
    pub fn new() -> Self {
        Self::of(Settings::PAPER)
    }

    fn of(settings: Settings) -> Self {
        let state = State {
            most: settings.age.as_millis() as u32,
            demand: Arc::new(Demand::new(settings.r_probe, settings.idle)),
            replies: Replies::default(),
            numbers: AtomicU32::new(0),
            b_reuse: AtomicU64::new(1 << ONE),
            reuses: AtomicU64::new(0),
            failing: Failing::default(),
        };
        Self {
            settings,
            state: Box::new(state),
        }
    }

    fn fresh(&self, now: u32) -> Fresh {
        Fresh {
            size: self.settings.m,
            most: self.state.most,
            now,
        }
    }

    /// How many replies the pool gains with each request, of which none is used up: what b_reuse shares out. Not above 0
    /// where it would run dry.
    fn net(&self, members: usize) -> f64 {
        let Settings {
            r_probe, m, r_remove, ..
        } = self.settings;
        (1.0 - m as f64 / members as f64) * r_probe - r_remove
    }

    /// How often the next reply may be used: b_reuse on average.
    fn uses(&self) -> u8 {
        let b_reuse = self.state.b_reuse.load(Relaxed);
        let count = self.state.reuses.fetch_add(1, Relaxed);
        match b_reuse {
            u64::MAX => UNLIMITED,
            b_reuse => {
                let uses = whole(count.wrapping_add(1), b_reuse).saturating_sub(whole(count, b_reuse));
                uses.clamp(1, u64::from(UNLIMITED) - 1) as u8
            }
        }
    }
}

impl Default for Prequal {
    fn default() -> Self {
        Self::new()
    }
}

/// The settings; what was learnt is no setting, and a clone starts without it.
impl Clone for Prequal {
    fn clone(&self) -> Self {
        Self::of(self.settings)
    }
}

impl PartialEq for Prequal {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl<B: Backend> Selector<B> for Prequal {
    type Memory = Probed;
    type Table = PrequalTable;

    fn memory(&self, _: &B) -> Probed {
        Probed {
            // After four thousand million members it begins anew, but not with 0.
            number: self.state.numbers.fetch_add(1, Relaxed).wrapping_add(1).max(1),
            step: AtomicU32::new(1_f32.to_bits()),
            failures: Failures::default(),
        }
    }

    fn prepare(&self, members: &Members<'_, B, Probed>) -> PrequalTable {
        let total: f64 = members.iter().map(|at| f64::from(members.weight(at))).sum();
        let mean_weight = total / members.len() as f64;
        for at in members.iter() {
            let step = step(mean_weight, members.weight(at));
            members.memory(at).step.store(step.to_bits(), Relaxed);
        }
        let net = self.net(members.len());
        let (b_reuse, r_remove) = match net > 0.0 {
            true => (fixed((1.0 + self.settings.delta) / net), fixed(self.settings.r_remove)),
            false => (u64::MAX, 0),
        };
        self.state.b_reuse.store(b_reuse, Relaxed);
        PrequalTable {
            members: Numbers::new(members, |memory| memory.number),
            random: members.within(|_| &(), |members| Random::new().prepare(members)),
            mean_weight,
            r_remove,
        }
    }

    fn needs(&self) -> Needs {
        Needs::nothing().failures().reports()
    }

    fn demand(&self) -> Option<&Arc<Demand>> {
        Some(&self.state.demand)
    }

    #[inline]
    fn select(&self, table: &PrequalTable, pick: &Pick<'_, B, Probed>) -> Option<At> {
        let turn = self.state.demand.asked();
        let random = || pick.within(|_| &(), |pick| Random::new().select(&table.random, pick));
        if turn % INSTEAD == 0 && !self.state.demand.is_met() {
            return random();
        }
        if turn % TOLD == 0 && !self.state.failing.is_clear() {
            let requests = self.state.replies.mean().max(1.0) * pick.len() as f32;
            self.state.failing.advance(TOLD as f32, requests);
        }
        let fresh = self.fresh(self.state.demand.now());
        let all_open = pick.all_open();
        let member = |number| {
            let at = table.members.find(number)?;
            let is_open = at.index() < pick.len() && (all_open || pick.is_open(at));
            is_open.then(|| (at, step(table.mean_weight, pick.weight(at))))
        };
        self.state
            .replies
            .choose(fresh, turn, removals(turn, table.r_remove), member)
            .or_else(random)
    }

    fn observe(&self, memory: &Probed, completion: &Completion) {
        if completion.outcome.is_failure() {
            self.state.failing.add(&memory.failures);
            self.state.replies.forget(memory.number);
        }
    }

    fn report(&self, memory: &Probed, report: &LoadReport, now: Instant) {
        let Some(queue) = report.queue() else { return };
        let fresh = self.fresh(self.state.demand.tell(now));
        let step = f32::from_bits(memory.step.load(Relaxed));
        let failing = &self.state.failing;
        let failures = if failing.is_clear() {
            0.0
        } else {
            memory.failures.weight(failing.now())
        };
        let latency = report.latency().map_or(0.0, |latency| latency.as_nanos() as f32);
        self.state.replies.estimate(queue as f32 * step, self.settings.q_rif);
        let rif = (queue as f32 + failures) * step;
        self.state.replies.add(fresh, memory.number, rif, latency, self.uses());
    }
}

/// One request in so many goes to a random member where there is no probe.
const INSTEAD: u64 = 4;

/// With one request in so many, failures fade by as many.
const TOLD: u64 = 8;

/// What a request adds to a RIF that counts over the weight.
fn step(mean_weight: f64, weight: u32) -> f32 {
    (mean_weight / f64::from(weight)) as f32
}

/// What is to be removed after the pick of this number: the worst and the oldest in turn.
#[inline]
fn removals(turn: u64, r_remove: u64) -> impl Iterator<Item = Removal> {
    let until = whole(turn, r_remove);
    (whole(turn.wrapping_sub(1), r_remove)..until).map(|removal| match removal % 2 {
        0 => Removal::Worst,
        _ => Removal::Oldest,
    })
}
