//! What a backend said, as messages repeat it.

/// The most characters that are shown, with those that escape others.
const MOST: usize = 80;

/// Between quotes, with what could break a line or a terminal escaped, and of what is long its beginning alone: a backend
/// that is not well may say anything.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    // No character is longer than four bytes.
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MOST + 4)]);
    let (shown, is_whole) = bounded(&beginning, MOST);
    format!("'{shown}{}'", if is_whole { "" } else { "…" })
}

/// What a library says of a failure, which may repeat what a backend sent.
pub(super) fn reason(error: &dyn std::fmt::Display) -> String {
    let (shown, is_whole) = bounded(&error.to_string(), 4 * MOST);
    // Quotes within are not those of an excerpt.
    let shown = shown.replace("\\\"", "\"").replace("\\'", "'");
    format!("{shown}{}", if is_whole { "" } else { "…" })
}

fn bounded(text: &str, most: usize) -> (String, bool) {
    let mut shown = String::new();
    let mut left = most;
    for c in text.chars() {
        let escaped = c.escape_debug();
        match left.checked_sub(escaped.len()) {
            Some(after) => left = after,
            None => return (shown, false),
        }
        shown.extend(escaped);
    }
    (shown, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_came_is_shown_on_one_line_and_briefly() {
        assert_eq!(excerpt(b""), "''");
        assert_eq!(excerpt("größer".as_bytes()), "'größer'");
        assert_eq!(excerpt(b"a\r\n\x1b[2J\0'"), r"'a\r\n\u{1b}[2J\0\''");
        assert_eq!(excerpt(b"\xff\xfe"), "'\u{fffd}\u{fffd}'");
        assert_eq!(excerpt(&vec![b'x'; 1 << 20]).chars().count(), MOST + 3);
        assert_eq!(excerpt("€".repeat(MOST).as_bytes()), format!("'{}'", "€".repeat(MOST)));
        assert_eq!(reason(&"no \"such\" thing's\nname"), r#"no "such" thing's\nname"#);
        assert_eq!(reason(&"x".repeat(5000)).chars().count(), 4 * MOST + 1);
    }
}
