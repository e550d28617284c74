//! Why a registry cannot start, or ended.

use crate::{DataError, stored::ValueError};
use identity::TrustDomain;
use mesh::{
    audit::AuditError,
    grpc::{BindError, IdentityError, ServeError},
    store::StoreError,
};
use std::path::PathBuf;

/// Why a registry cannot start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Data(#[from] DataError),
    /// The store failed: whether its last change was kept is found at the next start.
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the store in {folder} is of the network {found}, and its authority is of {wanted}")]
    OtherNetwork { folder: PathBuf, found: String, wanted: TrustDomain },
    #[error(
        "the store in {folder} is damaged: it has a value that is no {what}; put its backup in its place: without it \
         nobody knows who is revoked"
    )]
    Value { folder: PathBuf, what: &'static str, source: ValueError },
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("there are no random numbers for the key of the cards")]
    Random(#[source] std::io::Error),
    #[error("the registry's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

impl Error {
    /// Is it the store, and does a person have to act before a restart can help?
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Store(error) => error.needs_a_person(),
            Self::Audit(AuditError::Store(error)) => error.needs_a_person(),
            Self::OtherNetwork { .. } | Self::Value { .. } | Self::Audit(AuditError::Number) => true,
            Self::Data(error) => {
                matches!(error, DataError::OpenToOthers(_) | DataError::Mark(_) | DataError::Gateways(_))
            }
            Self::Bind(_) | Self::Identity(_) | Self::Serve(_) | Self::Random(_) | Self::Thread(_) => false,
        }
    }
}
