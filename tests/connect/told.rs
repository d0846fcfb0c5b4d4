//! One event for each connection that was made, was not, or was lost, and none for a call.

use std::{
    cell::RefCell,
    fmt::{Debug, Write},
    sync::Once,
};

use script::{Remote, Says};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::*;

/// Keeps what was told of connections, for each thread apart: a test and its keepers have one for themselves.
struct Told;

thread_local! {
    static TOLD: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "equipoise::connect"
    }
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        TOLD.with_borrow_mut(|told| told.push((*event.metadata().level(), line.0)));
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        panic!("there are no spans")
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// From now on it is kept.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| tracing::subscriber::set_global_default(Told).unwrap());
}

fn told() -> Vec<(Level, String)> {
    TOLD.take()
}

#[tokio::test(start_paused = true)]
async fn each_change_is_told_once() {
    listen();
    let (stage, connector) = stage();
    stage.plan_all(Plan::Refuse);
    let client = client(pool(&connector, &["a"]).spawn());
    rest().await;
    let [(level, failed)] = &told()[..] else {
        panic!("one attempt, one event");
    };
    assert_eq!(*level, Level::WARN);
    for part in ["message=connect failed", "backend=\"a\"", "could not connect", "delay="] {
        assert!(failed.contains(part), "{failed}");
    }
    stage.plan_all(Plan::Connect);
    tokio::time::sleep(seconds(1.0)).await;
    let [(level, connected)] = &told()[..] else {
        panic!("one connection, one event");
    };
    assert_eq!(*level, Level::DEBUG);
    assert!(
        connected.contains("message=connected") && connected.contains("backend=\"a\""),
        "{connected}"
    );
    for request in 0..100 {
        call(&client, request).await.unwrap();
    }
    assert_eq!(told(), []);
    stage.link("a").says(Says::Broken);
    call(&client, 1).await.unwrap();
    let [(level, lost), (_, connected)] = &told()[..] else {
        panic!("one loss, one event, and one for the next connection");
    };
    assert_eq!(*level, Level::INFO);
    for part in [
        "message=connection lost",
        "backend=\"a\"",
        "the connection was lost",
        "delay=0ns",
    ] {
        assert!(lost.contains(part), "{lost}");
    }
    assert!(connected.contains("message=connected"), "{connected}");
}

#[tokio::test(start_paused = true)]
async fn a_given_service_is_lost_for_good() {
    listen();
    let remote = Remote::new("x");
    remote.says(Says::Broken);
    let _member: Member = Connected::new(Endpoint::new("a", 1), remote.link());
    rest().await;
    let [(_, lost)] = &told()[..] else {
        panic!("one loss, one event");
    };
    assert!(lost.contains("message=connection lost for good"), "{lost}");
}
