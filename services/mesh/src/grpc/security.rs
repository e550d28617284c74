//! How a role's connections are protected: by its identity, or not at all, and then on loopback only.

use super::refused::Refused;
use identity::{Credentials, Identity, Role, UnusableIdentity};
use std::{net::IpAddr, path::PathBuf};

/// How a role's connections are protected.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SecurityOptions {
    /// The folder of this role's identity, from 'evmesh registry issue'. Every connection is encrypted then, and both
    /// sides prove who they are. Without it: plain text, on loopback only.
    #[arg(long, env = "EVMESH_IDENTITY", value_name = "DIR", global = true, help_heading = "Identity")]
    pub identity: Option<PathBuf>,

    /// Plain text on any network: whoever reaches it may read everything, and do everything. For a network that is
    /// protected by other means.
    #[arg(
        long,
        env = "EVMESH_INSECURE",
        conflicts_with = "identity",
        global = true,
        help_heading = "Identity"
    )]
    pub insecure: bool,

    /// Takes connections by TLS 1.2 too, of callers that know no newer one.
    #[arg(long, env = "EVMESH_TLS12", requires = "identity", global = true, help_heading = "Identity")]
    pub tls12: bool,
}

/// What is said of it, at each start and in each panel: it fits on a line of 80 columns.
const INSECURE: &str = "--insecure: plain text on every network; who reaches it reads all, may do all";

impl SecurityOptions {
    /// What has to be said as long as it runs.
    pub fn warning(&self) -> Option<&'static str> {
        self.insecure.then_some(INSECURE)
    }

    /// Reads the identity, if there is one, of somebody who `is` what is wanted here, in words `central/NAME`. What is
    /// not protected is said in the log.
    pub fn open(&self, wanted: &str, is: impl Fn(&Role) -> bool) -> Result<Security, IdentityError> {
        if let Some(folder) = &self.identity {
            let credentials = Credentials::open(folder)?;
            let found = credentials.own().identity;
            if !is(&found.role) {
                let (folder, wanted) = (folder.clone(), wanted.to_owned());
                return Err(IdentityError::Other { folder, found, wanted });
            }
            let refused = Refused::default();
            return Ok(Security::Identity { credentials, tls12: self.tls12, refused });
        }
        if self.insecure {
            tracing::warn!("{INSECURE}");
            return Ok(Security::Insecure);
        }
        Ok(Security::Loopback)
    }
}

/// A role cannot be who it is said to be.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    Unusable(#[from] UnusableIdentity),
    #[error("the identity in {} is {found}, and that of {wanted} is needed here; name its folder with --identity",
            folder.display())]
    Other { folder: PathBuf, found: Identity, wanted: String },
}

/// How connections are protected. Clones share the identity.
#[derive(Debug, Clone, Default)]
pub enum Security {
    /// Plain text within this machine.
    #[default]
    Loopback,
    /// Plain text anywhere.
    Insecure,
    /// TLS, and both sides prove who they are.
    Identity {
        credentials: Credentials,
        /// Whether callers may speak TLS 1.2.
        tls12: bool,
        /// Whose certificates are refused, callers' and far sides'. Empty until somebody says so.
        refused: Refused,
    },
}

/// Plain text would leave this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "without an identity it is plain text, which stays on this machine; give --identity DIR ('evmesh registry' makes \
     one), or --insecure where the network is protected by other means"
)]
pub(super) struct PlainText;

impl Security {
    /// Who this is; `None` in plain text.
    pub fn own(&self) -> Option<Role> {
        match self {
            Self::Identity { credentials, .. } => Some(credentials.own().identity.role),
            Self::Loopback | Self::Insecure => None,
        }
    }

    /// Whose certificates are refused; `None` in plain text.
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Identity { refused, .. } => Some(refused),
            Self::Loopback | Self::Insecure => None,
        }
    }

    /// May a connection with this address be opened, or taken?
    pub(super) fn allows(&self, address: IpAddr) -> Result<(), PlainText> {
        match self {
            Self::Loopback if !address.to_canonical().is_loopback() => Err(PlainText),
            Self::Loopback | Self::Insecure | Self::Identity { .. } => Ok(()),
        }
    }
}
