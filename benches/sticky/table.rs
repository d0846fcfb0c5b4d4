//! Sessions that stay by the table that learned them.

use std::{
    hint::black_box,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use equipoise::{
    Home, SessionAffinity, StickyLayer,
    affinity::{Bind, Located, Served},
    http::{ClientAddress, CookieKey},
    learned::{ByFunction, Learned, Name, Sessions},
};
use futures_util::FutureExt;
use tower_layer::Layer;

use crate::{balanced, case, headers, measure::ratio::Case};

const SESSIONS: u64 = 1_000_000;
const BACKENDS: u64 = 100;
/// 300 ns, in units of 4.45.
const BUDGET: f64 = 67.0;

type ByNumber = fn(&u64) -> Option<Name<'_>>;
type Numbered = Learned<ByFunction<ByNumber>>;

/// A name as long as those of applications.
fn name(number: &u64) -> Option<Name<'_>> {
    Some(format!("31d4d96e407aad42b5e7{number:012}").into())
}

/// By the number as it is.
fn bare(number: &u64) -> Option<Name<'_>> {
    Some(Name::from(*number))
}

/// A request is located, served there, or by this one, and bound.
fn pass(learned: &Numbered, number: u64, otherwise: &str) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    match SessionAffinity::<u64, ()>::locate(learned, &mut black_box(number)) {
        Located::Now(mut session, home) => {
            let by = home.as_ref().map_or(otherwise, |home| home.id());
            let bound = Bind::<()>::poll_bind(Pin::new(&mut session), &mut cx, &Served::new(by), &mut ());
            matches!(bound, Poll::Ready(None))
        }
        _ => false,
    }
}

/// Sessions of these numbers are bound.
fn fill(learned: &Numbered, numbers: Range<u64>) {
    for number in numbers {
        let backend = number % BACKENDS;
        pass(
            learned,
            number,
            &format!("backend-{backend:02}.shop.svc.cluster.local:8443"),
        );
    }
}

/// A table of a million sessions.
fn full(name: ByNumber) -> Numbered {
    let learned = Learned::by(Sessions::builder().build(), name);
    fill(&learned, 0..SESSIONS);
    learned
}

pub(crate) fn cases(cases: &mut Vec<Case>) {
    let cookie = "theme=dark; _ga=GA1.1.1234567890.1700000000; JSESSIONID=31d4d96e407aad42b5e7000000000007";
    let table = || Sessions::builder().build();
    let plain = || case("plain call, three cookies", balanced(), headers(Some(cookie)));
    cases.push(plain());
    if let Ok(learned) = Learned::by_cookie(table(), "JSESSIONID") {
        let sticky = StickyLayer::new(learned).layer(balanced());
        cases.push(case("table by cookie, session at home", sticky, headers(Some(cookie))).within(BUDGET));
    }
    if let Ok(key) = CookieKey::new("JSESSIONID") {
        let sticky = StickyLayer::new(Learned::by_key(table(), key)).layer(balanced());
        cases.push(case("table by key, session at home", sticky, headers(Some(cookie))).within(BUDGET));
    }
    let nobody = ClientAddress::new(std::net::SocketAddr::ip);
    let sticky = StickyLayer::new(Learned::by_key(table(), nobody)).layer(balanced());
    cases.push(case("table, no session", sticky, headers(Some(cookie))));
    let (learned, mut number) = (full(bare), 0_u64);
    cases.push(
        Case::new("located and bound alone, one of 1,000,000 at random", move || {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            pass(&learned, (number >> 33) % SESSIONS, "nobody")
        })
        .within(BUDGET),
    );
}

/// What a million sessions take, as the system sees it, and how long it takes to move those of one backend.
pub(crate) fn tell_memory() {
    let before = resident();
    let learned = full(name);
    let tell = |when: &str| {
        let taken = resident().saturating_sub(before) as f64 / 1e6;
        let sessions = learned.sessions().len();
        println!("{sessions} sessions at {BACKENDS} backends, {when}: {taken:.0} MB resident");
    };
    println!();
    tell("one after the other");
    let (from, to) = (Home::new("backend-07.shop.svc.cluster.local:8443"), Home::new("b"));
    let start = Instant::now();
    let moved = learned.sessions().migrate_all(from, move |_| to.clone()).now_or_never();
    let moved = moved.and_then(Result::ok).unwrap_or_default();
    println!(
        "{moved} of them migrated in {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    fill(&learned, SESSIONS..3 * SESSIONS);
    tell("the last of three million");
}

/// Bytes of this process in memory; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kilobytes.unwrap_or(0_u64) * 1024
}
