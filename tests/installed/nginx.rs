//! nginx as a backend of the example `reverse_proxy`: files, ranges, what was kept, and uploads.

use std::fs;

use crate::{
    curl::{curl, curled, status},
    pattern,
    program::{Folder, Program, installed},
    proxy::Proxy,
};

const LENGTH: usize = 2_000_000;

/// An nginx that serves its folder, and the proxy in front of it.
struct Stage {
    proxy: Proxy,
    _nginx: Program,
    folder: Folder,
}

impl Stage {
    fn start() -> Self {
        let folder = Folder::new();
        let path = folder.path().display();
        fs::write(folder.path().join("file"), pattern::first(LENGTH)).unwrap();
        fs::write(folder.path().join("text"), "a line like all others\n".repeat(10_000)).unwrap();
        let (nginx, port) = Program::serve(|port| {
            let config = folder.path().join("nginx.conf");
            let text = format!(
                "daemon off; master_process off; pid {path}/pid; error_log stderr;
                events {{}}
                http {{
                    access_log off;
                    client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
                    uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
                    gzip on; gzip_proxied any; gzip_types *; gzip_min_length 1000;
                    server {{
                        listen 127.0.0.1:{port};
                        root {path};
                        client_max_body_size 1m;
                        location /file {{ gzip off; }}
                    }}
                }}"
            );
            fs::write(&config, text).unwrap();
            let mut command = installed("nginx", "nginx");
            // What it says before it has read its configuration goes to a log of the system's, unless told.
            command
                .args(["-e", "stderr", "-p"])
                .arg(folder.path())
                .arg("-c")
                .arg(config);
            command
        });
        let proxy = Proxy::start(&[format!("http://127.0.0.1:{port}")], &[]);
        Self {
            proxy,
            _nginx: nginx,
            folder,
        }
    }

    /// For each version of HTTP, its flag.
    const VERSIONS: [&str; 3] = ["--http1.0", "--http1.1", "--http2-prior-knowledge"];
}

#[test]
#[ignore = "needs curl and nginx: apt-get install curl nginx"]
fn parts_of_a_file_are_what_was_asked_for() {
    let stage = Stage::start();
    let (uri, whole) = (stage.proxy.uri("/file"), pattern::first(LENGTH));
    for flag in Stage::VERSIONS {
        assert!(curled(&[flag, &uri]) == whole, "{flag}");
        for (range, part) in [
            ("0-0", &whole[..1]),
            ("100-199", &whole[100..200]),
            ("-5", &whole[LENGTH - 5..]),
            ("1999000-", &whole[1_999_000..]),
            ("1000000-9999999", &whole[1_000_000..]),
        ] {
            assert!(curled(&[flag, "--range", range, &uri]) == part, "{flag} {range}");
            let head = curl(&[flag, "--range", range, "--head", &uri]).to_lowercase();
            let length = format!("content-length: {}\r\n", part.len());
            assert!(
                head.contains(" 206") && head.contains(&length),
                "{flag} {range}: {head}"
            );
            assert!(
                head.contains("content-range: bytes ") && head.contains("/2000000\r\n"),
                "{head}"
            );
        }
        assert_eq!(status(&[flag, "--range", "2000000-", &uri]), "416");
        let several = curled(&[flag, "--range", "0-1,10-13", "--include", &uri]);
        let text = String::from_utf8_lossy(&several).to_lowercase();
        assert!(text.contains("multipart/byteranges; boundary="), "{flag}: {text}");
        assert!(text.contains("content-range: bytes 10-13/2000000"), "{flag}: {text}");
        assert!(several.windows(4).any(|part| part == &whole[10..14]), "{flag}: {text}");

        // A download that was broken off goes on.
        let begun = stage.folder.path().join("begun");
        fs::write(&begun, &whole[..700_000]).unwrap();
        curl(&[flag, "--continue-at", "-", "--output", begun.to_str().unwrap(), &uri]);
        assert!(fs::read(&begun).unwrap() == whole, "{flag}");
    }
}

#[test]
#[ignore = "needs curl and nginx: apt-get install curl nginx"]
fn what_a_client_has_is_not_sent_again() {
    let stage = Stage::start();
    let uri = stage.proxy.uri("/file");
    let tag = stage.folder.path().join("tag");
    let tag = tag.to_str().unwrap();
    for flag in Stage::VERSIONS {
        curled(&[flag, "--etag-save", tag, &uri]);
        let told = ["--etag-compare", tag, "--write-out", "%{http_code} %{size_download}"];
        assert_eq!(curl(&[&[flag], &told[..], &[&uri]].concat()), "304 0", "{flag}");
        // The connection is still good after an answer that tells a length and has no content.
        if flag != "--http2-prior-knowledge" {
            let again = [&["--next", flag, "--silent"], &told[..], &[&uri]].concat();
            let after = curl(&[&[flag], &told[..], &[&uri], &again[..]].concat());
            assert_eq!(after, "304 0304 0", "{flag}");
        }
        let head = curl(&[flag, "--head", &uri]).to_lowercase();
        assert!(
            head.contains("content-length: 2000000\r\n") && head.contains("etag: "),
            "{head}"
        );
        assert_eq!(status(&[flag, &stage.proxy.uri("/nothing")]), "404");
    }
}

#[test]
#[ignore = "needs curl and nginx: apt-get install curl nginx"]
fn what_nginx_compresses_passes_as_it_is() {
    let stage = Stage::start();
    let uri = stage.proxy.uri("/text");
    let text = fs::read(stage.folder.path().join("text")).unwrap();
    for flag in Stage::VERSIONS {
        assert!(curled(&[flag, &uri]) == text, "{flag}");
        // nginx compresses for HTTP/1.1 only, which is what it is spoken to.
        let compressed = curled(&[flag, "--header", "Accept-Encoding: gzip", &uri]);
        assert!(
            compressed.starts_with(&[0x1f, 0x8b]) && compressed.len() < text.len() / 10,
            "{flag}"
        );
        assert!(curled(&[flag, "--compressed", &uri]) == text, "{flag}");
    }
}

#[test]
#[ignore = "needs curl and nginx: apt-get install curl nginx"]
fn an_upload_that_nginx_refuses_is_refused() {
    let stage = Stage::start();
    let file = stage.folder.path().join("long");
    fs::write(&file, pattern::first(20 * 1024 * 1024)).unwrap();
    let upload = ["--upload-file", file.to_str().unwrap(), &stage.proxy.uri("/")];
    // curl 7.88 takes the end of an HTTP/2 stream in the middle of its upload for an error, nginx's own as well.
    for flag in ["--http1.0", "--http1.1"] {
        for expect in ["Expect: 100-continue", "Expect:"] {
            let answered = status(&[&[flag, "--header", expect], &upload[..]].concat());
            assert_eq!(answered, "413", "{flag} {expect}");
        }
    }
}
