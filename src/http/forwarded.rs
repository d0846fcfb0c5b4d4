//! Who is behind proxies, by `X-Forwarded-For` and `Forwarded` (RFC 7239).

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;

/// The header in which proxies say who was connected to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: addresses with commas between, each behind that of who was there before.
    #[default]
    XForwardedFor,
    /// `Forwarded`: the same in elements of pairs (RFC 7239).
    Forwarded,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The nearest address that is not trusted, from the peer's on: each trusted one is believed who was connected to it. Where
/// it does not say so, or nothing that is an address, it is its own.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, header: ForwardedHeader, trusted: &[IpNet]) -> IpAddr {
    let mut nearest = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let name = match header {
        ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
        ForwardedHeader::Forwarded => FORWARDED,
    };
    // The last line, and the last of that, is who was connected to the nearest.
    for line in headers.get_all(name).iter().rev() {
        let line = line.as_bytes();
        let said: Vec<Option<IpAddr>> = match header {
            ForwardedHeader::XForwardedFor => line.split(|byte| *byte == b',').map(address).collect(),
            ForwardedHeader::Forwarded => {
                let said = forwarded_for(line).unwrap_or_default();
                said.into_iter().map(|said| address(said?)).collect()
            }
        };
        if said.is_empty() {
            return nearest;
        }
        for said in said.into_iter().rev() {
            match said.filter(|_| is_trusted(&nearest)) {
                Some(said) => nearest = said.to_canonical(),
                None => return nearest,
            }
        }
    }
    nearest
}

/// An address, with a port perhaps.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some(within) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return within.parse().ok().map(IpAddr::V6);
    }
    text.parse::<SocketAddr>().ok().map(|address| address.ip())
}

/// What each element of a line of `Forwarded` says in its `for`, without quotes around it: an address, with a port perhaps,
/// IPv6 in brackets, `unknown`, or a name for what is hidden (RFC 7239 §6). None if the line is not well formed.
///
/// ```
/// use equipoise::http::forwarded_for;
///
/// let said = forwarded_for(b"for=192.0.2.7;proto=http, For=\"[2001:db8::7]:4711\", by=_x").unwrap();
/// assert_eq!(said, [Some(&b"192.0.2.7"[..]), Some(b"[2001:db8::7]:4711"), None]);
/// assert_eq!(forwarded_for(b"for=[2001:db8::7]"), None, "brackets want quotes");
/// ```
pub fn forwarded_for(line: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    let mut elements = vec![None];
    let mut rest = line.trim_ascii();
    loop {
        let (name, value, after) = pair(rest)?;
        if name.eq_ignore_ascii_case(b"for") {
            *elements.last_mut()? = Some(value);
        }
        match after.trim_ascii_start() {
            [] => return Some(elements),
            [b';', more @ ..] => rest = more.trim_ascii_start(),
            [b',', more @ ..] => {
                elements.push(None);
                rest = more.trim_ascii_start();
            }
            _ => return None,
        }
    }
}

/// A token, `=` and a token or a quoted string, and what follows.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let after_token = |text: &[u8]| text.iter().position(|byte| !is_token(*byte)).unwrap_or(text.len());
    let (name, rest) = text.split_at(after_token(text));
    let value = rest.strip_prefix(b"=").filter(|_| !name.is_empty())?;
    let Some(quoted) = value.strip_prefix(b"\"") else {
        let (value, rest) = value.split_at(after_token(value));
        return (!value.is_empty()).then_some((name, value, rest));
    };
    let mut rest = quoted;
    loop {
        match rest {
            [b'"', after @ ..] => {
                let within = quoted.len() - after.len() - 1;
                return Some((name, &quoted[..within], after));
            }
            [b'\\', b' '..=b'~' | b'\t', after @ ..] | [b' '..=b'~' | b'\t', after @ ..] => rest = after,
            _ => return None,
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, header: ForwardedHeader, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for (name, other) in [
            (X_FORWARDED_FOR, ForwardedHeader::XForwardedFor),
            (FORWARDED, ForwardedHeader::Forwarded),
        ] {
            // The other header is not asked.
            let lies = ["for=9.9.9.9".to_owned(), "9.9.9.9".to_owned()];
            let lines: Vec<String> = match other == header {
                true => lines.iter().map(|line| (*line).to_owned()).collect(),
                false => lies[usize::from(other == ForwardedHeader::XForwardedFor)..][..1].to_vec(),
            };
            for line in lines {
                headers.append(&name, line.parse().unwrap());
            }
        }
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
        client(peer.parse().unwrap(), &headers, header, &trusted).to_string()
    }

    #[test]
    fn the_nearest_that_is_not_trusted_is_the_client() {
        for (peer, lines, client) in [
            // Who is not trusted is believed nothing.
            ("192.0.2.7", &["203.0.113.1"][..], "192.0.2.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1"], "203.0.113.1"),
            // Anybody can have written what is before that.
            ("10.0.0.1", &["1.1.1.1, 203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["203.0.113.1, 10.0.0.2"], "203.0.113.1"),
            ("10.0.0.1", &["203.0.113.1", "10.0.0.3 , 10.0.0.2"], "203.0.113.1"),
            ("fd00::1", &["2001:db8::7, fd00::2"], "2001:db8::7"),
            // All of them are trusted: the furthest.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // With ports, in brackets, or as IPv4 within IPv6.
            ("10.0.0.1", &["203.0.113.1:80"], "203.0.113.1"),
            ("10.0.0.1", &["[2001:db8::7]:80"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            (
                "::ffff:10.0.0.1",
                &["::ffff:203.0.113.1, ::ffff:10.0.0.2"],
                "203.0.113.1",
            ),
            // What is no address ends it where it is still known.
            ("10.0.0.1", &["203.0.113.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1, , 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["203.0.113.1", ""], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1", "[10.0.0.2]"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1:"], "10.0.0.1"),
        ] {
            assert_eq!(
                found(peer, ForwardedHeader::XForwardedFor, lines),
                client,
                "{peer} {lines:?}"
            );
        }
    }

    #[test]
    fn forwarded_says_the_same_in_elements() {
        for (lines, client) in [
            (&["for=203.0.113.1"][..], "203.0.113.1"),
            (&["For=203.0.113.1;proto=https;by=_x, for=10.0.0.2"], "203.0.113.1"),
            (&["for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
            (
                &["for=1.1.1.1", "host=\"a, for=2.2.2.2\";for=203.0.113.1"],
                "203.0.113.1",
            ),
            // Hidden, missing, or malformed: nobody further is known.
            (&["for=203.0.113.1, for=_hidden"], "10.0.0.1"),
            (&["for=203.0.113.1, proto=http"], "10.0.0.1"),
            (&["for=203.0.113.1, for=10.0.0.2, for=\"10.0.0.3"], "10.0.0.1"),
            (&["for=\"203.0.113.1", "for=10.0.0.2"], "10.0.0.2"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(
                found("10.0.0.1", ForwardedHeader::Forwarded, lines),
                client,
                "{lines:?}"
            );
        }
        assert_eq!(
            found("192.0.2.7", ForwardedHeader::Forwarded, &["for=203.0.113.1"]),
            "192.0.2.7"
        );
    }
}
