//! Sessions of HTTP requests: by headers, by the application's own cookie, by keys.

use std::{
    future::{Ready, ready},
    net::IpAddr,
    sync::{Arc, Mutex},
};

use equipoise::{
    Ask, Assigned, Backend, BalanceLayer, BoxError, Endpoint, Home, LeastLoaded, ManualClock, Pool, StickyLayer,
    http::{ClientAddress, Http, QueryKey},
    learned::{Learned, Naming, Sessions},
};
use futures_util::FutureExt;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::Empty;
use tower::{Layer, Service, layer::util::Identity, service_fn};

use super::*;

type Answer = Response<Empty<bytes::Bytes>>;

type Lines = Vec<(&'static str, &'static str)>;

/// Backends that answer with these lines, whoever is asked; each has room for one.
struct Stage {
    pool: Pool<Endpoint<()>, LeastLoaded>,
    answer: Arc<Mutex<(u16, Lines)>>,
    sessions: Sessions,
}

impl Stage {
    fn new() -> Self {
        let time = ManualClock::new();
        let backends = ["a", "b", "c"].map(|id| Endpoint::new(id, ()));
        let builder = Pool::builder_on(time.clock()).backends(backends).seed(1);
        Self {
            pool: builder.in_flight_limit(1).build().0,
            answer: Arc::new(Mutex::new((200, Vec::new()))),
            sessions: sessions(&time).build(),
        }
    }

    fn answers(&self, status: u16, lines: &[(&'static str, &'static str)]) {
        *self.answer.lock().unwrap() = (status, lines.to_vec());
    }

    /// By whom the request is served.
    fn call<N>(&self, learned: &Learned<N>, lines: &[(&str, &str)]) -> String
    where
        N: Naming<Request<()>, Answer>,
    {
        let by = Arc::new(Mutex::new(String::new()));
        let serve = |call: Assigned<Request<()>, Endpoint<()>>| -> Ready<Result<Answer, BoxError>> {
            *by.lock().unwrap() = call.backend.id().to_owned();
            let (status, lines) = &*self.answer.lock().unwrap();
            let mut answer = Response::new(Empty::new());
            *answer.status_mut() = StatusCode::from_u16(*status).unwrap();
            for (name, value) in lines {
                answer.headers_mut().append(*name, value.parse().unwrap());
            }
            ready(Ok(answer))
        };
        let balanced = BalanceLayer::with(self.pool.clone(), Http::default(), Identity::new()).layer(service_fn(serve));
        let mut request = Request::builder().uri("/?user=ann");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request.extension(IpAddr::from([192, 0, 2, 7])).body(()).unwrap();
        let mut sticky = StickyLayer::new(learned.clone()).layer(balanced);
        drop(sticky.call(request).now_or_never().unwrap().unwrap());
        by.lock().unwrap().clone()
    }

    fn known(&self, name: &str) -> Option<Home> {
        self.sessions.get(self.sessions.id(name.as_bytes()))
    }

    /// All that it has is taken as long as this is held.
    fn fill(&self, id: &str) -> impl Drop + use<> {
        let ask = Ask::new().with_home(Home::new(id)).strictly();
        self.pool.clone().pick(&ask).unwrap()
    }

    fn by_cookie(&self) -> Learned<equipoise::learned::ByCookie> {
        Learned::by_cookie(self.sessions.clone(), "sid").unwrap()
    }
}

#[test]
fn an_application_s_session_is_at_home_where_it_was_made() {
    let stage = Stage::new();
    let learned = stage.by_cookie();
    assert!(Learned::by_cookie(stage.sessions.clone(), "s;id").is_err());
    stage.answers(200, &[("set-cookie", "other=1"), ("set-cookie", "sid=ann; HttpOnly")]);
    let home = stage.call(&learned, &[]);
    assert_eq!(stage.known("ann"), at(&home));
    stage.answers(200, &[]);
    for _ in 0..9 {
        assert_eq!(stage.call(&learned, &[("cookie", "a=0; sid=ann; sid=ben")]), home);
    }
    assert_eq!(stage.known("ben"), None, "the first counts");
    assert_eq!(stage.sessions.len(), 1, "no session for those without");
    stage.call(&learned, &[("cookie", "sid=")]);
    stage.call(&learned, &[("cookie", "sid=\"\"")]);
    stage.call(&learned, &[]);
    assert_eq!(stage.sessions.len(), 1);
    // One that was made before the balancer began is learned from its request.
    let home = stage.call(&learned, &[("cookie", "sid=cem")]);
    assert_eq!(stage.call(&learned, &[("cookie", "sid=cem")]), home);
}

