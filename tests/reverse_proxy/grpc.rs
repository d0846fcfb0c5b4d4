//! gRPC, by tonic on both sides: one connection of a client, spread call by call over two servers.

use std::{collections::BTreeMap, net::Ipv4Addr, pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body as _, Bytes},
    header::CONTENT_TYPE,
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    runtime::{self, Runtime},
    sync::Semaphore,
};
use tonic::{
    Code, Request, Response, Status,
    metadata::{MetadataMap, MetadataValue},
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_client::HealthClient,
    health_server::{Health, HealthServer},
};

use crate::{backends::nobody, proxy::Proxy, wire::soon};

/// Where a server tells its name.
const NAME: &str = "x-name";
/// What a client tells, and is told again.
const TEXT: &str = "x-text";
const BYTES: &str = "x-any-bin";

/// A gRPC server. Dropped, it is gone as if its process had been killed.
struct Backend {
    origin: String,
    /// One for each message that a stream may send.
    messages: Arc<Semaphore>,
    /// One for each call of `never` that was given up.
    given_up: Arc<Semaphore>,
    /// Its own, as tonic lets go of its connections' tasks.
    runtime: Option<Runtime>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Backend {
    fn start(name: &'static str) -> Self {
        let mut builder = runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let context = runtime.enter();
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = incoming.local_addr().unwrap();
        let [messages, given_up] = [(); 2].map(|()| Arc::new(Semaphore::new(0)));
        let service = HealthServer::new(Service {
            name,
            messages: Arc::clone(&messages),
            given_up: Arc::clone(&given_up),
        });
        let serving = Server::builder().serve_with_incoming(service, incoming.with_nodelay(Some(true)));
        runtime.spawn(serving);
        drop(context);
        Self {
            origin: format!("h2c://{address}"),
            messages,
            given_up,
            runtime: Some(runtime),
        }
    }

    fn start_two() -> [Self; 2] {
        [Self::start("one"), Self::start("two")]
    }
}

/// It knows of `job`, whose stream ends well after three messages; of `broken`, whose ends in an error after one; and of
/// `never`, of which nothing is said.
struct Service {
    name: &'static str,
    messages: Arc<Semaphore>,
    given_up: Arc<Semaphore>,
}

struct GivenUp(Arc<Semaphore>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

impl Service {
    /// The server's name, and what the client told.
    fn echo(&self, metadata: &MetadataMap) -> MetadataMap {
        let mut echo = MetadataMap::new();
        echo.insert(NAME, MetadataValue::from_static(self.name));
        if let Some(text) = metadata.get(TEXT) {
            echo.insert(TEXT, text.clone());
        }
        if let Some(bytes) = metadata.get_bin(BYTES) {
            echo.insert_bin(BYTES, bytes.clone());
        }
        echo
    }

    fn unknown(&self, metadata: &MetadataMap) -> Status {
        Status::with_details_and_metadata(
            Code::NotFound,
            "no such service: ü",
            Bytes::from_static(b"\0details"),
            self.echo(metadata),
        )
    }
}

#[tonic::async_trait]
impl Health for Service {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let (metadata, _, asked) = request.into_parts();
        match &*asked.service {
            "job" => {
                let answer = HealthCheckResponse { status: 1 };
                Ok(Response::from_parts(self.echo(&metadata), answer, Default::default()))
            }
            "never" => {
                let _given_up = GivenUp(Arc::clone(&self.given_up));
                std::future::pending().await
            }
            _ => Err(self.unknown(&metadata)),
        }
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (metadata, _, asked) = request.into_parts();
        let end = match &*asked.service {
            "job" => (3, None),
            "broken" => (1, Some(Status::data_loss("broken off"))),
            _ => return Err(self.unknown(&metadata)),
        };
        let messages = Arc::clone(&self.messages);
        let sent = stream::unfold((0, end), move |(sent, (last, status))| {
            let messages = Arc::clone(&messages);
            async move {
                if sent == last {
                    return status.map(|status| (Err(status), (last, (last, None))));
                }
                messages.acquire().await.unwrap().forget();
                let message = HealthCheckResponse { status: sent };
                Some((Ok(message), (sent + 1, (last, status))))
            }
        });
        Ok(Response::from_parts(
            self.echo(&metadata),
            Box::pin(sent),
            Default::default(),
        ))
    }
}

fn before(backends: &[Backend; 2]) -> Proxy {
    let origins = backends.each_ref().map(|backend| backend.origin.clone());
    Proxy::start(&origins, &["--strategy", "round_robin", "--outliers", "off"])
}

async fn connect(proxy: &Proxy) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(proxy.uri("")).unwrap();
    HealthClient::new(soon(endpoint.connect()).await.unwrap())
}

