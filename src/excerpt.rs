//! A text that somebody gave, as messages repeat it.

use std::fmt;

/// The most characters that are shown, with those that escape others.
const MOST: usize = 60;

/// Between quotes, with what could break a line or a terminal escaped, and of what is long its beginning alone: whoever
/// reads the message wants to know it again, and may not have written it.
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        let mut left = MOST;
        for c in self.0.chars() {
            let shown = c.escape_debug();
            // What is escaped is as long as it is shown.
            let Some(after) = left.checked_sub(shown.len()) else {
                f.write_str("…")?;
                break;
            };
            left = after;
            write!(f, "{shown}")?;
        }
        f.write_str("'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_whole_and_what_is_long_its_beginning() {
        let shown = |text: &str| Excerpt(text).to_string();
        assert_eq!(shown(""), "''");
        assert_eq!(shown("a b"), "'a b'");
        assert_eq!(shown(&"ä".repeat(60)), format!("'{}'", "ä".repeat(60)));
        assert_eq!(shown(&"ä".repeat(61)), format!("'{}…'", "ä".repeat(60)));
        assert_eq!(shown(&"x".repeat(1 << 20)).chars().count(), 63);
        assert_eq!(shown(&"\u{16}".repeat(11)), format!("'{}…'", r"\u{16}".repeat(10)));
    }

    #[test]
    fn nothing_in_it_moves_a_terminal_or_ends_the_line() {
        assert_eq!(
            Excerpt("a\r\n\u{1b}[2J\0'\u{202e}").to_string(),
            r"'a\r\n\u{1b}[2J\0\'\u{202e}'"
        );
    }
}
