//! Whom a request is for (RFC 9112 §3.2, RFC 9113 §8.3.1).

use http::{HeaderValue, Method, Version, header::HOST, request, uri::Scheme};

use super::refusal::Refusal;

/// The host that the client means; none if a client of HTTP/1.0 does not say.
///
/// In the absolute form, and in HTTP/2, it is the target's authority, else that of `Host`. Two that differ are refused
/// in HTTP/2; in HTTP/1.1 the target's is the one that counts.
pub(super) fn host(head: &request::Parts) -> Result<Option<HeaderValue>, Refusal> {
    let mut lines = head.headers.get_all(HOST).iter();
    let line = match (lines.next(), lines.next()) {
        (line, None) => line,
        (_, Some(_)) => return Err(Refusal::HOST),
    };
    if line.is_some_and(|line| !is_host(line.as_bytes())) {
        return Err(Refusal::HOST);
    }
    let multiplexed = head.version >= Version::HTTP_2;
    // Before HTTP/2 a target has an authority without a scheme in CONNECT only.
    let is_absolute = head.uri.scheme().is_some();
    let is_path = head.uri.path().starts_with('/') || head.uri.path() == "*" && head.method == Method::OPTIONS;
    let is_scheme = (head.uri.scheme()).is_none_or(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
    if !is_path || !is_scheme || head.uri.authority().is_some() && !is_absolute && !multiplexed {
        return Err(Refusal::TARGET);
    }
    match (head.uri.authority(), line) {
        (Some(authority), _) if !is_host(authority.as_str().as_bytes()) => Err(Refusal::HOST),
        (Some(_), None) if head.version == Version::HTTP_11 => Err(Refusal::HOST),
        (Some(authority), Some(line))
            if multiplexed && !line.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(Refusal::HOST)
        }
        (Some(authority), _) => match HeaderValue::from_str(authority.as_str()) {
            Ok(host) => Ok(Some(host)),
            Err(_) => Err(Refusal::HOST),
        },
        (None, Some(line)) => Ok(Some(line.clone())),
        (None, None) if head.version <= Version::HTTP_10 => Ok(None),
        (None, None) => Err(Refusal::HOST),
    }
}

/// A host and, perhaps, a port (RFC 3986 §3.2.2 and §3.2.3), without a user.
pub(super) fn is_host(text: &[u8]) -> bool {
    let (is_name, port) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            (end > 0 && rest[..end].iter().all(is_part), &rest[end + 1..])
        }
        None => {
            let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
            (end > 0 && text[..end].iter().all(is_part), &text[end..])
        }
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_name && is_port
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn host_of(version: Version, method: &str, target: &str, hosts: &[&str]) -> Result<Option<String>, u16> {
        let mut request = Request::builder().version(version).method(method).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let host = host(&head).map_err(|refusal| refusal.status.as_u16())?;
        Ok(host.map(|host| host.to_str().unwrap().to_owned()))
    }

    #[test]
    fn one_host_is_named_in_whatever_form() {
        let (h10, h11, h2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        for (version, method, target, hosts, host) in [
            (h11, "GET", "/", &["a"][..], Ok(Some("a"))),
            (h11, "GET", "/", &["[::1]:80"], Ok(Some("[::1]:80"))),
            (h11, "GET", "http://b/", &["a"], Ok(Some("b"))),
            (h11, "GET", "https://b:81/", &["a"], Ok(Some("b:81"))),
            (h11, "OPTIONS", "*", &["a"], Ok(Some("a"))),
            (h10, "GET", "/", &[], Ok(None)),
            (h10, "GET", "/", &["a"], Ok(Some("a"))),
            (h2, "GET", "http://a/", &[], Ok(Some("a"))),
            (h2, "GET", "http://a/", &["A"], Ok(Some("a"))),
            (h2, "GET", "/", &["a"], Ok(Some("a"))),
            (h11, "GET", "/", &[], Err(400)),
            (h11, "GET", "http://b/", &[], Err(400)),
            (h11, "GET", "/", &["a", "a"], Err(400)),
            (h10, "GET", "/", &["a", "b"], Err(400)),
            (h11, "GET", "/", &[""], Err(400)),
            (h11, "GET", "/", &["u@a"], Err(400)),
            (h11, "GET", "/", &["a/b"], Err(400)),
            (h11, "GET", "/", &["a b"], Err(400)),
            (h11, "GET", "/", &["a:x"], Err(400)),
            (h11, "GET", "/", &["[::1"], Err(400)),
            (h11, "GET", "/", &["[]"], Err(400)),
            (h11, "GET", "http://u@b/", &["b"], Err(400)),
            (h11, "GET", "ftp://b/", &["b"], Err(400)),
            (h11, "GET", "*", &["a"], Err(400)),
            (h11, "GET", "a:80", &["a"], Err(400)),
            (h2, "GET", "http://a/", &["b"], Err(400)),
            (h2, "GET", "/", &[], Err(400)),
        ] {
            let expected = host.map(|host| host.map(str::to_owned));
            assert_eq!(
                host_of(version, method, target, hosts),
                expected,
                "{version:?} {method} {target} {hosts:?}"
            );
        }
    }
}
