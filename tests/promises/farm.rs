//! Ten servers before which one balancer stands, simulated on a manual clock: requests at random times, some places at each
//! server, a queue before them, and what servers say of their load, by the crate's own meter.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use equipoise::{
    AnySelector, Ask, BoxError, Driver, HealthProbe, Lease, LoadReport, ManualClock, Outcome, Pool, Strategy,
    health::Report,
    load::{Meter, Metered},
};

use super::*;

/// How a server does.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Conduct {
    /// Of the requests, so many fail, each at once.
    Serves(f64),
    /// Never answers; who asked gives up after a second, and takes that for a failure.
    Swallows,
}

/// Everything fails, at once.
pub(super) const FAILS: Conduct = Conduct::Serves(1.0);
pub(super) const SERVERS: usize = 10;
const PLACES: usize = 4;
const PATIENCE: u64 = 1_000_000_000;

pub(super) struct Farm {
    time: ManualClock,
    pool: Pool<Plain, AnySelector<Plain>>,
    driver: Driver<Plain, AnySelector<Plain>>,
    pub(super) conducts: [Conduct; SERVERS],
    /// How many times as long as others a server takes.
    pub(super) slowness: [f64; SERVERS],
    servers: Vec<Server>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    /// Nanoseconds since the start.
    now: u64,
    /// The mean service, in nanoseconds.
    service: f64,
    /// Between two requests, on average.
    gap: f64,
    random: u64,
    scheduled: u64,
}

struct Server {
    meter: Meter,
    serving: usize,
    /// What part of its places was used of late, in a second or so, and as of when.
    utilization: f64,
    since: u64,
    waiting: VecDeque<Held>,
    /// By the event that ends them.
    open: BTreeMap<u64, Held>,
}

struct Held {
    lease: Lease<Arc<Plain>>,
    metered: Metered,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Request,
    Answer(usize),
    GivenUp(usize),
}

/// What requests came to.
#[derive(Default)]
pub(super) struct Counts {
    /// By server.
    pub(super) sent: [usize; SERVERS],
    /// What requests found at their servers.
    pub(super) found: Vec<usize>,
}

impl Counts {
    pub(super) fn share(&self, server: usize) -> f64 {
        self.sent[server] as f64 / self.sent.iter().sum::<usize>() as f64
    }

    pub(super) fn mean_found(&self) -> f64 {
        self.found.iter().sum::<usize>() as f64 / self.found.len() as f64
    }
}

/// Asks the meters.
struct Asks(HashMap<String, Meter>);

impl HealthProbe<Plain> for Asks {
    type Error = BoxError;

    async fn probe(&self, backend: &Plain) -> Result<Report, BoxError> {
        let meter = self
            .0
            .get(equipoise::Backend::id(backend))
            .ok_or("nobody of that name")?;
        Ok(Report::new().with_load(meter.load()))
    }
}

impl Farm {
    /// Servers that all serve, of whose places so many are used, each request for so many milliseconds on average.
    pub(super) fn new(strategy: &str, load: f64, millis: f64) -> Self {
        let time = ManualClock::new();
        let meters: Vec<Meter> = (0..SERVERS).map(|_| Meter::new(time.clock())).collect();
        let ids = (0..SERVERS).map(|server| server.to_string());
        let asks = Asks(ids.clone().zip(meters.clone()).collect());
        let strategy: Strategy = strategy.parse().unwrap();
        let builder = Pool::builder_on(time.clock()).selector(strategy.selector()).seed(3);
        let (pool, driver) = builder.backends(ids.map(|id| endpoint(&id))).probe(asks).build();
        let service = millis * 1e6;
        let server = |meter| Server {
            meter,
            serving: 0,
            utilization: 0.0,
            since: 0,
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
        };
        let mut farm = Self {
            time,
            pool,
            driver,
            conducts: [Conduct::Serves(0.0); SERVERS],
            slowness: [1.0; SERVERS],
            servers: meters.into_iter().map(server).collect(),
            events: BinaryHeap::new(),
            now: 0,
            service,
            gap: service / (SERVERS * PLACES) as f64 / load,
            random: 1,
            scheduled: 0,
        };
        farm.schedule(0, Event::Request);
        farm
    }

