//! Properties of all formats: any text is read or refused, and what was written is read back.

mod access_log;
mod csv;

use std::time::Duration;

use proptest::prelude::*;

use super::{LogKey, Recorded, Trace, TraceError};
use crate::key::HashFunction;

/// What holds whatever was read.
fn check(read: Result<Trace, TraceError>) -> Result<(), TestCaseError> {
    match read {
        Ok(trace) => {
            let requests = trace.requests();
            prop_assert!(requests[0].arrival.is_zero());
            prop_assert!(requests.is_sorted_by_key(|request| request.arrival));
            prop_assert!(
                requests
                    .iter()
                    .all(|request| request.service <= Duration::from_secs(86_400))
            );
            prop_assert_eq!(trace.duration(), requests[requests.len() - 1].arrival);
        }
        Err(error) => {
            let told = error.to_string();
            prop_assert!(told.starts_with("line ") || told.starts_with("no request"), "{}", told);
            prop_assert!(!told.contains(char::is_control) && told.len() < 300, "{}", told);
        }
    }
    Ok(())
}

fn check_all(data: &[u8]) -> Result<(), TestCaseError> {
    check(Trace::read_csv(data))?;
    check(Trace::read_access_log(data, LogKey::Client))?;
    check(Trace::read_access_log(data, LogKey::Path))
}

fn hash(key: &str) -> Option<u64> {
    (!key.trim().is_empty()).then(|| HashFunction::default().hash(key.trim().as_bytes()))
}

/// A line of a log that is nearly right.
fn nearly_a_line() -> impl Strategy<Value = String> {
    const PARTS: [&str; 21] = [
        "127.0.0.1",
        "::1",
        " ",
        "-",
        " - ",
        " [",
        "] ",
        "10/Oct/2000:13:55:36 -0700",
        "\"",
        "\\",
        "\\\"",
        "\\x22",
        "\"GET /a?b HTTP/1.1\"",
        " 200",
        " 0",
        " 0.012",
        "\"0.012\"",
        " 1500",
        "ü",
        "\n",
        "\r\n",
    ];
    prop::collection::vec(prop::sample::select(&PARTS[..]), 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(data: Vec<u8>) {
        check_all(&data)?;
    }

    #[test]
    fn any_text_is_read_or_refused(text: String) {
        check_all(text.as_bytes())?;
    }

    #[test]
    fn what_is_nearly_a_record_is_read_or_refused(
        text in "(arrival(_ms)?,service,key\n)?([0-9e.\",-]{0,6}[,\n\r\" ü]){0,20}",
    ) {
        check_all(text.as_bytes())?;
    }

    #[test]
    fn what_is_nearly_a_line_is_read_or_refused(text in nearly_a_line(), valid: bool) {
        let before = if valid { "c - - [10/Oct/2000:13:55:36 -0700] \"-\" 200 0" } else { "" };
        check_all(format!("{before}{text}").as_bytes())?;
    }

    #[test]
    fn records_are_read_back(
        requests in prop::collection::vec((0..9_000_000_000_000_000_000_u64, 0..86_400_000_000_000_u64, any::<String>()), 1..20),
        has_header: bool,
    ) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        if has_header {
            writer.write_record(["key", "service_us", "arrival"]).unwrap();
        }
        for (arrival, service, key) in &requests {
            let arrival = format!("{}.{:09}", arrival / 1_000_000_000, arrival % 1_000_000_000);
            if has_header {
                let service = format!("{}.{:03}", service / 1_000, service % 1_000);
                writer.write_record([key, &service, &arrival]).unwrap();
            } else {
                let service = format!("{service}e-9");
                writer.write_record([&arrival, &service, key]).unwrap();
            }
        }
        let written = writer.into_inner().unwrap();

        let first = requests.iter().map(|(arrival, ..)| *arrival).min().unwrap();
        let mut expected: Vec<_> = requests
            .iter()
            .map(|(arrival, service, key)| Recorded {
                arrival: Duration::from_nanos(arrival - first),
                service: Duration::from_nanos(*service),
                key: hash(key),
            })
            .collect();
        expected.sort_by_key(|request| request.arrival);
        let read = Trace::read_csv(&written[..]).unwrap();
        prop_assert_eq!(read.requests(), expected);
    }

    #[test]
    fn lines_are_read_back_but_for_their_part_of_a_second(
        requests in prop::collection::vec((0..100_000_u64, 0..10_000_u64, "/[!->@-~]{0,9}", "[ -~]{0,9}"), 1..20),
    ) {
        let mut log = String::new();
        for (end, took, path, agent) in &requests {
            let date = jiff::Timestamp::from_second(971_211_336 + *end as i64 / 1_000).unwrap();
            let date = date.strftime("%d/%b/%Y:%H:%M:%S %z");
            let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let (path, agent) = (escape(path), escape(agent));
            let took = format!("{}.{:03}", took / 1_000, took % 1_000);
            log += &format!("::1 - - [{date}] \"GET {path}?q HTTP/1.1\" 200 0 \"-\" \"{agent}\" {took}\n");
        }
        let trace = Trace::read_access_log(log.as_bytes(), LogKey::Path).unwrap();

        let key = |path: &str| hash(&path.replace('\\', "\\\\").replace('"', "\\\""));
        let mut expected: Vec<_> = requests.iter().map(|(_, took, path, _)| (*took, key(path))).collect();
        let mut read: Vec<_> = trace
            .requests()
            .iter()
            .map(|request| (request.service.as_millis() as u64, request.key))
            .collect();
        expected.sort_unstable();
        read.sort_unstable();
        prop_assert_eq!(read, expected);

        // Where the first is put in its second, all are shifted by; and each is up to a second off itself.
        let mut arrivals: Vec<_> = requests.iter().map(|(end, took, ..)| *end as i64 - *took as i64).collect();
        arrivals.sort_unstable();
        for (request, arrival) in trace.requests().iter().zip(&arrivals) {
            let off = request.arrival.as_millis() as i64 - (arrival - arrivals[0]);
            prop_assert!(off.abs() < 2_000, "{} ms off", off);
        }
    }
}
