use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use equipoise::{
    Endpoint,
    health::Report,
    probes::{Grpc, GrpcWatch},
};
use tokio::{io::copy_bidirectional, net::TcpStream, sync::watch, task::AbortHandle};
use tonic_health::ServingStatus::{NotServing, Serving};

use crate::{
    asking::{asked, asked_at, refused_at, stalls},
    grpc::health,
    serving::{nobody, serve},
};

const LONG: Duration = Duration::from_secs(3600);

/// A watch that opens no stream twice, and forgets none.
fn lasting() -> GrpcWatch {
    Grpc::new()
        .watch()
        .renew_after(LONG)
        .unwrap()
        .forget_after(LONG)
        .unwrap()
}

/// What is between a probe and a server: how many connections there were, and are; it can be silenced, or cut.
#[derive(Clone)]
struct Line {
    made: Arc<AtomicUsize>,
    open: watch::Sender<usize>,
    is_silent: watch::Sender<bool>,
    last: Arc<std::sync::Mutex<Option<AbortHandle>>>,
}

/// One less is open, however it came to its end.
struct Open(watch::Sender<usize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Line {
    async fn to(server: SocketAddr) -> (SocketAddr, Self) {
        let line = Self {
            made: Arc::default(),
            open: watch::Sender::new(0),
            is_silent: watch::Sender::new(false),
            last: Arc::default(),
        };
        let kept = line.clone();
        let address = serve(move |stream| kept.clone().attend(stream, server)).await;
        (address, line)
    }

    async fn attend(self, mut stream: TcpStream, server: SocketAddr) {
        self.made.fetch_add(1, SeqCst);
        self.open.send_modify(|open| *open += 1);
        let open = Open(self.open.clone());
        let mut is_silent = self.is_silent.subscribe();
        let task = tokio::spawn(async move {
            let _open = open;
            let _ = is_silent.wait_for(|is_silent| !is_silent).await;
            let mut upstream = TcpStream::connect(server).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut upstream).await;
        });
        *self.last.lock().unwrap() = Some(task.abort_handle());
    }

    /// Breaks off what is open.
    async fn cut(&self) {
        self.last.lock().unwrap().take().unwrap().abort();
        self.are_open(0).await;
    }

    fn were_made(&self) -> usize {
        self.made.load(SeqCst)
    }

    async fn are_open(&self, count: usize) {
        let mut open = self.open.subscribe();
        let there = tokio::time::timeout(Duration::from_secs(20), open.wait_for(|open| *open == count));
        there.await.unwrap_or_else(|_| panic!("not {count} open")).unwrap();
    }
}

/// Asks until the answer is as expected.
async fn comes_to_say(probe: &GrpcWatch, address: SocketAddr, is_fit: bool) {
    let asking = async {
        while asked_at(probe, address).await.is_ok() != is_fit {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let there = tokio::time::timeout(Duration::from_secs(20), asking).await;
    there.unwrap_or_else(|_| panic!("it never says {is_fit}"));
}

#[tokio::test]
async fn one_stream_tells_every_change() {
    let (server, reporter) = health().await;
    let (address, line) = Line::to(server).await;
    let probe = lasting();
    assert_eq!(asked_at(&probe, address).await, Ok(Report::new()));
    for _ in 0..3 {
        reporter.set_service_status("", NotServing).await;
        comes_to_say(&probe, address, false).await;
        reporter.set_service_status("", Serving).await;
        comes_to_say(&probe, address, true).await;
    }
    assert_eq!(line.were_made(), 1);
    // A service that is not known, until it is.
    let cart = Grpc::new().service("cart").unwrap().watch();
    refused_at(&cart, server).await;
    reporter.set_service_status("cart", Serving).await;
    comes_to_say(&cart, server, true).await;
}

#[tokio::test]
async fn a_stream_that_breaks_is_opened_anew_by_the_next_probe() {
    let (server, _reporter) = health().await;
    let (address, line) = Line::to(server).await;
    let probe = lasting();
    for streams in 1..4 {
        // The reader may not have seen it at once.
        while line.were_made() < streams {
            assert!(asked_at(&probe, address).await.is_ok());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(asked_at(&probe, address).await.is_ok());
        assert_eq!(line.were_made(), streams);
        line.cut().await;
    }
}

#[tokio::test]
async fn a_backend_that_is_gone_fails_once_its_stream_has_broken() {
    let (server, _reporter) = health().await;
    let (address, line) = Line::to(server).await;
    let probe = lasting();
    assert!(asked_at(&probe, address).await.is_ok());
    line.is_silent.send_replace(true);
    line.cut().await;
    // What comes now is not answered.
    let told = async {
        while !stalls(&probe, address).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.unwrap();
    line.is_silent.send_replace(false);
    comes_to_say(&probe, address, true).await;
}

#[tokio::test]
async fn a_backend_that_hangs_fails_once_its_stream_is_old() {
    let (server, _reporter) = health().await;
    let (address, line) = Line::to(server).await;
    let probe = lasting().renew_after(Duration::from_millis(200)).unwrap();
    assert!(asked_at(&probe, address).await.is_ok());
    // The stream stays as it is, while nobody answers: as with a process that was stopped.
    line.is_silent.send_replace(true);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(stalls(&probe, address).await);
    assert!(stalls(&probe, address).await, "what was known is not said again");
    line.is_silent.send_replace(false);
    assert!(asked_at(&probe, address).await.is_ok());
}

#[tokio::test]
async fn streams_end_with_their_probe_and_are_not_kept_for_who_has_left() {
    let (server, _reporter) = health().await;
    let (address, line) = Line::to(server).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let probe = lasting();
    for id in ["a", "b", "c"] {
        assert!(asked(&probe, &Endpoint::new(id, address)).await.is_ok());
    }
    line.are_open(3).await;
    drop(probe);
    line.are_open(0).await;

    let before = tasks();
    let probe = lasting().forget_after(Duration::from_millis(400)).unwrap();
    for id in ["stays", "leaves"] {
        assert!(asked(&probe, &Endpoint::new(id, address)).await.is_ok());
    }
    line.are_open(2).await;
    let made = line.were_made();
    let stays = async {
        loop {
            assert!(asked(&probe, &Endpoint::new("stays", address)).await.is_ok());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = stays => {}
        () = line.are_open(1) => {}
    }
    assert_eq!(line.were_made(), made, "the one that stays has the stream that it had");
    line.are_open(0).await;
    // Its map has nothing more, nor is there a task.
    assert!(
        format!("{probe:?}").contains("streams: Mutex { data: {} }"),
        "{probe:?}"
    );
    assert!(tasks() <= before, "{} and {before}", tasks());
}

#[tokio::test]
async fn a_backend_that_moves_is_watched_where_it_is() {
    let (server, _reporter) = health().await;
    let (there, line) = Line::to(server).await;
    let (elsewhere, other) = Line::to(server).await;
    let probe = lasting();
    assert!(asked_at(&probe, there).await.is_ok());
    assert!(asked_at(&probe, elsewhere).await.is_ok());
    line.are_open(0).await;
    other.are_open(1).await;
    assert!(asked_at(&probe, nobody().await).await.is_err());
    other.are_open(0).await;
}

#[test]
fn times_are_more_than_nothing() {
    let watch = || Grpc::new().watch();
    let error = watch().renew_after(Duration::ZERO).unwrap_err().to_string();
    assert_eq!(error, "invalid age '0s': expected more than nothing");
    assert!(watch().forget_after(Duration::ZERO).is_err());
    assert!(watch().forget_after(Duration::MAX).is_ok() && watch().renew_after(Duration::MAX).is_ok());
}
