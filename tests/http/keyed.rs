//! Keys taken from HTTP requests on their way to real servers.

use std::net::{IpAddr, SocketAddr};

use allocation_counter::measure;
use equipoise::{
    Dispatch, KeyedLayer,
    http::{ClientAddress, CookieKey, HeaderKey, PathKey, QueryKey},
    key::{HashFunction, HashKey, Terminal},
    selector::{At, Members, Pick},
};
use futures_util::future::poll_fn;

use super::*;

/// The member of the key's remainder, or the next open one; the last without a key.
struct Remainder;

impl<B: Backend> Selector<B> for Remainder {
    type Memory = ();
    type Table = ();
    fn memory(&self, _: &B) {}
    fn prepare(&self, _: &Members<'_, B, ()>) {}
    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        if pick.is_empty() {
            return None;
        }
        let index = pick.ask().key().map_or(pick.len() - 1, |key| key as usize % pick.len());
        pick.next_open(pick.at(index))
    }
}

/// The ids of the backends, in the order of remainders.
const IDS: [&str; 3] = ["a", "b", "c"];

async fn pool() -> Pool<HttpEndpoint, Remainder> {
    let mut backends = Vec::new();
    for id in IDS {
        backends.push(named(id).await);
    }
    Pool::builder().selector(Remainder).backends(backends).spawn()
}

fn expected(text: &str) -> &'static str {
    IDS[HashFunction::Xxh3.hash(text.as_bytes()) as usize % IDS.len()]
}

/// Enough of them to reach every backend.
fn users() -> impl Iterator<Item = String> {
    (0..20).map(|n| format!("user-{n}"))
}

/// Who serves a request, of which the head is read and then the body.
async fn served<D>(client: &mut D, request: Request<Body>) -> String
where
    D: Dispatch<Request<Body>, Response = Response<LeasedBody<Incoming>>, Error = Error>,
{
    soon(poll_fn(|cx| client.poll_ready(cx))).await.unwrap();
    text(soon(client.call(request)).await.unwrap()).await
}

#[tokio::test]
async fn a_request_goes_to_where_its_header_goes_from_every_balancer() {
    let layer = KeyedLayer::new(HeaderKey::new(HeaderName::from_static("x-user")));
    let (one, other) = (pool().await, pool().await);
    let mut clients = [&one, &other].map(|pool| layer.layer(balanced(pool)));
    let mut reached = Vec::new();
    for user in users().chain(users()) {
        for client in &mut clients {
            let request = Request::builder().header("x-user", &user).body(empty()).unwrap();
            assert_eq!(served(client, request).await, expected(&user), "{user}");
        }
        reached.push(expected(&user));
    }
    reached.sort();
    reached.dedup();
    assert_eq!(reached, IDS);
    assert_eq!(served(&mut clients[0], request("/", empty())).await, "c", "no header");
}

#[tokio::test]
async fn a_chain_of_keys_falls_back() {
    let key = (
        Terminal(CookieKey::new("sid").unwrap()),
        Terminal(QueryKey::new("user").unwrap()),
        PathKey::new(),
    );
    let mut client = KeyedLayer::new(key).layer(balanced(&pool().await));
    for user in users() {
        let with_cookie = Request::builder()
            .uri("/?user=x")
            .header("cookie", format!("a=1; sid={user}"));
        let with_query = Request::builder().uri(format!("/?user={user}")).header("cookie", "a=1");
        let with_path = Request::builder().uri(format!("/{user}?q")).header("cookie", "sid=");
        for (request, text) in [
            (with_cookie, &user),
            (with_query, &user),
            (with_path, &format!("/{user}")),
        ] {
            let request = request.body(empty()).unwrap();
            let what = format!("{} {:?}", request.uri(), request.headers());
            assert_eq!(served(&mut client, request).await, expected(text), "{what}");
        }
    }
}

#[tokio::test]
async fn a_keyed_body_holds_its_lease() {
    let pool = pool().await;
    let mut client = KeyedLayer::new(PathKey::new()).layer(balanced(&pool));
    let id = expected("/ann");
    let response = soon(async { client.ready().await?.call(request("/ann", empty())).await });
    let response = response.await.unwrap();
    assert_eq!(state(&pool, id), "1 in flight");
    assert_eq!(text(response).await, id);
    assert_eq!(state(&pool, id), "1 succeeded");
}

