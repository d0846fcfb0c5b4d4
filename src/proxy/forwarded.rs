//! What backends are told of the client: `X-Forwarded-For`, `-Proto`, `-Host`, and `Forwarded` (RFC 7239).
//!
//! Anybody can write these. Only what a trusted peer has written is kept, and only if it is well formed; then what is
//! known here is appended. All other headers of the family, which nobody here sets (`X-Forwarded-Port`, `X-Real-IP`, …),
//! pass from trusted peers only, and so do spellings with an underscore, which some backends can't tell apart.

use std::{fmt::Write, net::IpAddr};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{Entry, FORWARDED},
};

use super::target;
use crate::http::forwarded_for;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Who sent a request, as far as it is known.
pub(super) struct Client<'a> {
    /// The other end of the connection; none if the server does not say.
    pub(super) peer: Option<IpAddr>,
    /// Whether what it says of those before it is believed.
    pub(super) trusted: bool,
    /// The host that was asked for.
    pub(super) host: Option<&'a HeaderValue>,
}

impl Client<'_> {
    /// Writes the headers.
    pub(super) fn introduce(&self, headers: &mut HeaderMap) {
        if !self.trusted {
            forget(headers);
        }
        if let Some(peer) = self.peer {
            append(headers, FOR, is_address_list, &peer.to_string());
        }
        retain_one(headers, &PROTO, is_scheme_list);
        // Every connection that comes here is plain; whoever ended a client's TLS before is trusted to have said so.
        let proto = headers.entry(PROTO);
        proto.or_insert(HeaderValue::from_static("http"));
        retain_one(headers, &HOST, |text| target::is_host(text) && !text.contains(&b','));
        if let (Some(host), Entry::Vacant(entry)) = (self.host, headers.entry(HOST)) {
            entry.insert(host.clone());
        }
        append(
            headers,
            FORWARDED,
            |line| forwarded_for(line).is_some(),
            &self.element(),
        );
    }

    /// One element of `Forwarded`. What is not a token is quoted: IPv6 addresses, in brackets, and ports (RFC 7239 §6).
    fn element(&self) -> String {
        let mut element = match self.peer {
            Some(IpAddr::V4(address)) => format!("for={address}"),
            Some(IpAddr::V6(address)) => format!("for=\"[{address}]\""),
            None => "for=unknown".to_owned(),
        };
        if let Some(host) = self.host.and_then(|host| host.to_str().ok()) {
            let is_token = host.bytes().all(is_token);
            // A host has no quotes and no backslashes in it.
            let quote = if is_token { "" } else { "\"" };
            // Writing to a string can't fail.
            let _ = write!(element, ";host={quote}{host}{quote}");
        }
        element.push_str(";proto=http");
        element
    }
}

/// Removes the whole family. From trailers always: nobody says there who sent the head, and some servers join them to it.
pub(super) fn forget(headers: &mut HeaderMap) {
    let family: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_family(name.as_str()))
        .cloned()
        .collect();
    for name in family {
        headers.remove(name);
    }
}

/// Whether it is one of those that say who a client is.
pub(super) fn is_family(name: &str) -> bool {
    let begins = |prefix: &str| {
        let dashed = name.bytes().map(|byte| if byte == b'_' { b'-' } else { byte });
        name.len() >= prefix.len() && dashed.zip(prefix.bytes()).all(|(a, b)| a == b)
    };
    name == "forwarded" || begins("x-forwarded-") || begins("x-real-ip")
}

/// Removes all lines unless they are all well formed.
fn retain(headers: &mut HeaderMap, name: &HeaderName, is_formed: fn(&[u8]) -> bool) {
    if !headers.get_all(name).iter().all(|line| is_formed(line.as_bytes())) {
        headers.remove(name);
    }
}

/// Removes it unless it is there once and well formed: of two nobody knows which is meant.
fn retain_one(headers: &mut HeaderMap, name: &HeaderName, is_formed: fn(&[u8]) -> bool) {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next();
    if first.is_some_and(|line| !is_formed(line.as_bytes()) || lines.next().is_some()) {
        headers.remove(name);
    }
}

/// Puts an element behind those that are there, all in one line.
fn append(headers: &mut HeaderMap, name: HeaderName, is_formed: fn(&[u8]) -> bool, element: &str) {
    retain(headers, &name, is_formed);
    let mut list = String::new();
    for line in headers.get_all(&name) {
        // What is well formed is ASCII.
        list.push_str(line.to_str().unwrap_or_default());
        list.push_str(", ");
    }
    list.push_str(element);
    if let Ok(list) = HeaderValue::try_from(list) {
        headers.insert(name, list);
    }
}

