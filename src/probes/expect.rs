//! What is expected of a reply.

use std::{fmt, ops::RangeInclusive};

use regex::bytes::Regex;

use super::{
    LONGEST,
    error::{ProbeError, SettingError},
    excerpt::{excerpt, reason},
};

/// Some statuses of HTTP.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// What HAProxy (configuration manual, `option httpchk`) and Kubernetes (liveness probes) take.
    pub(super) fn usual() -> Self {
        Self(vec![200..=399])
    }

    /// These, in any order.
    pub(super) fn of(statuses: impl IntoIterator<Item = u16>) -> Result<Self, SettingError> {
        let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
        let wrong = |value: &str| SettingError::new("status", value.as_bytes(), "one or more from 200 to 999");
        let mut sorted = Vec::new();
        for status in statuses {
            // What is less is interim (RFC 9110 §15.2), and no answer. What is more has more than three digits.
            if !(200..=999).contains(&status) {
                return Err(wrong(&status.to_string()));
            }
            sorted.push(status);
        }
        sorted.sort_unstable();
        for status in sorted {
            match ranges.last_mut() {
                Some(last) if *last.end() + 1 >= status => *last = *last.start()..=status,
                _ => ranges.push(status..=status),
            }
        }
        if ranges.is_empty() {
            return Err(wrong(""));
        }
        Ok(Self(ranges))
    }

    pub(super) fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// `200-204, 301`.
impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{}", range.start())?;
            if range.start() < range.end() {
                write!(f, "-{}", range.end())?;
            }
        }
        Ok(())
    }
}

/// What a body has to have somewhere.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// A text's is the text, escaped: its search takes no longer for a body that was made to be searched slowly.
    pattern: Regex,
    /// As it was given.
    shown: String,
}

/// The most bytes of a text that is looked for.
const LONGEST_TEXT: usize = 1024;

impl Content {
    pub(super) fn text(text: &str) -> Result<Self, SettingError> {
        let wrong = || SettingError::new("text", text.as_bytes(), format!("1 to {LONGEST_TEXT} bytes"));
        if text.is_empty() || text.len() > LONGEST_TEXT {
            return Err(wrong());
        }
        let pattern = Regex::new(&regex::escape(text)).map_err(|_| wrong())?;
        let shown = format!("a body with {}", excerpt(text.as_bytes()));
        Ok(Self { pattern, shown })
    }

    pub(super) fn pattern(pattern: &str) -> Result<Self, SettingError> {
        let wrong = |why: String| SettingError::new("pattern", pattern.as_bytes(), why);
        if pattern.is_empty() {
            return Err(wrong("a regular expression that is not empty".to_owned()));
        }
        let compiled = Regex::new(pattern).map_err(|error| {
            // All of the error is a drawing of the pattern; its last line says what is wrong.
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default();
            let last = last.trim_start_matches("error: ");
            wrong(format!("a regular expression of the crate regex ({})", reason(&last)))
        })?;
        Ok(Self {
            pattern: compiled,
            shown: format!("a body that matches {}", excerpt(pattern.as_bytes())),
        })
    }

    /// Whether it is in there.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.pattern.is_match(bytes)
    }

    /// What to say where it is not there.
    pub(super) fn missing(&self, bytes: &[u8]) -> ProbeError {
        let came = match bytes {
            [] => "an empty one".to_owned(),
            _ => format!("one of {} bytes that begins {}", bytes.len(), excerpt(bytes)),
        };
        ProbeError::unexpected(self.shown.clone(), came)
    }

    /// What to say where there is more than is read.
    pub(super) fn too_long(&self, bytes: &[u8]) -> ProbeError {
        let came = format!("a longer one that begins {}", excerpt(bytes));
        ProbeError::unexpected(format!("{} of at most {LONGEST} bytes", self.shown), came)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_ranges_however_they_are_said() {
        let shown = |statuses: &[u16]| Statuses::of(statuses.iter().copied()).map(|statuses| statuses.to_string());
        assert_eq!(shown(&[301, 200, 202, 201, 200]).unwrap(), "200-202, 301");
        assert_eq!(shown(&[999]).unwrap(), "999");
        assert_eq!(Statuses::of(200..=399).unwrap(), Statuses::usual());
        for wrong in [&[][..], &[200, 101], &[1000], &[0], &[u16::MAX]] {
            let error = shown(wrong).unwrap_err().to_string();
            assert!(error.ends_with("expected one or more from 200 to 999"), "{error}");
        }
        let some = Statuses::of([200, 204]).unwrap();
        assert_eq!(
            [199, 200, 201, 204, 205].map(|status| some.contains(status)),
            [false, true, false, true, false]
        );
    }

    #[test]
    fn a_text_is_no_pattern() {
        let text = Content::text("a.c (100 %)").unwrap();
        assert!(text.is_in(b"\xffa.c (100 %)\0") && !text.is_in(b"abc (100 %)"));
        let pattern = Content::pattern(r"^a.c\z").unwrap();
        assert!(pattern.is_in(b"abc") && !pattern.is_in(b"abcd"));
        assert!(Content::pattern("(?-u)\\xff").unwrap().is_in(b"a\xff"));
    }

    #[test]
    fn what_is_expected_is_not_nothing() {
        assert!(Content::text("").is_err() && Content::pattern("").is_err());
        let longest = "x".repeat(LONGEST_TEXT);
        assert!(Content::text(&longest).is_ok() && Content::text(&(longest + "x")).is_err());
        let error = Content::pattern("a(b").unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid pattern 'a(b': expected a regular expression of the crate regex (unclosed group)"
        );
        // What takes too much memory is refused when it is set.
        assert!(Content::pattern(r"\w{1000}{1000}").is_err());
    }
}
