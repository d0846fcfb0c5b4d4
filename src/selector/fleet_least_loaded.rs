//! Fleet least loaded: the shortest queue as servers report it, with one's own share counted for all clients.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    AnySelector, Choices, Completion, Failures, Members, Needs, Pick, Selector,
    alias::Alias,
    draw::Draw,
    failures::Failing,
    roster::At,
    strategy::{
        ParameterError,
        named::{Named, Parameter, decimal, duration, print_duration},
    },
};
use crate::{backend::Backend, clock::Stamp, load::LoadReport, sync::Line};

/// For fleets of many independent clients in front of the same servers: each request goes to the member of the least
///
/// (own requests in flight × (clients − 1) + the larger of own requests in flight and the queue it reported) ∕ weight
///
/// of `d` members drawn at random without replacement, by weight, or of all up to 2 `d`; ties go by weight. O(d);
/// O(members) with [all](Choices::all).
///
/// What a client has in flight is one part in `clients` of what all have, so each of its own requests stands for as
/// many; and where the server has [said](LoadReport::queue) how many requests it has, that is known of all clients, as
/// of a moment ago. Neither is enough alone: own requests are few, and the same report makes many clients come at
/// once. One's own requests are in the report as well; they are not counted twice, so that a single client does as
/// [`LeastLoaded`](super::LeastLoaded) does. The request whose answer brought the report has ended: the report is taken
/// for one less.
///
/// A report halves with each `half_life`, as the queue that it told of is worked off. It must not stand for ever: a
/// server that once had a long queue would be asked no more, and so could never say that it has none. Half-lives that
/// are a few times what requests take keep what is true and soon forget what is not; a second, the default, suits
/// requests of up to some hundred milliseconds.
///
/// The number of clients is given, or [estimated](FleetLeastLoaded::estimating_clients) while requests go by. Without
/// any report this is [`LeastLoaded`](super::LeastLoaded). Failures weigh as they do there.
///
/// Weights are honoured by load, as there: members whose queues over their weights are equal are as welcome.
#[derive(Debug)]
pub struct FleetLeastLoaded {
    settings: Settings,
    failing: Failing,
    /// What times count from: when the first table was made.
    epoch: OnceLock<Instant>,
    /// When the last report came or table was made, in milliseconds: to know the time without asking the clock, which
    /// costs more than the choice.
    now: Line<AtomicU64>,
    estimate: Mutex<Estimate>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Settings {
    choices: Choices,
    /// None: estimated.
    clients: Option<f64>,
    half_life: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            choices: Choices::default(),
            clients: None,
            half_life: Duration::from_secs(1),
        }
    }
}

/// How often the number of clients is estimated, and the time is told where no reports tell it.
const REFRESH: Duration = Duration::from_secs(1);
const MOST_CLIENTS: f64 = 1e6;
const HALF_LIVES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(3600));

/// What [`FleetLeastLoaded`] remembers of a member: the queue that it reported last, and its failures.
#[derive(Debug, Default)]
pub struct ReportedQueue {
    /// Milliseconds since the epoch in the upper 40 bits, which are 34 years; the upper 24 of an `f32`'s bits in the
    /// lower, a queue to within 2⁻¹⁵ of itself.
    word: AtomicU64,
    failures: Failures,
}

const QUEUE: u32 = 24;

impl ReportedQueue {
    fn learn(&self, queue: f64, now: u64) {
        let bits = (queue as f32).to_bits() >> (32 - QUEUE);
        self.word.store(now << QUEUE | u64::from(bits), Relaxed);
    }

    /// The queue as it was reported, and how many milliseconds ago.
    #[inline]
    fn get(&self, now: u64) -> (f32, u64) {
        let word = self.word.load(Relaxed);
        let bits = (word as u32) << (32 - QUEUE);
        (f32::from_bits(bits), now.saturating_sub(word >> QUEUE))
    }
}

/// What [`FleetLeastLoaded`] prepares: the number of clients, and by whom to draw while weights differ.
#[derive(Debug)]
pub struct FleetLeastLoadedTable {
    alias: Option<Alias>,
    /// Other clients, for each of this one's requests.
    others: f32,
    /// Half-lives in a millisecond.
    rate: f32,
}

impl FleetLeastLoadedTable {
    /// What is taken to be at a server, of all clients.
    #[inline]
    fn load(&self, own: usize, (queue, age): (f32, u64)) -> f32 {
        let own = own as f32;
        own * self.others + own.max(queue * halved(age as f32 * self.rate))
    }
}

