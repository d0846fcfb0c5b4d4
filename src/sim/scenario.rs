//! What is simulated: servers, requests, and what befalls them.

use std::{fmt, sync::Arc, time::Duration};

use super::{Change, ServiceTime, Trace};

/// Servers, the requests that come to them, and what befalls both.
///
/// Times are in units of the mean service time, unless said otherwise: what is balanced well at 10 ms is at 1 s, but for
/// what strategies have in seconds of their own, for which there is [`with_mean`](Scenario::with_mean).
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
    pub(super) keys: Keys,
    pub(super) load: f64,
    pub(super) clients: u32,
    pub(super) delay: f64,
    pub(super) timeout: Option<f64>,
    pub(super) requests: u32,
    pub(super) seed: u64,
}

/// In which order a server serves what it has been sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discipline {
    /// As many at a time as there are slots, the others wait in the order in which they came.
    #[default]
    FirstCome,
    /// All at once: up to as many as there are slots at full speed, more share it evenly.
    ProcessorSharing,
}

/// How requests come.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Arrivals {
    /// Each for itself: as many a second on average, at any time.
    #[default]
    Poisson,
    /// Several at once from one client, their number geometric with this mean, from 1 to 1,000; bursts come as a Poisson
    /// process.
    Bursty(f64),
    /// As they were recorded, each with its own service time. A [load](Scenario::with_load) other than recorded stretches
    /// the time between them.
    Recorded(Arc<Trace>),
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
            keys: Keys::default(),
            load: 0.8,
            clients: 1,
            delay: 0.0,
            timeout: None,
            requests: 200_000,
            seed: 0,
        }
    }

    /// The same servers under requests that were recorded, at the load that they make.
    ///
    /// # Errors
    /// If that is not from 0.01 to 2: with so many servers less, or more.
    pub fn replay(self, trace: Trace) -> Result<Self, ScenarioError> {
        let load = self.recorded_load(&trace);
        self.replay_at(trace, load)
    }

    /// The same servers under requests that were recorded, at another load than they make: the time between them is
    /// stretched.
    ///
    /// # Errors
    /// If the load is not from 0.01 to 2, or there are too few requests, or too many.
    pub fn replay_at(self, trace: Trace, load: f64) -> Result<Self, ScenarioError> {
        let number = trace.requests().len();
        // A sixth of them warm the servers up.
        let requests = within("number of recorded requests", number as f64, REQUESTS)? as u32 / 6 * 5;
        // Of requests that came all at once no time between them can be stretched.
        within("recorded load", self.recorded_load(&trace), (0.0, 1e9))?;
        let total: Duration = trace.requests().iter().map(|request| request.service).sum();
        let scenario = self.with_mean(total / number as u32)?.with_load(load)?;
        let arrivals = Arrivals::Recorded(Arc::new(trace));
        Ok(Self {
            requests,
            arrivals,
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
        within("number of servers", f64::from(servers), (1.0, 10_000.0))?;
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
        }
        changes.sort_by(|a, b| a.at.total_cmp(&b.at));
        Ok(Self { changes, ..self })
    }

    /// How many servers, the first of them, are members from the start, others only once they
    /// [join](super::Befalls::Joins): from 1 to all. The load is in terms of these.
    pub fn with_starting(self, servers: u32) -> Result<Self, ScenarioError> {
        within(
            "number of starting servers",
            f64::from(servers),
            (1.0, f64::from(self.servers)),
        )?;
        let starting = Some(servers);
        Ok(Self { starting, ..self })
    }

    /// How long requests take, in units of the mean.
    pub fn with_service(self, service: ServiceTime) -> Self {
        Self { service, ..self }
    }

    /// How long a request takes on average at a speed of 1: from 1 µs to 1 h.
    pub fn with_mean(self, mean: Duration) -> Result<Self, ScenarioError> {
        within("mean service time in seconds", mean.as_secs_f64(), (1e-6, 3600.0))?;
        Ok(Self { mean, ..self })
    }

    /// How requests come.
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
        let load = within("load", load, (0.01, 2.0))?;
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
    /// otherwise.
    pub fn with_timeout(self, timeout: f64) -> Result<Self, ScenarioError> {
        let timeout = Some(within("timeout", timeout, (0.1, 1e6))?);
        Ok(Self { timeout, ..self })
    }

    /// How many requests are measured, after a fifth as many that are not: from 100 to 10,000,000. Of a
    /// [replay](Scenario::replay) there are no more than recorded.
    pub fn with_requests(self, requests: u32) -> Result<Self, ScenarioError> {
        within("number of requests", f64::from(requests), REQUESTS)?;
        let requests = match &self.arrivals {
            Arrivals::Recorded(_) => requests.min(self.requests),
            _ => requests,
        };
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
        self.load
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
        self.starting.unwrap_or(self.servers).min(self.servers)
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
        let total: Duration = trace.requests().iter().map(|request| request.service).sum();
        let duration = trace.requests().last().map_or(Duration::ZERO, |last| last.arrival);
        total.as_secs_f64() / duration.as_secs_f64() / self.capacity()
    }

    /// How many requests come in a mean service time, on average.
    pub(super) fn rate(&self) -> f64 {
        self.load * self.capacity()
    }

    /// How many requests come before those that are measured.
    pub(super) fn warm_up(&self) -> u32 {
        self.requests / 5
    }
}

const REQUESTS: (f64, f64) = (100.0, 1e7);

/// A value that no scenario can have.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ScenarioError {
    /// There is no scenario of this name.
    Name(String),
    /// A value out of its range.
    Range {
        /// Of what.
        what: &'static str,
        /// The value.
        value: f64,
        /// The least and the most that it may be.
        range: (f64, f64),
    },
}

fn within(what: &'static str, value: f64, range: (f64, f64)) -> Result<f64, ScenarioError> {
    // A number that is none is in no range.
    if (range.0..=range.1).contains(&value) {
        Ok(value)
    } else {
        Err(ScenarioError::Range { what, value, range })
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
                write!(f, "there is no scenario '{shown}'")
            }
            Self::Range {
                what,
                value,
                range: (least, most),
            } => write!(f, "impossible {what} {value}: expected a number from {least} to {most}"),
        }
    }
}

impl std::error::Error for ScenarioError {}
