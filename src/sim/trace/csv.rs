//! Comma-separated values.

use std::{
    io::{self, BufReader, Read},
    time::Duration,
};

use csv::{ErrorKind, ReaderBuilder, StringRecord, Terminator};

use super::{
    Dated, TraceError,
    error::echo,
    lines::{LONGEST, Lines, too_long},
    number::{LATEST, LONGEST_SERVICE, Unit},
    quotes::Quotes,
};
use crate::key::HashFunction;

/// The columns of times, by their names.
const ARRIVALS: [Times; 4] = [
    Times::of("arrival", Unit::Seconds, LATEST),
    Times::of("arrival_s", Unit::Seconds, LATEST),
    Times::of("arrival_ms", Unit::Milliseconds, LATEST),
    Times::of("arrival_us", Unit::Microseconds, LATEST),
];
const SERVICES: [Times; 4] = [
    Times::of("service", Unit::Seconds, LONGEST_SERVICE),
    Times::of("service_s", Unit::Seconds, LONGEST_SERVICE),
    Times::of("service_ms", Unit::Milliseconds, LONGEST_SERVICE),
    Times::of("service_us", Unit::Microseconds, LONGEST_SERVICE),
];
const KEYS: [&str; 1] = ["key"];

pub(super) fn read(source: impl Read) -> Result<Vec<Dated>, TraceError> {
    let mut records = Records::new(source);
    let (mut requests, mut columns) = (Vec::new(), None);
    while records.advance()? {
        let columns = match &columns {
            Some(columns) => columns,
            None => {
                let (found, is_header) = Columns::of(&records)?;
                let found = columns.insert(found);
                if is_header {
                    continue;
                }
                found
            }
        };
        requests.push(columns.request(&records)?);
    }
    Ok(requests)
}

/// Records one by one, with their lines.
struct Records<R> {
    reader: csv::Reader<Fed<R>>,
    record: StringRecord,
}

impl<R: Read> Records<R> {
    fn new(source: R) -> Self {
        let fed = Fed::new(source);
        let reader = ReaderBuilder::new()
            .has_headers(false)
            // How many fields there are is checked here, as blank lines are to have none.
            .flexible(true)
            // That a record ends with a line, and nowhere else, makes its number known. The CR before is white space.
            .terminator(Terminator::Any(b'\n'))
            .from_reader(fed);
        let record = StringRecord::new();
        Self { reader, record }
    }

    /// Goes on to the next record; false if there is none.
    fn advance(&mut self) -> Result<bool, TraceError> {
        loop {
            self.reader.get_mut().begin();
            let read = self.reader.read_record(&mut self.record);
            let is_there = read.map_err(|error| self.error(error))?;
            // A line of white space is one empty field to the reader.
            if !is_there || self.reader.get_ref().first.is_some() {
                let fault = self.reader.get_ref().quotes.fault();
                break fault.map_or(Ok(is_there), |(field, wrong)| Err(self.wrong(field, wrong)));
            }
        }
    }

    fn error(&self, error: csv::Error) -> TraceError {
        match error.into_kind() {
            ErrorKind::Io(error) => error
                .downcast()
                .unwrap_or_else(|error| TraceError::unreadable(self.line(), error)),
            ErrorKind::Utf8 { err, .. } => self.wrong(err.field() + 1, "not UTF-8"),
            // The others are of writing, of seeking, and of things that are not asked for.
            other => TraceError::at(self.line(), format!("{other:?}")),
        }
    }

    /// The line in which the record begins.
    fn line(&self) -> u64 {
        let fed = self.reader.get_ref();
        fed.first.unwrap_or(fed.lines.number())
    }

    /// An error at a field, counted from 1.
    fn wrong(&self, field: usize, wrong: impl Into<String>) -> TraceError {
        TraceError::at(self.line(), wrong).in_column(field as u64)
    }
}

/// The lines as a reader of records is fed with them: one at a time, so that it can't read ahead.
struct Fed<R> {
    lines: Lines<BufReader<R>>,
    /// How much of the line was read.
    at: usize,
    /// The line in which the record begins.
    first: Option<u64>,
    /// How long the record is by now, as a quote may hold any number of lines.
    len: usize,
    quotes: Quotes,
}

impl<R: Read> Fed<R> {
    fn new(source: R) -> Self {
        Self {
            lines: Lines::new(BufReader::new(source)),
            at: 0,
            first: None,
            len: 0,
            quotes: Quotes::new(),
        }
    }

