//! What is no token of ours chooses nobody.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

const NAME: &str = "equipoise=";
/// Where the parts of a token end: version, key's id, nonce, message (and then the tag).
const ENDS: [usize; 4] = [1, 5, 29, 93];

fn bytes(pair: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(pair.strip_prefix(NAME).unwrap()).unwrap()
}

fn written(bytes: &[u8]) -> String {
    format!("{NAME}{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[track_caller]
fn refused(cookie: &Cookie, pair: &[u8], why: &str) {
    assert_eq!(home(cookie, &[pair]), None, "{why}: {}", String::from_utf8_lossy(pair));
}

#[test]
fn no_bit_of_a_token_can_be_another() {
    let cookie = cookie(&Wall::new());
    for id in [
        "a",
        &"b".repeat(51),
        &"c".repeat(52),
        &"d".repeat(115),
        &"e".repeat(243),
    ] {
        let pair = fresh(&cookie, id);
        assert_eq!(home(&cookie, &[pair.as_bytes()]).as_deref(), Some(id));
        let good = bytes(&pair);
        assert_eq!(written(&good), pair);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            refused(&cookie, written(&bad).as_bytes(), "a bit of what is written");
        }
        // And of the text: the last character has bits that mean nothing.
        for bit in NAME.len() * 8..pair.len() * 8 {
            let mut bad = pair.clone().into_bytes();
            bad[bit / 8] ^= 1 << (bit % 8);
            if HeaderValue::from_bytes(&bad).is_ok() {
                refused(&cookie, &bad, "a bit of the text");
            }
        }
        let last = pair.len() - 1;
        for character in (0x21..0x7f).filter(|character| *character != pair.as_bytes()[last]) {
            let mut bad = pair.clone().into_bytes();
            bad[last] = character;
            refused(&cookie, &bad, "another last character");
        }
    }
}

#[test]
fn no_token_can_be_shorter_or_longer() {
    let cookie = cookie(&Wall::new());
    let pair = fresh(&cookie, "a");
    for length in NAME.len()..pair.len() {
        refused(&cookie, &pair.as_bytes()[..length], "shorter");
    }
    for more in 1..300 {
        refused(&cookie, (pair.clone() + &"A".repeat(more)).as_bytes(), "longer");
    }
    for more in ["=", "==", "%3D", "\"", ".", "!", "\u{e4}", &"A".repeat(60_000)] {
        refused(&cookie, format!("{pair}{more}").as_bytes(), "longer");
        refused(
            &cookie,
            format!("{NAME}{more}{}", &pair[NAME.len()..]).as_bytes(),
            "later",
        );
    }
    let good = bytes(&pair);
    for length in 0..good.len() {
        refused(&cookie, written(&good[..length]).as_bytes(), "fewer bytes");
    }
    for more in 1..300 {
        let more = [&good[..], &vec![0; more]].concat();
        refused(&cookie, written(&more).as_bytes(), "more bytes");
    }
}

#[test]
fn a_token_is_for_one_pool_one_name_and_the_keys() {
    let wall = Wall::new();
    let pair = fresh(&cookie(&wall), "a");
    let of = |pool: &str, keys: Keys, name: &str| {
        let cookie = Cookie::builder(pool, keys).name(name).clock(wall.clock());
        let pair = pair.replace("equipoise", name);
        home(&cookie.build().unwrap(), &[pair.as_bytes()])
    };
    let keys = || Keys::new(secret(1));
    assert_eq!(of("shop", keys(), "equipoise").as_deref(), Some("a"), "the one");
    assert_eq!(of("till", keys(), "equipoise"), None, "another pool");
    assert_eq!(of("shop2", keys(), "equipoise"), None, "another pool");
    assert_eq!(of("", keys(), "equipoise"), None, "another pool");
    assert_eq!(of("shop", keys(), "equipoise2"), None, "another name");
    assert_eq!(of("shop", keys(), "equilibre"), None, "another name");
    // What is bound can't be cut elsewhere.
    assert_eq!(of("shope", keys(), "quipoise"), None, "both others");
    assert_eq!(of("sho", keys(), "pequipoise"), None, "both others");
    assert_eq!(of("shop", Keys::new(secret(2)), "equipoise"), None, "another key");
}

/// All there is to see of one token under the clear parts of another.
#[test]
fn parts_of_tokens_can_not_be_exchanged() {
    let wall = Wall::new();
    let keys = Keys::new(secret(1)).with_older(secret(2));
    let all = Cookie::builder("shop", keys).clock(wall.clock()).build().unwrap();
    let older = Cookie::builder("shop", Keys::new(secret(2)))
        .clock(wall.clock())
        .build()
        .unwrap();
    let other_pool = Cookie::builder("till", Keys::new(secret(1)))
        .clock(wall.clock())
        .build()
        .unwrap();
    let mut tokens: Vec<_> = [
        fresh(&all, "a"),
        fresh(&all, "b"),
        fresh(&older, "c"),
        fresh(&other_pool, "d"),
    ]
    .iter()
    .map(|pair| bytes(pair))
    .collect();
    wall.pass(LIFETIME);
    tokens.push(bytes(&fresh(&all, "e")));
    wall.back(LIFETIME);
    for (one, first) in tokens.iter().enumerate() {
        for (two, second) in tokens.iter().enumerate().filter(|(two, _)| *two != one) {
            for parts in 1..31u32 {
                // Each part from the one or the other.
                let from = [0].into_iter().chain(ENDS).zip(ENDS.into_iter().chain([first.len()]));
                let mixed: Vec<u8> = from
                    .enumerate()
                    .flat_map(|(part, (from, to))| {
                        let source = if parts >> part & 1 == 0 { first } else { second };
                        source[from..to].to_vec()
                    })
                    .collect();
                if !tokens.contains(&mixed) {
                    refused(
                        &all,
                        written(&mixed).as_bytes(),
                        &format!("{one} and {two}, parts {parts:05b}"),
                    );
                }
            }
            for cut in 1..first.len() {
                let mixed = [&first[..cut], &second[cut..]].concat();
                if !tokens.contains(&mixed) {
                    refused(
                        &all,
                        written(&mixed).as_bytes(),
                        &format!("{one} and {two}, cut at {cut}"),
                    );
                }
            }
        }
    }
}

#[test]
fn another_version_or_key_is_none() {
    let cookie = cookie(&Wall::new());
    let good = bytes(&fresh(&cookie, "a"));
    for version in (0..=255).filter(|version| *version != good[0]) {
        let mut bad = good.clone();
        bad[0] = version;
        refused(&cookie, written(&bad).as_bytes(), "another version");
    }
}

#[test]
fn nothing_of_the_backend_is_to_be_seen() {
    let cookie = cookie(&Wall::new());
    let first = fresh(&cookie, "10.0.0.1:8080");
    assert_eq!(first.len(), NAME.len() + 146);
    // No two are alike, in none of their parts behind the key's id; and as long as one another.
    for id in ["10.0.0.1:8080", "shop-7", &"c".repeat(51)] {
        let other = fresh(&cookie, id);
        assert_eq!(other.len(), first.len(), "{id}");
        let (one, two) = (bytes(&first), bytes(&other));
        assert_eq!(one[..ENDS[1]], two[..ENDS[1]]);
        let alike = one[ENDS[1]..]
            .iter()
            .zip(&two[ENDS[1]..])
            .filter(|(one, two)| one == two);
        assert!(alike.count() < 10, "one in 256 by chance");
        assert!(!String::from_utf8_lossy(&two).contains(id));
    }
    for (length, characters) in [(52, 231), (115, 231), (116, 316), (179, 316), (180, 402), (243, 402)] {
        assert_eq!(
            fresh(&cookie, &"x".repeat(length)).len(),
            NAME.len() + characters,
            "{length}"
        );
    }
    // A longer one binds nothing.
    assert_eq!(Cookie::LONGEST_ID, 243);
    for length in [244, 255, 256, 257, 300, 70_000] {
        assert_eq!(told(&cookie, &[], Served::new(&"x".repeat(length))), None, "{length}");
    }
    // Ids are text.
    let pair = fresh(&cookie, "wörk\u{0}er ☃");
    assert_eq!(home(&cookie, &[pair.as_bytes()]).as_deref(), Some("wörk\u{0}er ☃"));
}

#[test]
fn debug_shows_no_token_and_no_secret() {
    let wall = Wall::new();
    let cookie = cookie(&wall);
    let pair = fresh(&cookie, "backend-7");
    let (session, found) = located(&cookie, &mut request(&[pair.as_bytes()]));
    assert_eq!(found.as_deref(), Some("backend-7"));
    let debugged = format!("{cookie:?} {:?} {session:?} {:?}", builder(&wall), Keys::new(secret(1)));
    assert!(!debugged.contains(&pair[NAME.len()..]), "{debugged}");
    assert!(!debugged.contains("backend-7"), "{debugged}");
    // As a list of numbers, or as digits.
    assert!(!debugged.contains("1, 1") && !debugged.contains("0101"), "{debugged}");
    wall.pass(MINUTE * 4);
    let (headers, _) = bound(session, Served::new("backend-7"), HeaderMap::new());
    assert_eq!(set(&headers).len(), 1);
    assert!(headers[SET_COOKIE].is_sensitive());
    assert!(!format!("{headers:?}").contains("equipoise="), "{headers:?}");
}

proptest! {
    #[test]
    fn whatever_comes_as_a_token_is_none(text in "[A-Za-z0-9_-]{0,500}", exact in "[A-Za-z0-9_-]{146}", more in proptest::collection::vec(any::<u8>(), 109)) {
        let cookie = cookie(&Wall::new());
        refused(&cookie, format!("{NAME}{text}").as_bytes(), "a text");
        refused(&cookie, format!("{NAME}{exact}").as_bytes(), "a text");
        refused(&cookie, written(&more).as_bytes(), "any bytes");
        // With the clear part of a good one.
        let good = bytes(&fresh(&cookie, "a"));
        refused(&cookie, written(&[&good[..ENDS[1]], &more[ENDS[1]..]].concat()).as_bytes(), "any bytes under the key's id");
    }
}
