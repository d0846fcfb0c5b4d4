//! Tests of access logs.

use crate::{
    key::HashFunction,
    sim::{LogKey, Recorded, Trace},
};

fn read(log: &str, key: LogKey) -> Vec<Recorded> {
    Trace::read_access_log(log.as_bytes(), key).unwrap().requests().to_vec()
}

fn keys(log: &str, key: LogKey) -> Vec<Option<u64>> {
    read(log, key).iter().map(|request| request.key).collect()
}

fn hashes<const N: usize>(keys: [Option<&str>; N]) -> [Option<u64>; N] {
    keys.map(|key| key.map(|key| HashFunction::default().hash(key.as_bytes())))
}

/// Arrivals and services in milliseconds.
fn times(log: &str) -> Vec<(u128, u128)> {
    let requests = read(log, LogKey::Client);
    let times = requests.iter().map(|request| (request.arrival, request.service));
    times
        .map(|(arrival, service)| (arrival.as_millis(), service.as_millis()))
        .collect()
}

fn refused(log: impl AsRef<[u8]>) -> String {
    Trace::read_access_log(log.as_ref(), LogKey::Client)
        .unwrap_err()
        .to_string()
}

/// Written by nginx 1.22.1 with the `combined` format of its documentation (nginx/nginx.org,
/// `xml/en/docs/http/ngx_http_log_module.xml`) and `"$request_time"` after it: quotes and a backslash in a user
/// agent, a user with spaces and brackets, a slow answer, the beginning of TLS, a target with its host.
const NGINX: &str = r#"
127.0.0.1 - - [20/Nov/2026:15:56:00 +0000] "GET /a/b?c=d HTTP/1.1" 200 1 "-" "he said \x22hi\x22 \x5C [x] 5.0" "0.000"
::1 - fr ank [x] [20/Nov/2026:15:56:00 +0000] "GET /q\x22x HTTP/1.1" 200 1 "http://127.0.0.1/\xC3\xBC" "curl/7.88.1" "0.000"
127.0.0.1 - - [20/Nov/2026:15:56:40 +0000] "GET /slow HTTP/1.1" 200 10 "-" "curl/7.88.1" "39.047"
127.0.0.1 - - [20/Nov/2026:15:56:40 +0000] "\x16\x03\x01\x02\x22" 400 157 "-" "-" "0.002"
127.0.0.1 - - [20/Nov/2026:15:56:40 +0000] "GET http://example.com/p?x HTTP/1.1" 200 1 "-" "-" "0.000"
"#;

#[test]
fn a_log_of_nginx_is_read() {
    let clients = ["127.0.0.1", "::1", "127.0.0.1", "127.0.0.1", "127.0.0.1"].map(Some);
    assert_eq!(keys(NGINX, LogKey::Client), hashes(clients));
    let paths = [
        Some("/a/b"),
        Some(r"/q\x22x"),
        Some("/slow"),
        None,
        Some("http://example.com/p"),
    ];
    assert_eq!(keys(NGINX, LogKey::Path), hashes(paths));
    // The first two at a quarter and three quarters of their second; the others at 1/6, 3/6, and 5/6 less what they
    // took.
    let from_first = |second: u32, took: f64| (f64::from(second) * 1_000.0 / 12.0 - 250.0 - took) as u128;
    assert_eq!(
        times(NGINX),
        [
            (0, 0),
            (500, 0),
            (from_first(40 * 12 + 2, 39_047.0), 39_047),
            (from_first(40 * 12 + 6, 2.0), 2),
            (from_first(40 * 12 + 10, 0.0), 0),
        ]
    );
}

/// The first two lines are those of Apache's documentation (apache/httpd, `docs/manual/logs.xml`, "Common Log
/// Format" and "Combined Log Format"), the third is one of its escapes (`docs/manual/mod/mod_log_config.xml`,
/// "Some Notes"), the fourth a client's that sent nothing (elastic/beats, `filebeat/module/apache/access/test`);
/// with `%D` after them.
const APACHE: &str = r#"
127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 12500
127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)" 2000000
- - - [10/Oct/2000:13:55:36 -0700] "GET /\"\\ HTTP/1.0" 404 - "-" "\t\\\"" 1000
::1 - - [10/Oct/2000:23:55:37 +0300] "-" 408 - "0"
"#;

