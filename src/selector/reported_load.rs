//! Reported load: turns by weights made of what servers say of their load, gRPC's client-side weighted round robin
//! (gRFC A58, `weighted_round_robin`: <https://github.com/grpc/proposal/blob/master/A58-client-side-weighted-round-robin-lb-policy.md>).

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    AnySelector, Members, Needs, Pick, RoundRobin, Selector, Start,
    roster::At,
    round_robin::Order,
    strategy::{
        ParameterError,
        named::{Named, Parameter, decimal, duration, print_duration},
    },
};
use crate::{backend::Backend, clock::Stamp, load::LoadReport, outcome::Tally};

/// Each request goes to the next member in turn, by weights that servers report:
///
/// weight = qps ∕ (utilization + eps ∕ qps × `error_utilization_penalty`)
///
/// which is how many requests in a second the server could answer were it fully used, less for those that fail (A58,
/// Subchannel Weights). O(1), one atomic operation; O(members) at each update.
///
/// What a server says counts once it has been saying it for the `blackout` period, and until it has been silent for
/// the `expiry` period; then the blackout begins anew. A report without qps or without utilization says nothing. Who
/// has no weight yet gets the mean of the others'; with fewer than two that have one, all take turns as in
/// [`RoundRobin`]. No weight counts for more than ten times the mean or less than a hundredth of it, as in gRPC's
/// scheduler (grpc/grpc, `src/core/load_balancing/weighted_round_robin/static_stride_scheduler.cc`): what is reported
/// once too often then neither draws everything, nor is never asked again.
///
/// What a server does not say of itself, or cannot, is seen from here as well: of a weight, or of the mean in its stead,
/// that part counts that did not fail of this client's own requests of late, and no less than a twentieth of the mean. (A58 leaves errors to the reports. By those
/// alone who fails at once and does not count that, or whose reports come no more, has a high weight; and where the others
/// are fully used even who does count it is as good as they are, as errors cost no more than utilization.)
///
/// The backend's own weight is honoured on top: it multiplies what was reported, and stands alone while nothing is.
///
/// The order is [`RoundRobin`]'s exact spread rather than A58's heap or stride: over any number of picks a member is
/// off its share by O(log 2³²), and no pick takes a second try. It begins at a random turn, so that clients that start
/// together do not march in step.
#[derive(Debug)]
pub struct ReportedLoad {
    settings: Settings,
    turns: RoundRobin,
    /// What the times in memories count from: when the first table was made.
    epoch: OnceLock<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Settings {
    blackout: Duration,
    expiry: Duration,
    update: Duration,
    penalty: f64,
}

/// A58, LB Policy Config and Parameters.
impl Default for Settings {
    fn default() -> Self {
        Self {
            blackout: Duration::from_secs(10),
            expiry: Duration::from_secs(180),
            update: Duration::from_secs(1),
            penalty: 1.0,
        }
    }
}

/// A58 raises what is shorter to this; here it is refused.
const SHORTEST_UPDATE: Duration = Duration::from_millis(100);
/// How far above and below the mean a reported weight counts.
const RATIOS: (f64, f64) = (0.01, 10.0);

/// Of a mean weight, what is left to who fails: so much that it is soon found to have mended.
const LEAST: f64 = 0.05;

/// What [`ReportedLoad`] remembers of a member: the weight it reported last, when, and since when without a gap; and how
/// requests ended of late.
#[derive(Debug, Default)]
pub struct ReportedWeight {
    /// An `f64`'s bits.
    weight: AtomicU64,
    /// Nanoseconds since the epoch, and one; 0: never.
    last: AtomicU64,
    since: AtomicU64,
    /// For the driver alone, when a table is made.
    endings: Mutex<Endings>,
}

/// How requests ended of late.
#[derive(Clone, Copy, Debug, Default)]
struct Endings {
    /// Failures and successes, for each of the [`HALF_LIVES`](Endings::HALF_LIVES).
    known: [(f64, f64); 2],
    /// What was counted until then.
    counted: Tally,
    at: Stamp,
}

impl Endings {
    /// In how many seconds an ending counts half: who begins to fail is found out soon, however long it did well; and who
    /// is sent next to nothing, as it failed, is not at once taken to have mended.
    const HALF_LIVES: [f64; 2] = [1.0, 3.0];

