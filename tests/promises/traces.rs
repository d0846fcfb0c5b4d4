//! One event for each change of state and each failed request, none for a pick that goes well, few fields.
#![cfg(feature = "tracing")]

use std::{cell::RefCell, io, sync::Once, time::Duration};

use equipoise::{
    BalanceLayer, FailoverLayer, Hedge, Outcome,
    balance::Repeatable,
    testing::{Reply, Scripted},
};
use tower::{Layer, Service};

use super::*;

thread_local! {
    static TOLD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what a subscriber writes for each thread, which is for each test, apart. (A subscriber of each thread's own may
/// miss events while another is made or dropped.)
struct Told;

impl io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TOLD.with_borrow_mut(|told| told.write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From now on it is kept.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .without_time()
            .with_ansi(false)
            .with_writer(|| Told);
        subscriber.init();
    });
    TOLD.take();
}

fn told() -> Vec<String> {
    let lines = String::from_utf8(TOLD.take()).unwrap();
    lines.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_change_of_state_is_one_event() {
    listen();
    let (pool, mut driver) = builder(&["a"]).name("api").build();
    drop((pool.handle().insert(endpoint("b")), pool.handle().drain("a")));
    run(&mut driver);
    let lines = [
        "added pool=\"api\" backend=\"b\"",
        "drain started pool=\"api\" backend=\"a\"",
    ];
    assert_eq!(told(), lines.map(|what| format!("INFO equipoise::pool: {what}")));
    drop((pool.handle().remove("b"), pool.close()));
    run(&mut driver);
    let lines = ["removed pool=\"api\" backend=\"b\"", "closed pool=\"api\""];
    assert_eq!(told(), lines.map(|what| format!("INFO equipoise::pool: {what}")));
}

#[test]
fn every_failed_request_is_one_event_and_one_that_goes_well_none() {
    listen();
    let clock = ManualClock::new();
    let (pool, mut driver) = Pool::builder_on(clock.clock()).backend(endpoint("a")).build();
    let backends = Scripted::<&str, &str>::new(clock.clock());
    backends.script("a", [Reply::ok("well"), Reply::error("no such luck")]);
    let mut balanced = BalanceLayer::new(pool.clone()).layer(backends);
    let mut call = || balanced.call("ask").now_or_never().unwrap();
    assert!(call().is_ok());
    drop(pool.clone().pick(&Ask::new()).unwrap());
    assert_eq!(told(), [""; 0]);

    assert!(call().is_err());
    let failed = "WARN equipoise::request: failed backend=\"a\" kind=\"backend\" error=no such luck";
    assert_eq!(told(), [failed]);

    pool.clone().pick(&Ask::new()).unwrap().settle(Outcome::Broken);
    let broke = "WARN equipoise::request: broke off backend=\"a\" kind=\"backend\"";
    assert_eq!(told(), [broke]);

    drop(pool.handle().remove("a"));
    run(&mut driver);
    told();
    assert!(call().is_err());
    let nobody = "WARN equipoise::request: failed kind=\"unavailable\" error=unavailable: no member can be picked";
    assert_eq!(told(), [nobody]);
}

#[test]
fn a_try_that_was_given_up_is_told_and_that_nobody_else_was_there_is_not() {
    listen();
    let clock = ManualClock::new();
    let (pool, _driver) = Pool::builder_on(clock.clock()).backend(endpoint("a")).build();
    let backends = Scripted::<&str, &str>::new(clock.clock());
    let replies = [
        Reply::never(),
        Reply::error("no such luck"),
        Reply::ok("well"),
        Reply::never(),
    ];
    backends.script("a", replies);
    let balanced = BalanceLayer::new(pool.clone()).layer(backends);
    let hedge = Hedge::after(Duration::from_secs(1));
    let layer = FailoverLayer::new(Repeatable).hedge(hedge);
    let play = |layer: FailoverLayer<Repeatable>| {
        let mut call = Box::pin(layer.layer(balanced.clone()).call("ask"));
        loop {
            match poll_once(&mut call) {
                Poll::Ready(result) => return result,
                Poll::Pending => clock.advance(Duration::from_millis(500)),
            }
        }
    };
    let wide = "WARN equipoise::request: ";
    let told = || {
        told()
            .into_iter()
            .filter(|line| line.starts_with("WARN"))
            .collect::<Vec<_>>()
    };
    assert!(play(layer.clone().try_timeout(Duration::from_secs(3))).is_ok());
    let lines = [
        "failed backend=\"a\" kind=\"timeout\" error=timeout: no answer in time at backend 'a'",
        "failed backend=\"a\" kind=\"backend\" error=no such luck",
    ];
    assert_eq!(told(), lines.map(|line| format!("{wide}{line}")));

    assert!(play(layer.deadline(Duration::from_secs(3))).is_err());
    assert_eq!(told().len(), 1, "that its time is over");
}
