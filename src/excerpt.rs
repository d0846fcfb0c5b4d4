//! A text that somebody gave, as messages repeat it.

use std::fmt::{self, Write};

/// The most characters that are shown, with those that escape others.
const MOST: usize = 60;
/// Of a text that is the message itself.
const MOST_OF_MESSAGE: usize = 200;

/// Between quotes, with what could break a line or a terminal escaped, and of what is long its beginning alone: whoever
/// reads the message wants to know it again, and may not have written it.
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        write_beginning(self.0, MOST, true, f)?;
        f.write_str("'")
    }
}

/// Like an excerpt, but not between quotes, so that those within stay as they are, and with more of what is long: what
/// somebody's code says of a failure.
pub(crate) struct Message<'a>(pub(crate) &'a str);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_beginning(self.0, MOST_OF_MESSAGE, false, f)
    }
}

fn write_beginning(text: &str, most: usize, is_quoted: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut left = most;
    for c in text.chars() {
        let is_plain = !is_quoted && matches!(c, '\'' | '"');
        let shown = c.escape_debug();
        // What is escaped is as long as it is shown.
        let Some(after) = left.checked_sub(if is_plain { 1 } else { shown.len() }) else {
            return f.write_str("…");
        };
        left = after;
        if is_plain {
            f.write_char(c)?;
        } else {
            write!(f, "{shown}")?;
        }
    }
    Ok(())
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

    #[test]
    fn a_message_is_longer_and_has_no_quotes() {
        let shown = |text: &str| Message(text).to_string();
        assert_eq!(shown("can't\n"), r"can't\n");
        assert_eq!(shown(&"x".repeat(200)), "x".repeat(200));
        assert_eq!(shown(&"x".repeat(201)), "x".repeat(200) + "…");
    }
}
