//! One event for each connection that was made, was not, or was lost, and none for a call.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};

use script::{Remote, Says};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::*;

/// What was told of connections.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(Level, String)>>>);

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
        self.0.lock().unwrap().push((*event.metadata().level(), line.0));
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        panic!("there are no spans")
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Told {
    fn take(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_is_told_once() {
    let told = Told::default();
    let _guard = tracing::subscriber::set_default(told.clone());
    let (stage, connector) = stage();
    stage.plan_all(Plan::Refuse);
    let client = client(pool(&connector, &["a"]).spawn());
    rest().await;
    let [(level, failed)] = &told.take()[..] else {
        panic!("one attempt, one event");
    };
    assert_eq!(*level, Level::WARN);
    for part in ["message=connect failed", "backend=\"a\"", "could not connect", "delay="] {
        assert!(failed.contains(part), "{failed}");
    }
    stage.plan_all(Plan::Connect);
    tokio::time::sleep(seconds(1.0)).await;
    let [(level, connected)] = &told.take()[..] else {
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
    assert_eq!(told.take(), []);
    stage.link("a").says(Says::Broken);
    call(&client, 1).await.unwrap();
    let [(level, lost), (_, connected)] = &told.take()[..] else {
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
    let told = Told::default();
    let _guard = tracing::subscriber::set_default(told.clone());
    let remote = Remote::new("x");
    remote.says(Says::Broken);
    let _member: Member = Connected::new(Endpoint::new("a", 1), remote.link());
    rest().await;
    let [(_, lost)] = &told.take()[..] else {
        panic!("one loss, one event");
    };
    assert!(lost.contains("message=connection lost for good"), "{lost}");
}
