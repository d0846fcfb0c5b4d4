//! A pool on a manual clock, backends that answer at once, and browsers.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use equipoise::{
    BalanceLayer, BoxError, Driver, Error, ErrorKind, FailoverLayer, Handle, ManualClock, Pool, RoundRobin,
    StickyLayer, http::HttpEndpoint,
};
use futures_util::FutureExt;
use http::StatusCode;
use http_body_util::Empty;
use tower::{Layer, Service, ServiceExt, util::BoxCloneService};

use super::*;

type Body = Empty<hyper::body::Bytes>;
/// An answer's head and who gave it, or why there is none.
pub(super) type Outcome = Result<(String, HeaderMap), ErrorKind>;
type Client = BoxCloneService<Request<Body>, (String, HeaderMap), Error>;

pub(super) struct Stage {
    pub(super) wall: Wall,
    pub(super) handle: Handle<HttpEndpoint>,
    manual: ManualClock,
    driver: Driver<HttpEndpoint, RoundRobin>,
    client: Client,
    backends: Arc<Mutex<Backends>>,
}

#[derive(Default)]
struct Backends {
    /// Who answers with something else than 200.
    statuses: HashMap<String, StatusCode>,
    /// Who can't be reached.
    gone: HashSet<String>,
    /// How many requests each has seen.
    seen: HashMap<String, usize>,
}

pub(super) fn endpoint(id: &str, weight: u32) -> HttpEndpoint {
    format!("http://{id}.test,id={id},weight={weight}").parse().unwrap()
}

impl Stage {
    /// With these backends, of these weights; `layer` is what is around the balancer.
    pub(super) fn new(
        backends: &[(&str, u32)],
        has_failover: bool,
        layer: impl Fn(StickyLayer<Cookie>) -> StickyLayer<Cookie>,
    ) -> Self {
        let (manual, wall) = (ManualClock::new(), Wall::new());
        let (pool, driver) = Pool::builder_on(manual.clock())
            .selector(RoundRobin::new())
            .backends(backends.iter().map(|(id, weight)| endpoint(id, *weight)))
            .seed(1)
            .build();
        let handle = pool.handle();
        let shared = Arc::new(Mutex::new(Backends::default()));
        let seen = Arc::clone(&shared);
        let inner = tower::service_fn(move |request: Request<_>| std::future::ready(answer(&seen, &request)));
        let sticky = layer(StickyLayer::new(cookie(&wall)));
        let client = if has_failover {
            let seen = Arc::clone(&shared);
            let inner = tower::service_fn(move |request: Request<_>| std::future::ready(answer(&seen, &request)));
            boxed(sticky.layer(FailoverLayer::http().layer(BalanceLayer::http(pool).layer(inner))))
        } else {
            boxed(sticky.layer(BalanceLayer::http(pool).layer(inner)))
        };
        let mut stage = Self {
            wall,
            handle,
            manual,
            driver,
            client,
            backends: shared,
        };
        stage.drive();
        stage
    }

    /// All changes come into force.
    pub(super) fn drive(&mut self) {
        assert!(
            Pin::new(&mut self.driver)
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending(),
            "the driver ends with the pool"
        );
    }

    /// Time passes, on both clocks.
    pub(super) fn pass(&mut self, time: Duration) {
        self.manual.advance(time);
        self.wall.pass(time);
        self.drive();
    }

    pub(super) fn answers(&self, id: &str, status: u16) {
        let status = StatusCode::from_u16(status).unwrap();
        self.backends.lock().unwrap().statuses.insert(id.to_owned(), status);
    }

    pub(super) fn is_gone(&self, id: &str) {
        self.backends.lock().unwrap().gone.insert(id.to_owned());
    }

    /// How many requests it has seen since this was asked last.
    pub(super) fn seen(&self, id: &str) -> usize {
        self.backends.lock().unwrap().seen.remove(id).unwrap_or(0)
    }

    /// A request of this browser.
    pub(super) fn ask(&mut self, browser: &mut Browser) -> Outcome {
        let mut request = Request::new(Body::new());
        *request.uri_mut() = "/".parse().unwrap();
        if let Some(pair) = &browser.0 {
            request
                .headers_mut()
                .append(COOKIE, format!("a=1; {pair}").parse().unwrap());
        }
        let call = async { self.client.ready().await?.call(request).await };
        let outcome = call.now_or_never().expect("at once").map_err(|error| error.kind());
        if let Some(pair) = outcome.as_ref().ok().and_then(|(_, headers)| pair(headers)) {
            browser.0 = Some(pair.to_owned());
        }
        outcome
    }

    /// Who serves a request of this browser, and whether it was told something.
    pub(super) fn served(&mut self, browser: &mut Browser) -> (String, bool) {
        let (by, headers) = self.ask(browser).unwrap();
        let is_told = headers.contains_key(SET_COOKIE);
        assert_eq!(is_told, headers.contains_key("cache-control"));
        (by, is_told)
    }
}

/// Keeps the cookie that it was given last.
#[derive(Default)]
pub(super) struct Browser(pub(super) Option<String>);

fn answer<D>(backends: &Mutex<Backends>, request: &Request<D>) -> Result<Response<Body>, BoxError> {
    let id = request.uri().host().unwrap().trim_end_matches(".test").to_owned();
    let mut backends = backends.lock().unwrap();
    let cookies: Vec<_> = request.headers().get_all(COOKIE).iter().collect();
    assert!(
        cookies.is_empty() || cookies == ["a=1"],
        "ours is not passed on: {cookies:?}"
    );
    if backends.gone.contains(&id) {
        return Err("connection refused".into());
    }
    *backends.seen.entry(id.clone()).or_default() += 1;
    let status = backends.statuses.get(&id).copied().unwrap_or(StatusCode::OK);
    Ok(Response::builder()
        .status(status)
        .header("by", id)
        .body(Body::new())
        .unwrap())
}

fn boxed<S, R>(service: S) -> Client
where
    S: Service<Request<Body>, Response = Response<R>, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    BoxCloneService::new(service.map_response(|response: Response<R>| {
        let headers = response.headers().clone();
        (headers["by"].to_str().unwrap().to_owned(), headers)
    }))
}
