//! Why an engine cannot start, or ended.

use domain::ChargePointId;
use mesh::{
    convert::InvalidField,
    grpc::{BindError, IdentityError, ServeError},
    kafka,
    store::StoreError,
};
use std::path::PathBuf;

/// Why an engine cannot start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The store failed: whether its last change was kept is found at the next start.
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the store in {folder} is charge point {found}'s, not {wanted}'s; choose another folder with --data"
    )]
    OtherChargePoint { folder: PathBuf, found: String, wanted: ChargePointId },
    #[error(
        "the store in {folder} has format {found}, and this version knows {known} only: start the version that \
         wrote it until central has a ticket for each of its sessions ('evmesh operator sessions'), then begin \
         with an empty folder"
    )]
    Older { folder: PathBuf, found: u32, known: u32 },
    #[error(
        "the store in {folder} is damaged: it has a value that is no {what}; move the folder away and start with \
         a new one"
    )]
    Value { folder: PathBuf, what: &'static str, source: Box<ValueError> },
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error(
        "--telemetry open would tell readings and drivers to Kafka in plain text: leave it out, or give --kafka-ca FILE \
         or --kafka-tls, or say --kafka-in-clear where nobody else is on the way"
    )]
    OpenInClear,
    #[error("the engine's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

impl Error {
    /// Is it the store, and does a person have to act before a restart can help?
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Store(error) => error.needs_a_person(),
            Self::OtherChargePoint { .. } | Self::Older { .. } | Self::Value { .. } => true,
            Self::Identity(_)
            | Self::Bind(_)
            | Self::Serve(_)
            | Self::Kafka(_)
            | Self::OpenInClear
            | Self::Thread(_) => false,
        }
    }
}

/// What is wrong with a stored value.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    #[error(transparent)]
    Form(#[from] prost::DecodeError),
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error("its key is malformed")]
    Key,
}
