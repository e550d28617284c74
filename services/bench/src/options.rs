//! What is measured, how large, and for how long.

use crate::row::Row;
use mesh::flags;
use std::{path::PathBuf, time::Duration};

/// What a network costs: its rows, measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// What is measured, one after the other; 'all' is every row.
    #[arg(value_name = "ROW", required_unless_present = "from", num_args = 1..)]
    pub rows: Vec<Row>,

    /// How large the network is.
    #[arg(long, value_name = "SIZE", default_value = "small")]
    pub size: Size,

    /// Other numbers of charge points than the size says, for the rows of Kafka (count, 1 to 1000000).
    #[arg(long, value_name = "COUNT", value_delimiter = ',',
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub charge_points: Vec<u32>,

    /// How long each measured run lasts (seconds); without it, 3 at the small size and 10 at the full one.
    #[arg(long, value_name = "SECONDS", value_parser = flags::positive_seconds)]
    pub seconds: Option<Duration>,

    /// The Kafka to measure on; without it, an Apache Kafka that '.ci/kafka' of the source tree starts, and that is
    /// stopped at the end.
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,

    /// How to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,

    /// Writes a curve (SVG) of each figure that has several sizes into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub plot: Option<PathBuf>,

    /// Measures nothing: what is printed and plotted is what these JSON documents of earlier runs say together, of each
    /// figure the last.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "rows")]
    pub from: Vec<PathBuf>,
}

impl Options {
    pub(crate) fn time(&self) -> Duration {
        self.seconds.unwrap_or(match self.size {
            Size::Small => Duration::from_secs(3),
            Size::Full => Duration::from_secs(10),
        })
    }
}

/// How large a network is, and how often it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Size {
    /// As any machine can, in seconds: to see that it works.
    Small,
    /// As the promises are made, in minutes a row: each three times after a warm-up.
    Full,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A table.
    Text,
    /// One JSON document.
    Json,
    /// A table with what is to be reached, for a document.
    Markdown,
}
