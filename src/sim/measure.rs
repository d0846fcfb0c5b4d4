//! What is measured while a simulation goes on.

use std::{collections::HashMap, ops::Range};

use super::{
    Figures, Load, Run, Scenario,
    server::{Server, Usage},
    workload::Request,
};

/// What is measured of the requests and servers of a simulation.
pub(super) struct Measure {
    /// By the order in which requests come.
    measured: Range<u32>,
    /// When, in nanoseconds.
    pub(super) window: Range<u64>,
    /// Measured requests that have not ended.
    open: u32,
    latencies: Vec<u64>,
    errors: u64,
    /// The server that a key's last request went to.
    homes: HashMap<u64, usize>,
    keyed: u64,
    moved: u64,
    shares: Vec<u64>,
    loads: Vec<Load>,
    before: Vec<Usage>,
    usage: Vec<Usage>,
    slots: f64,
}

/// How often servers are looked at.
const LOOKS: u64 = 200;

impl Measure {
    pub(super) fn new(scenario: &Scenario, window: Range<u64>) -> Self {
        let warm_up = scenario.warm_up();
        Self {
            measured: warm_up..warm_up + scenario.requests(),
            window,
            open: scenario.requests(),
            latencies: Vec::with_capacity(scenario.requests() as usize),
            errors: 0,
            homes: HashMap::new(),
            keyed: 0,
            moved: 0,
            shares: vec![0; scenario.servers as usize],
            loads: Vec::new(),
            before: Vec::new(),
            usage: Vec::new(),
            slots: f64::from(scenario.slots),
        }
    }

    /// Whether all that is measured has ended.
    pub(super) fn is_over(&self) -> bool {
        self.open == 0
    }

    /// How many requests come at most: those behind the measured ones keep the servers busy until these have ended.
    pub(super) fn most_requests(&self) -> u32 {
        self.measured.end.saturating_add(self.measured.len() as u32 / 5)
    }

    /// When servers are looked at next.
    pub(super) fn next_look(&self, now: u64) -> Option<u64> {
        let Range { start, end } = self.window;
        let next = match now.checked_sub(start) {
            None => start,
            Some(since) => {
                let step = ((end - start) / LOOKS).max(1);
                start + (since / step + 1) * step
            }
        };
        (next <= end).then_some(next)
    }

    /// What servers are used for, now.
    pub(super) fn look(&mut self, now: u64, servers: &mut [Server]) {
        servers.iter_mut().for_each(|server| server.work(now));
        if self.before.is_empty() {
            self.before = servers.iter().map(|server| server.usage).collect();
        }
        self.usage = servers.iter().map(|server| server.usage).collect();
        let requests = || servers.iter().map(|server| server.requests() as f64);
        self.loads.push(Load {
            seconds: (now - self.window.start) as f64 / 1e9,
            mean: requests().sum::<f64>() / servers.len() as f64,
            max: requests().fold(0.0, f64::max),
        });
    }

    /// A request has been sent to a server.
    pub(super) fn sent(&mut self, id: u32, request: &Request, server: usize) {
        let last = request.key.map(|key| self.homes.insert(key, server));
        if !self.measured.contains(&id) {
            return;
        }
        self.shares[server] += 1;
        if let Some(Some(last)) = last {
            self.keyed += 1;
            self.moved += u64::from(last != server);
        }
    }

    /// A request has ended. Once for each.
    pub(super) fn ended(&mut self, id: u32, request: &Request, now: u64, is_success: bool) {
        if !self.measured.contains(&id) {
            return;
        }
        self.open -= 1;
        if is_success {
            self.latencies.push(now - request.arrival);
        } else {
            self.errors += 1;
        }
    }

    pub(super) fn finish(mut self) -> Run {
        self.latencies.sort_unstable();
        let window = (self.window.end - self.window.start) as f64;
        let used: Vec<Usage> = (self.usage.iter().zip(&self.before))
            .map(|(usage, before)| Usage {
                requests: (usage.requests - before.requests) / window,
                slots: (usage.slots - before.slots) / window,
            })
            .collect();
        let mean = |of: fn(&Usage) -> f64| used.iter().map(of).sum::<f64>() / used.len() as f64;
        let max = used.iter().map(|usage| usage.requests).fold(0.0, f64::max);
        let nanos: f64 = self.latencies.iter().map(|latency| *latency as f64).sum();
        let percentile = |part: f64| {
            // The nearest rank: so many are at most that long.
            let rank = (part * self.latencies.len() as f64).ceil() as usize;
            let latency = self.latencies.get(rank.saturating_sub(1));
            latency.map_or(f64::NAN, |latency| *latency as f64 / 1e6)
        };
        let figures = Figures {
            requests: self.measured.len() as u64,
            errors: self.errors + u64::from(self.open),
            mean_ms: nanos / self.latencies.len() as f64 / 1e6,
            p50_ms: percentile(0.5),
            p90_ms: percentile(0.9),
            p99_ms: percentile(0.99),
            p999_ms: percentile(0.999),
            max_over_mean: max / mean(|usage| usage.requests),
            utilization: mean(|usage| usage.slots) / self.slots,
            moved_keys: self.moved as f64 / self.keyed.max(1) as f64,
            ejections: 0,
            failing: 0,
        };
        Run {
            figures,
            latencies: self.latencies,
            loads: self.loads,
            shares: self.shares,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: u64) -> Request {
        Request {
            arrival: 0,
            client: 0,
            demand: 0.0,
            key: Some(key),
            fails: false,
        }
    }

    #[test]
    fn figures_are_of_what_was_measured() {
        let scenario = Scenario::new().with_servers(2).unwrap().with_slots(1).unwrap();
        let scenario = scenario.with_requests(1_000).unwrap();
        let mut measure = Measure::new(&scenario, 0..1);
        // A failure, and from 1 ms to 999 ms; before and after them what is not measured.
        for id in 0..1_300 {
            let millis = u64::from(id.clamp(200, 1_200) - 200);
            measure.ended(id, &request(0), millis * 1_000_000, id != 200);
        }
        assert!(measure.is_over());
        // Of three keys the first stays, the second moves each time, the third comes once.
        let (stays, moves) = (request(1), request(2));
        measure.sent(0, &stays, 1);
        for id in 200..210 {
            measure.sent(id, &stays, 1);
            measure.sent(id, &moves, id as usize % 2);
        }
        measure.sent(210, &request(3), 0);
        let run = measure.finish();
        let figures = run.figures;
        assert_eq!((figures.requests, figures.errors), (1_000, 1));
        // The nearest ranks of 999: 499.5, 899.1, 989.01 and 998.001, each to the next whole one.
        let percentiles = [figures.p50_ms, figures.p90_ms, figures.p99_ms, figures.p999_ms];
        assert_eq!(percentiles, [500.0, 900.0, 990.0, 999.0]);
        assert_eq!(figures.mean_ms, 500.0);
        // Ten of the first and nine of the second had one before.
        assert_eq!(figures.moved_keys, 9.0 / 19.0);
        assert_eq!(run.shares, [6, 15]);
    }
}
