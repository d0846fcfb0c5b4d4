//! What is simulated: servers, requests, and what befalls them.

use std::{sync::Arc, time::Duration};

use super::{
    Befalls, Change, ScenarioError, ServiceTime, Trace,
    impossible::{REQUESTS, SERVERS, within},
};

/// Servers, the requests that come to them, and what befalls both.
///
/// Times are in units of the mean service time, unless said otherwise: what is balanced well at 10 ms is at 1 s, but for
/// what strategies have in seconds of their own, for which there is [`with_mean`](Scenario::with_mean).
///
/// Each value is checked as it is set, what they come to together when the scenario is played, or before by
/// [`check`](Scenario::check).
///
/// ```
/// use equipoise::sim::Scenario;
///
/// let scenario = Scenario::named("antagonists")?.with_load(0.8)?.with_clients(10)?.with_seed(11);
/// assert_eq!(
///     Scenario::new().with_load(7.0).unwrap_err().to_string(),
///     "impossible load 7: expected a number from 0.01 to 2"
/// );
/// # Ok::<_, equipoise::sim::ScenarioError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub(super) name: String,
    pub(super) servers: u32,
    pub(super) slots: u32,
    pub(super) discipline: Discipline,
    pub(super) speeds: Vec<f64>,
    pub(super) antagonists: Option<Antagonists>,
    pub(super) changes: Vec<Change>,
    /// Servers that are members from the start: the first so many.
    pub(super) starting: Option<u32>,
    pub(super) service: ServiceTime,
    pub(super) mean: Duration,
    pub(super) arrivals: Arrivals,
    /// Recorded, in place of any that are drawn.
    pub(super) trace: Option<Arc<Trace>>,
    pub(super) keys: Keys,
    /// The recorded one, or [`LOAD`], unless said otherwise.
    load: Option<f64>,
    pub(super) clients: u32,
    pub(super) delay: f64,
    pub(super) timeout: Option<f64>,
    /// Which part of the requests fails wherever they go.
    pub(super) failures: f64,
    /// All that are recorded, or [`MEASURED`], unless said otherwise.
    requests: Option<u32>,
    pub(super) seed: u64,
}

const LOAD: f64 = 0.8;
const MEASURED: u32 = 200_000;

/// In which order a server serves what it has been sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discipline {
    /// As many at a time as there are slots, the others wait in the order in which they came.
    #[default]
    FirstCome,
    /// All at once: up to as many as there are slots at full speed, more share it evenly.
    ProcessorSharing,
}

/// How requests come that are not [recorded](Scenario::replay).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Arrivals {
    /// Each for itself: as many a second on average, at any time.
    #[default]
    Poisson,
    /// Several at once from one client, their number geometric with this mean, from 1 to 1,000; bursts come as a Poisson
    /// process.
    Bursty(f64),
}

/// What requests have as their keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keys {
    /// How many different ones there are: from 1 to 10,000,000.
    pub number: u32,
    /// How unlike they are: the chance of the k-th most frequent is as k to the power of minus this (Zipf), from 0 for
    /// all alike to 10.
    pub exponent: f64,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            number: 100_000,
            exponent: 0.0,
        }
    }
}

/// Others on the machines of servers, which take part of what these have: every so often each server's speed is drawn
/// anew, of either, with even chances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Antagonists {
    /// What is left of the speed: from 0.01 to 1.
    pub speed: f64,
    /// After how many mean service times it is drawn anew: from 0.1 to 1,000,000.
    pub every: f64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self::new()
    }
}

impl Scenario {
    /// 100 equal servers of 4 slots each, first come first served, exponential service of 10 ms, at a load of 0.8 from one
    /// client, without any delay; 200,000 requests.
    pub fn new() -> Self {
        Self {
            name: "equal".to_owned(),
            servers: 100,
            slots: 4,
            discipline: Discipline::default(),
            speeds: vec![1.0],
            antagonists: None,
            changes: Vec::new(),
            starting: None,
            service: ServiceTime::Exponential,
            mean: Duration::from_millis(10),
            arrivals: Arrivals::default(),
            trace: None,
            keys: Keys::default(),
            load: None,
            clients: 1,
            delay: 0.0,
            timeout: None,
            failures: 0.0,
            requests: None,
            seed: 0,
        }
    }