    /// The part that did not fail, as if a tenth of one more had not: of late or of very late, whatever is less.
    fn good(&mut self, tally: Tally, now: Stamp) -> f64 {
        // Of who was given up nothing is known.
        let good = |tally: Tally| tally.succeeded + tally.broken;
        let new = (
            (tally.failed - self.counted.failed) as f64,
            (good(tally) - good(self.counted)) as f64,
        );
        let age = between(self.at.0, now.0).as_secs_f64();
        (self.counted, self.at) = (tally, now);
        let mut least = 1.0_f64;
        for (known, half_life) in self.known.iter_mut().zip(Self::HALF_LIVES) {
            let keep = (-age / half_life).exp2();
            *known = (known.0 * keep + new.0, known.1 * keep + new.1);
            least = least.min(1.0 - known.0 / (known.0 + known.1 + 0.1));
        }
        least
    }
}

/// What [`ReportedLoad`] prepares: the order of turns.
#[derive(Debug)]
pub struct ReportedLoadTable(Order);

impl ReportedLoad {
    /// A58's defaults: blackout 10 s, expiry 3 min, update 1 s, penalty 1.
    pub fn new() -> Self {
        Self::of(Settings::default())
    }

    fn of(settings: Settings) -> Self {
        Self {
            settings,
            turns: RoundRobin::starting(Start::Random),
            epoch: OnceLock::new(),
        }
    }

    /// How long a server must have been reporting before it is believed; 0 for at once.
    pub fn with_blackout(self, blackout: Duration) -> Self {
        let settings = Settings {
            blackout,
            ..self.settings
        };
        Self::of(settings)
    }

    /// How long after its last report a server is still believed: more than 0.
    pub fn with_expiry(self, expiry: Duration) -> Result<Self, ParameterError> {
        let settings = Settings {
            expiry,
            ..self.settings
        };
        if expiry.is_zero() {
            return Err(Self::error("expiry", print_duration(expiry), EXPIRY));
        }
        Ok(Self::of(settings))
    }

    /// How often the weights are made anew of what was reported: from 100 ms on.
    pub fn with_update(self, update: Duration) -> Result<Self, ParameterError> {
        let settings = Settings {
            update,
            ..self.settings
        };
        if update < SHORTEST_UPDATE {
            return Err(Self::error("update", print_duration(update), UPDATE));
        }
        Ok(Self::of(settings))
    }

    /// How much utilization a server is taken to have more if all its answers are failures: from 0, for none, to
    /// 1,000,000.
    pub fn with_error_utilization_penalty(self, penalty: f64) -> Result<Self, ParameterError> {
        let settings = Settings {
            penalty,
            ..self.settings
        };
        if !(0.0..=1e6).contains(&penalty) {
            return Err(Self::error("error_utilization_penalty", penalty, PENALTY));
        }
        Ok(Self::of(settings))
    }

    fn error(name: &'static str, value: impl std::fmt::Display, allowed: &'static str) -> ParameterError {
        ParameterError::new(Self::NAME, name, value, allowed)
    }

    /// What a report makes a member weigh; none if it says too little.
    fn weight(&self, report: &LoadReport) -> Option<f64> {
        let qps = report.qps().filter(|qps| *qps > 0.0)?;
        let utilization = report.utilization().filter(|utilization| *utilization > 0.0)?;
        let errors = report.eps().unwrap_or_default() / qps;
        // The smallest of numbers that are allowed may make one that is none.
        let weight = qps / (utilization + errors * self.settings.penalty);
        (weight.is_normal()).then_some(weight)
    }
}

impl ReportedWeight {
    fn learn(&self, weight: f64, now: Stamp, expiry: Duration) {
        self.weight.store(weight.to_bits(), Relaxed);
        let last = self.last.swap(now.0, Relaxed);
        if last == 0 || between(last, now.0) >= expiry {
            self.since.store(now.0, Relaxed);
        }
    }

    /// The part of the requests of late that did not fail.
    fn good(&self, tally: Tally, now: Stamp) -> f64 {
        self.endings.lock().good(tally, now)
    }

