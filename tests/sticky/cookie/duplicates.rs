//! Which of several cookies counts (RFC 6265 §5.4).

use super::*;

fn both(cookie: &Cookie) -> (String, String) {
    (fresh(cookie, "a"), fresh(cookie, "b"))
}

#[test]
fn the_first_good_one_counts_in_one_line_or_several() {
    let wall = Wall::new();
    let cookie = cookie(&wall);
    let old = fresh(&cookie, "old");
    wall.pass(IDLE + IDLE);
    let (a, b) = both(&cookie);
    let of = |lines: &[String]| {
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        home(&cookie, &lines)
    };
    for (lines, expected) in [
        (vec![format!("{a}; {b}")], "a"),
        (vec![format!("{b}; {a}")], "b"),
        (vec![a.clone(), b.clone()], "a"),
        (vec![b.clone(), a.clone()], "b"),
        (vec!["x=1; y=2".to_owned(), format!("z=3; {b}; {a}")], "b"),
        // What is no token is no session.
        (vec![format!("equipoise=; equipoise=x; equipoise; {b}; {a}")], "b"),
        (vec![format!("{old}; {b}")], "b"),
        (vec![old.clone(), b.clone()], "b"),
        // As it may be written (RFC 6265 §5.4, §4.1.1), and as it may be read.
        (vec![format!("x=1;{b}")], "b"),
        (vec![format!("x=1;\t {} ;y=2", b.replace('=', " = "))], "b"),
        (vec![format!(";;{b};;")], "b"),
    ] {
        assert_eq!(of(&lines).as_deref(), Some(expected), "{lines:?}");
    }
    for line in [
        a.replace("equipoise", "Equipoise"),
        format!("x{a}"),
        a.replace('=', "x="),
        format!("x={a}"),
        format!("x=\"{a}\""),
        a.replace('=', ""),
        a.replace('=', ":"),
        format!("x=1, {a}"),
        format!("\"{a}\""),
    ] {
        assert_eq!(of(std::slice::from_ref(&line)), None, "{line}");
    }
}

#[test]
fn eight_are_tried_and_no_more() {
    let cookie = cookie(&Wall::new());
    let (a, _) = both(&cookie);
    // As long as a token, so that each costs what there is to pay.
    let bad = format!("equipoise={}", "A".repeat(146));
    let with = |before: usize, separator: &str| {
        let mut pairs = vec![bad.as_str(); before];
        pairs.push(&a);
        pairs.join(separator)
    };
    assert_eq!(home(&cookie, &[with(7, "; ").as_bytes()]).as_deref(), Some("a"));
    assert_eq!(home(&cookie, &[with(8, "; ").as_bytes()]), None);
    let lines = with(8, "\n");
    let lines: Vec<&[u8]> = lines.split('\n').map(str::as_bytes).collect();
    assert_eq!(home(&cookie, &lines), None);
    assert_eq!(home(&cookie, &lines[1..]).as_deref(), Some("a"));
    // All of them are taken out all the same.
    let mut request = request(&[with(100, ";").as_bytes(), b"x=1"]);
    located(&cookie, &mut request);
    assert_eq!(request.headers().get_all(COOKIE).iter().collect::<Vec<_>>(), ["x=1"]);
}
