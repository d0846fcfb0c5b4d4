//! Asking for another protocol on the same connection (RFC 9110 §7.8).

use http::{
    HeaderMap, HeaderValue, StatusCode, Version,
    header::{CONNECTION, UPGRADE},
    request, response,
};

use super::hop::{has_member, members};

/// The protocols in an `Upgrade` header that a tunnel may carry, in one line; none if there are none.
fn protocols(headers: &HeaderMap) -> Option<HeaderValue> {
    let list: Vec<_> = members(headers, &UPGRADE)
        .filter(|protocol| !is_http_or_tls(protocol))
        .collect();
    HeaderValue::try_from(list.join(&b", "[..]))
        .ok()
        .filter(|_| !list.is_empty())
}

/// HTTP and TLS are not tunnelled: a backend that took them would go on to speak HTTP behind the proxy's back, with
/// none of its rules kept.
fn is_http_or_tls(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
    [&b"h2c"[..], b"h2", b"http", b"tls"]
        .iter()
        .any(|other| name.eq_ignore_ascii_case(other))
}

/// What a request asks to change to. Only HTTP/1.1 can, and only a request without content is let: what follows its
/// head is then the new protocol's, or nothing.
pub(super) fn asked(head: &request::Parts, is_empty: bool) -> Option<HeaderValue> {
    let asks = head.version == Version::HTTP_11 && is_empty && has_member(&head.headers, &CONNECTION, "upgrade");
    asks.then(|| protocols(&head.headers))?
}

/// What a response changes to, if all of that was asked for.
pub(super) fn granted(head: &response::Parts, asked: &HeaderValue) -> Option<HeaderValue> {
    let is_asked = |name: &[u8]| {
        let mut asked = asked.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        asked.any(|asked| asked.eq_ignore_ascii_case(name))
    };
    let all = members(&head.headers, &UPGRADE).all(is_asked);
    all.then(|| protocols(&head.headers))?
}

/// What a 426 (Upgrade Required) demands, which nobody can make use of without its header (RFC 9110 §15.5.22).
pub(super) fn demanded(head: &response::Parts) -> Option<HeaderValue> {
    (head.status == StatusCode::UPGRADE_REQUIRED).then(|| protocols(&head.headers))?
}

/// Puts in the headers of a message that upgrades.
pub(super) fn write(headers: &mut HeaderMap, protocols: HeaderValue) {
    headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocols);
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};

    use super::*;

    fn asked_by(version: Version, connection: &'static str, upgrade: &'static str) -> Option<String> {
        let request = Request::builder().version(version);
        let request = request.header(CONNECTION, connection).header(UPGRADE, upgrade);
        let (head, ()) = request.body(()).unwrap().into_parts();
        Some(asked(&head, true)?.to_str().unwrap().to_owned())
    }

    #[test]
    fn all_but_http_and_tls_can_be_asked_for() {
        let h11 = Version::HTTP_11;
        for (upgrade, asked) in [
            ("websocket", Some("websocket")),
            ("websocket, h2c, foo/2", Some("websocket, foo/2")),
            ("h2c", None),
            ("HTTP/2.0, TLS/1.0, H2C", None),
            (" , ", None),
        ] {
            assert_eq!(
                asked_by(h11, "keep-alive, Upgrade", upgrade).as_deref(),
                asked,
                "{upgrade}"
            );
        }
        assert_eq!(asked_by(h11, "keep-alive", "websocket"), None, "not nominated");
        assert_eq!(
            asked_by(Version::HTTP_10, "upgrade", "websocket"),
            None,
            "an old client"
        );
        assert_eq!(asked_by(Version::HTTP_2, "upgrade", "websocket"), None, "not in HTTP/2");
    }

    #[test]
    fn only_what_was_asked_for_is_granted() {
        let asked = HeaderValue::from_static("websocket, foo/2");
        for (upgrade, granted_to) in [
            ("WebSocket", Some("WebSocket")),
            ("foo/2", Some("foo/2")),
            ("foo/2, websocket", Some("foo/2, websocket")),
            ("foo/3", None),
            ("websocket, h2c", None),
            ("", None),
        ] {
            let response = Response::builder().status(101).header(UPGRADE, upgrade);
            let (head, ()) = response.body(()).unwrap().into_parts();
            let granted = granted(&head, &asked);
            assert_eq!(
                granted.as_ref().map(|list| list.to_str().unwrap()),
                granted_to,
                "{upgrade}"
            );
        }
    }
}
