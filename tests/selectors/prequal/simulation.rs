//! What it comes to: the fullest servers under Prequal, beside random choice, in a simulation without chance of its own.

use std::{cmp::Reverse, collections::BinaryHeap};

use equipoise::{Outcome, Prequal, Random};

use super::*;

const SERVERS: usize = 50;
/// A server serves so many at once; the rest wait there.
const SLOTS: usize = 4;
const REQUESTS: usize = 20_000;

/// Numbers between 0 and 1 that are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        // Knuth's MMIX generator.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.roll()).ln()
    }
}

struct Server {
    /// On average, in microseconds.
    service: f64,
    waiting: std::collections::VecDeque<Held>,
    serving: usize,
}

/// The 99th percentile of what a request finds at its server, 85 % of what all can do being asked for. A fifth of the
/// servers takes so many times as long as the others.
fn tail<S: Selector<Plain>>(selector: S, slower: f64) -> usize {
    let script = Script::default();
    let clock = ManualClock::new();
    let builder = builder(&clock, selector, &[1; SERVERS]).probe(script.clone());
    let mut bench = Bench::new(clock, builder);
    let mut dice = Dice(1);
    let mut servers: Vec<Server> = (0..SERVERS)
        .map(|index| Server {
            service: if index % 5 == 0 { 10_000.0 * slower } else { 10_000.0 },
            waiting: Default::default(),
            serving: 0,
        })
        .collect();
    let capacity: f64 = servers.iter().map(|server| SLOTS as f64 / server.service).sum();
    let gap = 1.0 / (0.85 * capacity);
    let places: HashMap<String, usize> = (0..SERVERS).map(|index| (id(index), index)).collect();
    // What ends when, in microseconds, and where.
    let mut ends: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut held: Vec<Vec<Held>> = (0..SERVERS).map(|_| Vec::new()).collect();
    let (mut found, mut now, mut arrival) = (Vec::new(), 0, 0.0);
    for request in 0..REQUESTS {
        arrival += dice.exponential(gap);
        while let Some(Reverse((end, at))) = ends.peek().copied().filter(|Reverse((end, _))| *end <= arrival as u64) {
            ends.pop();
            bench.clock.advance(Duration::from_micros(end - now));
            now = end;
            held[at].remove(0).settle(Outcome::Success);
            let server = &mut servers[at];
            server.serving -= 1;
            if let Some(next) = server.waiting.pop_front() {
                server.serving += 1;
                held[at].push(next);
                ends.push(Reverse((now + dice.exponential(server.service) as u64, at)));
            }
        }
        bench.clock.advance(Duration::from_micros(arrival as u64 - now));
        now = arrival as u64;
        // The driver makes the probes of the request before now: they are as old as the time between two requests.
        for (index, server) in servers.iter().enumerate() {
            let rif = server.serving + server.waiting.len();
            let latency = server.service / 1e3 * (1.0 + rif.saturating_sub(SLOTS) as f64 / SLOTS as f64);
            script.set(id(index), Answer::Load(rif as f64, latency));
        }
        bench.run();
        let lease = bench.pick();
        let at = places[lease.backend_id()];
        let server = &mut servers[at];
        if request > REQUESTS / 10 {
            found.push(server.serving + server.waiting.len());
        }
        if server.serving < SLOTS {
            server.serving += 1;
            held[at].push(lease);
            ends.push(Reverse((now + dice.exponential(server.service) as u64, at)));
        } else {
            server.waiting.push_back(lease);
        }
    }
    found.sort_unstable();
    found[found.len() * 99 / 100]
}

#[test]
fn the_tail_of_the_queues_is_far_below_that_of_random_choice() {
    for slower in [1.0, 3.0] {
        let random = tail(Random::new(), slower);
        let prequal = tail(Prequal::new(), slower);
        let by_rif = tail(Prequal::new().with_q_rif(0.0).unwrap(), slower);
        println!("{slower}: random {random}, prequal {prequal}, by RIF {by_rif}");
        assert!(prequal * 4 <= random, "prequal {prequal}, random {random}");
        assert!(by_rif * 4 <= random, "by RIF alone {by_rif}, random {random}");
    }
}
