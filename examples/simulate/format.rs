//! In which form figures are told.

use crate::{command_line::CommandLine, report::Report, rows, summary, table, values::wrong};

#[derive(Clone, Copy)]
pub(crate) enum Format {
    Table,
    Csv,
    Json,
}

impl Format {
    pub(crate) fn read(line: &CommandLine) -> Result<Self, String> {
        match line.text("--format").as_deref() {
            None | Some("table") => Ok(Self::Table),
            Some("csv") => Ok(Self::Csv),
            Some("json") => Ok(Self::Json),
            Some(other) => Err(wrong("--format", other, "expected table, csv or json")),
        }
    }

    /// The bytes of a report.
    pub(crate) fn write(self, report: &Report) -> Result<Vec<u8>, String> {
        match (self, report.single()) {
            (Self::Table, Some(comparison)) => Ok(table::write(comparison).into_bytes()),
            (Self::Table, None) => Ok(summary::write(report).into_bytes()),
            (Self::Csv, _) => rows::csv(&report.comparisons).map_err(|error| error.to_string()),
            (Self::Json, _) => rows::json(report).map_err(|error| error.to_string()),
        }
    }
}
