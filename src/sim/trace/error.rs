//! Why a recording can't be read.

use std::{error, fmt, io};

/// A recording that can't be read: where, and what is wrong there.
///
/// ```
/// use equipoise::sim::Trace;
///
/// let error = Trace::read_csv("0.1,0.02\n0.2,abc\n".as_bytes()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "line 2, column 2 (service): 'abc' is no number of seconds from 0 to 86400"
/// );
/// ```
#[derive(Debug)]
pub struct TraceError {
    line: Option<u64>,
    column: Option<u64>,
    field: Option<&'static str>,
    wrong: String,
    source: Option<io::Error>,
}

impl TraceError {
    /// At a line, counted from 1.
    pub(super) fn at(line: u64, wrong: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            column: None,
            field: None,
            wrong: wrong.into(),
            source: None,
        }
    }

    /// At a column, counted from 1.
    pub(super) fn in_column(self, column: u64) -> Self {
        let column = Some(column);
        Self { column, ..self }
    }

    /// In a field of this name.
    pub(super) fn in_field(self, field: &'static str) -> Self {
        let field = Some(field);
        Self { field, ..self }
    }

    /// The reading itself failed.
    pub(super) fn unreadable(line: u64, source: io::Error) -> Self {
        Self {
            source: Some(source),
            ..Self::at(line, "can't be read")
        }
    }

    /// Nothing was recorded.
    pub(super) fn empty() -> Self {
        Self {
            line: None,
            ..Self::at(0, "no request: expected at least one line with one")
        }
    }

    /// The line, counted from 1; that of the record's beginning, if it has several. None if there is no request at all.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// The column, counted from 1: of comma-separated values the number of the field, of a log the character. None if
    /// the line as a whole is wrong.
    pub fn column(&self) -> Option<u64> {
        self.column
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}")?;
            if let Some(column) = self.column {
                write!(f, ", column {column}")?;
            }
            if let Some(field) = self.field {
                write!(f, " ({field})")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.wrong)
    }
}

impl error::Error for TraceError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// What was found, in quotes, to be shown to somebody: its beginning alone, and nothing that a terminal would obey.
pub(super) fn echo(found: &str) -> String {
    const MOST: usize = 40;
    let mut shown = String::from("'");
    for (at, c) in found.chars().enumerate() {
        // The quotes around it are single: those of a log's line can stay as they are.
        let escaped: String = if c == '"' { c.into() } else { c.escape_debug().collect() };
        // Of what takes more room once it is escaped there is less.
        if at == MOST || shown.len() + escaped.len() > 2 * MOST {
            shown.push('…');
            break;
        }
        shown += &escaped;
    }
    shown.push('\'');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_cut_and_escaped() {
        assert_eq!(echo("abc"), "'abc'");
        assert_eq!(echo(&"a".repeat(40)), format!("'{}'", "a".repeat(40)));
        assert_eq!(echo(&"a".repeat(41)), format!("'{}…'", "a".repeat(40)));
        assert_eq!(echo("\x1b[2J\r\n\0"), r"'\u{1b}[2J\r\n\0'");
        // It would turn the text after it around.
        assert_eq!(echo("\u{202e}"), r"'\u{202e}'");
        assert_eq!(echo(r#"it's "\""#), r#"'it\'s "\\"'"#);
        assert_eq!(echo("naïve 日本"), "'naïve 日本'");
        let long = echo(&"\u{1}".repeat(1_000));
        assert!(long.len() < 100 && long.ends_with("…'"), "{long}");
    }

    #[test]
    fn a_failed_reading_keeps_its_source() {
        let error = TraceError::unreadable(7, io::Error::other("disk on fire"));
        assert_eq!(error.to_string(), "line 7: can't be read");
        let source = error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "disk on fire");
    }
}
