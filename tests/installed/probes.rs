//! The ready-made probes, and the example `health_probes`, against real servers.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::{
    example::example,
    program::{Folder, Program, installed, printed, until},
};

/// What the example says, and how it exits.
fn probed(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(example("health_probes"));
    let Output { status, stdout, .. } = Program::start(command.args(arguments)).output();
    (status.code(), String::from_utf8(stdout).unwrap())
}

fn fit() -> (Option<i32>, String) {
    (Some(0), "fit\n".to_owned())
}

/// A certificate for this machine, signed by itself, and its key.
fn certificate(folder: &Path) {
    let mut command = installed("openssl", "openssl");
    command
        .current_dir(folder)
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
    command.args([
        "-subj",
        "/CN=localhost",
        "-keyout",
        "key.pem",
        "-out",
        "certificate.pem",
    ]);
    // What is shown as a server's own is not to be an authority's.
    command.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    printed(&mut command);
}

/// An nginx that speaks TLS, with HTTP/2 in it, or not.
fn nginx(folder: &Folder, listen: &str) -> (Program, u16) {
    let path = folder.path().display();
    Program::serve(|port| {
        let config = folder.path().join("nginx.conf");
        let text = format!(
            "daemon off; master_process off; pid {path}/pid; error_log stderr;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
                uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
                server {{
                    listen 127.0.0.1:{port} {listen};
                    ssl_certificate {path}/certificate.pem;
                    ssl_certificate_key {path}/key.pem;
                    location = /health {{ return 200 \"$server_protocol $scheme well\\n\"; }}
                    location = /moved {{ return 302 /health; }}
                    location = /ill {{ return 503; }}
                }}
            }}"
        );
        fs::write(&config, text).unwrap();
        let mut command = installed("nginx", "nginx");
        command
            .args(["-e", "stderr", "-p"])
            .arg(folder.path())
            .arg("-c")
            .arg(config);
        command
    })
}

#[test]
#[ignore = "needs nginx and openssl: apt-get install nginx openssl"]
fn nginx_is_fit_by_what_it_answers() {
    let folder = Folder::new();
    certificate(folder.path());
    let (_nginx, port) = nginx(&folder, "");
    let plain = format!("http://127.0.0.1:{port}");
    assert_eq!(probed(&["tcp", &format!("localhost:{port}")]), fit());
    assert_eq!(probed(&["http", &plain, "/health", "^HTTP/1.1 http well\n$"]), fit());
    assert_eq!(probed(&["http", &plain, "/moved"]), fit());
    let (code, said) = probed(&["http", &plain, "/ill"]);
    assert_eq!(
        (code, said.as_str()),
        (Some(1), "not fit: expected status 200-399, but there came 503\n")
    );
    let (code, said) = probed(&["http", &format!("https://127.0.0.1:{port}"), "/health"]);
    assert!(
        code == Some(1) && said.starts_with("not fit: no TLS with 127.0.0.1: "),
        "{said}"
    );
}

#[test]
#[ignore = "needs nginx and openssl: apt-get install nginx openssl"]
fn nginx_is_fit_in_tls_if_its_certificate_is_trusted() {
    let folder = Folder::new();
    certificate(folder.path());
    let (_nginx, port) = nginx(&folder, "ssl http2");
    let origin = format!("https://localhost:{port}");
    let mut command = Command::new(example("health_probes"));
    command.args(["http", &origin, "/health", "^HTTP/2.0 https well\n$"]);
    command.env("SSL_CERT_FILE", folder.path().join("certificate.pem"));
    assert_eq!(printed(&mut command), "fit\n");
    // By what this machine trusts it is not.
    let (code, said) = probed(&["http", &origin, "/health"]);
    assert!(
        code == Some(1) && said.starts_with("not fit: no TLS with localhost: "),
        "{said}"
    );
}

#[test]
#[ignore = "needs redis: apt-get install redis-server"]
fn redis_is_fit_while_it_answers() {
    let folder = Folder::new();
    let (redis, port) = Program::serve(|port| {
        let mut command = installed("redis-server", "redis-server");
        command.current_dir(folder.path());
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
        command
    });
    let address = format!("127.0.0.1:{port}");
    assert_eq!(probed(&["redis", &address]), fit());
    // Its kernel takes connections all the same.
    redis.signal("STOP");
    assert_eq!(probed(&["tcp", &address]), fit());
    let (code, said) = probed(&["redis", &address]);
    assert_eq!((code, said.as_str()), (Some(1), "not fit: no answer within 2 s\n"));
    redis.signal("CONT");
    assert_eq!(probed(&["redis", &address]), fit());
    drop(redis);
    let (code, said) = probed(&["redis", &address]);
    assert!(
        code == Some(1) && said.starts_with("not fit: no connection to "),
        "{said}"
    );
}

#[test]
#[ignore = "needs postgresql: apt-get install postgresql"]
fn postgres_is_fit_while_it_answers() {
    let folder = Folder::new();
    // Where Debian has its programs, one folder for each version; nobody is to run them as root.
    let script = "
        bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
        as=; [ $(id -u) -ne 0 ] || { chown nobody . ; as='setpriv --reuid=nobody --clear-groups'; }
        $as $bin/initdb --pgdata data --auth trust --no-sync >log
        exec $as $bin/postgres -D data -p $0 -c listen_addresses=127.0.0.1 -c unix_socket_directories=";
    let (postgres, port) = Program::serve(|port| {
        let mut command = Command::new("sh");
        let _ = fs::remove_dir_all(folder.path().join("data"));
        command
            .current_dir(folder.path())
            .args(["-c", script, &port.to_string()]);
        command
    });
    let address = format!("127.0.0.1:{port}");
    until("postgres has started", || {
        (probed(&["postgres", &address]) == fit()).then_some(())
    });
    postgres.signal("STOP");
    let (code, said) = probed(&["postgres", &address]);
    assert_eq!((code, said.as_str()), (Some(1), "not fit: no answer within 2 s\n"));
    postgres.signal("CONT");
    assert_eq!(probed(&["postgres", &address]), fit());
    drop(postgres);
    assert_eq!(probed(&["postgres", &address]).0, Some(1));
}
