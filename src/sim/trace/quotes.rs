//! Quotes of a record of comma-separated values, for what its reader takes as it comes: a quote that is never closed is
//! closed by the end of the file, or by the next one far below, and all requests between are but a key.

/// How the quotes of a record stand, byte by byte.
pub(super) struct Quotes {
    stand: Stand,
    /// The field at hand, counted from 1.
    field: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Stand {
    /// Before the first byte of a field.
    Before,
    /// In a field without quotes around it: any within are of its text.
    Plain,
    Within,
    /// After a quote in quotes: the closing one, or the first of two that stand for one.
    Closing,
    /// Only white space since the closing one.
    After,
    Astray,
}

impl Quotes {
    pub(super) fn new() -> Self {
        Self {
            stand: Stand::Before,
            field: 1,
        }
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.stand = match (self.stand, byte) {
                (Stand::Astray, _) => break,
                (Stand::Within, b'"') => Stand::Closing,
                (Stand::Within, _) | (Stand::Before | Stand::Closing, b'"') => Stand::Within,
                (_, b',') => {
                    self.field += 1;
                    Stand::Before
                }
                (Stand::Closing | Stand::After, byte) if byte.is_ascii_whitespace() => Stand::After,
                (Stand::Closing | Stand::After, _) => Stand::Astray,
                (Stand::Before | Stand::Plain, _) => Stand::Plain,
            };
        }
    }

    /// At the end of the record: the field whose quotes are wrong, and how.
    pub(super) fn fault(&self) -> Option<(usize, &'static str)> {
        match self.stand {
            Stand::Within => Some((self.field, "a quote is not closed")),
            Stand::Astray => Some((self.field, "text after a closing quote")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(record: &str) -> Quotes {
        let mut quotes = Quotes::new();
        quotes.read(record.as_bytes());
        quotes
    }

    #[test]
    fn quotes_go_around_a_field_or_are_its_text() {
        for record in [
            "",
            "a,\"b\"\n",
            "\"\",\"\"\"\",\"a\"\"\n,\" ,\"b\"\r\n",
            "a\"b, \"c,d\"",
            "\"a\" \t,b",
        ] {
            assert_eq!(of(record).fault(), None, "{record}");
        }
        for (record, field) in [("\"", 1), ("a,\"b,c\n", 2), ("a,\"b\",\"\"\"", 3)] {
            assert_eq!(of(record).fault(), Some((field, "a quote is not closed")), "{record}");
        }
        for (record, field) in [("\"a\"b,c", 1), ("a,\"b\" \"c\"", 2), ("a,\"\nb,\"c\",d", 2)] {
            assert_eq!(
                of(record).fault(),
                Some((field, "text after a closing quote")),
                "{record}"
            );
        }
    }

    proptest! {
        /// The reader sees the same fields.
        #[test]
        fn fields_are_those_of_the_reader(record in "[a\"\", \r]{1,12}") {
            let reader = csv::ReaderBuilder::new().has_headers(false).terminator(csv::Terminator::Any(b'\n')).from_reader(record.as_bytes());
            let read = reader.into_records().next().unwrap().unwrap();
            let quotes = of(&record);
            if quotes.fault().is_none() {
                prop_assert_eq!(read.len(), quotes.field);
            } else {
                prop_assert!(record.contains('"') && quotes.field <= read.len());
            }
        }
    }
}
