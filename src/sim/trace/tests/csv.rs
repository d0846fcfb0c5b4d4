//! Tests of comma-separated values.

use std::{
    io::{self, Read},
    time::Duration,
};

use crate::{
    key::HashFunction,
    sim::{Recorded, Trace},
};

fn read(text: impl AsRef<[u8]>) -> Vec<Recorded> {
    Trace::read_csv(text.as_ref()).unwrap().requests().to_vec()
}

fn refused(text: impl AsRef<[u8]>) -> String {
    Trace::read_csv(text.as_ref()).unwrap_err().to_string()
}

fn recorded(arrival: u64, service: u64, key: Option<&str>) -> Recorded {
    Recorded {
        arrival: Duration::from_nanos(arrival),
        service: Duration::from_nanos(service),
        key: key.map(|key| HashFunction::default().hash(key.as_bytes())),
    }
}

const NANOS: u64 = 1_000_000_000;

#[test]
fn without_a_header_the_columns_are_arrival_service_and_key_in_seconds() {
    let expected = [recorded(0, 20_000_000, Some("alice")), recorded(250_000_000, 5, None)];
    assert_eq!(read("1.5,0.02,alice\n1.75,5e-9,\n"), expected);
    assert_eq!(read("1.5, 0.02 , alice ,more\r\n\r\n1.75,5e-9, ,more"), expected);
    assert!(
        read("1.5,0.02\n1.75,5e-9\n")
            .iter()
            .all(|request| request.key.is_none())
    );
    // A key that is the name of a column makes no header.
    assert_eq!(read("0,0.02,key\n"), [recorded(0, 20_000_000, Some("key"))]);
}

