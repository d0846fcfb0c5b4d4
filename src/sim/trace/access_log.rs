//! Access logs in the common or the combined format, with the request time as the last field.

use std::{io::BufRead, time::Duration};

use jiff::fmt::strtime;

use super::{
    Dated, TraceError,
    error::echo,
    lines::Lines,
    number::{LATEST, LONGEST_SERVICE, NANOS, Unit},
};
use crate::key::HashFunction;

/// What of a logged request is its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogKey {
    /// Who sent it: the first field of the line, an address or a name; none if it is `-`.
    Client,
    /// What it asks for: the second word of the request line, without the query; none if there is no such word.
    Path,
}

/// What is read of a line.
struct Logged {
    /// Seconds since 1970.
    second: i64,
    /// Whether that is when the request ended, and not when it came.
    is_end: bool,
    service: Duration,
    key: Option<u64>,
}

/// What is wrong with a line, and after how many of its bytes.
struct Fault {
    at: usize,
    field: Option<&'static str>,
    wrong: String,
}

impl Fault {
    fn new(at: usize, field: &'static str, wrong: String) -> Self {
        let field = Some(field);
        Self { at, field, wrong }
    }

    fn in_line(self, number: u64, line: &str) -> TraceError {
        // A character that is not ASCII counts as one column.
        let column = line[..self.at].chars().count() as u64 + 1;
        let error = TraceError::at(number, self.wrong).in_column(column);
        match self.field {
            Some(field) => error.in_field(field),
            None => error,
        }
    }
}

pub(super) fn read(source: impl BufRead, key: LogKey) -> Result<Vec<Dated>, TraceError> {
    let mut lines = Lines::new(source);
    let mut logged = Vec::new();
    while lines.advance()? {
        let line = lines.text()?;
        if !line.is_empty() {
            let read = Logged::read(line, key);
            logged.push(read.map_err(|fault| fault.in_line(lines.number(), line))?);
        }
    }
    Ok(spread(logged))
}

/// Gives each request a point in its second.
///
/// All that a line says is the second. Were all of a second put at its beginning, the simulation would see bursts of a
/// whole second's requests that never were. Lines are written as requests end, one by one, so those that ended in the
/// same second did so in the order of their lines; of those that began in the same second no order is known, and that
/// of the lines is as good as any. Of n, each has the middle of its nth part: the mean, as far as anything is known.
fn spread(mut logged: Vec<Logged>) -> Vec<Dated> {
    logged.sort_by_key(|request| request.second);
    let mut dated = Vec::with_capacity(logged.len());
    for same_second in logged.chunk_by(|one, other| one.second == other.second) {
        let parts = 2 * same_second.len() as u64;
        for (request, part) in same_second.iter().zip((1..).step_by(2)) {
            let within = u128::from(NANOS) * part / u128::from(parts);
            let moment = request.second * NANOS as i64 + within as i64;
            let before = if request.is_end {
                request.service
            } else {
                Duration::ZERO
            };
            dated.push(Dated {
                // At most a day before 1970.
                arrival: moment - before.as_nanos() as i64,
                service: request.service,
                key: request.key,
            });
        }
    }
    dated
}

