//! curl as the client of the example `reverse_proxy`.

use std::fs;

use crate::{
    backend::{self, GZIP},
    curl::{curl, curled, status},
    pattern,
    program::{Folder, installed, printed},
    proxy::Proxy,
    raw,
};

/// What curl is told, what it then speaks, and what it says that it speaks.
const VERSIONS: [[&str; 3]; 4] = [
    ["--http1.0", "1.0", "1"],
    ["--http1.1", "1.1", "1.1"],
    // It asks for an upgrade to h2c, which RFC 9113 has done away with.
    ["--http2", "1.1", "1.1"],
    ["--http2-prior-knowledge", "2.0", "2"],
];

/// A proxy before one backend for each of these schemes.
async fn proxies() -> [(&'static str, Proxy); 2] {
    let address = backend::start().await;
    ["http", "h2c"].map(|scheme| (scheme, Proxy::start(&[format!("{scheme}://{address}")], &[])))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn each_version_is_served_and_told_as_what_it_is() {
    for (scheme, proxy) in proxies().await {
        for [flag, version, spoken] in VERSIONS {
            let spoke = ["--write-out", "spoke %{http_version}", flag];
            let told = curl(&[&spoke[..], &["--header", "X-Mine: 1", &proxy.uri("/told?x=1")]].concat());
            let lines: Vec<_> = told.lines().collect();
            let address = proxy.address;
            let forwarded = format!("forwarded: for=127.0.0.1;host=\"{address}\";proto=http");
            let (first, host) = match scheme {
                "http" => ("GET /told?x=1 HTTP/1.1", Some(format!("host: {address}"))),
                _ => ("HTTP/2.0", None),
            };
            assert!(lines[0].starts_with("GET ") && lines[0].ends_with(first), "{told}");
            assert!(lines[0].contains("/told?x=1 "), "{told}");
            assert_eq!(lines.last(), Some(&&*format!("spoke {spoken}")), "{flag}");
            for line in [
                &format!("via: {version} equipoise"),
                &"x-forwarded-for: 127.0.0.1".to_owned(),
                &"x-forwarded-proto: http".to_owned(),
                &format!("x-forwarded-host: {address}"),
                &forwarded,
                &"x-mine: 1".to_owned(),
            ] {
                assert!(lines.contains(&&**line), "{flag} {scheme}: no {line} in {told}");
            }
            assert_eq!(
                lines.iter().find(|line| line.starts_with("host: ")).copied(),
                host.as_deref()
            );
            // Of this hop only.
            for name in ["connection", "upgrade", "http2-settings", "transfer-encoding", "te"] {
                let is_there = lines.iter().any(|line| line.starts_with(&format!("{name}: ")));
                assert!(!is_there, "{flag} {scheme}: {told}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn each_method_is_passed_on() {
    for (scheme, proxy) in proxies().await {
        for [flag, ..] in VERSIONS {
            for method in ["OPTIONS", "DELETE", "PATCH", "PROPFIND"] {
                let told = curl(&[flag, "--request", method, &proxy.uri("/told")]);
                assert!(told.starts_with(&format!("{method} ")), "{flag} {scheme}: {told}");
            }
            // What it asks for is not a path.
            let asterisk = ["--request", "OPTIONS", "--request-target", "*"];
            let told = curl(&[&[flag], &asterisk[..], &[&proxy.uri("")]].concat());
            let expected = if scheme == "http" {
                "OPTIONS * HTTP/1.1\n"
            } else {
                "OPTIONS "
            };
            assert!(told.starts_with(expected), "{flag} {scheme}: {told}");
            assert_eq!(status(&[flag, "--request", "TRACE", &proxy.uri("/told")]), "405");

            let (long, length) = (proxy.uri("/pattern/5000000000"), "content-length: 5000000000\r\n");
            let head = curl(&[flag, "--head", &long]);
            assert!(head.contains(length), "{flag} {scheme}: {head}");
            let (_, content) = head.split_once("\r\n\r\n").unwrap();
            assert_eq!(content, "");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn content_comes_back_byte_by_byte() {
    let folder = Folder::new();
    for (scheme, proxy) in proxies().await {
        for [flag, ..] in VERSIONS {
            for size in [0, 1, 65_535, 3_000_000] {
                let sent = pattern::first(size);
                let file = folder.path().join("sent");
                fs::write(&file, &sent).unwrap();
                let data = format!("@{}", file.display());
                // A backend that answers before it has asked for content is not what curl waits for.
                let unasked = [flag, "--header", "Expect:", "--data-binary", &data];
                let came = curled(&[&unasked[..], &[&proxy.uri("/echo")]].concat());
                assert!(
                    came == sent,
                    "{flag} {scheme}: {size} bytes came back as {}",
                    came.len()
                );
                let came = curled(&[flag, &proxy.uri(&format!("/pattern/{size}"))]);
                assert!(came == sent, "{flag} {scheme}: {size} bytes came as {}", came.len());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn what_is_compressed_stays_so() {
    for (scheme, proxy) in proxies().await {
        for [flag, ..] in VERSIONS {
            let uri = proxy.uri("/gzip");
            assert_eq!(curled(&[flag, &uri]), GZIP, "{flag} {scheme}");
            assert_eq!(curled(&[flag, "--compressed", &uri]), b"compressed", "{flag} {scheme}");
            let told = curl(&[flag, "--compressed", &proxy.uri("/told")]);
            assert!(told.contains("\naccept-encoding: "), "{told}");
            let told = curl(&[flag, &proxy.uri("/told")]);
            assert!(!told.contains("\naccept-encoding: "), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn one_connection_serves_many_requests() {
    for (scheme, proxy) in proxies().await {
        let uri = proxy.uri("/pattern/[1-20]");
        // curl 7.88 can't use a connection of HTTP/2 twice if it began with prior knowledge.
        for (flag, connections) in [("--http1.0", 20), ("--http1.1", 1), ("--http2", 1)] {
            let each = [
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code} %{size_download} %{num_connects}\n",
            ];
            let told = curl(&[&[flag], &each[..], &[&uri]].concat());
            let line = |number: usize| format!("200 {number} {}\n", usize::from(number <= connections));
            assert_eq!(told, (1..=20).map(line).collect::<String>(), "{flag} {scheme}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn many_requests_at_once_do_not_mix() {
    for (scheme, proxy) in proxies().await {
        let folder = Folder::new();
        let output = folder.path().join("#1");
        let at_once = [
            "--parallel",
            "--parallel-max",
            "50",
            "--output",
            output.to_str().unwrap(),
        ];
        curl(&[&at_once[..], &[&proxy.uri("/pattern/[100000-100199]")]].concat());
        for size in 100_000..100_200 {
            let came = fs::read(folder.path().join(size.to_string())).unwrap();
            assert!(came == pattern::first(size), "{scheme}: {size} bytes as {}", came.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs h2load: apt-get install nghttp2-client"]
async fn one_connection_of_http2_serves_many_requests_at_once() {
    for (scheme, proxy) in proxies().await {
        let mut command = installed("h2load", "nghttp2-client");
        command.args(["-n", "400", "-c", "2", "-m", "50", &proxy.uri("/pattern/100000")]);
        let told = printed(&mut command);
        assert!(
            told.contains("400 succeeded, 0 failed, 0 errored, 0 timeout"),
            "{scheme}: {told}"
        );
        assert!(told.contains("status codes: 400 2xx"), "{scheme}: {told}");
        assert!(told.contains("(40000000) data"), "{scheme}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn early_hints_come_before_the_answer() {
    let backend = raw::backend(async |mut wire| {
        while wire.message().await.is_some() {
            wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\nX: 1\r\n\r\n")
                .await;
            wire.send("HTTP/1.1 102 Processing\r\n\r\n").await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    });
    let proxy = Proxy::start(&[backend.await], &[]);
    let folder = Folder::new();
    let heads = folder.path().join("heads");
    let dump = ["--dump-header", heads.to_str().unwrap()];
    // A second request shows that the first one's hints were its own.
    let uri = [proxy.uri("/"), proxy.uri("/")];
    let text = curl(&["--http1.1", "--include", &uri[0], &uri[1]]);
    let parts: Vec<_> = text.split("\r\n\r\n").collect();
    assert_eq!(parts.len(), 7, "{text}");
    for answer in [&parts[..3], &parts[3..6]] {
        let hints = answer[0].trim_start_matches("ok");
        assert_eq!(
            hints, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload",
            "{text}"
        );
        assert_eq!(answer[1], "HTTP/1.1 102 Processing", "{text}");
        assert!(answer[2].starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    }
    assert_eq!(parts[6], "ok", "{text}");
    curl(&[&dump[..], &[&uri[0]]].concat());
    let heads = fs::read_to_string(&heads).unwrap();
    assert!(
        heads.starts_with("HTTP/1.1 103 Early Hints\r\nlink: </a.css>"),
        "{heads}"
    );

    // Those who do not know them, or can't get them, get the answer all the same.
    for (flag, first) in [
        ("--http1.0", "HTTP/1.0 200 OK\r\n"),
        ("--http2-prior-knowledge", "HTTP/2 200 \r\n"),
    ] {
        let text = curl(&[flag, "--include", &uri[0]]);
        assert!(
            text.starts_with(first) && text.ends_with("\r\n\r\nok"),
            "{flag}: {text}"
        );
    }
}

/// Not the proxy's: a curl without HTTP/2 would make most of this mean less.
#[test]
#[ignore = "needs curl: apt-get install curl"]
fn this_curl_speaks_http2_and_gzip() {
    let told = printed(installed("curl", "curl").arg("--version"));
    assert!(told.contains("HTTP2") && told.contains("libz"), "{told}");
}
