//! How a session and its home are written in Redis.

use crate::learned::SessionId;

/// The longest id of a home, in bytes.
pub(super) const MOST: usize = 4096;
/// The longest value: the form, an end in milliseconds, and a home. The scripts read one byte more, and so see what is longer.
pub(super) const MOST_VALUE: usize = MOST + 32;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The key of a session.
pub(super) fn key(prefix: &str, session: SessionId) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 32);
    key.extend_from_slice(prefix.as_bytes());
    for byte in session.to_bytes() {
        key.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
    }
    key
}

/// The session whose key this is, if it is one.
pub(super) fn session(prefix: &str, key: &[u8]) -> Option<SessionId> {
    let digits = key.strip_prefix(prefix.as_bytes())?;
    let mut bytes = [0; 16];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    let digit = |digit| DIGITS.iter().position(|known| *known == digit);
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(SessionId::from_bytes(bytes))
}

/// The pattern of all keys, in which what means something to Redis is escaped.
pub(super) fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('*');
    pattern
}

/// The home in a value; none in what is no value of ours.
pub(super) fn home(value: &[u8]) -> Option<&str> {
    let rest = value.strip_prefix(b"1:")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let home = rest[digits..].strip_prefix(b":")?;
    let is_ours = digits > 0 && value.len() <= MOST_VALUE;
    is_ours.then(|| std::str::from_utf8(home).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_the_prefix_and_32_digits() {
        let id = SessionId::from_bytes(*b"\x00\x01\x7f\x80\xff\xab\xcd\xef\x10\x20\x30\x40\x50\x60\x70\x8f");
        assert_eq!(key("equipoise:", id), b"equipoise:00017f80ffabcdef102030405060708f");
        assert_eq!(session("equipoise:", &key("equipoise:", id)), Some(id));
        for other in [
            "equipoise:",
            "equipoise:00017f80ffabcdef102030405060708",
            "equipoise:00017f80ffabcdef102030405060708f0",
            "equipoise:00017F80FFABCDEF102030405060708F",
            "equipoise:00017f80ffabcdef10203040506070é",
            "quipoise:00017f80ffabcdef102030405060708f",
        ] {
            assert_eq!(session("equipoise:", other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_pattern_takes_a_prefix_at_its_word() {
        assert_eq!(pattern("equipoise:"), "equipoise:*");
        assert_eq!(pattern("{a}*?[b]\\^-é"), "{a}\\*\\?\\[b\\]\\\\\\^\\-é*");
    }

    #[test]
    fn a_home_is_what_follows_the_end() {
        for (value, home) in [
            ("1:0:a", Some("a")),
            ("1:1767225600000::b:\n", Some(":b:\n")),
            ("1:0:", Some("")),
            ("", None),
            ("1:", None),
            ("1::a", None),
            ("1:x:a", None),
            ("1:-1:a", None),
            ("2:0:a", None),
            ("1:0", None),
        ] {
            assert_eq!(super::home(value.as_bytes()), home, "{value:?}");
        }
        assert_eq!(super::home(b"1:0:\xff"), None);
        let long = format!("1:0:{}", "x".repeat(MOST_VALUE));
        assert_eq!(super::home(long.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(prefix in ".{0,8}", bytes in proptest::collection::vec(any::<u8>(), 0..64), id: [u8; 16]) {
            let _ = (session(&prefix, &bytes), home(&bytes));
            let id = SessionId::from_bytes(id);
            prop_assert_eq!(session(&prefix, &key(&prefix, id)), Some(id));
        }
    }
}
