//! A network's authorities, and the identities that they give.

use crate::grpc::{Security, SecurityOptions};
use domain::Wall;
use identity::{Authority, Identity, Kind, Request, TrustDomain, folder};
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;

/// As long as a test.
const LIFETIME: Duration = Duration::from_secs(3600);

const A_YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// The two authorities of one network, and a folder that goes with them.
#[derive(Debug)]
pub struct Identities {
    trust_domain: TrustDomain,
    core: Authority,
    network: Authority,
    folder: TempDir,
}

impl Identities {
    /// Of a network with this name, which is a year old.
    pub fn new(trust_domain: &str) -> Self {
        let trust_domain: TrustDomain = trust_domain.parse().expect("a trust domain");
        let since = Wall(crate::now().wall.0 - A_YEAR_MS);
        let authority = |kind| Authority::create(&trust_domain, kind, since).expect("an authority");
        let [core, network] = [Kind::Core, Kind::Network].map(authority);
        Self { trust_domain, core, network, folder: tempfile::tempdir().expect("a folder") }
    }

    /// A role's folder, with an identity of that role.
    pub fn folder(&self, role: &str) -> PathBuf {
        self.folder_since(role, crate::now().wall)
    }

    /// The same, of an identity that was given at that time, for an hour.
    pub fn folder_since(&self, role: &str, since: Wall) -> PathBuf {
        let identity =
            Identity { trust_domain: self.trust_domain.clone(), role: role.parse().expect("a role") };
        let authority = if identity.role.is_core() { &self.core } else { &self.network };
        let request = Request::new().expect("a key");
        let issued =
            authority.issue(request.csr_pem(), &identity, &[], LIFETIME, since).expect("a certificate");
        self.write(role, issued.certificate_pem, request.key_pem())
    }

    /// A folder with a certificate of a test's own making, and with what this network believes.
    pub fn write(&self, name: &str, certificate: String, key: String) -> PathBuf {
        let path = self.folder.path().join(name);
        let [core, network] = [&self.core, &self.network].map(|one| one.certificate_pem().to_owned());
        folder::write(&path, &folder::Folder { core, network, certificate, key }).expect("a folder");
        path
    }

    pub fn network(&self) -> &Authority {
        &self.network
    }

    /// How connections of this role are protected.
    pub fn security(&self, role: &str) -> Security {
        of_folder(self.folder(role))
    }
}

/// How connections are protected by the identity in a folder.
pub fn of_folder(folder: PathBuf) -> Security {
    let options = SecurityOptions { identity: Some(folder), ..SecurityOptions::default() };
    options.open("anybody", |_| true).expect("an identity")
}
