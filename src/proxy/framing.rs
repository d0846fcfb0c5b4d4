//! How long a message's content is: said once, in one way (RFC 9112 §6).
//!
//! hyper reads what came by `Transfer-Encoding` or `Content-Length` and hands on a body; both headers are still in the
//! head, as they came. They are taken out and one is put in, made from what the body says of itself, so that whatever
//! another reader could take for a second length never leaves here.

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    request, response,
};
use http_body::SizeHint;

use super::{hop::members, refusal::Refusal};

/// What `Content-Length` says: nothing, one length (perhaps several times), or no length at all.
fn length(headers: &HeaderMap) -> Result<Option<u64>, ()> {
    let mut length = None;
    if !headers.contains_key(CONTENT_LENGTH) {
        return Ok(length);
    }
    for member in members(headers, &CONTENT_LENGTH) {
        // `+5` would parse.
        let digits = Some(member).filter(|member| member.iter().all(u8::is_ascii_digit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(())?;
        let other = digits.parse().map_err(drop)?;
        if *length.get_or_insert(other) != other {
            return Err(());
        }
    }
    length.map(Some).ok_or(())
}

/// Whether `Transfer-Encoding` is there and is `chunked`, once and alone: any other coding would go on to somebody who
/// reads it in another way than hyper, which looks at the last one only.
fn is_chunked(headers: &HeaderMap) -> Result<bool, ()> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(false),
        (Some(line), None) if line.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(()),
    }
}

/// How a request says how long its content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Not at all: there is none.
    Nothing,
    Length(u64),
    Chunked,
}

impl Framing {
    /// That of a request as it came, whose body says this of itself.
    pub(super) fn of(head: &request::Parts, hint: &SizeHint) -> Result<Self, Refusal> {
        let length = length(&head.headers).map_err(|()| Refusal::LENGTH)?;
        let is_chunked = is_chunked(&head.headers).map_err(|()| Refusal::CODING)?;
        if is_chunked && (length.is_some() || head.version != Version::HTTP_11) {
            // hyper removes the length, and HTTP/2 knows no codings; another server may not be so careful.
            return Err(Refusal::LENGTH);
        }
        match (hint.exact(), length) {
            (Some(known), Some(said)) if known != said => Err(Refusal::LENGTH),
            // Only methods that expect content say that there is none (RFC 9110 §8.6).
            (Some(0), None) if !matches!(head.method, Method::POST | Method::PUT | Method::PATCH) => Ok(Self::Nothing),
            (Some(known), _) | (None, Some(known)) => Ok(Self::Length(known)),
            (None, None) => Ok(Self::Chunked),
        }
    }

    /// Says it anew, and nothing else.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        headers.remove(TRANSFER_ENCODING);
        match self {
            Self::Nothing => drop(headers.remove(CONTENT_LENGTH)),
            Self::Length(length) => drop(headers.insert(CONTENT_LENGTH, HeaderValue::from(length))),
            Self::Chunked => {
                headers.remove(CONTENT_LENGTH);
                // Without it hyper would send a GET or HEAD without its content.
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
        }
    }
}

/// Why a response's framing can't be relied on.
pub(super) fn objection(head: &response::Parts) -> Option<&'static str> {
    let Ok(length) = length(&head.headers) else {
        return Some("the content length is not one number");
    };
    match is_chunked(&head.headers) {
        Err(()) => Some("the transfer coding is not chunked alone"),
        Ok(true) if length.is_some() => Some("there are a content length and a transfer coding"),
        Ok(_) => None,
    }
}

/// Frames a response anew: hyper chooses the coding for the client's version. The request's method tells whether the
/// length is of content that is not there.
pub(super) fn of_response(head: &mut response::Parts, hint: &SizeHint, to_head: bool) {
    let is_coded = head.headers.remove(TRANSFER_ENCODING).is_some();
    let said = length(&head.headers).ok().flatten().filter(|_| !is_coded);
    let known = match head.status {
        StatusCode::NO_CONTENT | StatusCode::SWITCHING_PROTOCOLS => None,
        StatusCode::NOT_MODIFIED => said,
        _ if to_head => said,
        // Content that tells its length tells it truly; the header says it to those who read the head only.
        _ => hint.exact().or(said),
    };
    match known {
        // As it nearly always is: not written anew.
        Some(known) if said == Some(known) && is_plain(&head.headers) => {}
        Some(known) => {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(known));
        }
        None => {
            head.headers.remove(CONTENT_LENGTH);
        }
    }
}

/// Whether `Content-Length` is one line of one number.
fn is_plain(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let first = lines.next();
    first.is_some_and(|line| line.as_bytes().iter().all(u8::is_ascii_digit)) && lines.next().is_none()
}

#[cfg(test)]
mod tests {
    use http::{Request, Response, request};

    use super::*;

