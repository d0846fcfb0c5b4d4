use equipoise::{
    Endpoint,
    health::Report,
    probes::{Http, LONGEST},
};
use http::{Method, Version};

use crate::{
    asking::{asked, asked_at, refused_at, stalls},
    serving::{answers, goes_on_when_asked, nobody, resets, says_and_hangs, web},
};

/// Expects a text.
fn well() -> Http {
    Http::get("/").unwrap().expect_text("well").unwrap()
}

#[tokio::test]
async fn what_is_asked_is_what_was_set() {
    let (address, seen) = web().await;
    assert_eq!(
        asked_at(&Http::get("/a?b=c").unwrap(), address).await,
        Ok(Report::new())
    );
    let head = seen.last();
    assert_eq!((head.method, head.version), (Method::GET, Version::HTTP_11));
    assert_eq!(head.uri, "/a?b=c");
    assert_eq!(head.headers["host"], address.to_string());
    assert_eq!(
        head.headers["user-agent"],
        concat!("equipoise/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(head.headers["connection"], "close");

    let probe = Http::head("/").unwrap().host("shop.example:81").unwrap();
    let probe = probe
        .header("X-Probe", "yes")
        .unwrap()
        .header("user-agent", "me")
        .unwrap();
    for (probe, version) in [(probe.clone(), Version::HTTP_11), (probe.http2(), Version::HTTP_2)] {
        assert!(asked_at(&probe, address).await.is_ok());
        let head = seen.last();
        assert_eq!((head.method, head.version), (Method::HEAD, version));
        let host = head.headers.get("host").map(|host| host.to_str().unwrap().to_owned());
        let host = host.or_else(|| head.uri.authority().map(|authority| authority.to_string()));
        assert_eq!(host.as_deref(), Some("shop.example:81"));
        assert_eq!(head.headers["x-probe"], "yes");
        assert_eq!(head.headers["user-agent"], "me");
    }
    let options = Http::new(Method::OPTIONS, "*").unwrap();
    assert!(asked_at(&options, address).await.is_ok());
    assert_eq!((seen.last().method, seen.last().uri.path()), (Method::OPTIONS, "*"));
}

#[tokio::test]
async fn the_statuses_that_pass_are_those_that_were_set() {
    let (address, _) = web().await;
    for probe in [Http::http1, Http::http2] {
        let probe = |path: &str| probe(Http::get(path).unwrap());
        for (status, is_usual) in [
            (200, true),
            (204, true),
            (302, true),
            (399, true),
            (400, false),
            (503, false),
        ] {
            let probe = probe(&format!("/status/{status}"));
            assert_eq!(asked_at(&probe, address).await.is_ok(), is_usual, "{status}");
            let only = probe.expect_status([400, 503]).unwrap();
            assert_eq!(asked_at(&only, address).await.is_ok(), !is_usual, "{status}");
        }
        let said = refused_at(&probe("/status/500").expect_status(200..=204).unwrap(), address).await;
        assert_eq!(said, "expected status 200-204, but there came 500");
    }
}

#[tokio::test]
async fn a_body_is_looked_at_if_one_is_expected() {
    let (address, _) = web().await;
    let get = |path: &str| Http::get(path).unwrap();
    let long = format!("/long/{LONGEST}");
    let longer = format!("/long/{}", LONGEST + 1);
    for version in [Http::http1, Http::http2] {
        for good in [
            well(),
            get("/").expect_match("^it is (well|so so)\n$").unwrap(),
            get(&long).expect_match("^x+$").unwrap(),
            get(&longer),
        ] {
            assert_eq!(asked_at(&version(good), address).await, Ok(Report::new()));
        }
        for (bad, said) in [
            (
                get("/").expect_text("ill").unwrap(),
                r"expected a body with 'ill', but there came one of 11 bytes that begins 'it is well\n'",
            ),
            (
                get("/").expect_match("^well").unwrap(),
                r"expected a body that matches '^well', but there came one of 11 bytes that begins 'it is well\n'",
            ),
            (
                get("/long/0").expect_text("x").unwrap(),
                "expected a body with 'x', but there came an empty one",
            ),
            // The status comes first.
            (
                get("/status/404").expect_text("well").unwrap(),
                "expected status 200-399, but there came 404",
            ),
        ] {
            assert_eq!(refused_at(&version(bad), address).await, said);
        }
        let said = refused_at(&version(get(&longer).expect_text("x").unwrap()), address).await;
        let begins = "expected a body with 'x' of at most 65536 bytes, but there came a longer one that begins 'xxx";
        assert!(said.starts_with(begins), "{said}");
    }
}

#[tokio::test]
async fn every_form_of_a_reply_is_read() {
    for reply in [
        "HTTP/1.0 200 OK\r\n\r\nwell",
        "HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nwell",
        "HTTP/1.1 200\r\ncontent-length: 4\r\n\r\nwell",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nwe\r\n2\r\nll\r\n0\r\na: b\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell",
        "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nwell",
        "HTTP/1.1 200 \u{fc}\r\ncontent-length: 4\r\n\r\nwell",
    ] {
        assert_eq!(
            asked_at(&well(), answers(reply).await).await,
            Ok(Report::new()),
            "{reply}"
        );
    }
    // Bytes that are no text are no hindrance.
    let bytes = b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe\0well";
    assert!(asked_at(&well(), answers(bytes).await).await.is_ok());
    let said = refused_at(&well(), answers(b"HTTP/1.1 200 OK\r\n\r\n\xff\x1b[2J").await).await;
    assert!(said.ends_with("that begins '\u{fffd}\\u{1b}[2J'"), "{said}");
}

#[tokio::test]
async fn what_is_no_reply_fails() {
    let many: String = (0..200).map(|at| format!("a{at}: b\r\n")).collect();
    for reply in [
        "",
        "\r\n",
        "garbage\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\nwell",
        "HTTP/1.1 099 OK\r\n\r\nwell",
        "HTTP/1.1 200 OK\r\ncontent-length: 4",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwell",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nwell",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nwell",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwell\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: well\r\n\r\nwell",
        "HTTP/1.1 100 Continue\r\n\r\n",
        &format!("HTTP/1.1 200 OK\r\n{many}\r\nwell"),
        &format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\nwell", "x".repeat(2 * LONGEST)),
    ] {
        for probe in [well(), well().http2()] {
            let answer = asked_at(&probe, answers(reply).await).await;
            assert!(answer.is_err(), "{reply:.80}");
        }
    }
    for gone in [resets().await, nobody().await] {
        refused_at(&well(), gone).await;
        refused_at(&well().http2(), gone).await;
    }
    // A server of HTTP/1.1 only, and one of HTTP/2 only.
    let said = refused_at(&well().http2(), answers("HTTP/1.1 400 Bad Request\r\n\r\n").await).await;
    assert!(said.starts_with("broken off: "), "{said}");
    refused_at(&well(), answers(b"\0\0\0\x04\0\0\0\0\0").await).await;
}

#[tokio::test]
async fn what_has_no_end_is_given_up() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let said = refused_at(&well(), goes_on_when_asked(head, [b'x'; 4096]).await).await;
    assert!(
        said.contains("of at most 65536 bytes, but there came a longer one"),
        "{said}"
    );
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let said = refused_at(&well(), goes_on_when_asked(chunked, "1\r\nx\r\n").await).await;
    assert!(
        said.contains("of at most 65536 bytes, but there came a longer one"),
        "{said}"
    );
    // A head alone is an answer, however long its body would be.
    assert!(
        asked_at(&Http::get("/").unwrap(), goes_on_when_asked(head, "x").await)
            .await
            .is_ok()
    );
    for endless in ["a: b\r\n", "x"] {
        refused_at(&well(), goes_on_when_asked("HTTP/1.1 200 OK\r\n", endless).await).await;
    }
}

#[tokio::test]
async fn who_stalls_is_waited_for() {
    for words in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\na: b\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwell",
        "HTTP/1.1 200 OK\r\n\r\nwell",
    ] {
        let address = says_and_hangs("").await;
        assert!(stalls(&well(), address).await && stalls(&well().http2(), address).await);
        assert!(stalls(&well(), answers_and_hangs(words).await).await, "{words}");
    }
    // Interim responses without end are no answer.
    assert!(
        stalls(
            &well(),
            goes_on_when_asked("", "HTTP/1.1 103 Early Hints\r\n\r\n").await
        )
        .await
    );
}

