//! How a report is written.

use std::io::{Cursor, Write};

use base64::Engine;
use http::{HeaderName, HeaderValue};

use super::{HEADER, HEADER_BIN, IN_FLIGHT, LATENCY_MS, header::BASE64};
use crate::LoadReport;

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `endpoint-load-metrics: TEXT name=value,…`.
    #[default]
    Text,
    /// `endpoint-load-metrics: JSON {…}`.
    Json,
    /// `endpoint-load-metrics-bin`, gRPC's.
    Binary,
}

/// More than any report of these few numbers takes.
const ROOM: usize = 320;

/// A metric's name and value.
type Metric = (&'static str, f64);

/// The metrics of its own, and the named ones.
fn metrics(report: &LoadReport) -> (impl Iterator<Item = Metric>, impl Iterator<Item = Metric>) {
    let own = [
        ("rps_fractional", report.qps()),
        ("eps", report.eps()),
        ("application_utilization", report.utilization()),
    ];
    let millis = report.latency().map(|latency| latency.as_secs_f64() * 1e3);
    let named = [(IN_FLIGHT, report.queue()), (LATENCY_MS, millis)];
    let given = |(name, value): (&'static str, Option<f64>)| Some((name, value?));
    (own.into_iter().filter_map(given), named.into_iter().filter_map(given))
}

impl Format {
    /// A report as a header; none of one that says nothing. Numbers are written to four decimals, but for binary. It
    /// allocates nothing but the value.
    ///
    /// ```
    /// use equipoise::{LoadReport, orca::Format};
    ///
    /// let report = LoadReport::new().with_queue(3.0)?.with_qps(12.5)?;
    /// let (name, value) = Format::Text.header(&report).unwrap();
    /// assert_eq!(name, "endpoint-load-metrics");
    /// assert_eq!(value, "TEXT rps_fractional=12.5,named_metrics.in_flight=3");
    /// # Ok::<_, equipoise::AbsurdLoad>(())
    /// ```
    pub fn header(self, report: &LoadReport) -> Option<(HeaderName, HeaderValue)> {
        if *report == LoadReport::new() {
            return None;
        }
        let mut room = [0; ROOM];
        let mut out = Cursor::new(&mut room[..]);
        match self {
            Self::Text => text(report, &mut out).ok()?,
            Self::Json => json(report, &mut out).ok()?,
            Self::Binary => binary(report, &mut out).ok()?,
        }
        let length = out.position() as usize;
        // Of a report of noughts nothing is left in binary.
        if length == 0 {
            return None;
        }
        if self == Self::Binary {
            let mut base64 = [0; ROOM * 4 / 3 + 4];
            let length = BASE64.encode_slice(&room[..length], &mut base64).ok()?;
            let value = HeaderValue::from_bytes(&base64[..length]).ok()?;
            return Some((HEADER_BIN, value));
        }
        Some((HEADER, HeaderValue::from_bytes(&room[..length]).ok()?))
    }
}

/// To four decimals, without those that say nothing.
fn number(value: f64, out: &mut impl Write) -> std::io::Result<()> {
    let ten_thousandths = (value * 1e4).round() as u64;
    write!(out, "{}", ten_thousandths / 10_000)?;
    let (mut fraction, mut digits) = (ten_thousandths % 10_000, 4);
    if fraction == 0 {
        return Ok(());
    }
    while fraction % 10 == 0 {
        (fraction, digits) = (fraction / 10, digits - 1);
    }
    write!(out, ".{fraction:0digits$}")
}

fn text(report: &LoadReport, out: &mut impl Write) -> std::io::Result<()> {
    let (own, named) = metrics(report);
    let own = own.map(|(name, value)| ("", name, value));
    let named = named.map(|(name, value)| ("named_metrics.", name, value));
    let mut parted_by = "TEXT ";
    for (prefix, name, value) in own.chain(named) {
        write!(out, "{parted_by}{prefix}{name}=")?;
        number(value, out)?;
        parted_by = ",";
    }
    Ok(())
}

fn json(report: &LoadReport, out: &mut impl Write) -> std::io::Result<()> {
    let (own, named) = metrics(report);
    let mut parted_by = "JSON {";
    for (name, value) in own {
        write!(out, "{parted_by}\"{name}\":")?;
        number(value, out)?;
        parted_by = ",";
    }
    let mut named = named.peekable();
    if named.peek().is_some() {
        write!(out, "{parted_by}\"named_metrics\":")?;
        parted_by = "{";
        for (name, value) in named {
            write!(out, "{parted_by}\"{name}\":")?;
            number(value, out)?;
            parted_by = ",";
        }
        out.write_all(b"}")?;
    }
    out.write_all(b"}")
}

/// Protobuf's wire format (<https://protobuf.dev/programming-guides/encoding/>): by hand, as a message has maps, which
/// allocate.
fn binary(report: &LoadReport, out: &mut impl Write) -> std::io::Result<()> {
    const FIXED_64: u8 = 1;
    const LENGTH: u8 = 2;
    let (own, named) = metrics(report);
    for (name, value) in own {
        // What is 0 is not sent.
        let tag = match name {
            _ if value == 0.0 => continue,
            "rps_fractional" => 6,
            "eps" => 7,
            _ => 9,
        };
        out.write_all(&[tag << 3 | FIXED_64])?;
        out.write_all(&value.to_le_bytes())?;
    }
    for (name, value) in named {
        let length = name.len() as u8;
        // An entry of `named_metrics`: the key is a field of its own with a tag and a length, the value one with a tag.
        out.write_all(&[8 << 3 | LENGTH, 2 + length + 9, 1 << 3 | LENGTH, length])?;
        out.write_all(name.as_bytes())?;
        out.write_all(&[2 << 3 | FIXED_64])?;
        out.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}