    /// `Content-Length` lines, then `Transfer-Encoding` lines.
    type Said<'a> = (&'a [&'static str], &'a [&'static str]);

    fn say(headers: &mut HeaderMap, (lengths, codings): Said) {
        for length in lengths {
            headers.append(CONTENT_LENGTH, HeaderValue::from_static(length));
        }
        for coding in codings {
            headers.append(TRANSFER_ENCODING, HeaderValue::from_static(coding));
        }
    }

    fn framing(headers: &HeaderMap) -> String {
        let lines = |name| headers.get_all(name).iter().map(|line| line.to_str().unwrap());
        let all = lines(CONTENT_LENGTH).chain(lines(TRANSFER_ENCODING));
        all.collect::<Vec<_>>().join(" and ")
    }

    fn request(method: Method, version: Version, said: Said) -> request::Parts {
        let (mut head, ()) = Request::new(()).into_parts();
        (head.method, head.version) = (method, version);
        say(&mut head.headers, said);
        head
    }

    #[test]
    fn a_request_is_framed_once() {
        let (known, unknown) = (SizeHint::with_exact, SizeHint::new());
        for (method, said, hint, framed) in [
            (Method::GET, (&[][..], &[][..]), known(0), ""),
            (Method::POST, (&[], &[]), known(0), "0"),
            (Method::DELETE, (&["0"], &[]), known(0), "0"),
            (Method::GET, (&["5"], &[]), known(5), "5"),
            (Method::GET, (&["5", "5"], &[]), known(5), "5"),
            (Method::GET, (&["5, 5"], &[]), known(5), "5"),
            (Method::GET, (&["5"], &[]), unknown, "5"),
            (Method::GET, (&[], &[]), known(5), "5"),
            (Method::GET, (&[], &["chunked"]), unknown, "chunked"),
            (Method::GET, (&[], &["Chunked"]), unknown, "chunked"),
            (Method::GET, (&[], &[]), unknown, "chunked"),
        ] {
            let mut head = request(method, Version::HTTP_11, said);
            Framing::of(&head, &hint).unwrap().write(&mut head.headers);
            assert_eq!(framing(&head.headers), framed, "{said:?}");
        }
    }

    #[test]
    fn a_request_that_could_be_read_in_two_ways_is_refused() {
        let unknown = SizeHint::new();
        for (said, hint, refusal) in [
            ((&["5", "6"][..], &[][..]), unknown, Refusal::LENGTH),
            ((&["5, 6"], &[]), unknown, Refusal::LENGTH),
            ((&["+5"], &[]), unknown, Refusal::LENGTH),
            ((&["-1"], &[]), unknown, Refusal::LENGTH),
            ((&[""], &[]), unknown, Refusal::LENGTH),
            ((&["99999999999999999999"], &[]), unknown, Refusal::LENGTH),
            ((&["5"], &[]), SizeHint::with_exact(6), Refusal::LENGTH),
            ((&["5"], &["chunked"]), unknown, Refusal::LENGTH),
            ((&[], &["gzip, chunked"]), unknown, Refusal::CODING),
            ((&[], &["gzip", "chunked"]), unknown, Refusal::CODING),
            ((&[], &["chunked", "chunked"]), unknown, Refusal::CODING),
            ((&[], &["chunked, chunked"]), unknown, Refusal::CODING),
            ((&[], &["identity"]), unknown, Refusal::CODING),
            ((&[], &["xchunked"]), unknown, Refusal::CODING),
            ((&[], &[""]), unknown, Refusal::CODING),
        ] {
            let head = request(Method::POST, Version::HTTP_11, said);
            assert_eq!(Framing::of(&head, &hint), Err(refusal), "{said:?}");
        }
        let head = request(Method::POST, Version::HTTP_2, (&[], &["chunked"]));
        assert_eq!(Framing::of(&head, &unknown), Err(Refusal::LENGTH));
    }

    #[test]
    fn a_response_is_framed_once_or_not_relied_on() {
        let (known, unknown) = (SizeHint::with_exact, SizeHint::new());
        for (said, hint, to_head, framed) in [
            ((&["5"][..], &[][..]), known(5), false, Some("5")),
            ((&["5", "5"], &[]), known(5), false, Some("5")),
            ((&["5, 5"], &[]), known(5), false, Some("5")),
            ((&["5, 5"], &[]), known(0), true, Some("5")),
            ((&[], &["chunked"]), unknown, false, Some("")),
            ((&[], &[]), unknown, false, Some("")),
            ((&[], &[]), known(0), true, Some("")),
            ((&["5", "6"], &[]), unknown, false, None),
            ((&["+5"], &[]), unknown, false, None),
            ((&["5"], &["chunked"]), unknown, false, None),
            ((&[], &["gzip, chunked"]), unknown, false, None),
            ((&[], &["gzip"]), unknown, false, None),
        ] {
            let (mut head, ()) = Response::new(()).into_parts();
            say(&mut head.headers, said);
            assert_eq!(objection(&head).is_none(), framed.is_some(), "{said:?}");
            of_response(&mut head, &hint, to_head);
            // Whoever passes on what there is an objection to frames it once all the same.
            assert_eq!(framing(&head.headers), framed.unwrap_or_default(), "{said:?}");
        }
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = StatusCode::NO_CONTENT;
        say(&mut head.headers, (&["5"], &[]));
        of_response(&mut head, &known(0), false);
        assert_eq!(framing(&head.headers), "");
    }
}