    /// The same servers under requests that were recorded, each with its own service time, at the load that they make. A
    /// [load](Scenario::with_load) that is set afterwards stretches the time between them.
    ///
    /// # Errors
    /// If there are too few requests, or too many, or their mean service time is not one that
    /// [`with_mean`](Scenario::with_mean) takes.
    pub fn replay(self, trace: Trace) -> Result<Self, ScenarioError> {
        let number = within("number of recorded requests", trace.requests().len() as f64, REQUESTS)?;
        let scenario = self.with_mean(trace.service() / number as u32)?;
        let trace = Some(Arc::new(trace));
        Ok(Self {
            trace,
            load: None,
            ..scenario
        })
    }

    /// What it is called.
    pub fn with_name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { name, ..self }
    }

    /// How many servers there are: from 1 to 10,000.
    pub fn with_servers(self, servers: u32) -> Result<Self, ScenarioError> {
        within("number of servers", f64::from(servers), SERVERS)?;
        Ok(Self { servers, ..self })
    }

    /// How many requests a server works on at full speed: from 1 to 1,000.
    pub fn with_slots(self, slots: u32) -> Result<Self, ScenarioError> {
        within("number of slots", f64::from(slots), (1.0, 1_000.0))?;
        Ok(Self { slots, ..self })
    }

    /// In which order a server serves.
    pub fn with_discipline(self, discipline: Discipline) -> Self {
        Self { discipline, ..self }
    }

    /// How fast servers are, 1 being usual: from 0.01 to 100 each. With fewer numbers than servers they begin anew.
    pub fn with_speeds(self, speeds: impl Into<Vec<f64>>) -> Result<Self, ScenarioError> {
        let speeds = speeds.into();
        within("number of speeds", speeds.len() as f64, (1.0, 10_000.0))?;
        for speed in &speeds {
            within("speed", *speed, (0.01, 100.0))?;
        }
        Ok(Self { speeds, ..self })
    }

    /// Others on the servers' machines.
    pub fn with_antagonists(self, antagonists: Antagonists) -> Result<Self, ScenarioError> {
        within("speed beside antagonists", antagonists.speed, (0.01, 1.0))?;
        within("time between antagonists", antagonists.every, (0.1, 1e6))?;
        let antagonists = Some(antagonists);
        Ok(Self { antagonists, ..self })
    }

    /// What befalls servers while requests come.
    pub fn with_changes(self, changes: impl Into<Vec<Change>>) -> Result<Self, ScenarioError> {
        let mut changes = changes.into();
        for change in &changes {
            within("part of the run", change.at, (0.0, 1.0))?;
            if let Befalls::Slows(times) = change.what {
                within("number of times as long", f64::from(times), (1.0, 1e6))?;
            }
        }
        changes.sort_by(|a, b| a.at.total_cmp(&b.at));
        Ok(Self { changes, ..self })
    }

    /// How many servers, the first of them, are members from the start, others only once they
    /// [join](super::Befalls::Joins): from 1 to all. The load is in terms of these.
    pub fn with_starting(self, servers: u32) -> Result<Self, ScenarioError> {
        within("number of starting servers", f64::from(servers), SERVERS)?;
        let starting = Some(servers);
        Ok(Self { starting, ..self })
    }

    /// How long requests take, in units of the mean.
    pub fn with_service(self, service: ServiceTime) -> Self {
        Self { service, ..self }
    }

    /// How long a request takes on average at a speed of 1: from 1 µs to 1 h. Of recorded requests it is the unit of other
    /// times only.
    pub fn with_mean(self, mean: Duration) -> Result<Self, ScenarioError> {
        within("mean service time in seconds", mean.as_secs_f64(), (1e-6, 3600.0))?;
        Ok(Self { mean, ..self })
    }

    /// How requests come, if none are [recorded](Scenario::replay).
    pub fn with_arrivals(self, arrivals: Arrivals) -> Result<Self, ScenarioError> {
        if let Arrivals::Bursty(mean) = arrivals {
            within("mean size of bursts", mean, (1.0, 1_000.0))?;
        }
        Ok(Self { arrivals, ..self })
    }

    /// What requests have as their keys.
    pub fn with_keys(self, keys: Keys) -> Result<Self, ScenarioError> {
        within("number of keys", f64::from(keys.number), (1.0, 1e7))?;
        within("exponent of keys", keys.exponent, (0.0, 10.0))?;
        Ok(Self { keys, ..self })
    }

    /// How much is asked of the servers, 1 being all that they can do on average: from 0.01 to 2.
    pub fn with_load(self, load: f64) -> Result<Self, ScenarioError> {
        let load = Some(within("load", load, super::impossible::LOAD)?);
        Ok(Self { load, ..self })
    }

    /// How many balancers there are that know nothing of each other: from 1 to 10,000.
    pub fn with_clients(self, clients: u32) -> Result<Self, ScenarioError> {
        within("number of clients", f64::from(clients), (1.0, 10_000.0))?;
        Ok(Self { clients, ..self })
    }

    /// How long a request is on its way to a server, and as long an answer back: from 0 to 1,000 mean service times.
    pub fn with_delay(self, delay: f64) -> Result<Self, ScenarioError> {
        let delay = within("delay", delay, (0.0, 1_000.0))?;
        Ok(Self { delay, ..self })
    }

    /// After how long a request without an answer has failed: from 0.1 to 1,000,000 mean service times; never unless said
    /// otherwise. It counts from when the request is sent: one that waits in its balancer's queue does so for any time.
    pub fn with_timeout(self, timeout: f64) -> Result<Self, ScenarioError> {
        let timeout = Some(within("timeout", timeout, (0.1, 1e6))?);
        Ok(Self { timeout, ..self })
    }

    /// Which part of the requests fails wherever they go, after they were served: from 0 to 1. They come to the same as
    /// if there were none.
    pub fn with_failures(self, failures: f64) -> Result<Self, ScenarioError> {
        let failures = within("part of failures", failures, (0.0, 1.0))?;
        Ok(Self { failures, ..self })
    }

    /// How many requests are measured: from 100 to 10,000,000. Before them come a fifth as many, and at least those of 100
    /// mean service times. Of a [replay](Scenario::replay) there are no more than recorded, of which the first sixth is not
    /// measured.
    pub fn with_requests(self, requests: u32) -> Result<Self, ScenarioError> {
        within("number of requests", f64::from(requests), REQUESTS)?;
        let requests = Some(requests);
        Ok(Self { requests, ..self })
    }

    /// Makes all that is random repeatable.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where all that is random begins.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How much is asked of the servers.
    pub fn load(&self) -> f64 {
        self.load.unwrap_or(match &self.trace {
            Some(trace) => self.recorded_load(trace),
            None => LOAD,
        })
    }

    /// How many balancers there are.
    pub fn clients(&self) -> u32 {
        self.clients
    }

    /// How long a request takes on average.
    pub fn mean(&self) -> Duration {
        self.mean
    }

    /// What requests have as their keys.
    pub fn keys(&self) -> Keys {
        self.keys
    }

    pub(super) fn starting(&self) -> u32 {
        self.starting.unwrap_or(self.servers)
    }

    pub(super) fn speed(&self, server: usize) -> f64 {
        self.speeds[server % self.speeds.len()]
    }

    /// How many requests of the mean service time the first servers can work on at once, on average.
    pub(super) fn capacity(&self) -> f64 {
        let left = self
            .antagonists
            .map_or(1.0, |antagonists| f64::midpoint(1.0, antagonists.speed));
        let speeds: f64 = (0..self.starting() as usize).map(|server| self.speed(server)).sum();
        speeds * left * f64::from(self.slots)
    }

    /// What recorded requests ask of the servers.
    pub(super) fn recorded_load(&self, trace: &Trace) -> f64 {
        trace.service().as_secs_f64() / trace.duration().as_secs_f64() / self.capacity()
    }

    /// By how much the time between recorded requests is stretched.
    pub(super) fn stretch(&self, trace: &Trace) -> f64 {
        self.load.map_or(1.0, |load| self.recorded_load(trace) / load)
    }

    /// How many requests come in a mean service time, on average.
    pub(super) fn rate(&self) -> f64 {
        self.load() * self.capacity()
    }

    /// How many requests are measured.
    pub(super) fn requests(&self) -> u32 {
        match &self.trace {
            // A sixth of them warm the servers up.
            Some(trace) => {
                let most = trace.requests().len() as u32 / 6 * 5;
                self.requests.unwrap_or(most).min(most)
            }
            None => self.requests.unwrap_or(MEASURED),
        }
    }

    /// How many requests come before those that are measured.
    pub(super) fn warm_up(&self) -> u32 {
        let fifth = self.requests() / 5;
        match &self.trace {
            Some(_) => fifth,
            // What queues come to takes times of service, however many requests that is.
            None => fifth.max((self.rate() * WARM_UP) as u32),
        }
    }
}

/// In mean service times. A server of 4 slots at a load of 0.9 forgets how it began in some 90: the relaxation time of
/// M/M/1 is 1 / (1 - √load)², of which more slots have their share.
const WARM_UP: f64 = 100.0;
