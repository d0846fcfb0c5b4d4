//! Fleet least loaded: the shortest queue as servers report it, with one's own share counted for all clients.

mod clients;

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use self::clients::{Estimate, Look};
use super::{
    AnySelector, Choices, Completion, Members, Needs, Pick, ReportedQueue, Selector,
    alias::Alias,
    draw::Draw,
    failures::Failing,
    reported_queue::Millis,
    roster::At,
    shortlist::Shortlist,
    strategy::{
        ParameterError,
        named::{Named, Parameter, decimal, duration, print_duration},
    },
};
use crate::{backend::Backend, load::LoadReport, sync::Line};

/// For fleets of many independent clients in front of the same servers: each request goes to the member of the least
///
/// (own requests in flight × (clients − 1) + the larger of own requests in flight and the queue it reported) ∕ weight
///
/// of `d` members drawn at random without replacement, by weight, and 8 that looked best of late (Mitzenmacher, Prabhakar
/// and Shah, "[Load balancing with memory](https://doi.org/10.1109/SFCS.2002.1182005)", FOCS 2002), or of all up to 2 `d`;
/// ties go by weight. O(d); O(members) with [all](Choices::all), which among a hundred members is little better.
///
/// What a client has in flight is one part in `clients` of what all have, so each of its own requests stands for as
/// many; and where the server has [said](LoadReport::queue) how many requests it has, that is known of all clients, as
/// of a moment ago. Neither is enough alone: own requests are few, and the same report makes many clients come at
/// once. One's own requests are in the report as well; they are not counted twice, so that a single client does as
/// [`LeastLoaded`](super::LeastLoaded) does. The request whose answer brought the report has ended: the report is taken
/// for one less.
///
/// A report grows old as the queue that it told of is worked off: what it says beyond the mean of all, or short of it,
/// fades evenly to nothing within the time `fade`. It must not stand for ever: a server that once had a long queue would
/// be asked no more, and could never say that it has none. Nor may the queue itself fade: who has not been heard for
/// long, or never, would look empty to all clients at once, and draw everything. The time is best some times as long as
/// it takes until a server is heard again, and not so long that one that was overloaded is missed; it is two seconds
/// unless said otherwise.
///
/// The number of clients is given, or [estimated](FleetLeastLoaded::estimating_clients) while requests go by. Without
/// any report this is [`LeastLoaded`](super::LeastLoaded). Failures keep their places as they do there, each like one
/// request more in the server's queue, or an eighth of a usual queue if that is more.
///
/// Weights are honoured by load, as there: members whose queues over their weights are equal are as welcome.
#[derive(Debug)]
pub struct FleetLeastLoaded {
    settings: Settings,
    failing: Failing,
    /// What times count from: when the first table was made.
    epoch: OnceLock<Instant>,
    /// When the last report came or table was made, as [`Millis`]: to know the time without asking the clock, which
    /// costs more than the choice.
    now: Line<AtomicU64>,
    estimate: Mutex<Estimate>,
    shortlist: Shortlist,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Settings {
    choices: Choices,
    /// None: estimated.
    clients: Option<f64>,
    fade: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            choices: Choices::default(),
            clients: None,
            fade: Duration::from_secs(2),
        }
    }
}

/// How often the number of clients is estimated, and the time is told where no reports tell it.
const REFRESH: Duration = Duration::from_secs(1);
const MOST_CLIENTS: f64 = 1e6;
/// So many failures weigh as much as any queue: every client has to find out for itself who fails.
const ENOUGH: f32 = 8.0;
const FADES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(3600));

/// What [`FleetLeastLoaded`] prepares: the number of clients, the mean, and by whom to draw while weights differ.
#[derive(Debug)]
pub struct FleetLeastLoadedTable {
    alias: Option<Alias>,
    /// Other clients, for each of this one's requests.
    others: f32,
    /// The queue that is reported, on average and for each unit of weight.
    mean: f32,
    /// How much of a report fades in a millisecond.
    rate: f32,
}

impl FleetLeastLoadedTable {
    /// What is taken to be at a server, of all clients: never less than 0. `usual`: what is there on average.
    #[inline(always)]
    fn load(&self, own: usize, (queue, age): (f32, i64), usual: f32) -> f32 {
        // Through a number with a sign, of which there is an instruction to make an f32.
        let own = own as i64 as f32;
        // By another thread's time a report may be some milliseconds ahead: a little more than all of it is no harm.
        let left = larger(1.0 - age as f32 * self.rate, 0.0);
        own * self.others + larger(own, usual + (queue - usual) * left)
    }

    #[inline]
    fn usual(&self, weight: u32) -> f32 {
        self.mean * weight as f32
    }
}

/// [`f32::max`] without its care for what is no number: one instruction in place of five.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

impl FleetLeastLoaded {
    /// Of 8, with the number of clients estimated and reports that fade within two seconds.
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
            shortlist: Shortlist::default(),
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
    /// seconds: rather too large, which does no harm, and 100 until there is something to go by.
    pub fn estimating_clients(self) -> Self {
        Self::of(Settings {
            clients: None,
            ..self.settings
        })
    }

    /// After how long a report counts for nothing: from 1 ms to an hour.
    pub fn with_fade(self, fade: Duration) -> Result<Self, ParameterError> {
        if !(FADES.0..=FADES.1).contains(&fade) {
            return Err(Self::error("fade", print_duration(fade), FADE));
        }
        Ok(Self::of(Settings { fade, ..self.settings }))
    }

    fn error(name: &'static str, value: impl std::fmt::Display, allowed: &'static str) -> ParameterError {
        ParameterError::new(Self::NAME, name, value, allowed)
    }

