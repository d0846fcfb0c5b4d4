//! 200,000 requests over 1,000 keep-alive connections through the proxy, while backends are added, updated, drained, shut
//! down and removed every 100 ms: none is lost, no descriptor leaks, memory stays flat over the last half.
//!
//! Everything is real: sockets, hyper's servers behind, hyper's clients in front, one process. It is alone in its binary,
//! as it counts the descriptors and the memory of the whole process.
#![cfg(all(feature = "proxy", target_os = "linux"))]

use std::{
    collections::VecDeque,
    convert::Infallible,
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use equipoise::{
    BalanceLayer, Event, Pool,
    http::HttpEndpoint,
    proxy::{Proxy, Upstream},
    server::Server,
};
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::{interval, timeout},
};
use tower::{Layer, service_fn};

const CONNECTIONS: u64 = 1_000;
/// Those of the first half are a warming up: caches, pools and the allocator fill.
const REQUESTS: u64 = 200_000;
/// How often something changes.
const CHANGE: Duration = Duration::from_millis(100);
/// A request without an answer by then is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, and what ends it: it finishes what is open and closes its connections.
struct Backend {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// Answers with the path and a body of several frames' worth.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    // As a server would: the request is read to its end.
    let sent = request.into_body().collect().await.map(|body| body.to_bytes());
    let length = sent.map_or(0, |sent| sent.len());
    Ok(Response::new(format!("{path} {length} ").repeat(64).into()))
}

async fn backend() -> Backend {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        Server::new().serve(listener, service_fn(answer), shutdown).await;
    });
    Backend { address, stop, served }
}

impl Backend {
    fn endpoint(&self, id: &str, weight: u64) -> HttpEndpoint {
        format!("http://{},id={id},weight={weight}", self.address)
            .parse()
            .unwrap()
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        self.served.await.unwrap();
    }
}

/// Rolls the backends, as deployments do, one change every 100 ms, until told to stop: one is added, one gets another
/// weight, one is drained (and, once it has come to rest, removed and shut down), another is added, and one removed at
/// once (and shut down a second later, when what was on its way there has arrived). Returns how many changes there were.
async fn roll(pool: Pool<HttpEndpoint>, first: Vec<(String, Backend)>, mut stop: oneshot::Receiver<()>) -> usize {
    let handle = pool.handle();
    let mut members = VecDeque::from(first);
    let mut leaving = JoinSet::new();
    let mut ticks = interval(CHANGE);
    let mut changes = 0;
    while stop.try_recv().is_err() {
        ticks.tick().await;
        match changes % 5 {
            0 | 3 => {
                let id = format!("backend-{changes}");
                let added = backend().await;
                assert!(handle.insert(added.endpoint(&id, 1)).await.unwrap());
                members.push_back((id, added));
            }
            1 => {
                let (id, updated) = &members[0];
                assert!(handle.update(updated.endpoint(id, 2)).await.unwrap());
            }
            2 => {
                let (id, oldest) = members.pop_front().unwrap();
                let mut events = pool.events();
                assert!(handle.drain(&*id).await.unwrap());
                let handle = handle.clone();
                leaving.spawn(async move {
                    let drained = Event::Drained { id: (&*id).into() };
                    while events.next().await.expect("the pool lives") != drained {}
                    assert!(handle.remove(id).await.unwrap());
                    oldest.stop().await;
                });
            }
            _ => {
                let (id, oldest) = members.pop_front().unwrap();
                assert!(handle.remove(id).await.unwrap());
                leaving.spawn(async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    oldest.stop().await;
                });
            }
        }
        changes += 1;
    }
    while let Some(left) = leaving.join_next().await {
        left.unwrap();
    }
    for (id, backend) in members {
        assert!(handle.remove(id).await.unwrap());
        backend.stop().await;
    }
    changes
}

