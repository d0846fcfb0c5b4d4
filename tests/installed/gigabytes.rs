//! More than would fit into the proxy's memory, through it.

use std::{
    thread,
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use hyper::Request;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    backend,
    curl::command,
    pattern::{self, Pattern},
    program::Program,
    proxy::Proxy,
};

const GIB: u64 = 1024 * 1024 * 1024;
/// How much more memory the proxy may have than when it has not been asked for anything, in KiB.
const MOST: u64 = 64 * 1024;
/// So long may any of it take on a busy machine; curl is told, in seconds.
const PATIENCE: &str = "240";

/// Has curl do this, and compares what it writes with the pattern; how many bytes there were.
fn compared(arguments: &[&str]) -> u64 {
    let (program, stdin, stdout) = Program::start_piped(command(&["--max-time", PATIENCE]).args(arguments));
    drop(stdin);
    let seen = pattern::read(stdout);
    program.printed();
    seen
}

/// Has curl send so many bytes of the pattern; what the backend tells of them.
fn sent(arguments: &[&str], length: u64) -> String {
    let (program, stdin, stdout) = Program::start_piped(command(&["--max-time", PATIENCE, "-T", "-"]).args(arguments));
    let writer = thread::spawn(move || pattern::write(stdin, length));
    let told = std::io::read_to_string(stdout).unwrap();
    writer.join().unwrap();
    program.printed();
    told
}

/// Prints what a step took, and what the proxy's memory was at its most until then.
fn report(step: &str, begun: Instant, idle: u64, proxy: &Proxy) {
    let most = proxy.memory("VmHWM:");
    let took = begun.elapsed().as_secs_f32();
    println!("{step}: {took:.1} s, at most {} KiB over idle", most - idle);
    assert!(most - idle < MOST, "{step}: {most} KiB, {idle} KiB when it was idle");
}

/// Clients and backends that dawdle, until they are dropped: of each a gibibyte is on its way.
fn dawdle(proxy: &Proxy, scheme: &str) -> JoinSet<()> {
    // A part may be some 400 KiB.
    const BREAK: Duration = Duration::from_millis(200);
    let mut dawdlers = JoinSet::new();
    for is_http2 in [false, true] {
        let mut builder = Client::builder(TokioExecutor::new());
        let client = builder.http2_only(is_http2).build_http::<Pattern>();
        let down = client.get(proxy.uri(&format!("/pattern/{GIB}")).parse().unwrap());
        dawdlers.spawn(async move {
            let mut body = down.await.unwrap().into_body();
            while body.frame().await.is_some_and(|frame| frame.is_ok()) {
                sleep(BREAK).await;
            }
            panic!("it was to be too slow to see the end");
        });
        // With HTTP/2 uploads share a connection, and what a backend leaves unread of one is all that others may send.
        if scheme == "http" {
            let request = Request::post(proxy.uri("/compare/slowly")).body(Pattern::new(GIB));
            let up = client.request(request.unwrap());
            dawdlers.spawn(async move { panic!("it was to be too slow to answer: {:?}", up.await) });
        }
    }
    dawdlers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl: apt-get install curl"]
async fn a_gibibyte_passes_in_little_memory_also_beside_those_who_dawdle() {
    let address = backend::start().await;
    for (scheme, flag) in [("http", "--http1.1"), ("h2c", "--http2-prior-knowledge")] {
        let proxy = Proxy::start(&[format!("{scheme}://{address}")], &[]);
        let idle = proxy.memory("VmRSS:");
        println!("curl {flag} to {scheme}: {idle} KiB idle");
        let mut dawdlers = dawdle(&proxy, scheme);

        let begun = Instant::now();
        assert_eq!(compared(&[flag, &proxy.uri(&format!("/pattern/{GIB}"))]), GIB);
        report("down", begun, idle, &proxy);

        let begun = Instant::now();
        assert_eq!(sent(&[flag, &proxy.uri("/compare")], GIB), GIB.to_string());
        report("up, chunked if HTTP/1.1", begun, idle, &proxy);

        let begun = Instant::now();
        let mut builder = Client::builder(TokioExecutor::new());
        let client = builder.http2_only(scheme == "h2c").build_http();
        let request = Request::post(proxy.uri("/compare")).body(Pattern::new(GIB));
        let answer = client.request(request.unwrap()).await.unwrap();
        assert_eq!(answer.collect().await.unwrap().to_bytes(), GIB.to_string());
        report("up, with its length", begun, idle, &proxy);

        let ended = dawdlers.try_join_next();
        assert!(ended.is_none(), "all of them were on their way meanwhile: {ended:?}");
        let now = proxy.memory("VmRSS:");
        println!("in the end {} KiB over idle", now.saturating_sub(idle));
    }
}
