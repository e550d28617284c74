//! How the connections of a whole network are protected: by identities of its own making, or not at all.

use super::{folder::Folder, options::Options};
use crate::exit::{Because as _, Failure};
use domain::ChargePointId;
use identity::{
    Role,
    folder::{self, CERTIFICATE, CORE, KEY, TOKEN},
    token::MAX_TOKEN_LIFETIME,
};
use mesh::grpc::{SecurityOptions, TokenOptions};
use registry::{Beginning, Data, DataError};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// The network's name in its identities.
const TRUST_DOMAIN: &str = "evmesh.local";
/// Nobody renews them but the next start.
const LIFETIME: Duration = Duration::from_secs(397 * 24 * 3600);
/// Who works for the network's operator, here.
pub(super) const ADMIN: &str = "admin/admin";
/// Who asks for charges, in the lines to paste.
pub(super) const DRIVERS: [&str; 2] = ["driver/101", "driver/102"];
/// Those of them who are nobody's part of the network.
const PEOPLE: [&str; 3] = [ADMIN, DRIVERS[0], DRIVERS[1]];
/// The first of the drivers once more, by a token.
const BY_TOKEN: &str = "by-token/driver/101";
/// The keys by which central and the engines check tokens.
const TOKEN_KEYS: &str = "token-keys.json";

/// How the connections of a whole network are protected.
#[derive(Debug)]
pub(super) enum Protection {
    /// In plain text, on this machine alone or anywhere.
    Plain { insecure: bool },
    /// Each part has an identity of this registry's, in a folder of its own.
    Secured { registry: Data, at: PathBuf, identities: PathBuf, hosts: Vec<String> },
}

