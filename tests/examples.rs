//! The examples, each as the program that a newcomer runs: what it prints is what it claims to show.
#![cfg(all(not(loom), feature = "http", feature = "tokio"))]

#[path = "installed/example.rs"]
mod example;

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::Router;
use example::example;
use tokio::{net::TcpListener, process::Command};

/// Runs an example, which takes about a second, to its end.
async fn run(name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(example(name));
    command.args(arguments).kill_on_drop(true);
    let patience = Duration::from_secs(60);
    let done = tokio::time::timeout(patience, command.output()).await;
    done.expect("it ends by itself").unwrap()
}

/// What it prints, provided that it ends well.
async fn printed(name: &str, arguments: &[&str]) -> String {
    let output = run(name, arguments).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The number that follows these words.
fn number(text: &str, words: &str) -> u64 {
    let (_, rest) = text
        .split_once(words)
        .unwrap_or_else(|| panic!("no '{words}' in {text}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number after '{words}' in {text}"))
}

/// A server that counts its requests.
async fn count() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, requests) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&requests);
    let answer = async move || counted.fetch_add(1, SeqCst).to_string();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (address, requests)
}

#[tokio::test]
async fn hyper_client_spreads_evenly_over_its_own_servers() {
    let text = printed("hyper_client", &[]).await;
    assert_eq!(text, "a: 10 requests\nb: 10 requests\nc: 10 requests\n");
}

#[tokio::test]
async fn hyper_client_takes_backends_with_weights() {
    let ((one, at_one), (two, at_two)) = (count().await, count().await);
    let (one, two) = (format!("http://{one}"), format!("http://{two},weight=2"));
    printed("hyper_client", &[&one, &two]).await;
    assert_eq!((at_one.load(SeqCst), at_two.load(SeqCst)), (10, 20));
    // Nobody listens on port 1.
    let output = run("hyper_client", &["http://127.0.0.1:1"]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("http://127.0.0.1:1"), "{said}");
}

#[tokio::test]
async fn reqwest_client_spares_the_slow_server() {
    let text = printed("reqwest_client", &[]).await;
    let [a, b, slow] = ["a: ", "b: ", "slow: "].map(|id| number(&text, id));
    assert_eq!(a + b + slow, 400, "{text}");
    assert!(slow > 0 && a > 2 * slow && b > 2 * slow, "{text}");
}

#[tokio::test]
async fn tonic_client_balances_calls_and_holds_on_to_streams() {
    let text = printed("tonic_client", &[]).await;
    let (calls, streams) = text.split_once('\n').unwrap();
    let each = ["a\": ", "b\": ", "c\": "];
    let served = each.map(|id| number(calls, id));
    assert!(served.iter().all(|calls| *calls > 0), "{text}");
    assert_eq!(served.iter().sum::<u64>(), 60, "{text}");
    let states: Vec<_> = streams.lines().map(str::to_owned).collect();
    assert_eq!(each.map(|id| number(&states[0], id)), [1, 1, 1], "{text}");
    assert_eq!(each.map(|id| number(&states[1], id)), [1, 0, 1], "{text}");
    assert_eq!(states[2..], ["the next call went to b"]);
}

#[tokio::test]
async fn axum_server_forwards_what_is_not_its_own() {
    let text = printed("axum_server", &[]).await;
    for id in ["a", "b"] {
        let answered = number(&text, &format!("\"{id} was asked for /some/path?q=1\": "));
        // Its own route tells the same as the backends' answers.
        assert_eq!(
            number(&text, &format!("{id}: Tally {{ succeeded: ")),
            answered,
            "{text}"
        );
        assert!(answered > 0, "{text}");
    }
    assert!(!text.contains("a was asked for /status"), "{text}");
}

#[tokio::test]
async fn redis_replicas_says_what_it_needs() {
    for arguments in [&[][..], &["127.0.0.1:1"]] {
        let output = run("redis_replicas", arguments).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("PRIMARY REPLICA..."), "{said}");
    }
}

/// Runs a probe once: how it ended, and all that it said.
#[cfg(feature = "probes")]
async fn probed(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run("health_probes", arguments).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[cfg(feature = "probes")]
#[tokio::test]
async fn health_probes_says_who_is_fit() {
    let ((address, requests), nobody) = (count().await, "127.0.0.1:1");
    let (address, origin) = (address.to_string(), format!("http://{address}"));
    for arguments in [
        &["tcp", &address][..],
        &["http", &origin],
        &["http", &origin, "/health", "^[0-9]+$"],
        &["command", &address, "test", "-n"],
    ] {
        assert_eq!(probed(arguments).await, (Some(0), "fit\n".to_owned()), "{arguments:?}");
    }
    assert_eq!(requests.load(SeqCst), 2);
    for (arguments, why) in [
        (&["tcp", nobody][..], "no connection to 127.0.0.1:1: "),
        (&["redis", nobody], "no connection to 127.0.0.1:1: "),
        (
            &["redis", &address],
            r"expected '+PONG\r\n', but there came 'HTTP/1.1 400 Bad Request",
        ),
        (&["postgres", nobody], "no connection to 127.0.0.1:1: "),
        (&["agent", nobody], "no connection to 127.0.0.1:1: "),
        (&["grpc", "http://127.0.0.1:1"], "no connection to 127.0.0.1:1: "),
        (
            &["http", &origin, "/", "^x"],
            "expected a body that matches '^x', but there came one of 1 bytes",
        ),
        (&["command", &address, "test", "-z"], "exit status: 1"),
    ] {
        let (code, said) = probed(arguments).await;
        assert!(said.starts_with(&format!("not fit: {why}")), "{arguments:?}: {said}");
        assert_eq!(code, Some(1), "{said}");
    }
    for arguments in [
        &[][..],
        &["tcp"],
        &["udp", nobody],
        &["http", "127.0.0.1:80"],
        &["http", &origin, "health"],
        &["command", nobody],
        &["tcp", nobody, "more"],
    ] {
        let (code, said) = probed(arguments).await;
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains("expected"), "{said}");
    }
}

#[cfg(feature = "probes")]
#[tokio::test]
async fn health_probes_gives_up_after_its_time() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (code, said) = probed(&["redis", &address]).await;
    assert_eq!((code, said.as_str()), (Some(1), "not fit: no answer within 2 s\n"));
}
