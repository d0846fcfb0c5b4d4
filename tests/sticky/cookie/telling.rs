//! When an answer sets the cookie, and what it says then.

use super::*;

#[test]
fn only_what_has_changed_is_told() {
    let cookie = cookie(&Wall::new());
    let at = |id| Served::new(id);
    // The first of a session: not by a guest, which has a home, and not badly.
    assert!(told(&cookie, &[], at("a")).is_some());
    assert_eq!(told(&cookie, &[], at("a").as_guest(true)), None);
    assert_eq!(told(&cookie, &[], at("a").badly(true)), None);
    assert!(told(&cookie, &[b"equipoise=nonsense"], at("a")).is_some());
    assert_eq!(told(&cookie, &[b"equipoise=nonsense"], at("a").badly(true)), None);
    // One that is at home.
    let pair = fresh(&cookie, "a");
    assert_eq!(told(&cookie, &[pair.as_bytes()], at("a")), None);
    // A guest, and one who was served badly, stays at home.
    assert_eq!(told(&cookie, &[pair.as_bytes()], at("b").as_guest(true)), None);
    assert_eq!(told(&cookie, &[pair.as_bytes()], at("b").badly(true)), None);
    // One that moves.
    let moved = told(&cookie, &[pair.as_bytes()], at("b")).unwrap();
    assert_eq!(home(&cookie, &[moved.as_bytes()]).as_deref(), Some("b"));
}

#[test]
fn a_home_that_is_elsewhere_is_said_to_whoever_asks() {
    let cookie = cookie(&Wall::new());
    let pair = fresh(&cookie, "a");
    let said = |lines: &[&[u8]], served: Served<'_>| {
        let (session, _) = located(&cookie, &mut request(lines));
        let (_, home) = bound(session, served, HeaderMap::new());
        home.map(|home| home.id().to_owned())
    };
    let of = &[pair.as_bytes()];
    assert_eq!(said(of, Served::new("a")), None);
    assert_eq!(said(of, Served::new("b")), None);
    assert_eq!(said(of, Served::new("b").as_guest(true)).as_deref(), Some("a"));
    assert_eq!(said(of, Served::new("b").badly(true)).as_deref(), Some("a"));
    assert_eq!(said(of, Served::new("a").badly(true)), None);
    assert_eq!(said(&[], Served::new("b").badly(true)), None);
}

/// As HAProxy does with `cookie … insert`.
#[test]
fn a_backend_sets_no_cookie_of_our_name() {
    let wall = Wall::new();
    let cookie = cookie(&wall);
    let pair = fresh(&cookie, "a");
    let sent = || {
        let mut headers = HeaderMap::new();
        for line in [
            "first=1; Path=/",
            "equipoise=stolen; Path=/x",
            " equipoise =; Max-Age=0",
            "equipoise",
            "Equipoise=2",
            "last=equipoise=3",
        ] {
            headers.append(SET_COOKIE, line.parse().unwrap());
        }
        headers.append(SET_COOKIE, HeaderValue::from_bytes(b"x=\xff").unwrap());
        headers
    };
    let rest: [&[u8]; 5] = [
        b"first=1; Path=/",
        b"equipoise",
        b"Equipoise=2",
        b"last=equipoise=3",
        b"x=\xff",
    ];
    // Whether ours is set beside it or not.
    for (lines, is_set) in [(&[][..], true), (&[pair.as_bytes()], false)] {
        let (session, _) = located(&cookie, &mut request(lines));
        let (headers, _) = bound(session, Served::new("a"), sent());
        let mut left: Vec<&[u8]> = headers.get_all(SET_COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if is_set {
            let ours = left.pop().unwrap();
            assert_eq!(ours.len(), "equipoise=; HttpOnly; SameSite=Lax; Path=/".len() + 146);
        }
        assert_eq!(left, rest);
        assert_eq!(headers.contains_key("cache-control"), is_set);
    }
}
