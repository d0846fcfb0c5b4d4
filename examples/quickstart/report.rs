//! What came of the requests, by backend.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::server::BACKENDS;

/// The requests that have ended in a response or a typed error.
#[derive(Default)]
pub(crate) struct Report(BTreeMap<String, Row>);

#[derive(Default)]
struct Row {
    /// Of those answered, in microseconds.
    latencies: Vec<u32>,
    failures: usize,
}

impl Row {
    fn ended(&self) -> usize {
        self.latencies.len() + self.failures
    }
}

impl Report {
    fn row(&mut self, id: Option<&str>) -> &mut Row {
        self.0.entry(id.unwrap_or("none").to_owned()).or_default()
    }

    pub(crate) fn answered(&mut self, id: Option<&str>, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.row(id).latencies.push(micros);
    }

    pub(crate) fn failed_at(&mut self, id: Option<&str>) {
        self.row(id).failures += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (id, mut row) in other.0 {
            let all = self.row(Some(&id));
            all.latencies.append(&mut row.latencies);
            all.failures += row.failures;
        }
    }

    pub(crate) fn failed(&self) -> usize {
        self.0.values().map(|row| row.failures).sum()
    }

    pub(crate) fn ended(&self) -> u64 {
        self.0.values().map(|row| row.ended() as u64).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backend      requests   share    p50 ms    p99 ms  failures")?;
        for (id, row) in &self.0 {
            let fate = BACKENDS
                .iter()
                .find(|backend| backend.0 == id)
                .map_or("", |backend| backend.2);
            let share = 100.0 * row.ended() as f64 / self.ended() as f64;
            let mut sorted = row.latencies.clone();
            sorted.sort_unstable();
            let [p50, p99] = [50, 99].map(|percent| {
                // The nearest rank: the least latency that so many per cent do not exceed.
                let rank = (sorted.len() * percent).div_ceil(100);
                let micros = rank.checked_sub(1).map(|index| sorted[index]);
                micros.map_or("-".to_owned(), |micros| format!("{:.2}", f64::from(micros) / 1000.0))
            });
            let (ended, failures) = (row.ended(), row.failures);
            write!(
                f,
                "\n{id} {fate:<10} {ended:>8} {share:>6.1}% {p50:>9} {p99:>9} {failures:>9}"
            )?;
        }
        Ok(())
    }
}
