//! Headers that are meant for one connection only (RFC 9110 §7.6.1).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
        COOKIE, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
    },
};

use super::forwarded;

/// Whether a header ends at this hop by its name alone.
///
/// Credentials for a proxy are for this one, which asks for none, and a backend's demand for some is not the client's
/// business (RFC 9110 §11.7): both end here. `Proxy` is no header at all, but CGI would make `HTTP_PROXY` of it, which
/// many libraries believe (CVE-2016-5385). CGI and WSGI would also take an underscore for a hyphen, and so two other names
/// for a message's framing.
fn is_of_one_hop(name: &HeaderName) -> bool {
    match *name {
        CONNECTION | TE | TRANSFER_ENCODING | UPGRADE | PROXY_AUTHENTICATE | PROXY_AUTHORIZATION => true,
        _ => matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "proxy" | "content_length" | "transfer_encoding"
        ),
    }
}

/// Whether `Connection` can't take a header away: who it is for, how it is framed, what it may be believed. A client
/// could otherwise unsay what another proxy has said before it.
fn is_protected(name: &HeaderName) -> bool {
    match *name {
        HOST | CONTENT_LENGTH | CONTENT_TYPE | CONTENT_ENCODING | CONTENT_RANGE | CACHE_CONTROL | AUTHORIZATION
        | COOKIE | SET_COOKIE => true,
        _ => forwarded::is_family(name.as_str()),
    }
}

/// The comma-separated members of a list header, over all its lines; empty ones are left out (RFC 9110 §5.6.1).
pub(super) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    lines
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// Whether a list header has this member, in whatever case.
pub(super) fn has_member(headers: &HeaderMap, name: &HeaderName, member: &str) -> bool {
    members(headers, name).any(|other| other.eq_ignore_ascii_case(member.as_bytes()))
}

/// Removes the headers of one hop, among them those that `Connection` nominates.
pub(super) fn strip(headers: &mut HeaderMap) {
    let mut ends_here: Vec<HeaderName> = Vec::new();
    ends_here.extend(headers.keys().filter(|name| is_of_one_hop(name)).cloned());
    let nominated = members(headers, &CONNECTION).filter_map(|option| HeaderName::from_bytes(option).ok());
    ends_here.extend(nominated.filter(|name| !is_protected(name)));
    for name in ends_here {
        headers.remove(name);
    }
}

/// Removes from trailers what could change the framing, the routing or the connection (RFC 9110 §6.5.1).
pub(super) fn strip_trailers(trailers: &mut HeaderMap) {
    strip(trailers);
    trailers.remove(CONTENT_LENGTH);
    trailers.remove(HOST);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_of_one_hop_or_nominated_ends_and_all_else_stays() {
        let mut headers = map(&[
            ("connection", "close, X-Hop"),
            ("connection", ", x-other ,"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-authenticate", "Basic"),
            ("proxy", "http://evil"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-hop", "1"),
            ("x-hop", "2"),
            ("x-other", "1"),
            ("x-kept", "1"),
            ("trailer", "x-sum"),
        ]);
        strip(&mut headers);
        assert_eq!(headers, map(&[("x-kept", "1"), ("trailer", "x-sum")]));
    }

    #[test]
    fn connection_cannot_take_away_what_others_rely_on() {
        let kept = [
            ("host", "a"),
            ("content-length", "5"),
            ("cookie", "a=b"),
            ("authorization", "x"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
        ];
        let mut headers = map(&kept);
        headers.append(
            CONNECTION,
            HeaderValue::from_static(
                "Host, content-length, COOKIE, authorization, forwarded, x-forwarded-for, x-real-ip, transfer-encoding",
            ),
        );
        strip(&mut headers);
        assert_eq!(headers, map(&kept));
    }
}
