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
            measured: warm_up..warm_up + scenario.requests,
            window,
            open: scenario.requests,
            latencies: Vec::with_capacity(scenario.requests as usize),
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
        };
        Run {
            figures,
            latencies: self.latencies,
            loads: self.loads,
            shares: self.shares,
        }
    }
}
