//! Lines, none of which can be too long for the memory.

use std::{
    io::{self, BufRead, Read},
    str,
};

use super::TraceError;

/// The longest line, in bytes, its end included: far more than any server takes of a request's head.
pub(super) const LONGEST: usize = 1 << 20;

/// Lines one by one, with their numbers.
pub(super) struct Lines<R> {
    source: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            line: Vec::new(),
            number: 0,
        }
    }

    /// Goes on to the next line; false if there is none.
    pub(super) fn advance(&mut self) -> Result<bool, TraceError> {
        self.line.clear();
        let number = self.number + 1;
        let read = self.read().map_err(|error| TraceError::unreadable(number, error))?;
        self.number += u64::from(read > 0);
        if read > LONGEST {
            return Err(too_long(number));
        }
        const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
        if number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(read > 0)
    }

    fn read(&mut self) -> io::Result<usize> {
        // One byte more than the longest tells that there is more.
        let mut bounded = self.source.by_ref().take(LONGEST as u64 + 1);
        bounded.read_until(b'\n', &mut self.line)
    }

    /// The line, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The line with its end.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.line
    }

    /// The line without its end and other white space there.
    pub(super) fn text(&self) -> Result<&str, TraceError> {
        let text = str::from_utf8(&self.line).map_err(|error| {
            let valid = String::from_utf8_lossy(&self.line[..error.valid_up_to()]);
            let column = valid.chars().count() as u64 + 1;
            TraceError::at(self.number, "not UTF-8").in_column(column)
        })?;
        Ok(text.trim_end())
    }
}

/// A line, or a record of several, that is longer than [`LONGEST`].
pub(super) fn too_long(line: u64) -> TraceError {
    TraceError::at(line, format!("longer than {LONGEST} bytes"))
}

#[cfg(test)]
mod tests {
    use std::{error::Error, io::BufReader};

    use super::*;

    #[test]
    fn lines_have_numbers() {
        let mut lines = Lines::new("\u{feff}a\n\n b \r\nc".as_bytes());
        let mut seen = Vec::new();
        while lines.advance().unwrap() {
            seen.push((lines.number(), lines.text().unwrap().to_owned()));
        }
        assert_eq!(
            seen,
            [(1, "a".into()), (2, "".into()), (3, " b".into()), (4, "c".into())]
        );
        assert_eq!(lines.number(), 4);
    }

    #[test]
    fn the_longest_line_is_read_and_a_longer_one_refused() {
        for end in ["", "\n"] {
            let longest = "a".repeat(LONGEST - end.len()) + end;
            let mut lines = Lines::new(longest.as_bytes());
            assert!(lines.advance().unwrap());
            assert_eq!(lines.bytes().len(), LONGEST);
            assert!(!lines.advance().unwrap());
            let longer = "a".repeat(LONGEST + 1 - end.len()) + end;
            let error = Lines::new(longer.as_bytes()).advance().unwrap_err();
            assert_eq!(error.to_string(), "line 1: longer than 1048576 bytes");
        }
    }

    #[test]
    fn a_line_without_end_is_not_read_for_ever() {
        let mut lines = Lines::new(BufReader::new(b"a\n".chain(io::repeat(b'a'))));
        assert!(lines.advance().unwrap());
        let error = lines.advance().unwrap_err();
        assert_eq!(error.to_string(), "line 2: longer than 1048576 bytes");
        assert!(lines.line.capacity() <= 4 * LONGEST);
    }

    #[test]
    fn what_is_not_utf_8_is_refused_with_its_place() {
        let mut lines = Lines::new(&b"a\n\xc3\xbcb\xff\n"[..]);
        assert!(lines.advance().unwrap() && lines.advance().unwrap());
        assert_eq!(lines.text().unwrap_err().to_string(), "line 2, column 3: not UTF-8");
    }

    #[test]
    fn a_failed_reading_is_told_with_its_line() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let mut lines = Lines::new(BufReader::new(b"a\nb".chain(Broken)));
        assert!(lines.advance().unwrap());
        let error = lines.advance().unwrap_err();
        assert_eq!(error.to_string(), "line 2: can't be read");
        assert_eq!(error.source().unwrap().to_string(), "gone");
    }
}
