//! What the proxy says to those who start it.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::Output,
};

use crate::{
    program::Program,
    proxy::{Proxy, command},
};

/// How it ends: the exit code, stdout and stderr.
fn run(flags: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Program::start(&mut command(flags)).output();
    let [stdout, stderr] = [stdout, stderr].map(|words| String::from_utf8(words).unwrap());
    (status.code(), stdout, stderr)
}

#[test]
fn what_it_does_not_understand_it_names() {
    let backend = ["--backend", "http://127.0.0.1:1"];
    let long = format!("http://127.0.0.1:2,id={}", "x".repeat(244));
    for (flags, told) in [
        (&[][..], &["missing --backend", "http://HOST[:PORT]"][..]),
        (&["--backend"], &["invalid --backend ''"]),
        (&["--backend", "127.0.0.1:1"], &["invalid --backend '127.0.0.1:1'"]),
        (&["--backend", "https://127.0.0.1:1"], &["'https://127.0.0.1:1'", "TLS"]),
        (
            &["--backend", "http://127.0.0.1:1,weight=x"],
            &["invalid --backend 'http://127.0.0.1:1,weight=x'"],
        ),
        (
            &["--backend", "http://127.0.0.1:1", "--backend", "http://127.0.0.1:1"],
            &["another one has this id", ",id="],
        ),
        (&["--key", "address"], &["invalid --key 'address'", "header:NAME"]),
        (&["--key", "header:a b"], &["invalid --key 'header:a b'"]),
        (&["--key", "cookie:"], &["invalid --key 'cookie:'"]),
        (&["--strategy", "best"], &["invalid --strategy 'best'", "round_robin"]),
        (
            &["--listen", "localhost:80"],
            &["invalid --listen 'localhost:80'", "IP:PORT"],
        ),
        (&["--trust", "everyone"], &["invalid --trust 'everyone'", "10.0.0.0/8"]),
        (&["--grace", "25"], &["invalid --grace '25'", "s, m or h"]),
        (&["--grace", "-1s"], &["invalid --grace '-1s'"]),
        (&["--grace", "4294967296s"], &["invalid --grace '4294967296s'"]),
        (&["--health", "up"], &["invalid --health 'up'", "begins with '/'"]),
        (
            &["--health", "/up,often"],
            &["invalid --health '/up,often'", "[,interval=T]"],
        ),
        (
            &["--health", "/up,rise=2"],
            &["invalid --health '/up,rise=2'", "[,expect=TEXT]"],
        ),
        (
            &["--health", "/up,expect="],
            &["invalid --health '/up,expect='", "text"],
        ),
        (
            &["--health", "/up,interval=5"],
            &["invalid --health '/up,interval=5'", "interval '5'", "s, m or h"],
        ),
        (
            &["--health", "/up,interval=0s"],
            &["invalid --health '/up,interval=0s'", "interval", "1 ms to 24 h"],
        ),
        (
            &["--health", "/up,timeout=1s,timeout=2s"],
            &["invalid --health", "each once"],
        ),
        (&["--health", "/u\np"], &["invalid --health '/u\\np'"]),
        (&["--tries", "0"], &["invalid --tries '0'", "from 1"]),
        (&["--tries", "+2"], &["invalid --tries '+2'"]),
        (&["--hedge", "100%"], &["invalid --hedge '100%'", "1% to 99%"]),
        (&["--hedge", "soon"], &["invalid --hedge 'soon'", "ms, s, m or h"]),
        (
            &["--retry-budget", "20,"],
            &["invalid --retry-budget '20,'", "percentage"],
        ),
        (&["--retry-budget", "10001"], &["invalid --retry-budget '10001'"]),
        (&["--replay", "1k"], &["invalid --replay '1k'", "bytes"]),
        (&["--try-timeout", "1"], &["invalid --try-timeout '1'"]),
        (
            &["--sticky", "always"],
            &["invalid --sticky 'always'", "learned:COOKIE"],
        ),
        (
            &["--sticky", "cookie:sid"],
            &["invalid --sticky 'cookie:sid'", "header:NAME"],
        ),
        (
            &["--sticky", "cookie,often"],
            &["invalid --sticky 'cookie,often'", "[,secure]"],
        ),
        (
            &["--sticky", "cookie,same-site=none"],
            &["invalid --sticky 'cookie,same-site=none'", "ecure"],
        ),
        (
            &["--sticky", "cookie,name=a b"],
            &["invalid --sticky 'cookie,name=a b'", "name"],
        ),
        (&["--sticky", "header:a b"], &["invalid --sticky 'header:a b'"]),
        (&["--sticky", "learned:"], &["invalid --sticky 'learned:'"]),
        (
            &["--sticky", "source", "--strategy", "random"],
            &["--strategy random goes by no key", "maglev"],
        ),
        (&["--sticky", "source", "--key", "path"], &["--key and --sticky"]),
        (
            &["--sticky-keys", "/nowhere"],
            &["invalid --sticky-keys", "No such file"],
        ),
        (&["--home-lost", "refuse"], &["--home-lost is for --sticky cookie"]),
        (
            &["--sticky", "source", "--sticky-idle", "1h"],
            &["--sticky-idle is for --sticky cookie"],
        ),
        (
            &["--sticky", "cookie", "--backend", &long],
            &["ids of up to 243 bytes", "xxx"],
        ),
        (&["--sticky-idle", "0s"], &["invalid --sticky-idle '0s'", "at least 1s"]),
        (&["--home-lost", "wait"], &["invalid --home-lost 'wait'", "refuse"]),
        (&["--redis", "http://a"], &["invalid --redis"]),
        (&["--redis", "redis://:secret@127.0.0.1:x"], &["invalid --redis"]),
        (
            &["--redis", "redis://127.0.0.1"],
            &["--redis is for --sticky learned:COOKIE"],
        ),
        (
            &["--redis", "redis://127.0.0.1", "--sticky", "learned:sid"],
            &["--redis wants --sticky-keys"],
        ),
        (&["--outliers", "maybe"], &["invalid --outliers 'maybe'", "on or off"]),
        (
            &["--panic-threshold", "101"],
            &["invalid --panic-threshold '101'", "0 to 100"],
        ),
        (&["--panic-threshold", "+5"], &["invalid --panic-threshold '+5'"]),
        (&["--slow-start", "30"], &["invalid --slow-start '30'", "s, m or h"]),
        (&["--locality", "/"], &["invalid --locality '/'", "REGION/ZONE"]),
        (
            &["--strategy", "ring(si\nze=1)"],
            &["invalid --strategy 'ring(si\\nze=1)'"],
        ),
        (&["--backend", "http://a\nb:1"], &["invalid --backend 'http://a\\nb:1'"]),
        (&["--listen", "a\nb"], &["invalid --listen 'a\\nb'"]),
        (&["--trust", "a\nb"], &["invalid --trust 'a\\nb'"]),
        (&["--grace", "1\ns"], &["invalid --grace '1\\ns'"]),
        (&["--wh\nat"], &["unknown flag '--wh\\nat'"]),
        (&["--what"], &["unknown flag '--what'", "--help"]),
    ] {
        // Whatever is wrong, the rest is right.
        let with_backend = [&backend[..], flags].concat();
        let is_of_backends = flags.first().is_none_or(|flag| *flag == "--backend");
        let flags = if is_of_backends { flags } else { &with_backend };
        let (code, stdout, stderr) = run(flags);
        assert_eq!((code, &*stdout), (Some(2), ""), "{flags:?}: {stderr}");
        assert!(told.iter().all(|told| stderr.contains(told)), "{flags:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{flags:?}: {stderr}");
    }
}

