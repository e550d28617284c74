//! Why central cannot start, or stopped.

use crate::options::KnownError;
use mesh::{audit::AuditError, grpc, kafka, store::StoreError};
use std::{fmt::Display, path::PathBuf};

/// A stored value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "central's store is damaged: {what} cannot be read ({problem}); put its backup in the place of the --data folder, \
     or move that folder away and start with a new one"
)]
pub struct Unreadable {
    what: &'static str,
    problem: String,
}

impl Unreadable {
    pub(crate) fn new(what: &'static str, problem: impl Display) -> Self {
        Self { what, problem: problem.to_string() }
    }
}

impl From<AuditError> for Error {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => error.into(),
            AuditError::Number => Unreadable::new("an entry of the audit", error).into(),
        }
    }
}

/// Why central cannot start, or stopped by itself. Each says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Known(#[from] KnownError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(
        "central's store has format {found}, and this version knows {known} only: start the version that wrote \
         it, export its tickets with 'evmesh operator tickets', and begin with an empty data folder, without the \
         old topic central_changelog"
    )]
    Older { found: u32, known: u32 },
    #[error(
        "central's store has format {found}, and this version knows {known} only; use a newer version of evmesh"
    )]
    Newer { found: u32, known: u32 },
    #[error(
        "--rebuild was given, but the folder {0} has a store; move it away to have it rebuilt, or start without \
         --rebuild"
    )]
    NotEmpty(PathBuf),
    #[error(
        "--begin-anew was given, but the folder {0} has a store, or one that is half rebuilt; move it away to begin \
         as a new network, or start without --begin-anew"
    )]
    NotNew(PathBuf),
    #[error(
        "there is no changelog to rebuild the store from: topic {topic} on {kafka} is empty or missing; \
         check --kafka and --kafka-topic-prefix, put a backup in the place of the data folder, \
         or start without --rebuild as a new network"
    )]
    NoChangelog { topic: String, kafka: String },
    #[error(
        "the changelog {topic} on {kafka} has ended, since its store went on without one or was about to publish every \
         row again, so a store that is rebuilt from it would have forgotten much, tickets too: put a backup in the \
         place of the data folder; or, to begin as a new network, start once with --begin-anew, give every role \
         another --kafka-topic-prefix, or delete the topic"
    )]
    ChangelogEnded { topic: String, kafka: String },
    #[error(
        "the changelog on {0} says who charged where, and Kafka is reached in plain text: to rebuild from it, give \
         --kafka-ca FILE or --kafka-tls, or say --kafka-in-clear"
    )]
    RebuildInClear(String),
    #[error("the store is half rebuilt; start central to have it rebuilt from the beginning")]
    HalfRebuilt,
    #[error(
        "the system gives no random bytes, and central cannot sign what it authorises without a key of them"
    )]
    Random(#[source] std::io::Error),
    #[error(transparent)]
    Identity(#[from] grpc::IdentityError),
    #[error(transparent)]
    Bind(#[from] grpc::BindError),
    #[error(transparent)]
    Serve(#[from] grpc::ServeError),
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error("central's writer stopped unexpectedly; restart central: its state is on disk")]
    Writer(#[source] std::io::Error),
}

impl Error {
    /// Is it the store, and does a person have to act before a restart can help?
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Store(error) => error.needs_a_person(),
            Self::Unreadable(_)
            | Self::Older { .. }
            | Self::Newer { .. }
            | Self::NotEmpty(_)
            | Self::NotNew(_)
            | Self::NoChangelog { .. }
            | Self::ChangelogEnded { .. }
            | Self::RebuildInClear(_)
            | Self::HalfRebuilt => true,
            Self::Random(_)
            | Self::Known(_)
            | Self::Identity(_)
            | Self::Bind(_)
            | Self::Serve(_)
            | Self::Kafka(_)
            | Self::Writer(_) => false,
        }
    }
}
