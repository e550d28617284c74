//! How a role's connections are protected: by its identity, or not at all, and then on loopback only.

use super::refused::Refused;
use domain::Name;
use identity::{
    Credentials, Identity, Role, UnusableIdentity,
    token::{Rules, Tokens, UnusableKeys},
};
use std::{net::IpAddr, path::PathBuf};

/// How a role's connections are protected.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SecurityOptions {
    /// The folder of this role's identity, from 'evmesh registry issue'; a driver's or an operator's may hold a token
    /// ('evmesh driver login'). Every connection is encrypted then, and both sides prove who they are. Without it:
    /// plain text, on loopback only.
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

/// Whose tokens say who a caller is, at a server that people call.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TokenOptions {
    /// The keys of who gives tokens to drivers, viewers and operators: a JWKS with keys for ES256 or EdDSA, each with a
    /// kid, from an identity provider or from 'evmesh registry token-keys'. It is read again when it changes. Without
    /// it they need certificates.
    #[arg(
        long,
        env = "EVMESH_TOKEN_KEYS",
        value_name = "FILE",
        requires = "identity",
        help_heading = "Identity"
    )]
    pub token_keys: Option<PathBuf>,

    /// The issuer (iss) of these tokens; without it the network's own registry, spiffe://NETWORK/registry.
    #[arg(
        long,
        env = "EVMESH_TOKEN_ISSUER",
        value_name = "TEXT",
        requires = "token_keys",
        help_heading = "Identity"
    )]
    pub token_issuer: Option<String>,

    /// For whom these tokens are (aud); without it this network, spiffe://NETWORK.
    #[arg(
        long,
        env = "EVMESH_TOKEN_AUDIENCE",
        value_name = "TEXT",
        requires = "token_keys",
        help_heading = "Identity"
    )]
    pub token_audience: Option<String>,
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
            let found = credentials.own();
            if !is(&found.role) {
                let (folder, wanted) = (folder.clone(), wanted.to_owned());
                return Err(IdentityError::Other { folder, found, wanted });
            }
            let refused = Refused::default();
            return Ok(Security::Identity { credentials, tls12: self.tls12, tokens: None, refused });
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
    #[error(transparent)]
    Keys(#[from] UnusableKeys),
    #[error("tokens never come in plain text: --token-keys needs --identity")]
    TokensInPlainText,
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
        /// By whose tokens callers may say who they are; by none, where it is not said.
        tokens: Option<Tokens>,
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
    /// The same, of a server whose callers may come with these tokens.
    pub fn taking(self, options: &TokenOptions) -> Result<Self, IdentityError> {
        let Some(file) = &options.token_keys else { return Ok(self) };
        let Self::Identity { credentials, tls12, refused, .. } = self else {
            return Err(IdentityError::TokensInPlainText);
        };
        let mut rules = Rules::of_registry(&credentials.own().trust_domain);
        rules.issuer = options.token_issuer.clone().unwrap_or(rules.issuer);
        rules.audience = options.token_audience.clone().unwrap_or(rules.audience);
        let tokens = Some(Tokens::open(file, rules)?);
        Ok(Self::Identity { credentials, tls12, tokens, refused })
    }

    /// Who this is; `None` in plain text.
    pub fn own(&self) -> Option<Role> {
        match self {
            Self::Identity { credentials, .. } => Some(credentials.own().role),
            Self::Loopback | Self::Insecure => None,
        }
    }

    /// The gateway that this is, if it is one.
    pub fn gateway(&self) -> Option<Name> {
        match self.own()? {
            Role::Gateway(name) => Some(name),
            _ => None,
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
