//! Requests that were recorded, replayed.

use std::{fmt::Write, fs, path::PathBuf};

use serde_json::Value;

use crate::{printed, program::Folder, run};

fn file(folder: &Folder, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn json(path: &std::path::Path, flags: &[&str]) -> Value {
    let trace = [
        "--trace",
        path.to_str().unwrap(),
        "--format",
        "json",
        "--strategies",
        "ring,random",
    ];
    serde_json::from_str(&printed(&[&trace[..], flags].concat())).unwrap()
}

/// A request each 2 ms that takes 10 ms, of two keys in turns.
fn values() -> String {
    let lines = (0..1200).map(|index| format!("{},10,{}\n", index * 2, ["a", "b"][index % 2]));
    lines.fold("arrival_ms,service_ms,key\n".to_owned(), |text, line| text + &line)
}

/// The same by nginx, of one client and twenty paths.
fn log() -> String {
    (0..1200).fold(String::new(), |mut text, index| {
        let second = 10 + index / 500;
        let path = index % 20;
        let request = format!("[20/Nov/2026:15:56:{second} +0000] \"GET /{path} HTTP/1.1\" 200 1 \"-\" \"-\" 0.010");
        writeln!(text, "10.0.0.1 - - {request}").unwrap();
        text
    })
}

#[test]
fn values_are_replayed_at_their_own_load() {
    let folder = Folder::new();
    let path = file(&folder, "values.csv", &values());
    // 5 of 8 slots are busy.
    let replayed = json(&path, &["--servers", "2"]);
    assert_eq!(replayed["scenario"], "values.csv at equal");
    let load = replayed["load"].as_f64().unwrap();
    assert!((load - 5.0 / 8.0).abs() < 0.001, "{load}");
    // A sixth of them warm up.
    assert_eq!(replayed["reference"]["requests"], 1000);
    assert_eq!(replayed["reference"]["p999_ms"], 10.0);
    let [ring, random] = [0, 1].map(|index| &replayed["strategies"][index]);
    assert_eq!(ring["moved_keys"], 0.0);
    assert!(random["moved_keys"].as_f64().unwrap() > 0.4, "{random}");

    let faster = json(&path, &["--servers", "2", "--load", "0.9", "--requests", "500"]);
    assert_eq!(
        (&faster["load"], &faster["reference"]["requests"]),
        (&0.9.into(), &500.into())
    );
    // In units of the recorded mean.
    let delayed = json(&path, &["--servers", "2", "--delay", "5ms"]);
    assert_eq!(delayed["reference"]["p999_ms"], 20.0);
}

#[test]
fn a_load_that_is_given_is_taken_however_little_was_recorded() {
    let folder = Folder::new();
    let path = file(&folder, "values.csv", &values());
    let path = path.to_str().unwrap();
    let flags = [
        "--trace",
        path,
        "--servers",
        "500",
        "--slots",
        "10",
        "--strategies",
        "random",
    ];
    let (code, stdout, stderr) = run(&flags);
    assert_eq!((code, &*stdout), (Some(2), ""), "{stderr}");
    let told = ["invalid --trace", "load 0.001", "from 0.01 to 2", "--servers", "--load"];
    assert!(told.iter().all(|told| stderr.contains(told)), "{stderr}");
    let text = printed(&[&flags[..], &["--load", "0.5"]].concat());
    assert!(
        text.starts_with("values.csv at equal, load 0.5, 1 client, seed 11"),
        "{text}"
    );
}

#[test]
fn an_access_log_is_told_from_values_and_keyed_as_asked() {
    let folder = Folder::new();
    let path = file(&folder, "access.log", &log());
    let moved = |json: &Value| [0, 1].map(|index| json["strategies"][index]["moved_keys"].as_f64().unwrap());
    let shares = |json: &Value| json["strategies"][0]["max_over_mean"].as_f64().unwrap();
    let by_client = json(&path, &["--servers", "3", "--slots", "10"]);
    let by_path = json(&path, &["--servers", "3", "--slots", "10", "--log-key", "path"]);
    assert_eq!(
        json(&path, &["--servers", "3", "--slots", "10", "--log-key", "client"]),
        by_client
    );
    assert_eq!((moved(&by_client)[0], moved(&by_path)[0]), (0.0, 0.0));
    // One client is at one of three servers.
    assert_eq!(shares(&by_client), 3.0);
    assert!(shares(&by_path) < 2.9, "{by_path:#}");

    let empty_lines = file(&folder, "begins_with_blanks.log", &format!("\n \n{}", log()));
    let replayed = json(&empty_lines, &["--servers", "3", "--slots", "10"]);
    assert_eq!(replayed["strategies"], by_client["strategies"]);
}

#[test]
fn what_is_malformed_is_told_with_its_place() {
    let folder = Folder::new();
    let values = values().replace("\n20,10,", "\n20,ten,");
    let log = log().replacen(
        "/1 HTTP/1.1\" 200 1 \"-\" \"-\" 0.010",
        "/1 HTTP/1.1\" 200 1 \"-\" \"-\" soon",
        1,
    );
    for (name, text, flags, told) in [
        (
            "values.csv",
            &*values,
            &[][..],
            &["values.csv': line 12, column 2", "'ten'"][..],
        ),
        ("access.log", &log, &[], &["access.log': line 2, column ", "'soon'"]),
        ("empty.csv", "", &[], &["empty.csv': no request"]),
        (
            "few.csv",
            "0,1\n2,3\n",
            &[],
            &["few.csv': impossible number of recorded requests 2", "from 100 to"],
        ),
        (
            "a.csv",
            "0,1\n",
            &["--log-key", "path"],
            &["a.csv': expected an access log"],
        ),
        (
            "at\nonce.csv",
            &"5,0.1\n".repeat(200),
            &["--load", "0.5"],
            &["at\\nonce.csv': impossible recorded load inf"],
        ),
    ] {
        let path = file(&folder, name, text);
        let (code, stdout, stderr) = run(&[&["--trace", path.to_str().unwrap()], flags].concat());
        assert_eq!((code, &*stdout), (Some(2), ""), "{name}: {stderr}");
        assert!(stderr.starts_with("invalid --trace '"), "{name}: {stderr}");
        assert!(told.iter().all(|told| stderr.contains(told)), "{name}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{name}: {stderr}");
    }
}
