//! A workload that was recorded.

mod access_log;
mod csv;
mod error;
mod lines;
mod number;
mod quotes;
#[cfg(test)]
mod tests;

use std::{
    io::{BufRead, Read},
    time::Duration,
};

pub use access_log::LogKey;
pub use error::TraceError;

/// Requests that were recorded, in the order in which they came, the first at time 0. There is at least one.
///
/// ```
/// use std::time::Duration;
/// use equipoise::sim::Trace;
///
/// let trace = Trace::read_csv("arrival_ms,service_ms,key\n1200,12.5,alice\n1240,3,bob\n".as_bytes())?;
/// assert_eq!(trace.requests()[0].service, Duration::from_micros(12_500));
/// assert_eq!(trace.requests()[1].arrival, Duration::from_millis(40));
/// # Ok::<_, equipoise::sim::TraceError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    requests: Vec<Recorded>,
    service: Duration,
}

/// A request that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When it came.
    pub arrival: Duration,
    /// How long it took to serve: 0 s to 86,400 s.
    pub service: Duration,
    /// What says that two requests belong together, as a [`HashKey`](crate::key::HashKey)'s hash; none if it was not
    /// recorded.
    pub key: Option<u64>,
}

/// A request at a point in time that is not yet reckoned from the first.
struct Dated {
    /// Nanoseconds since whatever the recording counts from.
    arrival: i64,
    service: Duration,
    key: Option<u64>,
}

impl Trace {
    /// Reads comma-separated values ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)), one request a record.
    ///
    /// The columns are the arrival, the service time and, if there is a third, the key; both times in seconds. A first
    /// line that names columns has them in any order, each in its unit, in letters of either case:
    ///
    /// | column | names | from 0 to |
    /// |---|---|---|
    /// | arrival | `arrival`, `arrival_s`, `arrival_ms`, `arrival_us` | 9,000,000,000 s |
    /// | service time | `service`, `service_s`, `service_ms`, `service_us` | 86,400 s |
    /// | key | `key` | |
    ///
    /// Other columns are read over, and those after the third where the first line names none.
    ///
    /// Times are decimal numbers such as `1700000000.123456` or `2.5e-3`, read exactly and rounded to the nanosecond.
    /// Arrivals may be in any order, and may count from anything, such as 1970: the first becomes time 0; those of one
    /// moment stay as they are written. Keys are any text, of which the white space around it does not count; the same
    /// text is the same key, its [hash](crate::key::HashFunction), and an empty one is none. Lines end with LF or CR LF;
    /// blank ones are read over, as is a byte order mark.
    ///
    /// # Errors
    /// [`TraceError`] at the first record that is not as above: a number out of its range, a number of fields other than
    /// the first line's, a quote that is not closed or has text after it, text that is not UTF-8, or a record of more than 1 MiB (it is not
    /// read to its end). And if there is no request at all, or the reading fails.
    pub fn read_csv(source: impl Read) -> Result<Self, TraceError> {
        csv::read(source).and_then(Self::of)
    }

    /// Reads an access log, one request a line, in the common or the combined format with the time that the request
    /// took as the last field, in quotes or not; there may be others before it.
    ///
    /// ```text
    /// 127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 12500
    /// ::1 - - [20/Nov/2026:15:56:00 +0000] "GET /q HTTP/1.1" 200 1 "-" "curl/7.88.1" "0.012"
    /// ```
    /// A time with a decimal point is in seconds, as is nginx's
    /// [`$request_time`](https://nginx.org/en/docs/http/ngx_http_log_module.html); one without is in microseconds, as is
    /// `%D` of [Apache](https://httpd.apache.org/docs/2.4/mod/mod_log_config.html). (Apache's `%T`, in whole seconds,
    /// can't be told from it and is too coarse anyway.) Both are from 0 to 86,400 s.
    ///
    /// What a line's date says is known by the same sign: nginx writes when the request ended, so that it arrived its
    /// request time earlier; Apache's `%t` is when it was received. Either is cut to whole seconds, so requests of the
    /// same second are spread over it evenly, in the order of the lines: bursts shorter than a second are not to be had
    /// from such a log. Lines may be in any order otherwise, and their time zones may differ.
    ///
    /// # Errors
    /// [`TraceError`] at the first line that is not as above, is not UTF-8, or is longer than 1 MiB (it is not read to
    /// its end). And if there is no request at all, or the reading fails.
    pub fn read_access_log(source: impl BufRead, key: LogKey) -> Result<Self, TraceError> {
        access_log::read(source, key).and_then(Self::of)
    }

    fn of(mut dated: Vec<Dated>) -> Result<Self, TraceError> {
        // Stable: what came at the same moment stays in the order of the recording.
        dated.sort_by_key(|request| request.arrival);
        let first = dated.first().ok_or_else(TraceError::empty)?.arrival;
        let since_first = |request: Dated| Recorded {
            arrival: Duration::from_nanos(request.arrival.abs_diff(first)),
            service: request.service,
            key: request.key,
        };
        let requests: Vec<_> = dated.into_iter().map(since_first).collect();
        let service = requests.iter().map(|request| request.service).sum();
        Ok(Self { requests, service })
    }

    /// The requests, at least one.
    pub fn requests(&self) -> &[Recorded] {
        &self.requests
    }

    /// The time from the first arrival to the last.
    pub fn duration(&self) -> Duration {
        self.requests.last().map_or(Duration::ZERO, |last| last.arrival)
    }

    /// What all requests took together.
    pub fn service(&self) -> Duration {
        self.service
    }
}