#[test]
fn no_extractor_allocates() {
    let long = "x".repeat(5_000);
    let address: SocketAddr = "[::ffff:192.0.2.7]:1".parse().unwrap();
    let mut request = Request::builder()
        .uri(format!("/{long}?a=b&user={long}"))
        .header("x-user", &long)
        .header("cookie", "a=b")
        .header("cookie", format!("c=d; sid=\"{long}\""));
    request.extensions_mut().unwrap().insert(address);
    let request = request.body(()).unwrap();
    for function in HashFunction::all() {
        let key = (
            HeaderKey::new(HeaderName::from_static("x-user")).with_function(function),
            CookieKey::new("sid").unwrap().with_function(function),
            QueryKey::new("user").unwrap().with_function(function),
            PathKey::new().with_query().with_function(function),
            ClientAddress::new(SocketAddr::ip).with_function(function),
            ClientAddress::new(IpAddr::clone),
        );
        let mut found = None;
        let counted = measure(|| found = key.key(&request));
        assert_eq!(counted.count_total, 0, "{function}");
        let same = [&long, &long, &long, &format!("/{long}?a=b&user={long}")];
        let hashes = same.map(|text| function.hash(text.as_bytes())).into_iter();
        let hashes = hashes.chain([function.hash(&[192, 0, 2, 7])]);
        assert_eq!(
            found,
            hashes.reduce(|so_far, next| so_far.rotate_left(1) ^ next),
            "{function}"
        );
    }
}

#[cfg(feature = "proxy")]
mod proxied {
    use equipoise::{
        proxy::{ProxyLayer, Upstream},
        server::{Accepted, Connection, Listener, Server},
    };
    use hyper::client::conn::http1::handshake;
    use tokio::io::DuplexStream;
    use tower::ServiceBuilder;

    use super::*;

    /// Connections from wherever the test says.
    struct Pipes(mpsc::UnboundedReceiver<(DuplexStream, SocketAddr)>);

    impl Listener for Pipes {
        type Stream = DuplexStream;

        async fn accept(&mut self) -> std::io::Result<Accepted<DuplexStream>> {
            match futures_util::StreamExt::next(&mut self.0).await {
                Some((stream, peer)) => Ok(Accepted::new(stream, peer, ([127, 0, 0, 1], 80).into())),
                None => std::future::pending().await,
            }
        }
    }

    #[tokio::test]
    async fn a_client_of_a_proxy_stays_with_its_backend() {
        let key = ClientAddress::new(|connection: &Connection| connection.peer().ip());
        let proxy = ServiceBuilder::new()
            .layer(ProxyLayer::new())
            .layer(KeyedLayer::new(key.with_v4_prefix(24).unwrap()))
            .layer(BalanceLayer::http(pool().await))
            .service(Upstream::new());
        let (connect, pipes) = mpsc::unbounded();
        tokio::spawn(Server::new().serve(Pipes(pipes), proxy, std::future::pending::<()>()));
        let mut reached = Vec::new();
        for (peer, network) in [
            ("192.0.2.7:1", [192, 0, 2, 0]),
            ("192.0.2.8:2", [192, 0, 2, 0]),
            ("[::ffff:192.0.2.9]:3", [192, 0, 2, 0]),
            ("198.51.100.1:1", [198, 51, 100, 0]),
            ("203.0.113.1:1", [203, 0, 113, 0]),
            ("10.0.0.1:1", [10, 0, 0, 0]),
            ("10.0.1.1:1", [10, 0, 1, 0]),
        ] {
            let (client, server) = tokio::io::duplex(4096);
            connect.unbounded_send((server, peer.parse().unwrap())).unwrap();
            let (mut sender, connection) = handshake::<_, Body>(TokioIo::new(client)).await.unwrap();
            tokio::spawn(connection);
            let request = Request::builder().header("host", "a.example").body(empty()).unwrap();
            let response = soon(sender.send_request(request)).await.unwrap();
            let body = soon(response.into_body().collect()).await.unwrap().to_bytes();
            let expected = IDS[HashFunction::Xxh3.hash(&network) as usize % IDS.len()];
            assert_eq!(body, expected, "{peer}");
            reached.push(expected);
        }
        reached.sort();
        reached.dedup();
        assert!(reached.len() > 1, "all at {reached:?} tells nothing");
    }
}