#[test]
fn a_session_with_a_new_name_is_where_it_was_given_it() {
    let stage = Stage::new();
    let learned = stage.by_cookie();
    let cookie = [("cookie", "sid=before")];
    let home = stage.call(&learned, &cookie);
    // As a log-in does.
    stage.answers(200, &[("set-cookie", "sid=after")]);
    stage.call(&learned, &cookie);
    assert_eq!(stage.known("after"), at(&home));
    // A guest, too: what is new was made there.
    let full = stage.fill(&home);
    stage.answers(200, &[("set-cookie", "sid=guest")]);
    let host = stage.call(&learned, &cookie);
    assert_ne!(host, home);
    assert_eq!((stage.known("guest"), stage.known("before")), (at(&host), at(&home)));
    // But not by its old name, which is not made there.
    stage.answers(200, &[("set-cookie", "sid=before; Max-Age=60")]);
    stage.call(&learned, &cookie);
    assert_eq!(stage.known("before"), at(&home));
    drop(full);
    // What is told with a failure is not to draw requests there.
    stage.answers(503, &[("set-cookie", "sid=bad")]);
    stage.call(&learned, &cookie);
    assert_eq!(stage.known("bad"), None);
}

#[test]
fn a_session_that_is_ended_is_forgotten() {
    let stage = Stage::new();
    let learned = stage.by_cookie();
    for ended in [
        "sid=; Path=/",
        "sid=x; Max-Age=0",
        "sid=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ] {
        stage.answers(200, &[]);
        stage.call(&learned, &[("cookie", "sid=ann")]);
        assert_eq!(stage.sessions.len(), 1);
        stage.answers(200, &[("set-cookie", ended)]);
        stage.call(&learned, &[("cookie", "sid=ann")]);
        assert!(stage.sessions.is_empty(), "{ended}");
        stage.call(&learned, &[]);
        assert!(stage.sessions.is_empty(), "{ended}, of nothing");
    }
}

#[test]
fn headers_name_sessions_and_are_given_if_they_may_be() {
    let stage = Stage::new();
    let name = || HeaderName::from_static("mcp-session-id");
    let (asked, given) = (
        Learned::by_header(stage.sessions.clone(), name()),
        Learned::by_given_header(stage.sessions.clone(), name()),
    );
    stage.answers(200, &[("mcp-session-id", "ann")]);
    stage.call(&asked, &[]);
    assert_eq!(stage.known("ann"), None);
    let home = stage.call(&given, &[]);
    assert_eq!(stage.known("ann"), at(&home));
    for learned in [&asked, &given] {
        for _ in 0..5 {
            assert_eq!(stage.call(learned, &[("mcp-session-id", "ann")]), home);
        }
    }
    stage.answers(200, &[("mcp-session-id", "")]);
    stage.call(&given, &[("mcp-session-id", "ann")]);
    assert_eq!(stage.known("ann"), at(&home), "nothing is given");
    stage.call(&asked, &[("mcp-session-id", "1"), ("mcp-session-id", "2")]);
    assert!(stage.known("1,2").is_some());
    let before = stage.sessions.len();
    stage.call(&asked, &[("mcp-session-id", ""), ("mcp-session-id", "")]);
    assert_eq!(stage.sessions.len(), before);
}

#[test]
fn any_key_names_sessions() {
    let stage = Stage::new();
    let by_address = Learned::by_key(stage.sessions.clone(), ClientAddress::new(IpAddr::clone));
    let by_query = Learned::by_key(stage.sessions.clone(), QueryKey::new("user").unwrap());
    let nobody = Learned::by_key(stage.sessions.clone(), QueryKey::new("none").unwrap());
    let home = stage.call(&by_address, &[]);
    let other = stage.call(&by_query, &[]);
    for _ in 0..9 {
        assert_eq!(stage.call(&by_address, &[]), home);
        assert_eq!(stage.call(&by_query, &[]), other);
        stage.call(&nobody, &[]);
    }
    assert_eq!(stage.sessions.len(), 2);
}

/// With a store, what answers say is told there before the head goes out.
#[test]
fn what_answers_say_is_told_to_the_store() {
    let time = ManualClock::new();
    let store = Script::new(&time);
    let stage = Stage {
        sessions: sessions(&time).store(store.clone()).build(),
        ..Stage::new()
    };
    let learned = stage.by_cookie();
    let id = stage.sessions.id(b"ann");
    stage.answers(200, &[("set-cookie", "sid=ann")]);
    let home = stage.call(&learned, &[]);
    assert_eq!(store.home(id), at(&home));
    assert_eq!(store.asked(), (0, 0, 1));
    stage.call(&learned, &[("cookie", "sid=ann")]);
    assert_eq!(store.asked(), (1, 0, 0), "it is known by that name");
    stage.answers(200, &[("set-cookie", "sid=; Max-Age=0")]);
    stage.call(&learned, &[("cookie", "sid=ann")]);
    assert_eq!(store.home(id), None);
    // While it fails, that is known here, and claimed later.
    store.fail(Fault::Error);
    stage.answers(200, &[("set-cookie", "sid=ben")]);
    let home = stage.call(&learned, &[]);
    stage.answers(200, &[]);
    store.fail(Fault::None);
    assert_eq!(stage.call(&learned, &[("cookie", "sid=ben")]), home);
    assert_eq!(store.home(stage.sessions.id(b"ben")), at(&home));
}
