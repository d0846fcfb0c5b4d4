//! Servers that are processes of their own, over real HTTP: what they report moves the choice of who is here.

use std::{process::Stdio, time::Duration};

use axum::body::Bytes;
use equipoise::{
    BalanceLayer, FleetLeastLoaded, LeastLoaded, Pool, ReportedLoad, Selector, http::HttpEndpoint, orca::read,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use tower::{Layer, Service, ServiceExt};

use super::example::example;

type Http = Client<hyper_util::client::legacy::connect::HttpConnector, Empty<Bytes>>;

/// The example `load_reporting_server`, which is killed with this.
struct Server {
    _process: Child,
    origin: String,
}

impl Server {
    async fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(example("load_reporting_server"));
        command
            .arg("127.0.0.1:0")
            .args(arguments)
            .kill_on_drop(true)
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("it says where it listens");
        let address = line.strip_prefix("listening on ").unwrap();
        Self {
            origin: format!("http://{address}"),
            _process: process,
        }
    }

    fn backend(&self) -> HttpEndpoint {
        self.origin.parse().unwrap()
    }

    /// A request past the balancer.
    async fn get(&self, http: &Http, path: &str) -> Response<hyper::body::Incoming> {
        let uri = format!("{}{path}", self.origin);
        http.request(Request::get(uri).body(Empty::new()).unwrap())
            .await
            .unwrap()
    }

    async fn queue(&self, http: &Http) -> f64 {
        let response = self.get(http, "/").await;
        let queue = read(response.headers()).unwrap().unwrap().queue().unwrap();
        response.into_body().collect().await.unwrap();
        queue
    }

    /// Keeps so many requests at the server, sent by others than the balancer's client, until this is dropped.
    async fn occupy(&self, http: &Http, count: usize) -> tokio::task::JoinSet<()> {
        let mut others = tokio::task::JoinSet::new();
        for _ in 0..count {
            let (http, uri) = (http.clone(), format!("{}/slow/3600000", self.origin));
            others.spawn(async move {
                let _ = http.request(Request::get(uri).body(Empty::new()).unwrap()).await;
            });
        }
        let arrived = async {
            // With the one that asks.
            while self.queue(http).await < count as f64 + 1.0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), arrived)
            .await
            .expect("they arrive");
        others
    }
}

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

/// A pool of both, and how many of so many requests, one after the other, each of them answered.
struct Balanced<S: Selector<HttpEndpoint>> {
    pool: Pool<HttpEndpoint, S>,
    http: Http,
}

impl<S: Selector<HttpEndpoint>> Balanced<S> {
    fn new(selector: S, servers: &[&Server]) -> Self {
        let backends = servers.iter().map(|server| server.backend());
        let pool = Pool::builder().selector(selector).seed(1).backends(backends).spawn();
        Self { pool, http: http() }
    }

    async fn shares(&self, servers: &[&Server], requests: usize) -> Vec<u64> {
        let count = |origin: &str| {
            let members = self.pool.members();
            let member = members
                .iter()
                .find(|member| equipoise::Backend::id(&*member.backend) == origin);
            member.unwrap().tally.total()
        };
        let counts = || servers.iter().map(|server| count(&server.origin)).collect::<Vec<_>>();
        let before = counts();
        let mut service = BalanceLayer::orca(self.pool.clone()).layer(self.http.clone());
        for _ in 0..requests {
            let request = Request::get("/").body(Empty::new()).unwrap();
            let response = service.ready().await.unwrap().call(request).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
        counts()
            .iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect()
    }
}

#[tokio::test]
async fn a_server_that_others_keep_busy_is_spared_by_its_reports_alone() {
    let (busy, idle) = tokio::join!(Server::start(&[]), Server::start(&[]));
    let (servers, http) = ([&busy, &idle], http());
    let _others = busy.occupy(&http, 20).await;

    // Who counts own requests sees two idle servers.
    let least = Balanced::new(LeastLoaded::new(), &servers).shares(&servers, 200).await;
    assert!(least.iter().all(|share| *share > 60), "{least:?}");

    let fleet = Balanced::new(FleetLeastLoaded::new(), &servers)
        .shares(&servers, 200)
        .await;
    println!("least loaded {least:?}, fleet {fleet:?}");
    // It is asked to hear of it, and perhaps again when that is long ago.
    assert!((1..=10).contains(&fleet[0]), "{fleet:?}");
}

#[tokio::test]
async fn turns_go_by_the_utilization_that_servers_report() {
    let (tired, fresh) = tokio::join!(Server::start(&["0.9"]), Server::start(&["0.3"]));
    let servers = [&tired, &fresh];
    let selector = ReportedLoad::new().with_blackout(Duration::ZERO);
    let balanced = Balanced::new(selector.with_update(Duration::from_millis(100)).unwrap(), &servers);
    let first = balanced.shares(&servers, 2).await;
    assert_eq!(first, [1, 1], "nothing is known yet");
    // Of one rate and a third of the utilization, the one can take three times as much: as soon as it is weighed.
    let moved = async {
        loop {
            let shares = balanced.shares(&servers, 100).await;
            if shares[1] >= 70 {
                return shares;
            }
        }
    };
    let shares = tokio::time::timeout(Duration::from_secs(20), moved)
        .await
        .expect("the choice moves");
    println!("{shares:?}");
}

#[tokio::test]
async fn what_a_server_says_over_http_is_so() {
    let server = Server::start(&["0.5"]).await;
    let http = http();
    let others = server.occupy(&http, 3).await;
    for _ in 0..4 {
        server.get(&http, "/fail").await;
    }
    let response = server.get(&http, "/").await;
    let report = read(response.headers()).unwrap().unwrap();
    assert_eq!((report.queue(), report.utilization()), (Some(4.0), Some(0.5)));
    assert!(
        report.qps().unwrap() > report.eps().unwrap() && report.eps().unwrap() > 0.0,
        "{report:?}"
    );
    assert!(report.latency().is_some());
    drop(others);
    // Clients that go away are no longer there.
    let gone = async {
        while server.queue(&http).await > 1.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("they go");
}