#[test]
fn help_is_no_mistake() {
    for flag in ["--help", "-h"] {
        let (code, stdout, stderr) = run(&["--backend", "http://127.0.0.1:1", flag]);
        assert_eq!((code, &*stderr), (Some(0), ""));
        for flag in [
            "--backend",
            "--listen",
            "--strategy",
            "--key",
            "least_loaded(d=8)",
            "--grace",
            "--trust",
            "--health",
            "--outliers",
            "--panic-threshold",
            "--slow-start",
            "--locality",
        ] {
            assert!(stdout.contains(flag), "{flag} is not in {stdout}");
        }
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let flags = ["--backend", "http://127.0.0.1:1", "--listen", &address];
    let (code, stdout, stderr) = run(&flags);
    assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
    assert!(stderr.contains(&address) && stderr.contains("in use"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");

    // So it is by another of its kind, and free again once that has ended.
    let first = Proxy::start(&["http://127.0.0.1:1".to_owned()], &[]);
    let address = first.address.to_string();
    let flags = ["--backend", "http://127.0.0.1:1", "--listen", &address];
    assert_eq!(run(&flags).0, Some(1));
    drop(first);
    let mut again = Program::start(&mut command(&flags));
    let is_up = crate::program::until("it listens, or ends", || {
        let is_up = again.stdout() == format!("listening on http://{address}\n");
        (is_up || !again.is_running()).then_some(is_up)
    });
    assert!(is_up, "{}", again.stderr());
}