/// 2⁻ᵗ for t of 0 and more, exact at whole numbers and straight in between, which is at most 6.2 % too much.
#[inline]
fn halved(times: f32) -> f32 {
    // More than 126 times is nothing, and has no exponent.
    let times = times.min(126.0);
    let whole = times as u32;
    let rest = times - whole as f32;
    f32::from_bits((127 - whole) << 23) * (1.0 - rest / 2.0)
}

/// How many requests of all clients there are for one of this one's: of both, sums over all members that reported of
/// late, looked at once in a while and smoothed. What servers report besides the request that they answer is, by the
/// arrival theorem, what is there on average; and what this client has there on average is seen by looking. So the
/// quotient is the number of clients if all send alike, and what is needed if they do not: by how much this client's
/// requests have to be multiplied to stand for all.
#[derive(Clone, Copy, Debug, Default)]
struct Estimate {
    reported: f64,
    own: f64,
    /// When it was last looked, in milliseconds.
    at: u64,
}

impl Estimate {
    /// How long until half of the estimate is what was seen since: a look sees few requests of a small client.
    const HALF_LIFE: f64 = 10_000.0;
    /// As if so many requests had been seen of one client alone: a fraction of a request in flight is no ground for
    /// large numbers.
    const PRIOR: f64 = 0.1;

    fn look(&mut self, reported: f64, own: f64, now: u64) {
        let keep = (-(now.saturating_sub(self.at) as f64) / Self::HALF_LIFE).exp2();
        self.reported = self.reported * keep + reported * (1.0 - keep);
        self.own = self.own * keep + own * (1.0 - keep);
        self.at = now;
    }

    fn clients(&self) -> f64 {
        let clients = (self.reported + Self::PRIOR) / (self.own + Self::PRIOR);
        clients.clamp(1.0, MOST_CLIENTS)
    }
}

impl FleetLeastLoaded {
    /// Of 8, with the number of clients estimated and a half-life of a second.
    pub fn new() -> Self {
        Self::of(Settings::default())
    }

    fn of(settings: Settings) -> Self {
        Self {
            settings,
            failing: Failing::default(),
            epoch: OnceLock::new(),
            now: Line::default(),
            estimate: Mutex::default(),
        }
    }

    /// How many are compared.
    pub fn with_choices(self, choices: Choices) -> Self {
        Self::of(Settings {
            choices,
            ..self.settings
        })
    }

    /// How many clients send to the same servers, this one included: from 1 to 1,000,000, not necessarily whole, as it
    /// is by how much this client's requests are multiplied.
    pub fn with_clients(self, clients: f64) -> Result<Self, ParameterError> {
        if !(1.0..=MOST_CLIENTS).contains(&clients) {
            return Err(Self::error("clients", clients, CLIENTS));
        }
        Ok(Self::of(Settings {
            clients: Some(clients),
            ..self.settings
        }))
    }

    /// The number of clients is what servers report over what this client has in flight there, smoothed over some ten
    /// seconds; 1 until there is something to go by.
    pub fn estimating_clients(self) -> Self {
        Self::of(Settings {
            clients: None,
            ..self.settings
        })
    }

    /// After how long a report counts for half: from 1 ms to an hour.
    pub fn with_half_life(self, half_life: Duration) -> Result<Self, ParameterError> {
        if !(HALF_LIVES.0..=HALF_LIVES.1).contains(&half_life) {
            return Err(Self::error("half_life", print_duration(half_life), HALF_LIFE));
        }
        Ok(Self::of(Settings {
            half_life,
            ..self.settings
        }))
    }

    fn error(name: &'static str, value: impl std::fmt::Display, allowed: &'static str) -> ParameterError {
        ParameterError::new(Self::NAME, name, value, allowed)
    }

    /// Milliseconds since the epoch, which pass for all from now on.
    fn millis(&self, epoch: Instant, now: Instant) -> u64 {
        let now = Stamp::since(epoch, Some(now)).0 / 1_000_000;
        // A write only where time has passed: with each pick, all processors read this.
        if self.now.0.load(Relaxed) < now {
            self.now.0.store(now, Relaxed);
        }
        now
    }

    /// How many clients there seem to be, now that it is looked.
    fn clients<B>(&self, members: &Members<'_, B, ReportedQueue>, now: u64) -> f64 {
        // What is older says little of now.
        let fresh = 2 * self.settings.half_life.max(REFRESH).as_millis() as u64;
        let (mut reported, mut own) = (0.0, 0.0);
        for at in members.iter() {
            let memory = members.memory(at);
            let (queue, age) = memory.get(now);
            if age <= fresh && memory.word.load(Relaxed) > 0 {
                reported += f64::from(queue);
                own += members.load(at) as f64;
            }
        }
        let mut estimate = self.estimate.lock();
        estimate.look(reported, own, now);
        estimate.clients()
    }

