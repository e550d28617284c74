//! What commands print on stdout: text for people, JSON for scripts.

use crate::exit::{Because as _, Failure};
use serde::Serialize;
use std::io::{self, Write as _};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// Aligned tables and sentences.
    Text,
    /// One JSON document; `watch` prints one a line.
    Json,
}

/// How to print a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned tables and sentences.
    Text,
    /// One JSON document; `watch` prints one a line.
    Json,
    /// Lists only: comma-separated values for spreadsheets and accounts (RFC 4180).
    Csv,
}

impl Format {
    /// For what is no list.
    pub(crate) fn of_no_list(self) -> Result<Output, Failure> {
        match self {
            Self::Text => Ok(Output::Text),
            Self::Json => Ok(Output::Json),
            Self::Csv => Err(Failure::Usage(
                "--output csv is for lists: status, sessions, tickets and audit; use text or json here"
                    .to_owned(),
            )),
        }
    }
}

/// Prints a text as it is.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints one line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints a JSON document over several lines.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string_pretty(value).because()?)
}

/// Prints a JSON document on one line.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string(value).because()?)
}
