//! One backend of five becomes bad, before four balancers at once: one without any mechanism, one with outlier detection,
//! one with a health check, and one with both.

use std::{
    fmt,
    sync::Once,
    time::{Duration, Instant},
};

use equipoise::{OutlierDetection, http::HttpEndpoint};

use crate::{
    backend::Backend,
    balancer::{Balancer, Traffic},
    check::check,
};

/// How long a fault is looked at.
const WHILE: Duration = Duration::from_secs(3);
/// Requests a second of each balancer.
const RATE: u32 = 200;
const IDS: [&str; 5] = ["bad", "b", "c", "d", "e"];

pub(crate) struct Outage {
    backends: Vec<Backend>,
    balancers: [Balancer; 4],
    _traffic: [Traffic; 4],
}

impl Outage {
    /// All is well, and requests go on.
    pub(crate) async fn begin() -> Self {
        Self::begin_with(OutlierDetection::new()).await
    }

    pub(crate) async fn begin_with(outliers: OutlierDetection) -> Self {
        let backends: Vec<_> = IDS.into_iter().map(Backend::start).collect();
        let balancers = [
            Balancer::new(&backends, |pool| pool),
            Balancer::new(&backends, |pool| pool.outlier_detection(outliers.clone())),
            Balancer::new(&backends, |pool| pool.health_check(check())),
            Balancer::new(&backends, |pool| pool.outlier_detection(outliers).health_check(check())),
        ];
        let traffic = balancers.each_ref().map(|balancer| balancer.traffic(RATE));
        tokio::time::sleep(Duration::from_millis(500)).await;
        for balancer in &balancers {
            let log = balancer.log();
            assert!(log.failures.is_empty(), "{:?}", log.failures);
            for backend in &backends {
                let sent = log.sent.iter().filter(|(port, _)| *port == backend.port);
                assert!(sent.count() > 5);
            }
        }
        Self {
            backends,
            balancers,
            _traffic: traffic,
        }
    }

    pub(crate) fn bad(&mut self) -> &mut Backend {
        &mut self.backends[0]
    }

    /// The health checks' balancers: without and with outlier detection.
    pub(crate) fn checked(&self) -> [&Balancer; 2] {
        [&self.balancers[2], &self.balancers[3]]
    }

    /// Has it be bad for a while, in this way.
    pub(crate) async fn suffer(&mut self, fault: &str, begin: impl FnOnce(&mut Backend)) -> [Seen; 4] {
        let from = Instant::now();
        begin(self.bad());
        tokio::time::sleep(WHILE).await;
        self.seen(fault, &[(from, Instant::now())])
    }

    /// What each balancer has done while the one was bad, from each first to each second instant; printed as a row of the
    /// table.
    pub(crate) fn seen(&self, fault: &str, bad: &[(Instant, Instant)]) -> [Seen; 4] {
        let seen = self.balancers.each_ref().map(|balancer| {
            let log = balancer.log();
            let into = |(from, to): &(Instant, Instant)| {
                let sent = log
                    .sent
                    .iter()
                    .filter(|(port, at)| *port == self.backends[0].port && from <= at && at < to);
                sent.map(|(_, at)| *at - *from).collect::<Vec<_>>()
            };
            let sent: Vec<_> = bad.iter().map(into).collect();
            Seen {
                sent: sent.iter().map(Vec::len).collect(),
                lasted: bad.iter().map(|(from, to)| *to - *from).min().unwrap_or_default(),
                last: sent.into_iter().flatten().max().unwrap_or_default(),
                failed: log.failures.len(),
            }
        });
        static HEADER: Once = Once::new();
        let columns = ["without", "outlier detection", "health check", "both"].map(str::to_owned);
        HEADER.call_once(|| println!("{}", row("when the last request was sent to it", columns)));
        println!("{}", row(fault, seen.each_ref().map(Seen::to_string)));
        for (seen, balancer) in seen.iter().zip(&self.balancers) {
            let members = balancer.pool.members();
            let id = |member: &equipoise::Member<HttpEndpoint>| equipoise::Backend::id(&*member.backend).to_owned();
            let kept_off: Vec<_> = members.iter().filter(|member| !member.open).map(id).collect();
            assert!(kept_off.iter().all(|id| id == IDS[0]), "{fault}: {seen:?}, {members:?}");
        }
        seen
    }
}

fn row(first: &str, cells: [String; 4]) -> String {
    cells
        .iter()
        .fold(format!("{first:<40}"), |row, cell| row + &format!("| {cell:<20} "))
}

#[derive(Debug)]
pub(crate) struct Seen {
    /// How many requests it was sent while it was bad, each time.
    pub(crate) sent: Vec<usize>,
    /// How long it was bad when it was sent the last one: the longest of all times.
    pub(crate) last: Duration,
    /// How long it was bad, the shortest of all times.
    lasted: Duration,
    /// Of all requests, in all of the time.
    pub(crate) failed: usize,
}

impl Seen {
    /// Whether it was sent requests to the end.
    pub(crate) fn is_never(&self) -> bool {
        // It is its turn 40 times a second.
        self.last + Duration::from_millis(200) > self.lasted
    }

    pub(crate) fn is_within(&self, millis: u64) -> bool {
        !self.is_never() && self.last < Duration::from_millis(millis)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_never() {
            write!(f, "never")?;
        } else {
            write!(f, "{} ms", self.last.as_millis())?;
        }
        write!(f, ", {} failed", self.failed)
    }
}