/// One keep-alive connection: requests one after the other, every tenth with a body.
async fn client(front: SocketAddr, left: Arc<AtomicU64>) -> Result<u64, String> {
    let stream = TcpStream::connect(front).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let mut answered = 0;
    while let Ok(last) = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
        let path = format!("/{last}");
        let body = if last % 10 == 0 {
            "x".repeat(10_000)
        } else {
            String::new()
        };
        let expected = format!("{path} {} ", body.len()).repeat(64);
        let request = Request::post(&path)
            .header("host", "churn.test")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let exchange = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| format!("{path}: {error}"))?;
            let status = response.status();
            let body = response
                .into_body()
                .collect()
                .await
                .map_err(|error| format!("{path}: {error}"))?;
            Ok::<_, String>((status, body.to_bytes()))
        };
        let (status, body) = timeout(PATIENCE, exchange)
            .await
            .map_err(|_| format!("{path}: no answer"))??;
        if status != 200 || body != expected {
            return Err(format!("{path}: {status}, {}", String::from_utf8_lossy(&body)));
        }
        answered += 1;
    }
    drop(sender);
    let _ = connection.await;
    Ok(answered)
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_backends_come_and_go() {
    // Two for each connection to the proxy, and as many to the backends; many shells give 1,024.
    let limit = rlimit::increase_nofile_limit(16_384).unwrap();
    assert!(limit >= 6 * CONNECTIONS, "{limit} descriptors are too few (ulimit -n)");
    let before = descriptors();
    let mut backends = Vec::new();
    for index in 0..4 {
        backends.push((format!("first-{index}"), backend().await));
    }
    let pool = Pool::builder()
        .backends(backends.iter().map(|(id, backend)| backend.endpoint(id, 1)))
        .spawn();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap();
    let proxy = Proxy::new(BalanceLayer::http(pool.clone()).layer(Upstream::new()));
    let (shut_down, shutdown) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        let shutdown = async {
            let _ = shutdown.await;
        };
        Server::new().serve(listener, proxy, shutdown).await
    });

    let (stop, stopped) = oneshot::channel();
    let rolled = tokio::spawn(roll(pool.clone(), backends, stopped));

    let left = Arc::new(AtomicU64::new(REQUESTS));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(client(front, Arc::clone(&left)));
    }
    let watched = tokio::spawn({
        let left = Arc::clone(&left);
        async move {
            let mut samples = Vec::new();
            let mut ticks = interval(Duration::from_millis(50));
            while left.load(Relaxed) > 0 {
                ticks.tick().await;
                if left.load(Relaxed) < REQUESTS / 2 {
                    samples.push(resident());
                }
            }
            samples
        }
    });

    let (mut answered, mut errors) = (0, Vec::new());
    while let Some(client) = clients.join_next().await {
        match client.unwrap() {
            Ok(requests) => answered += requests,
            Err(error) => errors.push(error),
        }
    }
    assert!(
        errors.is_empty(),
        "{} lost: {:?}",
        errors.len(),
        &errors[..errors.len().min(5)]
    );
    assert_eq!(answered, REQUESTS);

    // Flat: the last quarter no higher than the third but for noise.
    let samples = watched.await.unwrap();
    assert!(samples.len() >= 20, "too fast to tell: {} samples", samples.len());
    let median = |samples: &[u64]| {
        let mut samples = samples.to_vec();
        samples.sort_unstable();
        samples[samples.len() / 2]
    };
    let (third, last) = samples.split_at(samples.len() / 2);
    let (third, last) = (median(third), median(last));
    assert!(last <= third + third / 20, "memory grows: {third} KiB, then {last} KiB");

    let _ = stop.send(());
    let changes = rolled.await.unwrap();
    assert!(changes >= 20, "only {changes} changes");
    let members = pool.members();
    assert!(members.is_empty(), "{members:?}");
    let _ = shut_down.send(());
    served.await.unwrap();
    drop(pool);

    // What closes, closes asynchronously: idle connections to backends that are no more.
    for _ in 0..100 {
        if descriptors() <= before + 8 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = descriptors();
    assert!(after <= before + 8, "descriptors leak: {before} before, {after} after");
    println!(
        "{answered} requests, {changes} changes, {third} KiB and then {last} KiB, {before} and then {after} descriptors"
    );
}