impl Protection {
    /// Secured, it makes the network's authorities where there are none yet.
    pub(super) fn open(options: &Options, folder: &Folder) -> Result<Self, Failure> {
        if !options.secure {
            return Ok(Self::Plain { insecure: options.insecure });
        }
        let at = folder.of("registry");
        let registry = Data::at(&at);
        if !at.exists() {
            // Whole, or not there: a start that is cut off leaves no half of it.
            let unfinished = folder.of("registry.new");
            let failed = |error| Failure::Failed(format!("cannot make {}: {error}", at.display()));
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished).map_err(failed)?;
            }
            let name = |name: &str| name.parse().map_err(|error| Failure::Failed(format!("{name} {error}")));
            let trust_domain = TRUST_DOMAIN.parse().because()?;
            let (central, admin, hosts) = (name("main")?, name("admin")?, Vec::new());
            let beginning = Beginning { trust_domain, central, admin, hosts };
            Data::at(&unfinished).init(beginning, mesh::now().wall).because()?;
            fs::rename(&unfinished, &at).map_err(failed)?;
        }
        let hosts = options.listen.host().map(str::to_owned).into_iter().collect();
        let secured = Self::Secured { registry, at, identities: folder.of("identities"), hosts };
        for name in PEOPLE {
            secured.of(name)?;
        }
        secured.make_token()?;
        Ok(secured)
    }

    /// The token of the first driver, and the keys by which it is checked. It is another one at each start.
    fn make_token(&self) -> Result<(), Failure> {
        let Self::Secured { registry, identities, .. } = self else { return Ok(()) };
        let role = DRIVERS[0].parse().because()?;
        let token = registry.token(role, MAX_TOKEN_LIFETIME, mesh::now().wall).because()?;
        registry.put_token(&token, &identities.join(BY_TOKEN)).because()?;
        let keys = serde_json::to_string_pretty(&registry.token_keys().because()?).because()?;
        folder::write_file(identities, TOKEN_KEYS, &keys).because()
    }

    /// Whose tokens central and the engines take.
    pub(super) fn tokens(&self) -> TokenOptions {
        let token_keys = self.identities().map(|all| all.join(TOKEN_KEYS));
        TokenOptions { token_keys, ..TokenOptions::default() }
    }

    /// What the part of the network with this name is to be told: `central/main`. Its identity is made, or renewed.
    pub(super) fn of(&self, name: &str) -> Result<SecurityOptions, Failure> {
        self.unless_revoked(name)?.map_err(Failure::Failed)
    }

    /// The same for a charge point's engine and monitor. `None`, which is said: one of them was revoked.
    pub(super) fn of_point(&self, id: &ChargePointId) -> Result<Option<[SecurityOptions; 2]>, Failure> {
        let of = |part: &str| self.unless_revoked(&format!("charge-point/{id}/{part}"));
        Ok(match (of("engine")?, of("monitor")?) {
            (Ok(engine), Ok(monitor)) => Some([engine, monitor]),
            (Err(revoked), _) | (_, Err(revoked)) => {
                tracing::warn!("{id} is left out: {revoked}");
                None
            }
        })
    }

    /// As [`Self::of`]; `Err` within says that its identity was revoked, and what brings it back.
    fn unless_revoked(&self, name: &str) -> Result<Result<SecurityOptions, String>, Failure> {
        let mut options = SecurityOptions::default();
        match self {
            Self::Plain { insecure } => options.insecure = *insecure,
            Self::Secured { registry, identities, hosts, .. } => {
                let role: Role = name.parse().because()?;
                let hosts = if role.is_core() { &hosts[..] } else { &[] };
                let folder = identities.join(name);
                match registry.issue(role, &folder, hosts, LIFETIME, mesh::now().wall) {
                    Err(DataError::Revoked(folder)) => {
                        return Ok(Err(format!(
                            "{name} was revoked; to have it back, with another key, remove {} and start again",
                            folder.display()
                        )));
                    }
                    issued => drop(issued.because()?),
                }
                options.identity = Some(folder);
            }
        }
        Ok(Ok(options))
    }

    /// What has to be said as long as the network runs.
    pub(super) fn warning(&self) -> Option<&'static str> {
        match self {
            Self::Plain { insecure } => {
                SecurityOptions { insecure: *insecure, ..SecurityOptions::default() }.warning()
            }
            Self::Secured { .. } => None,
        }
    }

    /// The registry's folder.
    pub(super) fn registry(&self) -> Option<&Path> {
        match self {
            Self::Plain { .. } => None,
            Self::Secured { at, .. } => Some(at),
        }
    }

    /// Where the identities are.
    pub(super) fn identities(&self) -> Option<&Path> {
        match self {
            Self::Plain { .. } => None,
            Self::Secured { identities, .. } => Some(identities),
        }
    }

    /// What a command of evmesh's is told besides, to be one of [`PEOPLE`]: nothing, or ` --identity DIR`.
    pub(super) fn flag(&self, name: &str) -> String {
        let flag = |all: &Path| format!(" --identity {}", all.join(name).display());
        self.identities().map_or_else(String::new, flag)
    }

    /// What grpcurl is told, to be one of [`PEOPLE`] at a server for whom that authority vouches: `core.pem`,
    /// `network.pem`.
    pub(super) fn grpcurl(&self, name: &str, authority: &str) -> String {
        let Some(all) = self.identities() else { return "-plaintext".to_owned() };
        let file = |file| all.join(name).join(file).display().to_string();
        format!("-cacert {} -cert {} -key {}", file(authority), file(CERTIFICATE), file(KEY))
    }

    /// How grpcurl is started as the first driver by its token, which it reads from the environment: others see the
    /// words of a command. `None` in plain text.
    pub(super) fn grpcurl_by_token(&self) -> Option<String> {
        let folder = self.identities()?.join(BY_TOKEN);
        let (token, core) = (folder.join(TOKEN), folder.join(CORE));
        let (token, core) = (token.display(), core.display());
        let header = "-expand-headers -H 'authorization: Bearer ${TOKEN}'";
        Some(format!("TOKEN=\"$(cat {token})\" grpcurl -cacert {core} {header}"))
    }
}
