//! One event for each change of state and each failed request, none for a pick that goes well, few fields.
#![cfg(feature = "tracing")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use equipoise::{
    BalanceLayer, Outcome,
    testing::{Reply, Scripted},
};
use tower::{Layer, Service};

use super::*;

/// What a subscriber writes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect()
    }
}

/// Runs a test with what it traces in `Lines`.
fn traced(test: impl FnOnce(&Lines)) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .without_time()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || test(&lines));
}

#[test]
fn every_change_of_state_is_one_event() {
    traced(|lines| {
        let (pool, mut driver) = builder(&["a"]).name("api").build();
        drop((pool.handle().insert(endpoint("b")), pool.handle().drain("a")));
        run(&mut driver);
        let told = [
            "added pool=\"api\" backend=\"b\"",
            "drain started pool=\"api\" backend=\"a\"",
        ];
        assert_eq!(lines.take(), told.map(|what| format!("INFO equipoise::pool: {what}")));
        drop((pool.handle().remove("b"), pool.close()));
        run(&mut driver);
        let told = ["removed pool=\"api\" backend=\"b\"", "closed pool=\"api\""];
        assert_eq!(lines.take(), told.map(|what| format!("INFO equipoise::pool: {what}")));
    });
}

#[test]
fn every_failed_request_is_one_event_and_one_that_goes_well_none() {
    traced(|lines| {
        let clock = ManualClock::new();
        let (pool, mut driver) = Pool::builder_on(clock.clock()).backend(endpoint("a")).build();
        let backends = Scripted::<&str, &str>::new(clock.clock());
        backends.script("a", [Reply::ok("well"), Reply::error("no such luck")]);
        let mut balanced = BalanceLayer::new(pool.clone()).layer(backends);
        let mut call = || balanced.call("ask").now_or_never().unwrap();
        assert!(call().is_ok());
        drop(pool.clone().pick(&Ask::new()).unwrap());
        assert_eq!(lines.take(), [""; 0]);

        assert!(call().is_err());
        let failed = "WARN equipoise::request: failed backend=\"a\" kind=\"backend\" error=no such luck";
        assert_eq!(lines.take(), [failed]);

        pool.clone().pick(&Ask::new()).unwrap().settle(Outcome::Broken);
        let broke = "WARN equipoise::request: broke off backend=\"a\" kind=\"backend\"";
        assert_eq!(lines.take(), [broke]);

        drop(pool.handle().remove("a"));
        run(&mut driver);
        lines.take();
        assert!(call().is_err());
        let nobody = "WARN equipoise::request: failed kind=\"unavailable\" error=unavailable: no member can be picked";
        assert_eq!(lines.take(), [nobody]);
    });
}
