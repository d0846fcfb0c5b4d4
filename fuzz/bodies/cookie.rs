//! Cookies of requests, tokens, cookies and directives of answers, and secrets, as they may come: beside simple models.

use std::{
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use equipoise::{
    SessionAffinity,
    affinity::{Bind, Located, Served},
    cookie::{Cookie, CookieSession, Keys},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response,
    header::{CACHE_CONTROL, COOKIE, SET_COOKIE},
};

const NAME: &[u8] = b"equipoise";
/// How many cookies of the name are looked at.
const MOST: usize = 8;

/// The first byte says what the others are.
pub(crate) fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 6 {
        0 => request(rest),
        1 => token(rest),
        2 => directives(rest, &CACHE_CONTROL, &["public", "s-maxage", "private"], "private"),
        3 => {
            let name = HeaderName::from_static("surrogate-control");
            directives(rest, &name, &["max-age", "no-store-remote", "no-store"], "no-store");
        }
        4 => set(rest),
        _ => secrets(rest),
    }
}

/// A cookie, tokens of it that are good, with their homes, and one that has expired.
struct Stage {
    cookie: Cookie,
    good: [(Vec<u8>, &'static str); 2],
    expired: Vec<u8>,
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let at = |seconds| {
            let cookie = Cookie::builder("pool", Keys::new([7; 32]))
                .clock(move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            cookie.build().expect("a cookie")
        };
        let made = |cookie: &Cookie, id: &str| {
            let (session, _) = located(cookie, &mut Request::new(()));
            let headers = bound(session, id, HeaderMap::new());
            let line = headers[SET_COOKIE].as_bytes();
            let pair = line.split(|byte| *byte == b';').next().expect("a pair");
            pair[NAME.len() + 1..].to_vec()
        };
        let cookie = at(2_000_000);
        Stage {
            good: [(made(&cookie, "a"), "a"), (made(&cookie, "b"), "b")],
            expired: made(&at(1_000_000), "c"),
            cookie,
        }
    })
}

fn located(cookie: &Cookie, request: &mut Request<()>) -> (CookieSession, Option<String>) {
    match SessionAffinity::<_, Response<()>>::locate(cookie, request) {
        Located::Now(session, home) => (session, home.map(|home| home.id().to_owned())),
        other => panic!("{other:?}"),
    }
}

fn bound(mut session: CookieSession, by: &str, headers: HeaderMap) -> HeaderMap {
    let mut response = Response::new(());
    *response.headers_mut() = headers;
    let mut cx = Context::from_waker(Waker::noop());
    let home = Pin::new(&mut session).poll_bind(&mut cx, &Served::new(by), &mut response);
    assert!(matches!(home, Poll::Ready(None)));
    response.into_parts().0.headers
}

/// Lines of a header; a line that can't be in one is left out.
fn lines(data: &[u8], name: &HeaderName) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(100) {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append(name, line);
        }
    }
    headers
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

/// The bytes 1, 2 and 3 stand for tokens.
fn request(data: &[u8]) {
    let Stage { cookie, good, expired } = stage();
    let mut written = Vec::new();
    for byte in data {
        match byte {
            1 | 2 => written.extend(&good[usize::from(*byte) - 1].0),
            3 => written.extend(expired),
            byte => written.push(*byte),
        }
    }
    let mut request = Request::new(());
    *request.headers_mut() = lines(&written, &COOKIE);
    let before = request.headers().clone();
    let (_, home) = located(cookie, &mut request);
    let given = pairs(&before);
    let is_ours = |pair: &&Pair| pair.value.is_some();
    let mut ours = given.iter().filter(is_ours).take(MOST);
    let expected = ours.find_map(|ours| good.iter().find(|(token, _)| Some(token) == ours.value.as_ref()));
    assert_eq!(home.as_deref(), expected.map(|(_, id)| *id), "{before:?}");
    let after = request.headers();
    if given.iter().any(|pair| is_ours(&pair)) {
        let others = |pairs: Vec<Pair>| -> Vec<Vec<u8>> {
            let others = pairs.into_iter().filter(|pair| pair.value.is_none());
            others.map(|pair| pair.text).filter(|text| !text.is_empty()).collect()
        };
        assert!(pairs(after).iter().all(|pair| pair.value.is_none()), "{after:?}");
        assert_eq!(others(pairs(after)), others(given), "{before:?}");
        // A line that held nothing else is gone; one that held nothing at all may be.
        let blank = |headers| values(headers, &COOKIE).iter().filter(|line| line.is_empty()).count();
        assert!(blank(after) <= blank(&before), "{after:?}");
    } else {
        assert_eq!(*after, before);
    }
}

struct Pair {
    text: Vec<u8>,
    /// If it has our name.
    value: Option<Vec<u8>>,
}

fn pairs(headers: &HeaderMap) -> Vec<Pair> {
    let all = values(headers, &COOKIE).join(&b';');
    let pairs = all.split(|byte| *byte == b';');
    pairs.map(pair).collect()
}

fn pair(text: &[u8]) -> Pair {
    let equals = text.iter().position(|byte| *byte == b'=');
    let named = equals.map(|at| (text[..at].trim_ascii(), text[at + 1..].trim_ascii()));
    let value = named.filter(|(name, _)| *name == NAME).map(|(_, value)| value.to_vec());
    let text = text.trim_ascii().to_vec();
    Pair { text, value }
}