fn request(service: &str) -> Request<HealthCheckRequest> {
    let service = service.to_owned();
    let mut request = Request::new(HealthCheckRequest { service });
    let metadata = request.metadata_mut();
    metadata.insert(TEXT, MetadataValue::from_static("some text"));
    metadata.insert_bin(BYTES, MetadataValue::from_bytes(b"\0\xff\x80"));
    request
}

/// Who sent this. What the client told is in it.
fn sender(metadata: &MetadataMap) -> String {
    assert_eq!(metadata.get(TEXT).unwrap(), "some text");
    assert_eq!(
        metadata.get_bin(BYTES).unwrap().to_bytes().unwrap().as_ref(),
        b"\0\xff\x80"
    );
    metadata.get(NAME).unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_calls_of_one_connection_are_spread() {
    let backends = Backend::start_two();
    let proxy = before(&backends);
    let mut client = connect(&proxy).await;
    let mut calls = BTreeMap::new();
    for _ in 0..40 {
        let answer = soon(client.check(request("job"))).await.unwrap();
        assert_eq!(answer.get_ref().status, 1);
        *calls.entry(sender(answer.metadata())).or_insert(0) += 1;
    }
    assert_eq!(calls, BTreeMap::from([("one".to_owned(), 20), ("two".to_owned(), 20)]));
    // What came after a GOAWAY would need a second connection.
    proxy.signal("TERM");
    let (code, told) = proxy.end().await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.ends_with("1 connections finished, 0 were cut\n"), "{told}");
}

#[tokio::test]
async fn calls_at_once_on_one_connection_are_spread_as_well() {
    let backends = Backend::start_two();
    let proxy = before(&backends);
    let client = connect(&proxy).await;
    let calls = (0..100).map(|_| {
        let mut client = client.clone();
        async move { sender(soon(client.check(request("job"))).await.unwrap().metadata()) }
    });
    let senders = futures_util::future::join_all(calls).await;
    assert_eq!(senders.iter().filter(|sender| *sender == "one").count(), 50);
}