    /// How many come in so many seconds.
    pub(super) fn requests_in(&self, seconds: f64) -> usize {
        (seconds * 1e9 / self.gap) as usize
    }

    /// From 0 to 1, neither included.
    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ (mixed >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> u64 {
        (-self.uniform().ln() * mean) as u64
    }

    fn schedule(&mut self, after: u64, event: Event) -> u64 {
        self.scheduled += 1;
        self.events.push(Reverse((self.now + after, self.scheduled, event)));
        self.scheduled
    }

    /// Until so many more requests have come.
    pub(super) fn run(&mut self, requests: usize) -> Counts {
        let mut counts = Counts::default();
        while counts.found.len() < requests {
            let Reverse((at, id, event)) = self.events.pop().unwrap();
            self.time.advance(Duration::from_nanos(at - self.now));
            self.now = at;
            match event {
                Event::Request => {
                    let next = self.exponential(self.gap);
                    self.schedule(next, Event::Request);
                    self.request(&mut counts);
                    assert!(!run(&mut self.driver));
                }
                Event::Answer(at) => {
                    let held = self.servers[at].open.remove(&id).unwrap();
                    self.answer(at, held, Outcome::Success);
                    self.servers[at].use_places(self.now, -1);
                    if let Some(next) = self.servers[at].waiting.pop_front() {
                        self.serve(at, next);
                    }
                }
                Event::GivenUp(at) => {
                    let mut held = self.servers[at].open.remove(&id).unwrap();
                    held.lease.settle(Outcome::Failure);
                }
            }
        }
        counts
    }

    fn request(&mut self, counts: &mut Counts) {
        let lease = self.pool.pick(&Ask::new()).unwrap();
        let at: usize = lease.backend_id().parse().unwrap();
        let server = &mut self.servers[at];
        counts.sent[at] += 1;
        counts.found.push(server.serving + server.waiting.len());
        let metered = server.meter.begin();
        let held = Held { lease, metered };
        let fate = self.uniform();
        match self.conducts[at] {
            Conduct::Serves(failing) if fate < failing => self.answer(at, held, Outcome::Failure),
            Conduct::Serves(_) if self.servers[at].serving >= PLACES => self.servers[at].waiting.push_back(held),
            Conduct::Serves(_) => self.serve(at, held),
            Conduct::Swallows => {
                let id = self.schedule(PATIENCE, Event::GivenUp(at));
                self.servers[at].open.insert(id, held);
            }
        }
    }

    fn serve(&mut self, at: usize, held: Held) {
        let after = self.exponential(self.service * self.slowness[at]);
        let id = self.schedule(after, Event::Answer(at));
        self.servers[at].use_places(self.now, 1);
        self.servers[at].open.insert(id, held);
    }

    /// With what the server says of its load.
    fn answer(&mut self, at: usize, mut held: Held, outcome: Outcome) {
        let report = held.metered.answered(outcome == Outcome::Failure);
        let server = &mut self.servers[at];
        server.use_places(self.now, 0);
        // It does something besides.
        let report: LoadReport = report.with_utilization(0.02 + server.utilization).unwrap();
        held.lease.report(&report);
        held.lease.settle(outcome);
    }
}

impl Server {
    /// So many more.
    fn use_places(&mut self, now: u64, more: isize) {
        let keep = (-((now - self.since) as f64) / 1e9).exp();
        self.utilization = self.utilization * keep + self.serving as f64 / PLACES as f64 * (1.0 - keep);
        self.since = now;
        self.serving = self.serving.checked_add_signed(more).unwrap();
    }
}