    fn begin(&mut self) {
        (self.first, self.len, self.quotes) = (None, 0, Quotes::new());
    }

    fn advance(&mut self) -> Result<(), TraceError> {
        self.lines.advance()?;
        self.at = 0;
        let line = self.lines.bytes();
        if self.first.is_none() && !line.trim_ascii().is_empty() {
            self.first = Some(self.lines.number());
        }
        // Blank lines before a record are nothing that somebody has to keep.
        if let Some(first) = self.first {
            self.len += line.len();
            self.quotes.read(line);
            if self.len > LONGEST {
                return Err(too_long(first));
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Fed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.lines.bytes().len() {
            self.advance().map_err(io::Error::other)?;
        }
        let read = (&self.lines.bytes()[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

/// A column of times.
#[derive(Clone, Copy)]
struct Times {
    name: &'static str,
    unit: Unit,
    most: u64,
}

impl Times {
    const fn of(name: &'static str, unit: Unit, most: u64) -> Self {
        Self { name, unit, most }
    }
}

/// Where what is.
struct Columns {
    arrival: (usize, Times),
    service: (usize, Times),
    key: Option<usize>,
    /// How many fields each record has.
    fields: usize,
}

impl Columns {
    /// Those of the first record, and whether it names them.
    fn of<R: Read>(records: &Records<R>) -> Result<(Self, bool), TraceError> {
        let named = |names: &[&'static str]| named(records, names);
        let (arrival, service) = (
            named(&ARRIVALS.map(|times| times.name)),
            named(&SERVICES.map(|times| times.name)),
        );
        let key = named(&KEYS);
        let first = records.record.get(0).unwrap_or_default().trim();
        // A key may well be called `key`; the number before it tells that it is no header.
        let has_names = [&arrival, &service, &key]
            .iter()
            .any(|column| !matches!(column, Ok(None)));
        let is_header = has_names && Unit::Seconds.nanoseconds(first, u64::MAX).is_err();
        let fields = records.record.len();
        if !is_header {
            let columns = Self {
                arrival: (0, ARRIVALS[0]),
                service: (1, SERVICES[0]),
                key: (fields > 2).then_some(2),
                fields: fields.max(2),
            };
            return Ok((columns, false));
        }
        let needed = |column: Option<(usize, usize)>, times: [Times; 4]| {
            let found = column.map(|(at, name)| (at, times[name]));
            found.ok_or_else(|| {
                let names = times.map(|times| times.name).join(", ");
                TraceError::at(
                    records.line(),
                    format!("no column of these names: expected one of {names}"),
                )
            })
        };
        let columns = Self {
            arrival: needed(arrival?, ARRIVALS)?,
            service: needed(service?, SERVICES)?,
            key: key?.map(|(at, _)| at),
            fields,
        };
        Ok((columns, true))
    }

    fn request<R: Read>(&self, records: &Records<R>) -> Result<Dated, TraceError> {
        let record = &records.record;
        let fields = record.len();
        if fields != self.fields {
            // The first that is missing, or one too many.
            let wrong = records.wrong(
                fields.min(self.fields) + 1,
                format!("{fields} fields instead of {}", self.fields),
            );
            return Err(wrong);
        }
        let time = |(at, times): (usize, Times)| {
            let text = record.get(at).unwrap_or_default().trim();
            let read = times.unit.nanoseconds(text, times.most);
            read.map_err(|wrong| records.wrong(at + 1, wrong).in_field(times.name))
        };
        let key = self.key.and_then(|at| record.get(at)).map(str::trim);
        Ok(Dated {
            // It is at most `LATEST`.
            arrival: time(self.arrival)? as i64,
            service: Duration::from_nanos(time(self.service)?),
            key: key
                .filter(|key| !key.is_empty())
                .map(|key| HashFunction::default().hash(key.as_bytes())),
        })
    }
}

/// The one field that is any of these names, and which of them.
fn named<R: Read>(records: &Records<R>, names: &[&'static str]) -> Result<Option<(usize, usize)>, TraceError> {
    let mut found = records.record.iter().enumerate().filter_map(|(at, field)| {
        let name = names.iter().position(|name| name.eq_ignore_ascii_case(field.trim()));
        name.map(|name| (at, name))
    });
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some((second, name)) => {
            let wrong = format!("{} is a second column of the kind", echo(names[name]));
            Err(records.wrong(second + 1, wrong))
        }
    }
}