/// As a token, and as what a token is changed by.
fn token(data: &[u8]) {
    let Stage { cookie, good, .. } = stage();
    let (token, _) = &good[0];
    let mut changed = token.clone();
    for (byte, change) in changed.iter_mut().zip(data) {
        *byte ^= change;
    }
    let longer = [token, data].concat();
    for text in [data, &changed, &longer] {
        let Ok(line) = HeaderValue::from_bytes(&[NAME, b"=", text].concat()) else {
            continue;
        };
        let mut request = Request::new(());
        request.headers_mut().insert(COOKIE, line);
        let given = pairs(request.headers());
        let is_good = given
            .iter()
            .any(|pair| good.iter().any(|(token, _)| Some(token) == pair.value.as_ref()));
        let (_, home) = located(cookie, &mut request);
        assert_eq!(home.is_some(), is_good, "{}", String::from_utf8_lossy(text));
    }
}

/// What an answer says to caches, in one header.
fn directives(data: &[u8], name: &HeaderName, drops: &[&str], adds: &str) {
    let mark = |headers: HeaderMap| {
        let (session, _) = located(&stage().cookie, &mut Request::new(()));
        let mut headers = bound(session, "a", headers);
        assert!(headers.remove(SET_COOKIE).is_some());
        headers
    };
    let before = lines(data, name);
    let after = mark(before.clone());
    assert_eq!(mark(after.clone()), after, "once is enough");
    assert!(after.contains_key(CACHE_CONTROL));
    if !before.contains_key(name) {
        return;
    }
    let read = |headers: &HeaderMap| {
        let lists: Option<Vec<_>> = values(headers, name).iter().map(|line| list(line)).collect();
        lists.map(|lists| lists.concat())
    };
    let found = read(&after).expect("a list");
    let of = |directive: &[u8]| {
        let end = directive.iter().position(|byte| b"=; \t".contains(byte));
        String::from_utf8_lossy(&directive[..end.unwrap_or(directive.len())]).to_ascii_lowercase()
    };
    // In one word, and in no other way.
    assert!(
        found
            .iter()
            .any(|directive| directive.eq_ignore_ascii_case(adds.as_bytes())),
        "{after:?}"
    );
    for directive in &found {
        let is_added = directive.eq_ignore_ascii_case(adds.as_bytes());
        assert!(is_added || !drops.contains(&&*of(directive)), "{after:?}");
    }
    let Some(given) = read(&before) else {
        assert!(found.contains(&b"no-store".to_vec()), "{before:?} {after:?}");
        return;
    };
    let others = |directives: &[Vec<u8>]| -> Vec<Vec<u8>> {
        let others = directives.iter().filter(|directive| !drops.contains(&&*of(directive)));
        others.cloned().collect()
    };
    assert_eq!(others(&found), others(&given), "{before:?}");
}

/// A list by its commas, but for those in quoted strings, which stand behind a `=`; none if it is no list.
fn list(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut found, mut rest) = (vec![Vec::new()], line);
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b',' => found.push(Vec::new()),
            b'"' => {
                let directive = found.last_mut()?;
                if directive.last() != Some(&b'=') {
                    return None;
                }
                directive.push(b'"');
                loop {
                    let (byte, behind) = rest.split_first()?;
                    rest = behind;
                    directive.push(*byte);
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            let (escaped, behind) = rest.split_first()?;
                            rest = behind;
                            directive.push(*escaped);
                        }
                        _ => {}
                    }
                }
                let next = rest.trim_ascii_start().first();
                if !matches!(next, None | Some(b',' | b';')) {
                    return None;
                }
            }
            byte => found.last_mut()?.push(*byte),
        }
    }
    let trimmed = found.iter().map(|directive| directive.trim_ascii().to_vec());
    Some(trimmed.filter(|directive| !directive.is_empty()).collect())
}

/// What a backend sets.
fn set(data: &[u8]) {
    let (session, _) = located(&stage().cookie, &mut Request::new(()));
    let before = lines(data, &SET_COOKIE);
    let after = bound(session, "a", before.clone());
    let mut left = values(&after, &SET_COOKIE);
    let ours = left.pop().expect("ours is set");
    assert!(ours.starts_with(b"equipoise=") && ours.ends_with(b"; HttpOnly; SameSite=Lax; Path=/"));
    let is_other = |line: &&[u8]| {
        let first = line.split(|byte| *byte == b';').next();
        first.is_none_or(|first| pair(first).value.is_none())
    };
    let others: Vec<_> = values(&before, &SET_COOKIE).into_iter().filter(is_other).collect();
    assert_eq!(left, others);
}

/// A file of secrets.
fn secrets(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let written = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    let secrets: Vec<String> = text.lines().map(written).filter(|line| !line.is_empty()).collect();
    match std::str::from_utf8(data).unwrap_or_default().parse::<Keys>() {
        Ok(keys) => {
            assert!(!secrets.is_empty());
            // An id for each, and nothing else.
            let expected = "Keys[".len() + secrets.len() * "\"00000000\", ".len() - 1;
            assert_eq!(format!("{keys:?}").len(), expected);
        }
        Err(error) => {
            let told = format!("{error} {error:?}");
            assert!(told.len() < 300, "{told}");
            match error.line() {
                Some(line) => {
                    let line = written(text.lines().nth(line - 1).expect("a line of the text"));
                    assert!(!line.is_empty());
                    assert!(line.len() < 20 || !told.contains(&line), "{told}");
                }
                None => assert!(secrets.is_empty(), "{told}"),
            }
        }
    }
}
