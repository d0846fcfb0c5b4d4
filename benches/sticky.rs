//! What it costs that a session stays, over the plain balanced call: the session is located, its home taken, and bound again.

#[path = "sticky/cookie.rs"]
mod cookie;
mod measure;
#[path = "sticky/table.rs"]
mod table;

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use equipoise::{Assigned, BalanceLayer, Dispatch, Endpoint, LeastLoaded, Pool, http::Http};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::Empty;
use hyper::body::Bytes;
use measure::ratio::Case;
use tower_layer::{Identity, Layer};
use tower_service::Service;

type Answer = Response<Empty<Bytes>>;

/// Answers at once.
#[derive(Clone)]
struct Echo;

impl<B> Service<Assigned<Request<()>, B>> for Echo {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, assigned: Assigned<Request<()>, B>) -> Self::Future {
        black_box(assigned.request);
        ready(Ok(Response::new(Empty::new())))
    }
}

/// A balanced service of ten.
fn balanced() -> impl Dispatch<Request<()>, Response: 'static, Raw = Answer> + Clone + 'static {
    let backends = (0..10).map(|index| Endpoint::new(format!("10.0.0.{index}:8080"), ()));
    let pool = Pool::builder()
        .selector(LeastLoaded::new())
        .seed(1)
        .backends(backends)
        .build()
        .0;
    BalanceLayer::with(pool, Http::default(), Identity::new()).layer(Echo)
}

/// Ready, called and polled to its end, which is at once.
#[inline]
fn call<S: Service<Request<()>>>(service: &mut S, headers: &HeaderMap) -> Option<S::Response> {
    let mut cx = Context::from_waker(Waker::noop());
    if !matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))) {
        return None;
    }
    let mut request = Request::new(());
    *request.headers_mut() = headers.clone();
    match pin!(service.call(black_box(request))).poll(&mut cx) {
        Poll::Ready(result) => result.ok(),
        Poll::Pending => None,
    }
}

fn case<S>(name: &str, mut service: S, headers: HeaderMap) -> Case
where
    S: Service<Request<()>, Response: 'static> + 'static,
{
    assert!(call(&mut service, &headers).is_some(), "{name} calls nobody");
    Case::new(name, move || call(&mut service, &headers).is_some())
}

/// What a browser sends beside cookies.
fn headers(cookies: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::HOST, "shop.example.com"),
        (header::ACCEPT, "text/html,application/xhtml+xml"),
        (header::ACCEPT_LANGUAGE, "en-GB,en;q=0.5"),
        (header::USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(value) = cookies.and_then(|cookies| HeaderValue::from_str(cookies).ok()) {
        headers.insert(header::COOKIE, value);
    }
    headers
}

fn main() {
    let mut cases = vec![case("plain call, no cookie", balanced(), headers(None))];
    cookie::cases(&mut cases);
    table::cases(&mut cases);
    if measure::run("sticky", cases) {
        table::tell_memory();
    }
}