async fn answers_and_hangs(words: &'static str) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    crate::serving::serve(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(words.as_bytes()).await;
        std::future::pending().await
    })
    .await
}

#[tokio::test]
async fn a_host_and_a_port_of_ones_own_lead_to_the_backends_machine() {
    let ((there, seen), elsewhere) = (web().await, nobody().await);
    let probe = Http::get("/").unwrap().port(there.port()).unwrap();
    assert!(asked(&probe, &Endpoint::new("a", elsewhere)).await.is_ok());
    assert_eq!(seen.last().headers["host"], there.to_string());
}

#[test]
fn what_is_no_setting_is_refused_and_named() {
    let get = || Http::get("/").unwrap();
    for (error, said) in [
        (Http::get(""), "invalid path ''"),
        (Http::get("health"), "invalid path 'health'"),
        (Http::get("*"), "invalid path '*'"),
        (Http::get("/#top"), "invalid path '/#top'"),
        (Http::get("/a b"), "invalid path '/a b'"),
        (Http::get("/\r\n"), r"invalid path '/\r\n'"),
        (Http::get("http://a/"), "invalid path 'http://a/'"),
        (Http::new(Method::CONNECT, "/"), "invalid method 'CONNECT'"),
        (get().host(""), "invalid host ''"),
        (get().host("a/b"), "invalid host 'a/b'"),
        (get().host("u@a"), "invalid host 'u@a'"),
        (get().host("a:"), "invalid host 'a:'"),
        (get().host("a:99999"), "invalid host 'a:99999'"),
        (get().header("", "b"), "invalid header ''"),
        (get().header("a b", "b"), "invalid header 'a b'"),
        (get().header("Host", "b"), "invalid header 'Host'"),
        (get().header("content-length", "1"), "invalid header 'content-length'"),
        (
            get().header("a", "se\r\ncret"),
            "invalid header 'a': expected a value without control characters",
        ),
        (get().expect_status([]), "invalid status ''"),
        (get().expect_status(100..=200), "invalid status '100'"),
        (get().expect_text(""), "invalid text ''"),
        (get().expect_match("["), "invalid pattern '['"),
        (
            Http::head("/").unwrap().expect_text("a"),
            "invalid text '': expected none",
        ),
        (get().port(0), "invalid port '0'"),
    ] {
        let error = error.expect_err(said).to_string();
        assert!(error.starts_with(said) && error.contains(": expected "), "{error}");
    }
}
