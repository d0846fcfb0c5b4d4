//! Numbered requests through a failover: each sent at its time, whatever became of those before.

use std::{
    error::Error as _,
    io, iter,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use equipoise::{
    BalanceLayer, BoxError, Error, FailoverLayer, OutlierDetection, Pool, Selector,
    http::{HttpEndpoint, LeasedBody, Replay},
};
use http::{Request, Response};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::task::JoinSet;
use tower::{Service, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};

use crate::{
    backend::{Backend, NUMBERED},
    check::check,
};

/// So many GETs a second, and a tenth as many POSTs besides.
pub(crate) const RATE: u32 = 2_000;
/// How long one try may take.
pub(crate) const TRY: Duration = Duration::from_millis(250);
/// What the client gives a backend, whatever is above it.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(crate) struct Caller {
    service: BoxCloneSyncService<Request<Full<Bytes>>, Response<LeasedBody<Incoming>>, Error>,
    attempts: Arc<Mutex<Vec<Attempt>>>,
}

/// One try of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) number: u64,
    /// Of the backend.
    pub(crate) port: u16,
    /// It had no connection, and so was not sent.
    pub(crate) was_refused: bool,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) number: u64,
    /// When it was its time to be sent, and when it was.
    pub(crate) due: Instant,
    pub(crate) sent: Instant,
    pub(crate) ended: Instant,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) enum End {
    Well,
    Status(u16),
    Failed(Error),
    /// After the head.
    BrokenOff,
    /// It was another's.
    Wrong,
}

impl Answer {
    pub(crate) fn is_post(&self) -> bool {
        is_post(self.number)
    }

    pub(crate) fn is_well(&self) -> bool {
        matches!(self.end, End::Well)
    }
}

fn is_post(number: u64) -> bool {
    number % 11 == 10
}

impl Caller {
    /// By all that keeps bad ones off, and a failover with its defaults.
    pub(crate) fn new(backends: &[Backend], selector: impl Selector<HttpEndpoint>) -> Self {
        let pool = Pool::builder()
            .selector(selector)
            .backends(backends.iter().map(Backend::endpoint))
            .health_check(check())
            .outlier_detection(OutlierDetection::new())
            .spawn();
        let client = Client::builder(TokioExecutor::new()).build_http::<Replay<Full<Bytes>>>();
        let attempts = Arc::<Mutex<Vec<Attempt>>>::default();
        let made = Arc::clone(&attempts);
        // Below the layers, where a backend has been chosen.
        let inner = tower::service_fn(move |request: Request<Replay<Full<Bytes>>>| {
            let (made, uri) = (Arc::clone(&made), request.uri());
            let number = uri.path().strip_prefix(NUMBERED).and_then(|number| number.parse().ok());
            let attempt = Attempt {
                number: number.unwrap(),
                port: uri.port_u16().unwrap(),
                was_refused: false,
            };
            let at = {
                let mut made = made.lock().unwrap();
                made.push(attempt);
                made.len() - 1
            };
            let answer = tokio::time::timeout(PATIENCE, client.request(request));
            async move {
                let answer = answer.await?;
                made.lock().unwrap()[at].was_refused = answer.as_ref().is_err_and(is_refusal);
                Ok::<_, BoxError>(answer?)
            }
        });
        let service = ServiceBuilder::new()
            .layer(FailoverLayer::http().try_timeout(TRY))
            .layer(BalanceLayer::http(pool))
            .service(inner);
        Self {
            service: BoxCloneSyncService::new(service),
            attempts,
        }
    }

    /// Sends requests until it is over, and tells what became of them all.
    pub(crate) async fn send(self, is_over: Arc<AtomicBool>) -> Vec<Answer> {
        // Those that are late are made up for.
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / (RATE + RATE / 10));
        let mut requests = JoinSet::new();
        for number in 0.. {
            let due = ticks.tick().await.into_std();
            if is_over.load(Relaxed) {
                break;
            }
            let caller = self.clone();
            requests.spawn(async move {
                let sent = Instant::now();
                let end = caller.ask(number).await;
                let ended = Instant::now();
                Answer {
                    number,
                    due,
                    sent,
                    ended,
                    end,
                }
            });
        }
        requests.join_all().await
    }

    async fn ask(mut self, number: u64) -> End {
        let path = format!("{NUMBERED}{number}");
        let (method, content) = match is_post(number) {
            true => ("POST", format!("content of {number}")),
            false => ("GET", String::new()),
        };
        let expected = format!("{method} {path} {content}");
        let request = Request::builder().method(method).uri(path).body(Full::from(content));
        let answer = match self.service.ready().await {
            Ok(service) => service.call(request.unwrap()).await,
            Err(error) => Err(error),
        };
        match answer {
            Err(error) => End::Failed(error),
            Ok(answer) if !answer.status().is_success() => End::Status(answer.status().as_u16()),
            Ok(answer) => match answer.into_body().collect().await.map(Collected::to_bytes) {
                Err(_) => End::BrokenOff,
                Ok(content) if content == expected.as_bytes() => End::Well,
                Ok(_) => End::Wrong,
            },
        }
    }

    /// All tries so far.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().unwrap().clone()
    }
}

fn is_refusal(error: &hyper_util::client::legacy::Error) -> bool {
    let mut causes = iter::successors(error.source(), |cause| (*cause).source());
    causes.any(|cause| {
        let error = cause.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    })
}
