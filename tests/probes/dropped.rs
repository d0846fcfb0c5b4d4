//! What is left of a probe that was given up: nothing.
#![cfg(target_os = "linux")]

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use equipoise::{
    Endpoint, HealthProbe,
    probes::{Agent, Grpc, Http, Tcp, Tls},
};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::serving::{goes_on_when_asked, serve};

/// How many descriptors this process has of connections to that address.
fn connections(to: SocketAddr) -> usize {
    let links = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let ours: BTreeSet<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    let port = format!(":{:04X}", to.port());
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let rows = table
        .lines()
        .skip(1)
        .map(|row| row.split_whitespace().collect::<Vec<_>>());
    let there = rows.filter(|row| row[2].ends_with(&port));
    // A set: of a table that changes while it is read some rows may be read twice.
    let sockets: BTreeSet<String> = there.map(|row| format!("socket:[{}]", row[9])).collect();
    sockets.intersection(&ours).count()
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Gives up 200 probes midway, some at a time.
async fn nothing_is_left_of<P>(name: &str, probe: P, address: SocketAddr, reached: Arc<AtomicUsize>)
where
    P: HealthProbe<Endpoint<SocketAddr>>,
{
    let endpoint = Endpoint::new("it", address);
    let before = tasks();
    for round in 1..=4 {
        let probes = join_all((0..50).map(|_| probe.probe(&endpoint)));
        let mut probes = Box::pin(probes);
        let all_are_midway = async {
            // Of a table that changes while it is read some rows may not be read at all.
            while reached.load(SeqCst) < round * 50 || connections(address) != 50 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            _ = &mut probes => panic!("{name}: they should hang"),
            () = all_are_midway => {}
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("{name}: not midway"),
        }
        drop(probes);
        // At once, not once a task has been told.
        assert_eq!(connections(address), 0, "{name}");
    }
    // The server's own tasks end as they see it.
    for _ in 0..5000 {
        if tasks() <= before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{name}: {} tasks, and {before} before", tasks());
}

/// A server that reads something, says this, and goes no further; and how many connections have come to that.
async fn goes_so_far(words: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    let address = serve(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let mut part = [0; 4096];
            let _ = stream.read(&mut part).await;
            let _ = stream.write_all(words).await;
            count.fetch_add(1, SeqCst);
            while stream.read(&mut part).await.is_ok_and(|count| count > 0) {}
        }
    })
    .await;
    (address, reached)
}

#[tokio::test]
async fn a_thousand_probes_given_up_midway_leave_nothing_behind() {
    let text = |path: &str| Http::get(path).unwrap().expect_text("never").unwrap();
    // SETTINGS, theirs and the acknowledgement of ours.
    let http2 = b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0";
    let (address, reached) = goes_so_far(b"").await;
    let tcp = Tcp::new().send("PING\r\n").expect("+PONG").unwrap();
    nothing_is_left_of("tcp", tcp, address, reached).await;
    let (address, reached) = goes_so_far(b"up").await;
    nothing_is_left_of("agent", Agent::new().send("\n"), address, reached).await;
    let (address, reached) = goes_so_far(b"HTTP/1.1 200 OK\r\n\r\nwell").await;
    nothing_is_left_of("a body", text("/"), address, reached).await;
    let (address, reached) = goes_so_far(http2).await;
    nothing_is_left_of("http2", text("/").http2(), address, reached).await;
    let (address, reached) = goes_so_far(b"").await;
    let tls = text("/").tls(Tls::dangerously_unverified());
    nothing_is_left_of("tls", tls, address, reached).await;
    let (address, reached) = goes_so_far(http2).await;
    nothing_is_left_of("grpc", Grpc::new(), address, reached).await;
    let (address, reached) = goes_so_far(http2).await;
    nothing_is_left_of("a watch", Grpc::new().watch(), address, reached).await;
}

#[tokio::test]
async fn nothing_is_left_of_probes_that_came_to_an_end() {
    let address = goes_on_when_asked("HTTP/1.1 200 OK\r\n\r\n", [b'x'; 4096]).await;
    let endpoint = Endpoint::new("it", address);
    let (head, body) = (
        Http::get("/").unwrap(),
        Http::get("/").unwrap().expect_text("y").unwrap(),
    );
    for _ in 0..20 {
        assert!(head.probe(&endpoint).await.is_ok());
        assert!(body.probe(&endpoint).await.is_err());
        assert!(Tcp::new().probe(&endpoint).await.is_ok());
        assert_eq!(connections(address), 0);
    }
}