#[tokio::test]
async fn a_stream_comes_message_by_message_to_its_end() {
    let backends = Backend::start_two();
    let proxy = before(&backends);
    let mut client = connect(&proxy).await;
    let mut streams = Vec::new();
    for _ in &backends {
        let answer = soon(client.watch(request("job"))).await.unwrap();
        streams.push((sender(answer.metadata()), answer.into_inner()));
    }
    assert_ne!(streams[0].0, streams[1].0, "a stream is one call");
    // None is kept back until there is more.
    for message in 0..3 {
        for backend in &backends {
            backend.messages.add_permits(1);
        }
        for (_, stream) in &mut streams {
            assert_eq!(soon(stream.message()).await.unwrap().unwrap().status, message);
        }
    }
    for (_, stream) in &mut streams {
        assert_eq!(soon(stream.message()).await.unwrap(), None);
        assert!(soon(stream.trailers()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn an_error_passes_with_all_that_it_says() {
    let backends = Backend::start_two();
    let proxy = before(&backends);
    let mut client = connect(&proxy).await;
    let check = soon(client.check(request("nothing"))).await.unwrap_err();
    let watch = soon(client.watch(request("nothing"))).await.unwrap_err();
    for status in [check, watch] {
        assert_eq!(
            (status.code(), status.message()),
            (Code::NotFound, "no such service: ü")
        );
        assert_eq!(status.details(), b"\0details");
        sender(status.metadata());
    }

    // In the middle of a stream it comes in trailers.
    let mut stream = soon(client.watch(request("broken"))).await.unwrap().into_inner();
    backends.iter().for_each(|backend| backend.messages.add_permits(1));
    assert_eq!(soon(stream.message()).await.unwrap().unwrap().status, 0);
    let status = soon(stream.message()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::DataLoss, "broken off"));
}

#[tokio::test]
async fn an_error_without_an_answer_stays_one_block_of_headers() {
    let backends = Backend::start_two();
    let proxy = before(&backends);
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<Full<Bytes>>();
    // A message of no bytes: a service without a name.
    let request = |path: &str| {
        let request = http::Request::post(proxy.uri(path)).header(CONTENT_TYPE, "application/grpc");
        let body = Full::from(Bytes::from_static(&[0; 5]));
        client.request(request.header("te", "trailers").body(body).unwrap())
    };
    let answer = soon(request("/grpc.health.v1.Health/Check")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["grpc-status"], "5");
    assert!(answer.body().is_end_stream(), "nothing comes after the headers");
    let answer = soon(request("/grpc.health.v1.Health/Other")).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "12", "{answer:?}");
    assert!(soon(answer.collect()).await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn a_call_that_the_client_gives_up_ends_at_the_server() {
    let backends = Backend::start_two();
    let proxy = before(&backends);
    let mut client = connect(&proxy).await;
    let mut stream = soon(client.watch(request("job"))).await.unwrap().into_inner();
    let mut timed = request("never");
    timed.set_timeout(Duration::from_millis(100));
    let status = soon(client.check(timed)).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded),
        "{status:?}"
    );
    // This one the server would wait for.
    let dropped = tokio::time::timeout(Duration::from_millis(100), client.check(request("never")));
    assert!(dropped.await.is_err());
    for backend in &backends {
        soon(backend.given_up.acquire()).await.unwrap().forget();
    }
    // The other one on this connection has nothing to do with it.
    backends.iter().for_each(|backend| backend.messages.add_permits(1));
    assert_eq!(soon(stream.message()).await.unwrap().unwrap().status, 0);
}

#[tokio::test]
async fn a_server_that_dies_takes_its_calls_with_it_and_no_others() {
    let [one, two] = Backend::start_two();
    let backends = [one, two];
    let proxy = before(&backends);
    let mut client = connect(&proxy).await;
    let mut streams = BTreeMap::new();
    for _ in &backends {
        let answer = soon(client.watch(request("job"))).await.unwrap();
        streams.insert(sender(answer.metadata()), answer.into_inner());
    }
    let [one, two] = backends;
    drop(one);
    let broken = soon(streams.get_mut("one").unwrap().message()).await;
    assert!(broken.is_err(), "{broken:?}");
    two.messages.add_permits(1);
    let message = soon(streams.get_mut("two").unwrap().message()).await;
    assert_eq!(message.unwrap().unwrap().status, 0);
    // Nothing of a call can be sent to the dead one.
    for _ in 0..20 {
        let answer = soon(client.check(request("job"))).await.unwrap();
        assert_eq!(sender(answer.metadata()), "two");
    }
}

#[tokio::test]
async fn without_a_server_a_call_is_unavailable() {
    let proxy = Proxy::start(&[nobody().await.replace("http", "h2c")], &[]);
    let status = soon(connect(&proxy).await.check(request("job"))).await.unwrap_err();
    is_of_502(&status);
}

/// gRPC makes an "unavailable" of a 502; tonic takes the sentence behind that for a message that is not well formed.
fn is_of_502(status: &Status) {
    let is_error = matches!(status.code(), Code::Unavailable | Code::Internal);
    assert!(is_error && status.message().contains("502"), "{status:?}");
}
