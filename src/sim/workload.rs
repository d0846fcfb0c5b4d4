//! The requests of a scenario, one after another.

use std::sync::Arc;

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rand_distr::{Distribution, Exp1, Geometric, Zipf};

use super::{Arrivals, Scenario, ServiceTime, Trace};
use crate::key::HashFunction;

/// A request that comes, in nanoseconds since the simulation began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) arrival: u64,
    pub(super) client: u32,
    /// How long it takes at a speed of 1.
    pub(super) demand: f64,
    pub(super) key: Option<u64>,
    /// It fails wherever it goes, once it is served.
    pub(super) fails: bool,
}

/// What is random in a simulation, each kind with numbers of its own: so a strategy that draws more of one leaves the
/// others as they are, and all strategies have the same requests.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Arrivals,
    Clients,
    Demands,
    Keys,
    Servers,
    Phases,
    Reference,
    Failures,
}

impl Stream {
    pub(super) fn of(self, seed: u64) -> Xoshiro256PlusPlus {
        let bytes = [seed.to_le_bytes(), (self as u64).to_le_bytes()].concat();
        Xoshiro256PlusPlus::seed_from_u64(HashFunction::default().hash(&bytes))
    }
}

/// The requests of a scenario, without end unless they were recorded.
pub(super) struct Workload {
    source: Source,
    clients: (Xoshiro256PlusPlus, u32),
    failures: (Xoshiro256PlusPlus, f64),
    begin: f64,
}

enum Source {
    Drawn(Box<Drawn>),
    Recorded {
        trace: Arc<Trace>,
        next: usize,
        stretch: f64,
    },
}

struct Drawn {
    arrivals: Xoshiro256PlusPlus,
    demands: Xoshiro256PlusPlus,
    keys: Xoshiro256PlusPlus,
    /// Nanoseconds between two that come, or between two bursts.
    gap: f64,
    bursts: Option<Geometric>,
    left: u64,
    client: u32,
    now: f64,
    service: ServiceTime,
    mean: f64,
    zipf: Option<Zipf<f64>>,
    number: u32,
}

impl Workload {
    /// From `begin` on, in nanoseconds.
    pub(super) fn new(scenario: &Scenario, begin: u64) -> Self {
        let mean = scenario.mean.as_nanos() as f64;
        let source = match &scenario.trace {
            Some(trace) => Source::Recorded {
                trace: Arc::clone(trace),
                next: 0,
                stretch: scenario.stretch(trace),
            },
            None => {
                let burst = match scenario.arrivals {
                    Arrivals::Bursty(mean) => mean,
                    Arrivals::Poisson => 1.0,
                };
                Source::Drawn(Box::new(Drawn {
                    arrivals: Stream::Arrivals.of(scenario.seed),
                    demands: Stream::Demands.of(scenario.seed),
                    keys: Stream::Keys.of(scenario.seed),
                    gap: mean / scenario.rate() * burst,
                    // How many more than one, so many on average.
                    bursts: (burst > 1.0).then(|| Geometric::new(1.0 / burst).ok()).flatten(),
                    left: 0,
                    client: 0,
                    now: begin as f64,
                    service: scenario.service,
                    mean,
                    zipf: (scenario.keys.exponent > 0.0)
                        .then(|| Zipf::new(f64::from(scenario.keys.number), scenario.keys.exponent).ok())
                        .flatten(),
                    number: scenario.keys.number,
                }))
            }
        };
        Self {
            source,
            clients: (Stream::Clients.of(scenario.seed), scenario.clients),
            failures: (Stream::Failures.of(scenario.seed), scenario.failures),
            begin: begin as f64,
        }
    }
}

impl Iterator for Workload {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        let (random, clients) = &mut self.clients;
        let (failures, part) = &mut self.failures;
        let fails = failures.random_bool(*part);
        match &mut self.source {
            Source::Drawn(drawn) => Some(Request {
                fails,
                ..drawn.next(random, *clients)
            }),
            Source::Recorded { trace, next, stretch } => {
                let recorded = trace.requests().get(*next)?;
                *next += 1;
                Some(Request {
                    arrival: (self.begin + recorded.arrival.as_nanos() as f64 * *stretch) as u64,
                    client: random.random_range(0..*clients),
                    demand: recorded.service.as_nanos() as f64,
                    key: recorded.key,
                    fails,
                })
            }
        }
    }
}

impl Drawn {
    fn next(&mut self, clients: &mut Xoshiro256PlusPlus, number: u32) -> Request {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => {
                let gap: f64 = Exp1.sample(&mut self.arrivals);
                self.now += gap * self.gap;
                self.client = clients.random_range(0..number);
                self.left = self.bursts.map_or(0, |bursts| bursts.sample(&mut self.arrivals));
            }
        }
        let key = match &self.zipf {
            Some(zipf) => zipf.sample(&mut self.keys) as u32,
            None => self.keys.random_range(1..=self.number),
        };
        Request {
            arrival: self.now as u64,
            client: self.client,
            demand: self.service.sample(&mut self.demands) * self.mean,
            key: Some(HashFunction::default().hash(&key.to_le_bytes())),
            fails: false,
        }
    }
}