#[test]
fn a_log_of_apache_is_read() {
    let clients = [Some("127.0.0.1"), Some("127.0.0.1"), None, Some("::1")];
    assert_eq!(keys(APACHE, LogKey::Client), hashes(clients));
    let paths = [Some("/apache_pb.gif"), Some("/apache_pb.gif"), Some(r#"/\"\\"#), None];
    assert_eq!(keys(APACHE, LogKey::Path), hashes(paths));
    // What it dates is the beginning; the last came in the second after, in another time zone.
    let sixth = 1_000.0 / 6.0;
    let at = |sixths: f64| (sixths * sixth) as u128;
    assert_eq!(times(APACHE), [(0, 12), (at(2.0), 2_000), (at(4.0), 1), (at(8.0), 0)]);
}

#[test]
fn requests_of_a_second_are_spread_over_it_and_seconds_may_be_mixed() {
    let line = |second: u32, took: &str| format!("c - - [10/Oct/2000:13:55:{second} +0000] \"-\" 200 0 {took}\n");
    let log: String = [(36, "4"), (35, "1"), (36, "5"), (35, "2"), (35, "3"), (35, "0.500")]
        .map(|(second, took)| line(second, took))
        .concat();
    let requests = read(&log, LogKey::Client);
    let micros: Vec<_> = requests
        .iter()
        .map(|request| (request.arrival.as_micros(), request.service.as_micros()))
        .collect();
    // At 1/8, 3/8, 5/8, 7/8 of 35, the fourth of them being the end of one that began at 3/8 as well, before which
    // what is earlier in the log stands; at 1/4 and 3/4 of 36.
    assert_eq!(
        micros,
        [
            (0, 1),
            (250_000, 2),
            (250_000, 500_000),
            (500_000, 3),
            (1_125_000, 4),
            (1_625_000, 5)
        ]
    );
}

#[test]
fn many_requests_of_a_second_stay_in_their_order() {
    let line = |took: u64| format!("c - - [10/Oct/2000:13:55:36 +0000] \"-\" 200 0 {took}\n");
    let log: String = (0..100).rev().map(line).collect();
    let requests = read(&log, LogKey::Client);
    for (at, request) in requests.iter().enumerate() {
        assert_eq!(request.service.as_micros(), 99 - at as u128);
        assert_eq!(request.arrival.as_micros(), 10_000 * at as u128);
    }
}

#[test]
fn what_is_malformed_is_refused_with_its_place() {
    let form = "is no line of an access log: expected CLIENT - USER [TIME] \"REQUEST\" STATUS BYTES … REQUEST_TIME";
    let time = "is no time from 1970 to 2255 such as 10/Oct/2000:13:55:36 -0700";
    let took = "is no request time from 0 to 86400 s: seconds with a point, or whole microseconds";
    let date = "c - - [10/Oct/2000:13:55:36 -0700]";
    for (line, error) in [
        ("hello".to_owned(), format!("line 2, column 1: 'hello' {form}")),
        (
            " - [10/Oct/2000:13:55:36 -0700] \"-\" 200 0 1".into(),
            format!("line 2, column 1: ' - [10/Oct/2000:13:55:36 -0700] \"-\" 200 …' {form}"),
        ),
        (
            "ü - - [10/Okt/2000:13:55:36 -0700] \"-\" 200 0 1".into(),
            format!("line 2, column 8 (time): '10/Okt/2000:13:55:36 -0700' {time}"),
        ),
        (
            "c - - [31/Dec/1969:23:59:59 +0000] \"-\" 200 0 1".into(),
            format!("line 2, column 8 (time): '31/Dec/1969:23:59:59 +0000' {time}"),
        ),
        (
            "c - - [31/Feb/2000:13:55:36 -0700] \"-\" 200 0 1".into(),
            format!("line 2, column 8 (time): '31/Feb/2000:13:55:36 -0700' {time}"),
        ),
        (
            "c - - [] \"-\" 200 0 1".into(),
            format!("line 2, column 8 (time): '' {time}"),
        ),
        (
            format!("{date} \"GET"),
            "line 2, column 36: a quote is not closed".into(),
        ),
        (
            format!("{date} \"GET\\\""),
            "line 2, column 36: a quote is not closed".into(),
        ),
        (
            format!("{date} \"-\"200 0 1"),
            "line 2, column 39: expected a space after a quote".into(),
        ),
        (
            format!("{date} \"-\""),
            "line 2, column 39 (status): the line ends without its status".into(),
        ),
        (
            format!("{date} \"-\" 20 0 1"),
            "line 2, column 40 (status): '20' is no status of three digits".into(),
        ),
        (
            format!("{date} \"ü\" 20x 0 1"),
            "line 2, column 40 (status): '20x' is no status of three digits".into(),
        ),
        (
            format!("{date} \"-\" 200  -1 1"),
            "line 2, column 45 (bytes): '-1' is no number of bytes".into(),
        ),
        (
            format!("{date} \"-\" 200 2326"),
            "line 2, column 48 (request time): the line ends without its request time".into(),
        ),
        (
            format!("{date} \"-\" 200 0 \"-\" \"Mozilla 5.0\""),
            format!("line 2, column 50 (request time): 'Mozilla 5.0' {took}"),
        ),
        (
            format!("{date} \"-\" 200 0 \"-\" \"Mozilla 5.0"),
            "line 2, column 50: a quote is not closed".into(),
        ),
    ] {
        assert_eq!(refused(format!("\n{line}\n")), error, "{line}");
    }
    for bad in [
        "-",
        "-1",
        "-0.5",
        "NaN",
        "inf",
        "1e3",
        "1.5e1",
        ".",
        "1.2.3",
        "86400000001",
        "86400.001",
        "0.1s",
    ] {
        let error = refused(format!("{date} \"-\" 200 0 {bad}"));
        assert_eq!(error, format!("line 1, column 46 (request time): '{bad}' {took}"));
    }
    assert_eq!(refused(""), "no request: expected at least one line with one");
    assert_eq!(refused("\n \r\n"), "no request: expected at least one line with one");
    assert_eq!(refused(b"c - - \xff"), "line 1, column 7: not UTF-8");
}

#[test]
fn the_longest_and_shortest_times_are_read() {
    let line = |took: &str| format!("c - - [01/Jan/1970:00:00:00 +0000] \"-\" 200 0 {took}\r\n");
    assert_eq!(times(&line("86400.000")), [(0, 86_400_000)]);
    let both = line("86400000000") + &line("0.0") + "c - - [01/Jan/2255:00:00:00 +0000] \"-\" 200 0 0\n";
    assert_eq!(times(&both).len(), 3);
}