/// Addresses, with a port perhaps, or names for what is hidden.
fn is_address_list(line: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b".:[]_-%".contains(byte);
    line.split(|byte| *byte == b',').all(|member| {
        let member = member.trim_ascii();
        !member.is_empty() && member.iter().all(is_part)
    })
}

/// `http` or `https`, or several: some proxies append theirs as they do addresses.
fn is_scheme_list(line: &[u8]) -> bool {
    line.split(|byte| *byte == b',').all(|member| {
        let member = member.trim_ascii();
        member.eq_ignore_ascii_case(b"http") || member.eq_ignore_ascii_case(b"https")
    })
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "192.0.2.7";
    const V6: &str = "2001:db8::7";

    fn introduced(peer: Option<&str>, trusted: bool, host: &'static str, came: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in came {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let host = HeaderValue::from_static(host);
        let client = Client {
            peer: peer.map(|peer| peer.parse().unwrap()),
            trusted,
            host: Some(&host).filter(|host| !host.is_empty()),
        };
        client.introduce(&mut headers);
        let mut lines: Vec<_> = (headers.iter())
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines.join("\n").replace("x-forwarded-", "x-")
    }

    #[test]
    fn a_stranger_is_believed_nothing() {
        let lies = [
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "bank.example"),
            ("x-forwarded-port", "443"),
            ("x_forwarded_for", "10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
        ];
        assert_eq!(
            introduced(Some(V4), false, "a.example:8080", &lies),
            "forwarded: for=192.0.2.7;host=\"a.example:8080\";proto=http\n\
             x-for: 192.0.2.7\nx-host: a.example:8080\nx-proto: http"
        );
        assert_eq!(
            introduced(Some(V6), false, "a.example", &lies),
            "forwarded: for=\"[2001:db8::7]\";host=a.example;proto=http\n\
             x-for: 2001:db8::7\nx-host: a.example\nx-proto: http"
        );
        assert_eq!(
            introduced(None, false, "", &lies),
            "forwarded: for=unknown;proto=http\nx-proto: http",
            "who it is is not known"
        );
    }

    #[test]
    fn what_a_trusted_peer_says_is_kept_and_appended_to() {
        let came = [
            ("x-forwarded-for", "203.0.113.1, unknown"),
            ("x-forwarded-for", "[2001:db8::1]:4711"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-port", "443"),
            ("forwarded", "for=203.0.113.1;by=_x, For=\"[2001:db8::1]:4711\""),
            ("forwarded", "proto=https"),
        ];
        assert_eq!(
            introduced(Some(V4), true, "inner:80", &came),
            "forwarded: for=203.0.113.1;by=_x, For=\"[2001:db8::1]:4711\", proto=https, \
             for=192.0.2.7;host=\"inner:80\";proto=http\n\
             x-for: 203.0.113.1, unknown, [2001:db8::1]:4711, 192.0.2.7\n\
             x-host: shop.example\nx-port: 443\nx-proto: https"
        );
    }

    #[test]
    fn a_scheme_is_one_however_it_is_written() {
        for came in ["https", "HTTPS", "https, http"] {
            let introduced = introduced(Some(V4), true, "a", &[("x-forwarded-proto", came)]);
            assert!(introduced.ends_with(&format!("x-proto: {came}")), "{introduced}");
        }
    }

    #[test]
    fn what_is_malformed_is_replaced_even_if_it_is_trusted() {
        let fresh = "forwarded: for=192.0.2.7;host=a;proto=http\nx-for: 192.0.2.7\nx-host: a\nx-proto: http";
        for came in [
            &[("x-forwarded-for", "1.2.3.4,, 5.6.7.8")][..],
            &[("x-forwarded-for", "")],
            &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "<script>")],
            &[("x-forwarded-proto", "gopher")],
            &[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")],
            &[("x-forwarded-host", "a.example, b.example")],
            &[("x-forwarded-proto", "https,")],
            &[("x-forwarded-host", "")],
            &[("x-forwarded-host", "a b")],
            &[("x-forwarded-host", "a\"b;c")],
            &[("forwarded", "")],
            &[("forwarded", "for")],
            &[("forwarded", "for=")],
            &[("forwarded", "for=1.2.3.4,")],
            &[("forwarded", "for=[::1]")],
            &[("forwarded", "for=\"[::1]")],
            &[("forwarded", "for=\"[::1]\"x")],
            &[("forwarded", "for=1.2.3.4 by=x")],
            &[("forwarded", "for=1.2.3.4"), ("forwarded", "=x")],
        ] {
            assert_eq!(introduced(Some(V4), true, "a", came), fresh, "{came:?}");
        }
    }
}
