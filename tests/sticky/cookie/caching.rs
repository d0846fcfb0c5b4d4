//! What caches are told of an answer that sets the cookie.

use super::*;

/// The headers of an answer with these, that begins a session.
fn marked(lines: &[(&'static str, &[u8])]) -> HeaderMap {
    let cookie = cookie(&Wall::new());
    let (session, _) = located(&cookie, &mut Request::new(()));
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    let (mut headers, _) = bound(session, Served::new("a"), headers);
    assert!(headers.remove(SET_COOKIE).is_some());
    headers
}

#[test]
fn a_cache_control_gets_private_and_loses_what_is_against_it() {
    const NEITHER: &[u8] = b"private, no-store";
    for (lines, expected) in [
        (&[][..], &b"private"[..]),
        (&[&b""[..]], b"private"),
        (&[b" , ,,"], b"private"),
        (&[b"private"], b"private"),
        (&[b"no-cache, Private ,max-age=0"], b"no-cache, Private ,max-age=0"),
        (&[b"max-age=60"], b"max-age=60, private"),
        (&[b"public, max-age=60"], b"max-age=60, private"),
        (&[b"PUBLIC"], b"private"),
        (&[b"max-age=60, S-MaxAge=600,public"], b"max-age=60, private"),
        (&[b"private, s-maxage=600"], b"private"),
        (&[b"s-maxage=\"600\""], b"private"),
        (&[b"public=1"], b"private"),
        (&[b"s-maxage =60, public ; x"], b"private"),
        (&[b"private=\"set-cookie, x-a\", max-age=5"], b"max-age=5, private"),
        (&[b"private=\"a\\\", public\", max-age=5"], b"max-age=5, private"),
        (&[b"private=x"], b"private"),
        (&[b"private=\"x\", private"], b"private"),
        // What lets nobody store it stays, and so does what is not known.
        (&[b"no-store"], b"no-store, private"),
        (&[b"must-understand, no-store"], b"must-understand, no-store, private"),
        (
            &[b"no-cache=\"a, public\", x=\"y\""],
            b"no-cache=\"a, public\", x=\"y\", private",
        ),
        (
            &[b"immutable, stale-while-revalidate=30, publicly"],
            b"immutable, stale-while-revalidate=30, publicly, private",
        ),
        (&[b"x=\xff"], b"x=\xff, private"),
        // Several lines are one list (RFC 9110 §5.3).
        (&[b"public", b"max-age=60", b"private=\"x\""], b"max-age=60, private"),
        (&[b"public", b"private"], b"private"),
        // Some caches would see `public` in these, and some would not.
        (&[b"x=\"y, public"], NEITHER),
        (&[b"x=\"y\\\", public"], NEITHER),
        (&[b"x\", public, y\""], NEITHER),
        (&[b"x=\"y\"z, public"], NEITHER),
        (&[b"\"public\""], NEITHER),
        (&[b"max-age=60", b"x=\""], NEITHER),
    ] {
        let given: Vec<_> = lines.iter().map(|line| ("cache-control", *line)).collect();
        let headers = marked(&given);
        let found: Vec<_> = headers
            .get_all("cache-control")
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        match lines {
            // Nothing to do, nothing done.
            [_, _] if found.len() == 2 => panic!("{shown:?}: {found:?}"),
            _ => assert_eq!(found, [expected], "{shown:?}"),
        }
        assert_eq!(headers.len(), 1, "{headers:?}");
    }
}

#[test]
fn so_do_the_headers_for_caches_of_one_kind() {
    for name in ["cdn-cache-control", "cloudflare-cdn-cache-control", "x-cache-control"] {
        let headers = marked(&[("cache-control", b"public"), (name, b"public, max-age=600")]);
        assert_eq!(headers["cache-control"], "private");
        assert_eq!(headers[name], "max-age=600, private", "{name}");
        assert_eq!(headers.len(), 2, "none that was not there: {headers:?}");
        // A dictionary of structured fields has parameters (RFC 9651 §3.2).
        let headers = marked(&[(name, b"max-age=600;x=\"a, b\";y, private=?0, public;z")]);
        assert_eq!(headers[name], "max-age=600;x=\"a, b\";y, private", "{name}");
    }
    for (given, expected) in [
        (&b"max-age=600"[..], "no-store"),
        (
            b"content=\"ESI/1.0\", max-age=60+30;abc, No-Store-Remote",
            "content=\"ESI/1.0\", no-store",
        ),
        (b"no-store;abc", "no-store"),
        (b"no-store", "no-store"),
        (b"content=\"ESI/1.0, max-age=60", "no-store"),
    ] {
        let headers = marked(&[("surrogate-control", given)]);
        assert_eq!(headers["surrogate-control"], expected);
        assert_eq!(headers["cache-control"], "private");
    }
}

#[test]
fn an_answer_that_sets_nothing_is_left_alone() {
    let cookie = cookie(&Wall::new());
    let pair = fresh(&cookie, "a");
    let (session, _) = located(&cookie, &mut request(&[pair.as_bytes()]));
    let mut headers = HeaderMap::new();
    headers.append("cache-control", "public, s-maxage=60".parse().unwrap());
    headers.append("surrogate-control", "max-age=60".parse().unwrap());
    let (after, _) = bound(session, Served::new("a"), headers.clone());
    assert_eq!(after, headers);
}
