//! What the table takes: so many sessions and no more, so much memory, and nothing for a request of one that is at home.

use std::{
    future::{Ready, ready},
    time::Duration,
};

use allocation_counter::measure;
use equipoise::{
    Assigned, BalanceLayer, BoxError, Endpoint, ManualClock, Pool, StickyLayer,
    http::{ClientAddress, Http},
    learned::{Learned, Name, Naming, Sessions},
};
use futures_util::FutureExt;
use tower::{Layer, Service, service_fn};

use super::*;

#[test]
fn no_more_are_remembered_than_there_is_room_for() {
    for capacity in [16, 17, 100, 4_099, 10_000] {
        let time = ManualClock::new();
        let balancer = Balancer::new(sessions(&time).capacity(capacity).build(), &time);
        for index in 0..capacity * 3 {
            let name = index.to_string();
            assert_eq!(balancer.request(&name, "a"), "a");
            assert_eq!(
                balancer.known(&name),
                at("a"),
                "{index}: the last always has a place of {capacity}"
            );
            assert!(balancer.sessions.len() <= capacity);
        }
        // Parts are full before all are, by the chance of how sessions are divided among them.
        let len = balancer.sessions.len();
        assert!(len * 10 >= capacity * 9, "{len} of {capacity}");
    }
}

#[test]
fn sessions_that_are_made_up_do_not_drive_out_those_in_use() {
    let time = ManualClock::new();
    let balancer = Balancer::new(sessions(&time).capacity(10_000).build(), &time);
    let name = |index: u32| format!("in use {index}");
    for _ in 0..3 {
        (0..5_000).for_each(|index| drop(balancer.request(&name(index), "a")));
    }
    (0..100_000).for_each(|index| drop(balancer.request(&format!("made up {index}"), "b")));
    let kept = (0..5_000)
        .filter(|index| balancer.known(&name(*index)) == at("a"))
        .count();
    assert!(kept > 4_950, "{kept} of 5,000");
}

/// Those that filled the table are long over: they give way, and nobody who comes is lost between its requests.
#[test]
fn sessions_that_are_over_give_way_to_new_ones() {
    let time = ManualClock::new();
    for (capacity, between) in [(10_000, 500), (10_000, 1_000), (50_000, 5_000)] {
        let balancer = Balancer::new(sessions(&time).capacity(capacity).build(), &time);
        for _ in 0..2 {
            (0..capacity * 6 / 5).for_each(|index| drop(balancer.request(&format!("yesterday {index}"), "a")));
        }
        time.advance(Duration::from_secs(24 * 3_600));
        // Each is asked for three times, and so many others come between.
        let name = |index: usize| format!("today {index}");
        let mut lost = 0;
        for index in 0..capacity * 2 {
            assert_eq!(balancer.request(&name(index), "b"), "b");
            for before in [between, between * 2] {
                let Some(before) = index.checked_sub(before) else {
                    continue;
                };
                lost += usize::from(balancer.request(&name(before), "c") != "b");
            }
        }
        assert_eq!(lost, 0, "of {capacity}, with {between} between");
    }
}

/// 1,000,000 sessions at 100 backends with ids as long as they are: no more than 300 MB, grown by the way.
#[test]
fn a_million_sessions_take_less_than_300_mb() {
    let time = ManualClock::new();
    let mut told = Vec::new();
    let measured = measure(|| {
        let built = sessions(&time).build();
        let before = built.stats();
        assert_eq!(before.sessions, 0);
        told.push(Balancer::new(built, &time));
        let balancer = &told[0];
        for index in 0..1_000_000_u32 {
            let by = format!("backend-{:02}.shop.svc.cluster.local:8443", index % 100);
            let open = balancer.locate(&index.to_string());
            assert_eq!(balancer.serve(open, Serve::by(&by)), None);
        }
    });
    assert_eq!(told[0].sessions.len(), 1_000_000, "none was driven out");
    let (now, most) = (measured.bytes_current, measured.bytes_max);
    println!(
        "1,000,000 sessions: {} MB, {} MB at most while they grew",
        now / 1_000_000,
        most / 1_000_000
    );
    assert!(most < 300_000_000, "{most} bytes");
}

