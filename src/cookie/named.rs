//! Cookies of one name in requests and answers.
//!
//! Read as bytes, and not by the `cookie` crate, which wants text: other cookies of a request need not be any, and are to go on
//! as they came.

use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, Entry, SET_COOKIE},
};

/// The values of the request's cookies of this name, in their order (RFC 6265 §5.4), in one line or several (RFC 9113 §8.2.3).
pub(super) fn values<'a>(headers: &'a HeaderMap, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(is_semicolon));
    pairs.filter_map(move |pair| value(pair, name))
}

fn is_semicolon(byte: &u8) -> bool {
    *byte == b';'
}

/// The value of a pair, if it has this name.
fn value<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let behind = pair.trim_ascii_start().strip_prefix(name)?;
    let value = behind.trim_ascii_start().strip_prefix(b"=")?;
    Some(value.trim_ascii())
}

/// Takes the request's cookies of this name out of it. The others stay as they are; a line that held no other goes.
pub(super) fn strip(headers: &mut HeaderMap, name: &[u8]) {
    let Entry::Occupied(mut lines) = headers.entry(COOKIE) else {
        return;
    };
    let mut is_any_empty = false;
    for line in lines.iter_mut() {
        let Some(rest) = without(line.as_bytes(), name) else {
            continue;
        };
        is_any_empty |= rest.is_empty();
        // Part of a value is one.
        let mut rest = HeaderValue::from_bytes(&rest).unwrap_or_else(|_| HeaderValue::from_static(""));
        rest.set_sensitive(line.is_sensitive());
        *line = rest;
    }
    if is_any_empty {
        let (_, lines) = lines.remove_entry_mult();
        let kept: Vec<HeaderValue> = lines.filter(|line| !line.is_empty()).collect();
        for line in kept {
            headers.append(COOKIE, line);
        }
    }
}

/// The other pairs of a line, nothing if they are blank; none if all are others.
fn without(line: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let pairs = || line.split(is_semicolon);
    if !pairs().any(|pair| value(pair, name).is_some()) {
        return None;
    }
    let others: Vec<&[u8]> = pairs().filter(|pair| value(pair, name).is_none()).collect();
    if others.iter().all(|pair| pair.trim_ascii().is_empty()) {
        return Some(Vec::new());
    }
    Some(others.join(&b';').trim_ascii().to_vec())
}

/// Drops the cookie of this name that a backend sets.
pub(super) fn drop_set(headers: &mut HeaderMap, name: &[u8]) {
    let sets = |line: &HeaderValue| {
        let pair = line.as_bytes().split(is_semicolon).next();
        pair.is_some_and(|pair| value(pair, name).is_some())
    };
    if !headers.get_all(SET_COOKIE).iter().any(sets) {
        return;
    }
    if let Entry::Occupied(lines) = headers.entry(SET_COOKIE) {
        let (_, lines) = lines.remove_entry_mult();
        let kept: Vec<HeaderValue> = lines.filter(|line| !sets(line)).collect();
        for line in kept {
            headers.append(SET_COOKIE, line);
        }
    }
}
