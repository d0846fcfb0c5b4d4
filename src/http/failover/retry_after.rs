//! When a backend says that it will be back.

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap, HeaderName,
    header::{DATE, RETRY_AFTER},
};

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date, which is compared with the answer's own so that clocks need not
/// agree. None if it is not there, or neither.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are a long time all the same.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = |name: HeaderName| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let back = date(RETRY_AFTER)?;
    let now = date(DATE).unwrap_or_else(SystemTime::now);
    // One in the past is now.
    Some(back.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(retry_after: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        date.map(|date| headers.insert(DATE, date.parse().unwrap()));
        super::retry_after(&headers).map(|time| time.as_secs())
    }

    #[test]
    fn seconds_or_a_date() {
        assert_eq!(read("120", None), Some(120));
        assert_eq!(read(" 0 ", None), Some(0));
        assert_eq!(read("99999999999999999999999", None), Some(u64::MAX));
        let date = Some("Fri, 31 Dec 1999 23:59:00 GMT");
        // The examples of RFC 9110 §10.2.3.
        assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT", date), Some(59));
        assert_eq!(read("Fri, 31 Dec 1999 23:58:00 GMT", date), Some(0));
        // By the clock of this machine.
        assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT", None), Some(0));
        for wrong in ["", "soon", "-1", "1.5", "1 s", "Fri, 31 Dec 1999"] {
            assert_eq!(read(wrong, None), None, "{wrong}");
        }
        assert_eq!(super::retry_after(&HeaderMap::new()), None);
    }
}
