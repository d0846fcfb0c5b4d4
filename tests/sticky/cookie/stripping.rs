//! What goes on to the backend.

use super::*;

/// The lines of cookies that are left, as the backend is to see them.
fn left(cookie: &Cookie, lines: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut request = request(lines);
    located(cookie, &mut request);
    let left = request.headers().get_all(COOKIE).iter();
    left.map(|line| line.as_bytes().to_vec()).collect()
}

#[test]
fn our_cookie_goes_and_all_others_stay_as_they_are() {
    let cookie = cookie(&Wall::new());
    for (lines, expected) in [
        (&[&b"equipoise=x"[..]][..], &[][..]),
        (&[b"equipoise=x; equipoise=y;equipoise="], &[]),
        (&[b" ; equipoise=x ; ;"], &[]),
        (&[b"equipoise=x; a=1; b=2"], &[&b"a=1; b=2"[..]]),
        (&[b"a=1; equipoise=x; b=2"], &[b"a=1; b=2"]),
        (&[b"a=1; b=2; equipoise=x"], &[b"a=1; b=2"]),
        (&[b"a=1;equipoise=x;b=2"], &[b"a=1;b=2"]),
        (&[b"a=1; equipoise=x; b=2; equipoise=y"], &[b"a=1; b=2"]),
        // As they are, however they are.
        (
            &[b"a=1 ;  b ; equipoise=x;\t=c;d=\"1; 2\";; e"],
            &[b"a=1 ;  b ;\t=c;d=\"1; 2\";; e"],
        ),
        (&[b"a=\xff\xfe\xe4; equipoise=x; \xc3=1"], &[b"a=\xff\xfe\xe4; \xc3=1"]),
        (&[b"equipoise=\xff"], &[]),
        (&[b"equipoise=\"; a=1\"; b=2"], &[b"a=1\"; b=2"]),
        // Several lines, as HTTP/2 has them.
        (&[b"a=1", b"equipoise=x", b"b=2; c=3"], &[b"a=1", b"b=2; c=3"]),
        (&[b"a=1; equipoise=x", b"equipoise=y; b=2"], &[b"a=1", b"b=2"]),
        (&[b"equipoise=x", b"equipoise=y"], &[]),
        (&[b"a=1", b"b=2"], &[b"a=1", b"b=2"]),
        // Not ours.
        (
            &[b"equipoise; Equipoise=x; equipoise2=x; xequipoise=x"],
            &[b"equipoise; Equipoise=x; equipoise2=x; xequipoise=x"],
        ),
        (&[b" a=1;;  "], &[b" a=1;;  "]),
        (&[b""], &[b""]),
        (&[], &[]),
    ] {
        let shown = || {
            lines
                .iter()
                .map(|line| String::from_utf8_lossy(line))
                .collect::<Vec<_>>()
        };
        assert_eq!(left(&cookie, lines), expected, "{:?}", shown());
    }
}

#[test]
fn a_good_one_goes_as_well_unless_the_backend_is_to_see_it() {
    let wall = Wall::new();
    let pair = fresh(&cookie(&wall), "a");
    let line = format!("x=1; {pair}; y=2");
    assert_eq!(left(&cookie(&wall), &[line.as_bytes()]), [b"x=1; y=2"]);
    let seen = builder(&wall).pass_on(true).build().unwrap();
    assert_eq!(left(&seen, &[line.as_bytes()]), [line.as_bytes()]);
    assert_eq!(home(&seen, &[line.as_bytes()]).as_deref(), Some("a"));
}

#[test]
fn what_is_sensitive_stays_so() {
    let mut request = request(&[b"equipoise=x; a=1", b"b=2; equipoise=y"]);
    for line in request.headers_mut().get_mut(COOKIE).into_iter() {
        line.set_sensitive(true);
    }
    located(&cookie(&Wall::new()), &mut request);
    let lines = request.headers().get_all(COOKIE).iter();
    assert_eq!(lines.map(HeaderValue::is_sensitive).collect::<Vec<_>>(), [true, false]);
}