    fn draw<'a>(&self, table: &'a FleetLeastLoadedTable) -> Draw<'a> {
        Draw {
            choices: self.settings.choices,
            alias: table.alias.as_ref(),
        }
    }

    /// The one that would be chosen has failed of late: all are weighed again, with what their failures weigh.
    #[cold]
    fn among_failing<B>(&self, table: &FleetLeastLoadedTable, pick: &Pick<'_, B, ReportedQueue>) -> Option<At> {
        let (stamp, now) = (pick.stamp(), self.now.0.load(Relaxed));
        self.failing.forget(stamp);
        self.draw(table).least(pick, |at| {
            let memory = pick.memory(at);
            let own = pick.load(at) + memory.failures.weight(stamp);
            table.load(own, memory.get(now)).into()
        })
    }
}

impl<B: Backend> Selector<B> for FleetLeastLoaded {
    type Memory = ReportedQueue;
    type Table = FleetLeastLoadedTable;

    fn memory(&self, _: &B) -> ReportedQueue {
        ReportedQueue::default()
    }

    fn prepare(&self, members: &Members<'_, B, ReportedQueue>) -> FleetLeastLoadedTable {
        let now = members.now();
        let now = self.millis(*self.epoch.get_or_init(|| now), now);
        let clients = self.settings.clients.unwrap_or_else(|| self.clients(members, now));
        FleetLeastLoadedTable {
            alias: (!members.equal_weights()).then(|| Alias::new(members)),
            others: (clients - 1.0) as f32,
            rate: (1e-3 / self.settings.half_life.as_secs_f64()) as f32,
        }
    }

    fn refresh(&self) -> Option<Duration> {
        Some(REFRESH)
    }

    #[inline]
    fn select(&self, table: &FleetLeastLoadedTable, pick: &Pick<'_, B, ReportedQueue>) -> Option<At> {
        if pick.is_empty() {
            return None;
        }
        let now = self.now.0.load(Relaxed);
        let load = |at| table.load(pick.load(at), pick.memory(at).get(now)).into();
        let at = self.draw(table).least(pick, load)?;
        if self.failing.is_clear() || pick.memory(at).failures.is_clear() {
            return Some(at);
        }
        self.among_failing(table, pick)
    }

    fn needs(&self) -> Needs {
        Needs::nothing().failures().reports()
    }

    fn observe(&self, memory: &ReportedQueue, completion: &Completion) {
        memory.failures.observe(completion, &self.failing);
    }

    fn report(&self, memory: &ReportedQueue, report: &LoadReport, now: Instant) {
        // Nothing is reported of a pool whose first table was not made.
        let (Some(epoch), Some(queue)) = (self.epoch.get(), report.queue()) else {
            return;
        };
        let now = self.millis(*epoch, now);
        memory.learn((queue - 1.0).max(0.0), now);
    }
}

impl Default for FleetLeastLoaded {
    fn default() -> Self {
        Self::new()
    }
}

/// The same settings, and an estimate of its own.
impl Clone for FleetLeastLoaded {
    fn clone(&self) -> Self {
        Self::of(self.settings)
    }
}

/// By the settings.
impl PartialEq for FleetLeastLoaded {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

const CLIENTS: &str = "a number from 1 to 1000000, or estimated";
const HALF_LIFE: &str = "a time from 1ms to 60m";

impl Named for FleetLeastLoaded {
    const NAME: &'static str = "fleet_least_loaded";
    const SUMMARY: &'static str = "the shortest queue, as servers report it (ORCA), for fleets of many clients";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter {
            name: "d",
            allowed: Choices::ALLOWED,
            get: |selector| selector.settings.choices.print(),
            set: |selector, text| Choices::read(text).map(|choices| selector.clone().with_choices(choices)),
        },
        Parameter {
            name: "clients",
            allowed: CLIENTS,
            get: |selector| {
                let clients = selector.settings.clients;
                clients.map_or("estimated".to_owned(), |clients| clients.to_string())
            },
            set: |selector, text| match text {
                "estimated" => Some(selector.clone().estimating_clients()),
                _ => decimal(text).and_then(|clients| selector.clone().with_clients(clients).ok()),
            },
        },
        Parameter {
            name: "half_life",
            allowed: HALF_LIFE,
            get: |selector| print_duration(selector.settings.half_life),
            set: |selector, text| duration(text).and_then(|half_life| selector.clone().with_half_life(half_life).ok()),
        },
    ];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(self.clone())
    }
}
