//! Sessions that stay by a cookie.

mod attributes;
mod caching;
mod duplicates;
mod expiry;
mod forgery;
mod keys;
mod moving;
mod random_course;
mod sockets;
mod stage;
mod stripping;
mod telling;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use equipoise::{
    Home, SessionAffinity,
    affinity::{Bind, Located, Served},
    cookie::{Cookie, CookieBuilder, CookieSession, Keys},
};
use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{COOKIE, SET_COOKIE},
};

const MINUTE: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(30 * 60);
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A secret of its own for each number.
fn secret(number: u8) -> [u8; 32] {
    let mut secret = [number; 32];
    secret[0] = 0x5e;
    secret
}

/// A wall clock that stands still until it is moved.
#[derive(Clone)]
struct Wall(Arc<AtomicU64>);

impl Wall {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000_123)))
    }

    fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_millis() as u64, SeqCst);
    }

    fn back(&self, time: Duration) {
        self.0.fetch_sub(time.as_millis() as u64, SeqCst);
    }

    fn clock(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static + use<> {
        let wall = self.clone();
        move || SystemTime::UNIX_EPOCH + Duration::from_millis(wall.0.load(SeqCst))
    }
}

/// A cookie of the pool `shop` on this clock, with the first secret.
fn builder(wall: &Wall) -> CookieBuilder {
    Cookie::builder("shop", Keys::new(secret(1))).clock(wall.clock())
}

fn cookie(wall: &Wall) -> Cookie {
    builder(wall).build().unwrap()
}

/// A request with these lines of cookies.
fn request(lines: &[&[u8]]) -> Request<()> {
    let mut request = Request::new(());
    for line in lines {
        request
            .headers_mut()
            .append(COOKIE, HeaderValue::from_bytes(line).unwrap());
    }
    request
}

/// What the affinity makes of a request: its session, and the home if there is one.
fn located(cookie: &Cookie, request: &mut Request<()>) -> (CookieSession, Option<String>) {
    match SessionAffinity::<_, Response<()>>::locate(cookie, request) {
        Located::Now(session, home) => (session, home.map(|home| home.id().to_owned())),
        other => panic!("a cookie knows at once: {other:?}"),
    }
}

/// The home that it finds in cookies.
fn home(cookie: &Cookie, lines: &[&[u8]]) -> Option<String> {
    located(cookie, &mut request(lines)).1
}

/// What the session makes of this answer; and the home that it tells, if it does.
fn bound(mut session: CookieSession, served: Served<'_>, headers: HeaderMap) -> (HeaderMap, Option<Home>) {
    let mut response = Response::new(());
    *response.headers_mut() = headers;
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(&mut session).poll_bind(&mut cx, &served, &mut response) {
        Poll::Ready(home) => (response.into_parts().0.headers, home),
        Poll::Pending => panic!("a cookie binds at once"),
    }
}

/// What is set in an answer, each as a whole.
fn set(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(SET_COOKIE).iter();
    lines.map(|line| line.to_str().unwrap()).collect()
}

/// The name and the value of what is set, if something is.
fn pair(headers: &HeaderMap) -> Option<&str> {
    match *set(headers) {
        [] => None,
        [only] => only.split(';').next(),
        ref several => panic!("{several:?}"),
    }
}

/// What a request with these cookies is told when `by` has served it.
fn told(cookie: &Cookie, lines: &[&[u8]], served: Served<'_>) -> Option<String> {
    let (session, _) = located(cookie, &mut request(lines));
    let (headers, _) = bound(session, served, HeaderMap::new());
    pair(&headers).map(str::to_owned)
}

/// A new client's cookie, at home there.
fn fresh(cookie: &Cookie, by: &str) -> String {
    told(cookie, &[], Served::new(by)).unwrap()
}
