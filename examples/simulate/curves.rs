//! What is drawn of a run.

use equipoise::sim::Run;

/// The least part of the requests that is drawn: the 99.9th percentile.
pub(crate) const LEAST: f64 = 0.001;
/// How many points a curve has at most.
const POINTS: usize = 240;

/// Two curves, of few points each.
pub(crate) struct Curves {
    /// Milliseconds, and which part of the answers took as long or longer.
    pub(crate) slower: Vec<(f64, f64)>,
    /// Seconds, and how many requests were at the fullest server.
    pub(crate) fullest: Vec<(f64, f64)>,
}

impl Curves {
    pub(crate) fn of(run: &Run) -> Self {
        let count = run.latencies.len();
        let point = |step: usize| {
            // Even on a logarithmic axis, which is where they are drawn.
            let part = LEAST.powf(step as f64 / POINTS as f64);
            let slower = (part * count as f64).ceil() as usize;
            let nanos = run.latencies.get(count - slower.clamp(1, count.max(1)).min(count))?;
            // Of a latency of 0 there is no logarithm.
            Some((*nanos.max(&1) as f64 / 1e6, part))
        };
        let slower = (0..=POINTS).filter_map(point).collect();

        let window = run.loads.len().div_ceil(POINTS).max(1);
        let windows = run.loads.chunks(window).map(|loads| {
            let sum: f64 = loads.iter().map(|load| load.max).sum();
            (loads[0].seconds, sum / loads.len() as f64)
        });
        let fullest = windows.collect();
        Self { slower, fullest }
    }
}
