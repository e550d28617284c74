//! What is measured, how large, and for how long.

use crate::row::Row;
use mesh::flags;
use std::time::Duration;

/// What a network costs: its rows, measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// What is measured, one after the other; 'all' is every row.
    #[arg(value_name = "ROW", required = true, num_args = 1..)]
    pub rows: Vec<Row>,

    /// How large the network is.
    #[arg(long, value_name = "SIZE", default_value = "small")]
    pub size: Size,

    /// How long each measured run lasts (seconds); without it, 3 at the small size and 30 at the full one.
    #[arg(long, value_name = "SECONDS", value_parser = flags::positive_seconds)]
    pub seconds: Option<Duration>,

    /// The Kafka to measure on; without it, an Apache Kafka that '.ci/kafka' of the source tree starts, and that is
    /// stopped at the end.
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,

    /// How to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

impl Options {
    pub(crate) fn time(&self) -> Duration {
        self.seconds.unwrap_or(match self.size {
            Size::Small => Duration::from_secs(3),
            Size::Full => Duration::from_secs(30),
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
}
