//! curl as the client of a server that stands in front of a pool.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
};

use axum::{Router, extract::Request};
use tokio::net::TcpListener;

use crate::{
    example::example,
    program::{Program, free_port, installed, printed},
};

/// A command that does what the arguments say.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = installed("curl", "curl");
    // So that what a test means is in the test alone, not in a file in somebody's home.
    command.args(["--disable", "--silent", "--show-error", "--max-time", "20"]);
    command.args(arguments);
    command
}

/// What curl writes, be it text or not.
pub(crate) fn curled(arguments: &[&str]) -> Vec<u8> {
    let output = Program::start(&mut command(arguments)).output();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}", output.status);
    output.stdout
}

/// What curl prints: the answer's body, unless the arguments say otherwise.
pub(crate) fn curl(arguments: &[&str]) -> String {
    printed(&mut command(arguments))
}

/// The status of an answer.
pub(crate) fn status(arguments: &[&str]) -> String {
    curl(&[&["--output", "/dev/null", "--write-out", "%{http_code}"], arguments].concat())
}

/// A backend that tells what it was sent: the head in one line for each header, then the body.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = async |request: Request| {
        let (head, body) = request.into_parts();
        let mut told = format!("{} {}\n", head.method, head.uri);
        for (name, value) in &head.headers {
            told += &format!("{name}: {}\n", value.to_str().unwrap());
        }
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        told + &String::from_utf8(body.into()).unwrap()
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address
}

// The test itself waits for programs, and another thread serves meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn axum_server_is_a_server_to_curl() {
    let [one, two] = [echo().await, echo().await].map(|address| format!("http://{address}"));
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let serve = |backends: &[&str]| {
        Program::serve(|port| {
            let mut command = Command::new(example("axum_server"));
            command.arg(format!("127.0.0.1:{port}")).args(backends);
            command
        })
    };
    let (_front, port) = serve(&[&one, &two]);
    let uri = format!("http://127.0.0.1:{port}/some/path?q=1");

    let told = curl(&[
        "--data",
        "a body",
        "--header",
        "Connection: X-Mine",
        "--header",
        "X-Mine: 1",
        &uri,
    ]);
    assert!(told.starts_with("POST /some/path?q=1\n"), "{told}");
    assert!(told.ends_with("\na body"), "{told}");
    // What is said to one connection is not passed on, the request's own Host is.
    assert!(!told.contains("x-mine") && !told.contains("connection"), "{told}");
    assert!(told.contains(&format!("host: 127.0.0.1:{port}\n")), "{told}");

    for _ in 0..39 {
        assert_eq!(status(&["--head", &uri]), "200");
    }
    let tallies = curl(&[&format!("http://127.0.0.1:{port}/status")]);
    let succeeded = [one, two].map(|id| {
        let (_, rest) = tallies.split_once(&format!("{id}: Tally {{ succeeded: ")).unwrap();
        rest.split(',').next().unwrap().parse::<u64>().unwrap()
    });
    assert!(succeeded[0] > 0 && succeeded[1] > 0, "{tallies}");
    assert_eq!(succeeded[0] + succeeded[1], 40, "{tallies}");

    let (_front, port) = serve(&[&nobody]);
    assert_eq!(status(&[&format!("http://127.0.0.1:{port}/")]), "502");
    let (_front, port) = serve(&[&format!("{nobody},weight=0")]);
    assert_eq!(status(&[&format!("http://127.0.0.1:{port}/")]), "503");
}
