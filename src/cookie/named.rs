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
    let mut others: Option<Vec<u8>> = None;
    let mut from = 0;
    for pair in line.split(is_semicolon) {
        let is_ours = value(pair, name).is_some();
        match &mut others {
            // All before it, and the semicolon behind them.
            None if is_ours => others = Some(line[..from].to_vec()),
            Some(others) if !is_ours => {
                others.extend(pair);
                others.push(b';');
            }
            _ => {}
        }
        from += pair.len() + 1;
    }
    let mut others = others?;
    others.pop();
    if others.iter().all(|byte| *byte == b';' || byte.is_ascii_whitespace()) {
        others.clear();
    }
    Some(others.trim_ascii().to_vec())
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
