//! The same over real sockets: hyper's servers and client, backends that end, and a balancer that starts anew.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::Mutex,
};

use equipoise::{BalanceLayer, BoxError, FailoverLayer, Pool, RoundRobin, StickyLayer, http::HttpEndpoint};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower::{Layer, Service, ServiceExt};

use super::*;

type Answer = Response<Full<Bytes>>;

/// Serves until it is aborted, its connections included.
async fn serve<F: Future<Output = Answer> + Send>(
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer(request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, serving)
}

/// A backend that says its name and the cookies that it was sent; and sets some.
async fn backend(id: &'static str) -> (HttpEndpoint, JoinHandle<()>) {
    let (address, serving) = serve(move |request: Request<Incoming>| async move {
        let cookies = request.headers().get_all(COOKIE).iter();
        let cookies: Vec<_> = cookies.map(|line| line.to_str().unwrap()).collect();
        let body = Full::new(Bytes::from(format!("{id} {}", cookies.join(" | "))));
        let mut answer = Response::new(body);
        let headers = answer.headers_mut();
        headers.append(SET_COOKIE, HeaderValue::from_static("app=7"));
        headers.append(SET_COOKIE, HeaderValue::from_static("equipoise=mine; Path=/"));
        headers.append("cache-control", HeaderValue::from_static("public, max-age=60"));
        answer
    })
    .await;
    (format!("http://{address},id={id}").parse().unwrap(), serving)
}

/// A balancer as a server of its own.
async fn balancer(
    backends: Vec<HttpEndpoint>,
    wall: &Wall,
) -> (SocketAddr, JoinHandle<()>, Pool<HttpEndpoint, RoundRobin>) {
    let pool = Pool::builder().selector(RoundRobin::new()).backends(backends).spawn();
    let balanced = StickyLayer::new(cookie(wall)).layer(
        FailoverLayer::http()
            .layer(BalanceLayer::http(pool.clone()).layer(Client::builder(TokioExecutor::new()).build_http())),
    );
    let balanced = Arc::new(Mutex::new(balanced));
    let (address, serving) = serve(move |request: Request<Incoming>| {
        let mut balanced = balanced.lock().unwrap().clone();
        async move {
            let request = request.map(|_| Empty::<Bytes>::new());
            let answer = async { Ok::<_, BoxError>(balanced.ready().await?.call(request).await?) };
            let (head, body) = answer.await.unwrap().into_parts();
            Response::from_parts(head, Full::new(body.collect().await.unwrap().to_bytes()))
        }
    })
    .await;
    (address, serving, pool)
}

/// A request on a connection of its own, and the answer as it is written.
async fn ask(to: SocketAddr, lines: &[&str]) -> (HeaderMap, String) {
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().uri("/").header("host", "shop.test");
    for line in lines {
        request = request.header(COOKIE, *line);
    }
    let answer = sender
        .send_request(request.body(Empty::<Bytes>::new()).unwrap())
        .await
        .unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.headers, String::from_utf8(body.into()).unwrap())
}

/// Our cookie of what is set.
fn ours(headers: &HeaderMap) -> Option<String> {
    let line = set(headers).into_iter().find(|line| line.starts_with("equipoise="))?;
    Some(line.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_client_stays_through_a_restart_of_the_balancer_and_moves_once_with_its_backend() {
    let test = async {
        let (wall, mut endpoints, mut serving) = (Wall::new(), Vec::new(), HashMap::new());
        for id in ["a", "b", "c"] {
            let (endpoint, task) = backend(id).await;
            endpoints.push(endpoint);
            serving.insert(id.to_owned(), task);
        }
        let (to, task, _pool) = balancer(endpoints.clone(), &wall).await;
        let (headers, text) = ask(to, &["x=1"]).await;
        let home = text.split(' ').next().unwrap().to_owned();
        assert_eq!(text, format!("{home} x=1"));
        let pair = ours(&headers).unwrap();
        assert_eq!(
            set(&headers),
            ["app=7".to_owned(), format!("{pair}; HttpOnly; SameSite=Lax; Path=/")]
        );
        assert_eq!(headers["cache-control"], "max-age=60, private");
        let stays = async |to, pair: &str, home: &str| {
            for line in [pair.to_owned(), format!("x=1; {pair}"), format!("{pair}; x=1")] {
                let (headers, text) = ask(to, &[&line]).await;
                let rest = if line == pair { "" } else { "x=1" };
                assert_eq!(text, format!("{home} {rest}"));
                assert_eq!(set(&headers), ["app=7"]);
                assert_eq!(headers["cache-control"], "public, max-age=60");
            }
        };
        stays(to, &pair, &home).await;
        // Another process, for all it can know: the same keys and the same name of the pool.
        task.abort();
        endpoints.rotate_left(1);
        let (to, _task, pool) = balancer(endpoints, &wall).await;
        stays(to, &pair, &home).await;
        // While it drains as well.
        pool.handle().drain(home.clone()).await.unwrap();
        stays(to, &pair, &home).await;
        // Its backend ends: connections are refused, and the session moves with the request that finds that out.
        let gone = serving.remove(&home).unwrap();
        gone.abort();
        assert!(gone.await.is_err());
        let (headers, text) = ask(to, &[&pair]).await;
        let next = text.trim_end().to_owned();
        assert!(serving.contains_key(&next), "{text}");
        let moved = ours(&headers).expect("told");
        stays(to, &moved, &next).await;
    };
    tokio::time::timeout(Duration::from_secs(30), test).await.unwrap();
}