#[test]
fn a_header_names_columns_in_any_order_with_their_units() {
    let expected = [recorded(0, 2_000, Some("a")), recorded(1_500_000, 3_000, Some("b"))];
    for text in [
        "arrival_ms,service_us,key\n7,2,a\n8.5,3,b\n",
        "\u{feff}key,note,service_us,arrival_ms\na,\"1,\n2\",2,7\nb,,3,8.5\n",
        "\"Service\" , ARRIVAL_S,Key\n0.000002,0.007,a\n3e-6,0.0085,b",
        "arrival_us,service_ms,key,1\n7000,0.002,a,\n8500,0.003,b,\n",
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn arrivals_are_sorted_and_count_from_the_first() {
    let expected = [(0, "b"), (1, "d"), (1, "a"), (2_000_000_000, "c")];
    let text = "1700000000.123456780,1,d\n1700000000.123456780,1,a\n1700000002.123456779,1,c\n\
                1700000000.123456779,1,b\n";
    assert_eq!(read(text), expected.map(|(at, key)| recorded(at, NANOS, Some(key))));
    assert_eq!(
        Trace::read_csv(text.as_bytes()).unwrap().duration(),
        Duration::from_secs(2)
    );
}

#[test]
fn requests_of_one_moment_stay_in_their_order() {
    let keys: Vec<_> = (0..100).map(|key| key.to_string()).collect();
    let text: String = keys.iter().map(|key| format!("7,0,{key}\n")).collect();
    let expected: Vec<_> = keys.iter().map(|key| recorded(0, 0, Some(key))).collect();
    assert_eq!(read(text), expected);
}

#[test]
fn keys_are_any_text() {
    let text = "0,0,\"a \"\"b\"\", c\n\r\nd\"\n0,0,日本\n0,0,\"  x  \"\n0,0,x\n0,0,3\" pipe";
    let keys = ["a \"b\", c\n\r\nd", "日本", "x", "x", "3\" pipe"];
    assert_eq!(read(text), keys.map(|key| recorded(0, 0, Some(key))));
}

#[test]
fn what_is_malformed_is_refused_with_its_place() {
    for (text, error) in [
        ("", "no request: expected at least one line with one"),
        ("\n \r\n", "no request: expected at least one line with one"),
        ("arrival,service\n", "no request: expected at least one line with one"),
        (
            "1,2\n\n3,abc\n",
            "line 3, column 2 (service): 'abc' is no number of seconds from 0 to 86400",
        ),
        (
            "1,2\r\n\r\n3,\r\n",
            "line 3, column 2 (service): '' is no number of seconds from 0 to 86400",
        ),
        (
            "-1,2",
            "line 1, column 1 (arrival): '-1' is no number of seconds from 0 to 9000000000",
        ),
        (
            "1,NaN",
            "line 1, column 2 (service): 'NaN' is no number of seconds from 0 to 86400",
        ),
        (
            "9000000001,1",
            "line 1, column 1 (arrival): '9000000001' is no number of seconds from 0 to 9000000000",
        ),
        (
            "1,86400.000000001",
            "line 1, column 2 (service): '86400.000000001' is no number of seconds from 0 to 86400",
        ),
        (
            "key,service_ms,arrival\n\n\"a\nb\",86400000.1,0",
            "line 3, column 2 (service_ms): '86400000.1' is no number of milliseconds from 0 to 86400000",
        ),
        (
            "time,latency\n1,2",
            "line 1, column 1 (arrival): 'time' is no number of seconds from 0 to 9000000000",
        ),
        (
            "arrival,latency\n1,2",
            "line 1: no column of these names: expected one of service, service_s, service_ms, service_us",
        ),
        (
            "key,Service\n1,2",
            "line 1: no column of these names: expected one of arrival, arrival_s, arrival_ms, arrival_us",
        ),
        (
            "arrival,service,arrival_ms\n",
            "line 1, column 3: 'arrival_ms' is a second column of the kind",
        ),
        (
            "key,arrival,service,KEY\n",
            "line 1, column 4: 'key' is a second column of the kind",
        ),
        ("1", "line 1, column 2: 1 fields instead of 2"),
        ("1,2\n1,2,3", "line 2, column 3: 3 fields instead of 2"),
        ("1,2,3\n1,2", "line 2, column 3: 2 fields instead of 3"),
        ("1,2,\"a\n3,4,b\n", "line 1, column 3: a quote is not closed"),
        (
            "0,0,x\n1,2,\"a\n3,4,\"b\"\n",
            "line 2, column 3: text after a closing quote",
        ),
        (
            "0,0,x\n1,2,\"a\n3,4,\"b\n",
            "line 2, column 3: text after a closing quote",
        ),
    ] {
        assert_eq!(refused(text), error, "{text}");
    }
    assert_eq!(refused(b"1,2,a\n1,2,\xff\n"), "line 2, column 3: not UTF-8");
    // UTF-16.
    assert_eq!(refused(b"\xff\xfe1\0,\x002\0"), "line 1, column 1: not UTF-8");
    // What was found is cut.
    let shown = "\\u{1b}".repeat(13);
    assert_eq!(
        refused(format!("{},1", "\x1b".repeat(1_000_000))),
        format!("line 1, column 1 (arrival): '{shown}…' is no number of seconds from 0 to 9000000000")
    );
}

#[test]
fn the_error_has_line_and_column() {
    let error = Trace::read_csv("1,2\n3,abc\n".as_bytes()).unwrap_err();
    assert_eq!((error.line(), error.column()), (Some(2), Some(2)));
    let error = Trace::read_csv(io::empty()).unwrap_err();
    assert_eq!((error.line(), error.column()), (None, None));
}

#[test]
fn a_record_without_end_is_not_read_for_ever() {
    for endless in ["x", "\"\n", "1,2,\"a\n"] {
        let endless = io::Cursor::new(b"1,2,3\n").chain(Endless(endless.as_bytes()));
        let error = Trace::read_csv(endless).unwrap_err();
        assert_eq!(error.to_string(), "line 2: longer than 1048576 bytes");
    }
    // Nothing of which is to be kept.
    let blank = io::Read::take(io::repeat(b'\n'), 3 << 20).chain(&b"1,2"[..]);
    assert_eq!(Trace::read_csv(blank).unwrap().requests().len(), 1);
}

/// The first byte once, the second for ever.
struct Endless(&'static [u8]);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let [first, rest @ ..] = self.0 {
            buffer[0] = *first;
            if !rest.is_empty() {
                self.0 = rest;
            }
        }
        Ok(1)
    }
}

#[test]
fn a_failed_reading_keeps_its_source() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let error = Trace::read_csv("1,2\n3".as_bytes().chain(Broken)).unwrap_err();
    assert_eq!(error.to_string(), "line 2: can't be read");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "gone");
}