    /// The time since the epoch, which it is for all from now on.
    fn millis(&self, epoch: Instant, now: Instant) -> Millis {
        let now = Millis::since(epoch, now);
        // A write only where time has passed: with each pick, all processors read this.
        if self.now.0.load(Relaxed) < now.0 {
            self.now.0.store(now.0, Relaxed);
        }
        now
    }

    fn look<B>(&self, members: &Members<'_, B, ReportedQueue>, now: Millis) -> Look {
        // With reports that fade sooner there would be none to go by.
        let fresh = self.settings.fade.max(2 * REFRESH).as_millis() as i64;
        let mut look = Look::default();
        for at in members.iter() {
            let (queue, age) = members.memory(at).get(now);
            if age <= fresh {
                look.reported += f64::from(queue);
                look.own += members.load(at) as f64;
                look.weight += f64::from(members.weight(at));
            }
        }
        look
    }

    fn draw<'a>(&self, table: &'a FleetLeastLoadedTable) -> Draw<'a> {
        Draw {
            choices: self.settings.choices,
            alias: table.alias.as_ref(),
        }
    }

    /// The one that was drawn, or a better one that is remembered. `failed`: what a member's failures weigh.
    #[inline]
    fn or_remembered<B>(
        &self,
        drawn: At,
        table: &FleetLeastLoadedTable,
        pick: &Pick<'_, B, ReportedQueue>,
        now: Millis,
        failed: impl Fn(At) -> f32,
    ) -> At {
        if pick.len() <= self.settings.choices.scanned() {
            return drawn;
        }
        let weigh = |memory: &ReportedQueue, own, usual| {
            let report = memory.get(now);
            (table.load(own, report, usual), table.load(0, report, usual))
        };
        match pick.own_memories() {
            Some(own) if table.alias.is_none() && pick.is_plain() => {
                let usual = table.usual(pick.weight(drawn));
                let memory = |at: At| &own[at.index()].account.memory;
                self.shortlist.choose(drawn, pick, |at| {
                    let (load, standing) = weigh(memory(at), pick.plain_load(at), usual);
                    (load + failed(at), standing + failed(at))
                })
            }
            _ => self.shortlist.choose(drawn, pick, |at| {
                let weight = pick.weight(at);
                let (load, standing) = weigh(pick.memory(at), pick.load(at), table.usual(weight));
                let failed = failed(at);
                ((load + failed) / weight as f32, (standing + failed) / weight as f32)
            }),
        }
    }

    /// Some have failed of late. If the one that would be `chosen` has, all are weighed again, with what their failures
    /// weigh: each like a request in the server's queue, or more if queues are long.
    #[cold]
    fn among_failing<B>(
        &self,
        chosen: At,
        table: &FleetLeastLoadedTable,
        pick: &Pick<'_, B, ReportedQueue>,
    ) -> Option<At> {
        let now = Millis(self.now.0.load(Relaxed));
        let load = |at| table.load(pick.load(at), pick.memory(at).get(now), table.usual(pick.weight(at)));
        self.failing.pass(pick, ENOUGH, load);
        if pick.memory(chosen).failures.is_clear() {
            return Some(chosen);
        }
        let (time, each) = (self.failing.now(), (self.failing.usual_load() / ENOUGH).max(1.0));
        let failed = |at| pick.memory(at).failures.weight(time) * each;
        let drawn = self.draw(table).least(pick, |at| (load(at) + failed(at)).into())?;
        Some(self.or_remembered(drawn, table, pick, now, failed))
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
        let look = self.look(members, now);
        let mut estimate = self.estimate.lock();
        estimate.learn(look, now);
        let clients = self.settings.clients.unwrap_or(estimate.clients());
        FleetLeastLoadedTable {
            alias: (!members.equal_weights()).then(|| Alias::new(members)),
            others: (clients - 1.0) as f32,
            mean: if look.weight > 0.0 {
                (look.reported / look.weight) as f32
            } else {
                0.0
            },
            rate: (1e-3 / self.settings.fade.as_secs_f64()) as f32,
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
        let now = Millis(self.now.0.load(Relaxed));
        let at = if table.alias.is_none() && pick.is_plain() {
            // The bits of numbers from 0 on are in the numbers' order. Of one weight, load is as good as load over weight.
            let usual = table.usual(pick.weight(pick.at(0)));
            let load = |at, memory: &ReportedQueue| table.load(pick.plain_load(at), memory.get(now), usual).to_bits();
            let draw = self.draw(table);
            match pick.own_memories() {
                Some(own) => draw.least_of_equals(pick, |at| load(at, &own[at.index()].account.memory)),
                None => draw.least_of_equals(pick, |at| load(at, pick.memory(at))),
            }
        } else {
            let usual = |at| table.usual(pick.weight(at));
            let load = |at| table.load(pick.load(at), pick.memory(at).get(now), usual(at));
            self.draw(table).least(pick, |at| load(at).into())
        }?;
        // Of a sum with −0 nothing is left to compute, unlike that with 0.
        let at = self.or_remembered(at, table, pick, now, |_| -0.0);
        if self.failing.is_clear() {
            return Some(at);
        }
        self.among_failing(at, table, pick)
    }

    fn needs(&self) -> Needs {
        Needs::nothing().failures().reports()
    }

    fn observe(&self, memory: &ReportedQueue, completion: &Completion) {
        self.failing.observe(&memory.failures, completion);
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
const FADE: &str = "a time from 1ms to 60m";

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
            name: "fade",
            allowed: FADE,
            get: |selector| print_duration(selector.settings.fade),
            set: |selector, text| duration(text).and_then(|fade| selector.clone().with_fade(fade).ok()),
        },
    ];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(self.clone())
    }
}