impl Logged {
    fn read(line: &str, key: LogKey) -> Result<Self, Fault> {
        let form = || {
            let wrong = format!(
                "{} is no line of an access log: expected CLIENT - USER [TIME] \"REQUEST\" STATUS BYTES … REQUEST_TIME",
                echo(line)
            );
            Fault {
                at: 0,
                field: None,
                wrong,
            }
        };
        // Users have the names that they give themselves, and servers log them with their spaces and brackets, but not
        // with their quotes: the first quote after a bracket is the request's.
        let time_end = line.find("] \"").ok_or_else(form)?;
        let time_start = line[..time_end].rfind(" [").ok_or_else(form)? + 2;
        let client = line.split(' ').next().unwrap_or_default();
        if client.is_empty() {
            return Err(form());
        }
        let second = second(&line[time_start..time_end]).map_err(|wrong| Fault::new(time_start, "time", wrong))?;

        let mut fields = Fields { line, at: time_end + 1 };
        let request = fields.needed("request")?;
        let status = fields.needed("status")?;
        // A dash stands for what there is none of.
        if status.text != "-" && !(status.text.len() == 3 && is_digits(status.text)) {
            let wrong = format!("{} is no status of three digits", echo(status.text));
            return Err(Fault::new(status.at, "status", wrong));
        }
        let bytes = fields.needed("bytes")?;
        if bytes.text != "-" && !is_digits(bytes.text) {
            let wrong = format!("{} is no number of bytes", echo(bytes.text));
            return Err(Fault::new(bytes.at, "bytes", wrong));
        }
        let mut last = fields.needed(REQUEST_TIME)?;
        while let Some(field) = fields.next()? {
            last = field;
        }
        let is_end = last.text.contains('.');
        let service = service(last.text).map_err(|wrong| Fault::new(last.at, REQUEST_TIME, wrong))?;

        let key = match key {
            LogKey::Client => Some(client).filter(|client| *client != "-"),
            LogKey::Path => request.text.split_ascii_whitespace().nth(1).map(without_query),
        };
        Ok(Self {
            second,
            is_end,
            service: Duration::from_nanos(service),
            key: key.map(|key| HashFunction::default().hash(key.as_bytes())),
        })
    }
}

const REQUEST_TIME: &str = "request time";

/// Seconds since 1970.
fn second(text: &str) -> Result<i64, String> {
    let parsed = strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).and_then(|time| time.to_timestamp());
    let second = parsed.ok().map(|time| time.as_second());
    let is_in_range = |second: &i64| (0..=(LATEST / NANOS) as i64).contains(second);
    second.filter(is_in_range).ok_or_else(|| {
        let found = echo(text);
        format!("{found} is no time from 1970 to 2255 such as 10/Oct/2000:13:55:36 -0700")
    })
}

/// Nanoseconds of a request time.
fn service(text: &str) -> Result<u64, String> {
    // Without exponents: hexadecimal identifiers look like them.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let unit = if text.contains('.') {
        Unit::Seconds
    } else {
        Unit::Microseconds
    };
    let read = unit.nanoseconds(text, LONGEST_SERVICE).ok().filter(|_| is_plain);
    read.ok_or_else(|| {
        let found = echo(text);
        format!("{found} is no request time from 0 to 86400 s: seconds with a point, or whole microseconds")
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn without_query(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

/// The fields of a line, from one of its bytes on: words, or anything in quotes.
struct Fields<'a> {
    line: &'a str,
    at: usize,
}

struct Field<'a> {
    /// After how many bytes of the line.
    at: usize,
    /// As it is written, escaped; without the quotes around it.
    text: &'a str,
}

impl<'a> Fields<'a> {
    fn needed(&mut self, field: &'static str) -> Result<Field<'a>, Fault> {
        let missing = || Fault::new(self.line.len(), field, format!("the line ends without its {field}"));
        self.next()?.ok_or_else(missing)
    }

    fn next(&mut self) -> Result<Option<Field<'a>>, Fault> {
        let fault = |at, wrong: &str| Fault {
            at,
            field: None,
            wrong: wrong.to_owned(),
        };
        let rest = &self.line[self.at..];
        let field = rest.trim_start_matches(' ');
        let at = self.line.len() - field.len();
        let text = match field.strip_prefix('"') {
            Some(quoted) => &quoted[..closing(quoted).ok_or_else(|| fault(at, "a quote is not closed"))?],
            None => field.split(' ').next().unwrap_or_default(),
        };
        let quotes = if field.starts_with('"') { 2 } else { 0 };
        self.at = at + quotes + text.len();
        if !self.line[self.at..].is_empty() && !self.line[self.at..].starts_with(' ') {
            return Err(fault(self.at, "expected a space after a quote"));
        }
        Ok((!field.is_empty()).then_some(Field { at, text }))
    }
}

/// How many bytes there are before the closing quote. A backslash escapes what comes after it: Apache writes `\"` for a
/// quote, nginx `\x22`, and both a backslash as something with a backslash before.
fn closing(quoted: &str) -> Option<usize> {
    let mut is_escaped = false;
    quoted.bytes().position(|byte| {
        let closes = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        closes
    })
}
