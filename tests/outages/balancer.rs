//! A balancer under test: a pool, a client of HTTP under its layer, and requests at a steady rate, whether answered or not.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use equipoise::{
    BalanceLayer, BoxError, Error, Event, Events, Health, Pool, PoolBuilder, RoundRobin, http::HttpEndpoint,
};
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::task::{JoinHandle, JoinSet};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

use crate::backend::Backend;

type Ask = Request<Empty<Bytes>>;
/// In turns: a strategy that goes by load would spare some of the bad by itself.
type Turns = Pool<HttpEndpoint, RoundRobin>;
type Inner = BoxCloneSyncService<Ask, Response<Incoming>, BoxError>;

/// A backend that has not begun to answer by then has failed.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(crate) struct Balancer {
    pub(crate) pool: Turns,
    inner: Inner,
    log: Arc<Mutex<Log>>,
}

/// What was sent, and what went wrong.
#[derive(Clone, Default)]
pub(crate) struct Log {
    /// The port that it was sent to, and when.
    pub(crate) sent: Vec<(u16, Instant)>,
    /// What each error said, or each answer that is one.
    pub(crate) failures: Vec<String>,
}

impl Balancer {
    pub(crate) fn new(
        backends: &[Backend],
        build: impl FnOnce(PoolBuilder<HttpEndpoint, RoundRobin>) -> PoolBuilder<HttpEndpoint, RoundRobin>,
    ) -> Self {
        let builder = Pool::builder().selector(RoundRobin::new());
        let pool = build(builder.backends(backends.iter().map(Backend::endpoint))).spawn();
        let log = Arc::<Mutex<Log>>::default();
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let sent = Arc::clone(&log);
        // Below the layer, where the backend has been chosen.
        let inner = tower::service_fn(move |request: Ask| {
            let port = request.uri().port_u16().unwrap();
            sent.lock().unwrap().sent.push((port, Instant::now()));
            // One that is never to be answered is given all the time that it takes.
            let patience = if request.uri().path() == "/" {
                PATIENCE
            } else {
                Duration::from_secs(60)
            };
            let answer = tokio::time::timeout(patience, client.request(request));
            async move { Ok::<_, BoxError>(answer.await??) }
        });
        let inner = BoxCloneSyncService::new(inner);
        Self { pool, inner, log }
    }

    /// A request through the layer, to the end of its answer.
    pub(crate) async fn get(&self, path: &str) -> Result<(), String> {
        let mut service = BalanceLayer::http(self.pool.clone()).layer(self.inner.clone());
        let failed = |error: Error| format!("{error:?}");
        let request = Request::get(path).body(Empty::new()).unwrap();
        let response = service
            .ready()
            .await
            .map_err(failed)?
            .call(request)
            .await
            .map_err(failed)?;
        let status = response.status();
        let done = response.into_body().collect().await;
        match done {
            Ok(_) if status.is_success() => Ok(()),
            Ok(_) => Err(status.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends so many requests a second, until what is returned is dropped.
    pub(crate) fn traffic(&self, rate: u32) -> Traffic {
        let balancer = self.clone();
        Traffic(tokio::spawn(async move {
            // Those that are late are made up for.
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
            let mut requests = JoinSet::new();
            loop {
                ticks.tick().await;
                let balancer = balancer.clone();
                requests.spawn(async move {
                    if let Err(failure) = balancer.get("/").await {
                        balancer.log.lock().unwrap().failures.push(failure);
                    }
                });
                while requests.try_join_next().is_some() {}
            }
        }))
    }

    /// What has happened so far.
    pub(crate) fn log(&self) -> Log {
        self.log.lock().unwrap().clone()
    }
}

/// Requests on their way; dropped, they are no more.
pub(crate) struct Traffic(JoinHandle<()>);

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The next event of which there is something to say.
pub(crate) async fn told<T>(events: &mut Events, mut said: impl FnMut(Event) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = events.next().await.expect("the driver runs");
            if let Some(said) = said(event) {
                return said;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found)
        .await
        .expect("it happens")
}

/// A member is this, by its probes.
pub(crate) async fn becomes(events: &mut Events, health: Health) {
    told(events, |event| {
        matches!(event, Event::HealthChanged { health: now, .. } if now == health).then_some(())
    })
    .await;
}
