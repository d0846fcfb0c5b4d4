//! Recordings from outside: whatever is read keeps the promises of a trace, what is refused is refused in words that
//! can be shown, and nothing panics.

use std::{error::Error, fmt::Write, time::Duration};

use equipoise::sim::{LogKey, Recorded, Trace, TraceError};

/// Some bytes, as every format that is read.
pub(crate) fn run(data: &[u8]) {
    if let Some(trace) = kept(Trace::read_csv(data)) {
        written_is_read(trace.requests());
    }
    let by_client = kept(Trace::read_access_log(data, LogKey::Client));
    let by_path = kept(Trace::read_access_log(data, LogKey::Path));
    // The key is all that they differ in.
    let times = |trace: &Trace| -> Vec<_> {
        let requests = trace.requests().iter();
        requests.map(|request| (request.arrival, request.service)).collect()
    };
    assert_eq!(by_client.as_ref().map(times), by_path.as_ref().map(times));
}

fn kept(read: Result<Trace, TraceError>) -> Option<Trace> {
    match read {
        Ok(trace) => {
            let requests = trace.requests();
            assert_eq!(requests[0].arrival, Duration::ZERO);
            assert!(requests.is_sorted_by_key(|request| request.arrival));
            assert!(
                requests
                    .iter()
                    .all(|request| request.service <= Duration::from_secs(86_400))
            );
            Some(trace)
        }
        Err(error) => {
            let told = error.to_string();
            assert_eq!(told.starts_with("line "), error.line().is_some(), "{told}");
            assert!(told.len() < 300 && !told.contains(char::is_control), "{told}");
            // Memory can always be read.
            assert!(error.source().is_none(), "{told}");
            None
        }
    }
}

/// Times are kept to the nanosecond. Keys are known by their hash alone.
fn written_is_read(requests: &[Recorded]) {
    let mut text = String::from("service_us,arrival\n");
    for Recorded { arrival, service, .. } in requests {
        let (micros, rest) = (service.as_micros(), service.as_nanos() % 1_000);
        let (seconds, nanos) = (arrival.as_secs(), arrival.subsec_nanos());
        let _ = writeln!(text, "{micros}.{rest:03},{seconds}.{nanos:09}");
    }
    let read = Trace::read_csv(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let expected = requests.iter().map(|request| Recorded { key: None, ..*request });
    assert!(read.requests().iter().copied().eq(expected), "{text}");
}
