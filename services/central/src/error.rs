//! Why central cannot start, or stopped.

use crate::{codec::Unreadable, options::KnownError};
use mesh::{grpc, kafka, store::StoreError};

/// Why central cannot start, or stopped by itself. Each says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The list of known charge points cannot be used.
    #[error(transparent)]
    Known(#[from] KnownError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds something that cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A newer version wrote the store.
    #[error(
        "central's store has format {found}, and this version knows up to {known}; use a newer version of evmesh"
    )]
    Newer {
        /// What it has.
        found: u32,
        /// What this version knows.
        known: u32,
    },
    /// The socket cannot be had.
    #[error(transparent)]
    Bind(#[from] grpc::BindError),
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] grpc::ServeError),
    /// A Kafka client cannot be built.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// The writer's thread cannot be started, or panicked.
    #[error("central's writer stopped unexpectedly; restart central: its state is on disk")]
    Writer(#[source] std::io::Error),
}

impl Error {
    /// Is it the store, and does a person have to act before a restart can help?
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Store(error) => error.needs_a_person(),
            Self::Unreadable(_) | Self::Newer { .. } => true,
            Self::Known(_) | Self::Bind(_) | Self::Serve(_) | Self::Kafka(_) | Self::Writer(_) => false,
        }
    }
}