#[test]
fn a_table_costs_little_until_it_is_used() {
    let time = ManualClock::new();
    let mut kept = None;
    let measured = measure(|| kept = Some(sessions(&time).capacity(100_000_000).build()));
    assert!(measured.bytes_max < 100_000, "{} bytes", measured.bytes_max);
}

/// Answers with the request.
type Echo = fn(Assigned<String, Endpoint<()>>) -> Ready<Result<String, BoxError>>;

#[test]
fn a_request_of_a_session_at_home_allocates_nothing() {
    let time = ManualClock::new();
    let backends = ["a", "b", "c"].map(|id| Endpoint::new(id, ()));
    let (pool, _driver) = Pool::builder_on(time.clock()).backends(backends).build();
    let echo: Echo = |call| ready(Ok(call.request));
    let sessions = sessions(&time).build();
    let learned = Learned::by(sessions.clone(), |name: &String| Some(Name::from(name.as_str())));
    let mut sticky = StickyLayer::new(learned).layer(BalanceLayer::new(pool).layer(service_fn(echo)));
    for session in ["ann", ""] {
        let mut calls = (0..200).map(|_| session.to_owned()).collect::<Vec<_>>().into_iter();
        // The first is bound, and for the first that has a home the pool makes a list of where members are.
        for call in calls.by_ref().take(2) {
            sticky.call(call).now_or_never().unwrap().unwrap();
        }
        let counted = measure(|| {
            for call in calls {
                // Uses are noted.
                time.advance(Duration::from_secs(3));
                assert_eq!(sticky.call(call).now_or_never().unwrap().unwrap(), session);
            }
        });
        assert_eq!(counted.count_total, 0, "{session:?}");
    }
    assert_eq!((sessions.stats().hits, sessions.len()), (199, 1));
}

#[test]
fn http_sessions_allocate_nothing_either() {
    fn check<N: Naming<http::Request<()>, http::Response<http_body_util::Empty<bytes::Bytes>>>>(learned: Learned<N>) {
        let backends = ["a", "b", "c"].map(|id| Endpoint::new(id, ()));
        let (pool, _driver) = Pool::builder_on(ManualClock::new().clock()).backends(backends).build();
        let answer = |_: Assigned<http::Request<()>, Endpoint<()>>| {
            ready(Ok::<_, BoxError>(http::Response::new(http_body_util::Empty::new())))
        };
        let balanced =
            BalanceLayer::with(pool, Http::default(), tower::layer::util::Identity::new()).layer(service_fn(answer));
        let sessions = learned.sessions().clone();
        let mut sticky = StickyLayer::new(learned).layer(balanced);
        let requests = (0..100).map(|_| {
            let request = http::Request::builder()
                .header("cookie", "theme=dark; JSESSIONID=31d4d96e407aad42")
                .header("x-user", "ann")
                .extension(std::net::IpAddr::from([192, 0, 2, 7]));
            request.body(()).unwrap()
        });
        let mut requests = requests.collect::<Vec<_>>().into_iter();
        for request in requests.by_ref().take(2) {
            drop(sticky.call(request).now_or_never().unwrap().unwrap());
        }
        let mut answers = Vec::with_capacity(100);
        let counted = measure(|| {
            for request in requests {
                answers.push(sticky.call(request).now_or_never().unwrap().unwrap());
            }
        });
        assert_eq!(counted.count_total, 0);
        assert_eq!((sessions.stats().hits, sessions.len()), (99, 1));
    }
    let table = || Sessions::builder_on(ManualClock::new().clock()).build();
    check(Learned::by_cookie(table(), "JSESSIONID").unwrap());
    check(Learned::by_header(table(), http::HeaderName::from_static("x-user")));
    check(Learned::by_given_header(
        table(),
        http::HeaderName::from_static("x-user"),
    ));
    check(Learned::by_key(table(), ClientAddress::new(std::net::IpAddr::clone)));
}
