//! Answers that no cache may give to others.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, Entry},
};

/// What becomes of a list of directives.
struct Rule {
    drops: &'static [&'static str],
    adds: &'static str,
    /// What takes the place of what is no list of directives: some caches would make something of it, and who knows what.
    otherwise: &'static str,
}

/// RFC 9111 §5.2.2. A `private` that names fields lets a cache store the rest.
const PRIVATE: Rule = Rule {
    drops: &["public", "s-maxage", "private"],
    adds: "private",
    otherwise: "private, no-store",
};

/// The Edge Architecture Specification, §2.2 (W3C Note, 2001), which has no `private`.
const NOT_STORED: Rule = Rule {
    drops: &["max-age", "no-store-remote", "no-store"],
    adds: "no-store",
    otherwise: "no-store",
};

const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// Marks an answer as one for its client alone.
pub(super) fn mark_private(headers: &mut HeaderMap) {
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(PRIVATE.adds));
    }
    // Their names end so (RFC 9213 §2.4). Whom they are for heeds nothing else.
    let is_one = |name: &&HeaderName| **name == CACHE_CONTROL || name.as_str().ends_with("-cache-control");
    let names: Vec<HeaderName> = headers.keys().filter(is_one).cloned().collect();
    for name in names {
        PRIVATE.apply(headers, name);
    }
    NOT_STORED.apply(headers, SURROGATE_CONTROL);
}

impl Rule {
    /// To a header, if it is there.
    fn apply(&self, headers: &mut HeaderMap, name: HeaderName) {
        if let Entry::Occupied(mut lines) = headers.entry(name) {
            if let Some(value) = self.merged(lines.iter()) {
                lines.insert(value);
            }
        }
    }

    /// What is to stand there in place of these lines; none if they can stay.
    fn merged<'a>(&self, lines: impl Iterator<Item = &'a HeaderValue>) -> Option<HeaderValue> {
        let otherwise = Some(HeaderValue::from_static(self.otherwise));
        let (mut kept, mut is_there, mut is_less) = (Vec::new(), false, false);
        for line in lines {
            let Some(directives) = directives(line.as_bytes()) else {
                return otherwise;
            };
            for directive in directives {
                if directive.eq_ignore_ascii_case(self.adds.as_bytes()) {
                    is_there = true;
                } else if self.drops.iter().any(|name| is_named(directive, name)) {
                    is_less = true;
                } else {
                    kept.push(directive);
                }
            }
        }
        if is_there && !is_less {
            return None;
        }
        kept.push(self.adds.as_bytes());
        HeaderValue::from_bytes(&kept.join(&b", "[..])).ok().or(otherwise)
    }
}

fn is_named(directive: &[u8], name: &str) -> bool {
    let end = directive
        .iter()
        .position(|byte| b"=;".contains(byte) || byte.is_ascii_whitespace());
    directive[..end.unwrap_or(directive.len())].eq_ignore_ascii_case(name.as_bytes())
}

/// The directives of a line, by the commas that are not between quotes; none if quotes are not where a list has them, as
/// then there is no telling where others see its commas.
fn directives(line: &[u8]) -> Option<Vec<&[u8]>> {
    #[derive(PartialEq)]
    enum At {
        Start,
        Plain,
        Equals,
        Quoted,
        Escaped,
        Closed,
    }
    let (mut from, mut at, mut found) = (0, At::Start, Vec::new());
    for (index, byte) in line.iter().enumerate() {
        at = match (at, byte) {
            (At::Quoted, b'"') => At::Closed,
            (At::Quoted, b'\\') => At::Escaped,
            (At::Quoted | At::Escaped, _) => At::Quoted,
            (At::Equals, b'"') => At::Quoted,
            (_, b'"') => return None,
            (_, b',') => {
                found.push(line[from..index].trim_ascii());
                from = index + 1;
                At::Start
            }
            (At::Closed, b' ' | b'\t') => At::Closed,
            // A parameter, as structured fields have them (RFC 9651 §3.1.2).
            (At::Closed, byte) if *byte != b';' => return None,
            (_, b'=') => At::Equals,
            _ => At::Plain,
        };
    }
    if matches!(at, At::Quoted | At::Escaped) {
        return None;
    }
    found.push(line[from..].trim_ascii());
    found.retain(|directive| !directive.is_empty());
    Some(found)
}
