//! Names of sessions from outside: cookies and headers of any bytes name what is written in them and nothing else, and nothing
//! panics.

use equipoise::{
    ManualClock,
    learned::{ByCookie, ByHeader, Given, Learned, Naming, Sessions},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};

/// The first line tells what is asked for, those after it are lines of `Cookie`, of `Set-Cookie`, and of a header.
pub(crate) fn run(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let text = std::str::from_utf8(lines[0]).unwrap_or("sid");
    let sessions = Sessions::builder_on(ManualClock::new().clock()).build();
    let by_cookie = Learned::by_cookie(sessions.clone(), text);
    let by_cookie = by_cookie.or_else(|_| Learned::by_cookie(sessions.clone(), "sid"));
    let Ok(by_cookie) = by_cookie else { return };
    cookies(by_cookie.naming(), &lines[1..]);
    let name = HeaderName::from_static("session");
    headers(
        Learned::by_given_header(sessions, name.clone()).naming(),
        &name,
        &lines[1..],
    );
}

fn of(name: &HeaderName, lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    headers
}

fn request(headers: HeaderMap) -> Request<()> {
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    request
}

fn answer(headers: HeaderMap) -> Response<()> {
    let mut answer = Response::new(());
    *answer.headers_mut() = headers;
    answer
}

fn named<N: Naming<Request<()>, Response<()>>>(naming: &N, headers: HeaderMap) -> Option<Vec<u8>> {
    naming.named(&request(headers)).map(|name| name.to_vec())
}

fn given<N: Naming<Request<()>, Response<()>>>(naming: &N, headers: HeaderMap) -> Option<Option<Vec<u8>>> {
    match naming.given(&answer(headers)) {
        Given::Name(name) => Some(Some(name.to_vec())),
        Given::End => Some(None),
        _ => None,
    }
}

fn is_within(part: &[u8], lines: &[&[u8]]) -> bool {
    part.is_empty()
        || lines
            .iter()
            .any(|line| line.windows(part.len()).any(|window| window == part))
}

fn cookies(naming: &ByCookie, lines: &[&[u8]]) {
    if let Some(name) = named(naming, of(&header::COOKIE, lines)) {
        assert!(is_within(&name, lines) && !name.contains(&b';'));
    }
    let all = given(naming, of(&header::SET_COOKIE, lines));
    // What several lines say is what one of them says: the last that sets, or else that it has ended.
    let each = lines
        .iter()
        .filter_map(|line| given(naming, of(&header::SET_COOKIE, &[line])));
    let each: Vec<_> = each.collect();
    let last = each.iter().rev().find(|said| said.is_some()).or(each.first());
    assert_eq!(all.as_ref(), last);
    // A user agent that is given a session sends it back, in a form that is read as the same.
    if let Some(Some(name)) = all {
        assert!(is_within(&name, lines) && !name.is_empty() && !name.contains(&b';'));
        let cookie = [naming.name().as_bytes(), b"=\"", &name, b"\""].concat();
        assert_eq!(named(naming, of(&header::COOKIE, &[&cookie])).as_ref(), Some(&name));
        let is_quoted = name.len() > 1 && name.starts_with(b"\"") && name.ends_with(b"\"");
        // What was between quotes may need them.
        if !is_quoted && name.trim_ascii() == name {
            let cookie = [naming.name().as_bytes(), b"=", &name].concat();
            assert_eq!(named(naming, of(&header::COOKIE, &[&cookie])), Some(name));
        }
    }
}

fn headers(naming: &ByHeader, header: &HeaderName, lines: &[&[u8]]) {
    let name = named(naming, of(header, lines));
    let told = given(naming, of(header, lines));
    assert_eq!(name.clone().filter(|name| !name.is_empty()), told.flatten());
    let sent = of(header, lines);
    let sent: Vec<&[u8]> = sent.get_all(header).iter().map(HeaderValue::as_bytes).collect();
    let joined = sent.join(&b',');
    let is_nothing = joined.iter().all(|byte| *byte == b',');
    match name {
        Some(name) => assert_eq!(name, joined),
        None => assert!(sent.is_empty() || is_nothing),
    }
}
