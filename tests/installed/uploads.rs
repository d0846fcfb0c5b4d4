//! Uploads by curl through the example `reverse_proxy`.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use crate::{
    backend,
    curl::{command, curl, curled},
    pattern,
    program::{Folder, Program},
    proxy::Proxy,
    raw,
};

/// More than what curl sends without asking (1 MiB), and than what sockets hold.
const LENGTH: usize = 20 * 1024 * 1024;

/// A file of that length.
fn file(folder: &Folder) -> PathBuf {
    let path = folder.path().join("file");
    fs::write(&path, pattern::first(LENGTH)).unwrap();
    path
}

/// What curl prints when it uploads what the test writes, which is so much of the pattern.
fn piped(arguments: &[&str], length: u64) -> String {
    let (program, stdin, stdout) = Program::start_piped(&mut command(&[&["--upload-file", "-"], arguments].concat()));
    // An upload that is refused is not read to its end.
    let writer = std::thread::spawn(move || pattern::write(stdin, length));
    let told = std::io::read_to_string(stdout).unwrap();
    let output = program.output();
    assert!(output.status.success(), "{output:?}");
    writer.join().unwrap();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn files_and_pipes_arrive_whole() {
    let folder = Folder::new();
    let file = file(&folder);
    let address = backend::start().await;
    for scheme in ["http", "h2c"] {
        let proxy = Proxy::start(&[format!("{scheme}://{address}")], &[]);
        let uri = proxy.uri("/compare");
        for flag in ["--http1.0", "--http1.1", "--http2", "--http2-prior-knowledge"] {
            let upload = ["--upload-file", file.to_str().unwrap()];
            assert_eq!(
                curl(&[&[flag], &upload[..], &[&uri]].concat()),
                LENGTH.to_string(),
                "{flag} {scheme}"
            );
            if flag != "--http1.0" {
                assert_eq!(
                    piped(&[flag, &uri], LENGTH as u64),
                    LENGTH.to_string(),
                    "{flag} {scheme}"
                );
                assert_eq!(piped(&[flag, &uri], 0), "0", "{flag} {scheme}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn each_upload_is_framed_as_it_came() {
    let folder = Folder::new();
    let file = file(&folder);
    let proxy = Proxy::start(&[format!("http://{}", backend::start().await)], &[]);
    let uri = proxy.uri("/told");
    let upload = ["--upload-file", file.to_str().unwrap(), &uri];
    let (length, chunked) = (
        format!("\ncontent-length: {LENGTH}\n"),
        "\ntransfer-encoding: chunked\n",
    );
    for (flag, expects) in [("--http1.1", true), ("--http2-prior-knowledge", false)] {
        let told = curl(&[&[flag], &upload[..]].concat());
        assert!(told.contains(&length) && !told.contains(chunked), "{flag}: {told}");
        assert_eq!(told.contains("\nexpect: 100-continue\n"), expects, "{flag}: {told}");
        let told = piped(&[flag, &uri], 1000);
        assert!(
            told.contains(chunked) && !told.contains("content-length"),
            "{flag}: {told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn who_waits_to_be_asked_is_asked_by_the_backend() {
    let folder = Folder::new();
    let file = file(&folder);
    let proxy = Proxy::start(&[format!("http://{}", backend::start().await)], &[]);
    // Long: what it is told is no time-out of its own.
    let patience = ["--http1.1", "--include", "--expect100-timeout", "15"];
    let upload = ["--upload-file", file.to_str().unwrap(), &proxy.uri("/compare")];
    let told = curl(&[&patience[..], &upload].concat());
    assert!(
        told.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{told}"
    );
    assert!(told.ends_with(&format!("\r\n\r\n{LENGTH}")), "{told}");
    assert_eq!(told.matches(" 100 ").count(), 1, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn who_waits_to_be_asked_sends_nothing_if_the_answer_is_there() {
    let folder = Folder::new();
    let file = file(&folder);
    let unasked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&unasked);
    let backend = raw::backend(move |mut wire| {
        let counted = Arc::clone(&counted);
        async move {
            let head = wire.head().await.unwrap();
            assert_eq!(head.get("expect"), Some("100-continue"));
            wire.send("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno")
                .await;
            counted.fetch_add(1 + wire.rest().await.len(), SeqCst);
        }
    });
    let proxy = Proxy::start(&[backend.await], &[]);
    let patience = [
        "--http1.1",
        "--expect100-timeout",
        "15",
        "--write-out",
        " %{http_code} %{size_upload}",
    ];
    let upload = ["--upload-file", file.to_str().unwrap(), &proxy.uri("/")];
    assert_eq!(curl(&[&patience[..], &upload].concat()), "no 401 0");
    let end = crate::program::until("the backend's connection ends", || {
        Some(unasked.load(SeqCst)).filter(|seen| *seen > 0)
    });
    assert_eq!(end, 1, "the backend got content that nobody had asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn an_expectation_that_fails_is_told_and_without_it_all_is_well() {
    let folder = Folder::new();
    let file = file(&folder);
    let backend = raw::backend(async |mut wire| {
        while let Some(mut message) = wire.head().await {
            if message.get("expect").is_some() {
                wire.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
                    .await;
                continue;
            }
            wire.content(&mut message).await;
            let is_all = message.body == pattern::first(LENGTH);
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{is_all:<5}"))
                .await;
        }
    });
    let proxy = Proxy::start(&[backend.await], &[]);
    let patience = ["--http1.1", "--expect100-timeout", "15", "--write-out", " %{http_code}"];
    let upload = ["--upload-file", file.to_str().unwrap(), &proxy.uri("/")];
    // curl would try again by itself, if the connection were not closed: what it was not asked for might still come.
    let told = curl(&[&patience[..], &["--include"], &upload].concat());
    assert!(
        told.contains("\r\nconnection: close\r\n") && told.ends_with("no 417"),
        "{told}"
    );
    let told = curl(&[&patience[..], &["--header", "Expect:"], &upload].concat());
    assert_eq!(told, "true  200");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn content_that_the_backend_wants_after_its_answer_has_begun_gets_there() {
    let folder = Folder::new();
    let file = file(&folder);
    let address = backend::start().await;
    for scheme in ["http", "h2c"] {
        let proxy = Proxy::start(&[format!("{scheme}://{address}")], &[]);
        // An answer that is good is for curl as good as a 100: it sends.
        let upload = [
            "--http1.1",
            "--upload-file",
            file.to_str().unwrap(),
            &proxy.uri("/echo"),
        ];
        assert!(curled(&upload) == pattern::first(LENGTH), "{scheme}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn an_answer_in_the_middle_of_an_upload_arrives() {
    let folder = Folder::new();
    let file = file(&folder);
    // It reads a little and no more; one closes at once, which resets the connection, the other one is polite.
    for polite in [true, false] {
        let backend = raw::backend(move |mut wire| async move {
            wire.head().await.unwrap();
            wire.read(100_000).await;
            wire.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much")
                .await;
            if polite {
                wire.rest().await;
            }
        });
        let proxy = Proxy::start(&[backend.await], &[]);
        // curl 7.88 takes the end of an HTTP/2 stream in the middle of its upload for an error, whoever ends it.
        for flag in ["--http1.0", "--http1.1"] {
            let told = ["--header", "Expect:", "--write-out", " %{http_code}"];
            let upload = ["--upload-file", file.to_str().unwrap(), &proxy.uri("/")];
            let told = curl(&[&[flag], &told[..], &upload].concat());
            if polite {
                assert_eq!(told, "too much 413", "{flag}");
            } else {
                // Whether the answer is lost with the reset is the backend's system's to say.
                let is_lost = told == "The backend broke off before it had answered.\n 502";
                assert!(told == "too much 413" || is_lost, "{flag}: {told}");
            }
        }
    }
}
