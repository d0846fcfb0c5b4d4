//! The requests: a hyper-util client under one layer, used by many tasks.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use equipoise::{AnySelector, BalanceLayer, BoxError, Pool, http::HttpEndpoint};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use indicatif::ProgressBar;
use tokio::{
    sync::{RwLock, RwLockWriteGuard, watch},
    task::JoinSet,
    time::timeout,
};
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::{report::Report, server::BACKEND};

/// How many tasks send requests, each one after the other.
const TASKS: usize = 64;
/// A request without an answer or an error by then is lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far the requests are.
pub(crate) struct Traffic {
    requests: u64,
    sent: watch::Sender<u64>,
    gate: RwLock<()>,
    /// Hidden unless stderr is a terminal.
    pub(crate) progress: ProgressBar,
}

impl Traffic {
    pub(crate) fn new(requests: u64) -> Self {
        Self {
            requests,
            sent: watch::Sender::new(0),
            gate: RwLock::new(()),
            progress: ProgressBar::new(requests),
        }
    }

    /// Whether there is one more to send.
    fn next(&self) -> bool {
        self.sent.send_if_modified(|sent| {
            let more = *sent < self.requests;
            *sent += u64::from(more);
            more
        })
    }

    /// Waits until so many parts of the requests were sent.
    pub(crate) async fn sent(&self, parts: u64, of: u64) {
        let enough = self.requests * parts / of;
        // It fails only if there is no sender any more, and `self` is one.
        let _ = self.sent.subscribe().wait_for(|sent| *sent >= enough).await;
    }

    /// No request begins while the guard lives; those that have begun go on.
    pub(crate) async fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// A line beside the progress bar.
    pub(crate) fn say(&self, line: &str) {
        // Whoever closed stderr does not want to know.
        self.progress.suspend(|| drop(writeln!(io::stderr(), "{line}")));
    }
}

/// Sends all requests and reads each answer to its end.
pub(crate) async fn send(
    traffic: &Arc<Traffic>,
    pool: &Pool<HttpEndpoint, AnySelector<HttpEndpoint>>,
) -> Result<Report, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let balanced = ServiceBuilder::new()
        .layer(BalanceLayer::http(pool.clone()))
        .service(client);

    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let traffic = Arc::clone(traffic);
        let mut balanced = balanced.clone();
        tasks.spawn(async move {
            let mut report = Report::default();
            while traffic.next() {
                let begun = Instant::now();
                let exchange = async {
                    let open = traffic.gate.read().await;
                    // The backend is picked within `call`; scheme and authority become those of its endpoint.
                    let response = balanced.ready().await?.call(Request::new(Empty::new()));
                    drop(open);
                    response.await
                };
                let answer = timeout(PATIENCE, async {
                    let response = exchange.await.map_err(|error| error.backend().map(str::to_owned))?;
                    let id = response
                        .headers()
                        .get(BACKEND)
                        .map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
                    // Until the body has ended, the request is in flight. Should it break off, the request has failed.
                    let body = response.into_body().collect().await;
                    if body.is_ok() { Ok(id) } else { Err(id) }
                });
                match answer.await {
                    Ok(Ok(id)) => report.answered(id.as_deref(), begun.elapsed()),
                    Ok(Err(id)) => report.failed_at(id.as_deref()),
                    Err(_too_late) => {}
                }
                traffic.progress.inc(1);
            }
            report
        });
    }

    let mut all = Report::default();
    while let Some(report) = tasks.join_next().await {
        all.add(report?);
    }
    Ok(all)
}