    fn get(&self, now: Stamp, settings: &Settings) -> Option<f64> {
        let (last, since) = (self.last.load(Relaxed), self.since.load(Relaxed));
        let is_known = last > 0 && between(last, now.0) < settings.expiry;
        let is_tried = since > 0 && between(since, now.0) >= settings.blackout;
        (is_known && is_tried).then(|| f64::from_bits(self.weight.load(Relaxed)))
    }
}

fn between(earlier: u64, later: u64) -> Duration {
    Duration::from_nanos(later.saturating_sub(earlier))
}

impl<B: Backend> Selector<B> for ReportedLoad {
    type Memory = ReportedWeight;
    type Table = ReportedLoadTable;

    fn memory(&self, _: &B) -> ReportedWeight {
        ReportedWeight::default()
    }

    fn prepare(&self, members: &Members<'_, B, ReportedWeight>) -> ReportedLoadTable {
        let now = members.now();
        let now = Stamp::since(*self.epoch.get_or_init(|| now), Some(now));
        let goods: Vec<f64> = members
            .iter()
            .map(|at| members.memory(at).good(members.tally(at), now))
            .collect();
        let weights: Vec<Option<f64>> = members
            .iter()
            .zip(&goods)
            .map(|(at, good)| Some(members.memory(at).get(now, &self.settings)? * good))
            .collect();
        let known: Vec<f64> = weights.iter().flatten().copied().collect();
        let is_comparable = known.len() >= 2;
        if !is_comparable && goods.iter().all(|good| *good == 1.0) {
            return ReportedLoadTable(Order::of(members));
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let shares: Vec<f64> = members
            .iter()
            .zip(weights.iter().zip(goods))
            .map(|(at, (weight, good))| {
                let ratio = weight.filter(|_| is_comparable).map_or(good, |weight| weight / mean);
                let least = if good < 1.0 { LEAST } else { RATIOS.0 };
                ratio.clamp(least, RATIOS.1) * f64::from(members.weight(at))
            })
            .collect();
        ReportedLoadTable(Order::by_shares(&shares))
    }

    fn refresh(&self) -> Option<Duration> {
        Some(self.settings.update)
    }

    #[inline]
    fn select(&self, table: &ReportedLoadTable, pick: &Pick<'_, B, ReportedWeight>) -> Option<At> {
        self.turns.take(&table.0, pick)
    }

    fn needs(&self) -> Needs {
        Needs::nothing().reports()
    }

    fn report(&self, memory: &ReportedWeight, report: &LoadReport, now: Instant) {
        // Nothing is reported of a pool whose first table was not made.
        let Some(epoch) = self.epoch.get() else { return };
        if let Some(weight) = self.weight(report) {
            memory.learn(weight, Stamp::since(*epoch, Some(now)), self.settings.expiry);
        }
    }
}

impl Default for ReportedLoad {
    fn default() -> Self {
        Self::new()
    }
}

/// The same settings, and turns of its own.
impl Clone for ReportedLoad {
    fn clone(&self) -> Self {
        Self::of(self.settings)
    }
}

/// By the settings.
impl PartialEq for ReportedLoad {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

const TIME: &str = "a time such as 10s, 250ms or 3m";
const EXPIRY: &str = "a time above 0 such as 10s, 250ms or 3m";
const UPDATE: &str = "a time from 100ms on";
const PENALTY: &str = "a number from 0 to 1000000";

impl Named for ReportedLoad {
    const NAME: &'static str = "reported_load";
    const SUMMARY: &'static str =
        "turns by weights that servers report (ORCA): qps / (utilization + eps/qps × penalty)";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter {
            name: "blackout",
            allowed: TIME,
            get: |selector| print_duration(selector.settings.blackout),
            set: |selector, text| duration(text).map(|blackout| selector.clone().with_blackout(blackout)),
        },
        Parameter {
            name: "expiry",
            allowed: EXPIRY,
            get: |selector| print_duration(selector.settings.expiry),
            set: |selector, text| duration(text).and_then(|expiry| selector.clone().with_expiry(expiry).ok()),
        },
        Parameter {
            name: "update",
            allowed: UPDATE,
            get: |selector| print_duration(selector.settings.update),
            set: |selector, text| duration(text).and_then(|update| selector.clone().with_update(update).ok()),
        },
        Parameter {
            name: "error_utilization_penalty",
            allowed: PENALTY,
            get: |selector| selector.settings.penalty.to_string(),
            set: |selector, text| {
                decimal(text).and_then(|penalty| selector.clone().with_error_utilization_penalty(penalty).ok())
            },
        },
    ];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(self.clone())
    }
}
