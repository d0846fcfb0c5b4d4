//! Keys: as they are written, and as they follow each other.

use equipoise::cookie::KeysError;

use super::*;

const HEX: &str = "5e01010101010101010101010101010101010101010101010101010101010101";
const BASE64: &str = "XgEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Whether these keys open what the first secret has sealed.
fn opens(keys: Result<Keys, KeysError>) -> bool {
    let wall = Wall::new();
    let pair = fresh(&cookie(&wall), "a");
    let cookie = Cookie::builder("shop", keys.unwrap())
        .clock(wall.clock())
        .build()
        .unwrap();
    home(&cookie, &[pair.as_bytes()]).is_some()
}

#[test]
fn a_secret_is_read_as_tools_write_it() {
    for text in [
        HEX.to_owned(),
        HEX.to_uppercase(),
        format!("\n\n  {HEX}\t\r\n# the end"),
        format!("# {BASE64}\n{HEX} # since Monday\n"),
        BASE64.to_owned(),
        BASE64.trim_end_matches('=').to_owned(),
        format!("{BASE64}\r\n"),
    ] {
        assert!(opens(text.parse()), "{text}");
    }
    // Either alphabet.
    let bytes = [0xff; 32];
    let ids = |keys: Keys| format!("{keys:?}");
    let standard = "//////////////////////////////////////////8=";
    let expected = ids(Keys::new(bytes));
    assert_eq!(ids(standard.parse().unwrap()), expected);
    assert_eq!(ids(standard.replace('/', "_").parse().unwrap()), expected);
    assert_ne!(expected, ids(Keys::new(secret(1))));
}

#[test]
fn what_is_no_secret_is_told_with_its_line_and_not_repeated() {
    let error = |text: &str| text.parse::<Keys>().unwrap_err();
    for (text, message) in [
        (
            "",
            "no secret: expected 64 hexadecimal digits or the base64 of 32 bytes, one secret a line",
        ),
        (
            " \n# nothing\n\t\n",
            "no secret: expected 64 hexadecimal digits or the base64 of 32 bytes, one secret a line",
        ),
        (
            "\nhunter2",
            "line 2: expected 64 hexadecimal digits or the base64 of 32 bytes, found 7 characters that are neither",
        ),
    ] {
        assert_eq!(error(text).to_string(), message);
    }
    for bad in [
        // One digit too few, too many, or none.
        &HEX[1..],
        &format!("{HEX}0"),
        &HEX.replace('5', "g"),
        &HEX.replace("5e", "+5"),
        &HEX.replace("5e", "é"),
        // 31 or 33 bytes, bits that mean nothing, padding that is wrong.
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==",
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        &BASE64.replace("QE=", "QF="),
        &format!("{BASE64}="),
        &BASE64.replace('=', "=="),
        &BASE64.replace("gEBAQ", "gEB Q"),
    ] {
        let error = error(&format!("{}\n#\n{bad}\n", HEX.replace("01", "02")));
        assert_eq!(error.line(), Some(3), "{bad}: {error}");
        let told = format!("{error} {error:?}");
        assert!(!told.contains(&bad[..4]) && told.len() < 300, "{bad}: {told}");
    }
    let again = error(&format!("{HEX}\n\n{BASE64}"));
    assert_eq!(again.to_string(), "line 3: the same secret as in line 1");
    assert!(error("").line().is_none());
}

#[test]
fn random_keys_are_nobody_elses() {
    let (one, other) = (Keys::random().unwrap(), Keys::random().unwrap());
    let wall = Wall::new();
    let of = |keys: &Keys| {
        Cookie::builder("shop", keys.clone())
            .clock(wall.clock())
            .build()
            .unwrap()
    };
    let pair = fresh(&of(&one), "a");
    assert_eq!(home(&of(&one), &[pair.as_bytes()]).as_deref(), Some("a"));
    assert_eq!(home(&of(&other), &[pair.as_bytes()]), None);
}

#[test]
fn an_older_key_opens_and_is_replaced_at_once() {
    let wall = Wall::new();
    let of = |keys: Keys| Cookie::builder("shop", keys).clock(wall.clock()).build().unwrap();
    let (one, two, three) = (secret(1), secret(2), secret(3));
    let before = fresh(&of(Keys::new(one)), "a");
    let with = of(Keys::new(three).with_older(two).with_older(one));
    assert_eq!(home(&with, &[before.as_bytes()]).as_deref(), Some("a"));
    // Long before it is due, and even to a guest.
    for served in [
        Served::new("a"),
        Served::new("b").as_guest(true),
        Served::new("a").badly(true),
    ] {
        let after = told(&with, &[before.as_bytes()], served).expect("sealed anew");
        assert_eq!(
            home(&of(Keys::new(three)), &[after.as_bytes()]).as_deref(),
            Some("a"),
            "with the first key"
        );
        assert_eq!(told(&with, &[after.as_bytes()], served), None, "and then no more");
    }
    assert_eq!(
        home(&of(Keys::new(three)), &[before.as_bytes()]),
        None,
        "without the old key"
    );
    assert_eq!(home(&of(Keys::new(two)), &[before.as_bytes()]), None);
    // The other balancer has the new key in second place: it opens what is sealed with it.
    let ready = of(Keys::new(one).with_older(three));
    let after = told(&with, &[before.as_bytes()], Served::new("a")).unwrap();
    assert_eq!(home(&ready, &[after.as_bytes()]).as_deref(), Some("a"));
}

#[test]
fn the_session_is_as_old_as_it_was_under_another_key() {
    let wall = Wall::new();
    let of = |keys: Keys| {
        Cookie::builder("shop", keys)
            .clock(wall.clock())
            .lifetime(IDLE)
            .build()
            .unwrap()
    };
    let before = fresh(&of(Keys::new(secret(1))), "a");
    wall.pass(IDLE / 2);
    let both = of(Keys::new(secret(2)).with_older(secret(1)));
    let after = told(&both, &[before.as_bytes()], Served::new("a")).unwrap();
    wall.pass(IDLE / 2);
    assert_eq!(home(&both, &[after.as_bytes()]).as_deref(), Some("a"));
    wall.pass(Duration::from_millis(1));
    assert_eq!(home(&both, &[after.as_bytes()]), None);
}
