//! Requests that were recorded.

use std::{
    fs::File,
    io::{BufRead, BufReader},
};

use equipoise::sim::{LogKey, Trace};

use crate::{command_line::CommandLine, values::wrong};

/// The trace that is to be replayed, if any.
pub(crate) fn read(line: &CommandLine) -> Result<Option<Trace>, String> {
    let key = match line.text("--log-key").as_deref() {
        None | Some("client") => LogKey::Client,
        Some("path") => LogKey::Path,
        Some(other) => return Err(wrong("--log-key", other, "expected client or path")),
    };
    let Some(path) = line.path("--trace") else {
        return match line.has("--log-key") {
            true => Err("--log-key without --trace: expected an access log to take keys from".to_owned()),
            false => Ok(None),
        };
    };
    let shown = path.to_string_lossy();
    let mut reader = BufReader::new(File::open(path).map_err(|error| wrong("--trace", &shown, error))?);
    let begin = reader.fill_buf().map_err(|error| wrong("--trace", &shown, error))?;
    let trace = if is_access_log(begin) {
        Trace::read_access_log(reader, key)
    } else if line.has("--log-key") {
        let why = "expected an access log, as --log-key says what is the key in one";
        return Err(wrong("--trace", &shown, why));
    } else {
        Trace::read_csv(reader)
    };
    trace.map(Some).map_err(|error| wrong("--trace", &shown, error))
}

/// By its first line that is not blank: a time in brackets, and behind it something in quotes.
fn is_access_log(begin: &[u8]) -> bool {
    let mut lines = begin.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let time = line.iter().position(|byte| *byte == b'[').unwrap_or(line.len());
    line[time..].windows(3).any(|signs| signs == b"] \"")
}
