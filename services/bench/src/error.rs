//! Why a bench gives no figures.

use std::{io, path::PathBuf};

/// Why it could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the bench was interrupted before it was done")]
    Interrupted,
    #[error(
        "no Kafka to measure on: there is no .ci/kafka in this folder or above it; name a broker with --kafka, or \
         go to the source tree"
    )]
    NoKafka,
    #[error("{script} did not start an Apache Kafka: {said}")]
    KafkaScript { script: PathBuf, said: String },
    #[error("no Kafka answers at {address}; is it started, and is the address right?")]
    KafkaAway { address: String },
    #[error("central ended while it was measured ({status}): {said}")]
    CentralEnded { status: String, said: String },
    #[error("not within {within} s: {what}")]
    Late { what: String, within: u64 },
    #[error(
        "{row} needs {wanted} open files in one process ({arithmetic}), and this one may have {limit} (ulimit -n): \
         take a smaller --size, or raise the limit"
    )]
    Files { row: String, wanted: u64, arithmetic: String, limit: u64 },
    #[error(
        "the disk of {place} has {free} MB free, and {row} writes about {wanted} MB; make room, or name another \
         disk with TMPDIR"
    )]
    Disk { row: String, place: PathBuf, free: u64, wanted: u64 },
    /// What is lacking, as a sentence.
    #[error("{0}")]
    Lacks(String),
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
    #[error(transparent)]
    Kafka(#[from] mesh::kafka::Error),
    #[error("central refused a call: {0}")]
    Call(#[source] Box<tonic::Status>),
}

impl Error {
    /// Would another row fail as well?
    pub(crate) fn is_of_all_rows(&self) -> bool {
        matches!(self, Self::NoKafka | Self::KafkaScript { .. } | Self::KafkaAway { .. })
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Call(Box::new(status))
    }
}

/// Of what the system refuses: what was to be done.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|error| Error::Io { what: what.into(), error })
    }
}
