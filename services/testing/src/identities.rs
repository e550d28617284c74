//! A network's authorities, and the identities that they give.

use domain::Wall;
use identity::{Authority, Identity, Kind, Request, TrustDomain, folder, token::Signer};
use mesh::grpc::{Security, SecurityOptions, TokenOptions};
use std::{fs, path::PathBuf, time::Duration};
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
    signer: Signer,
    folder: TempDir,
}

impl Identities {
    /// Of a network with this name, which is a year old.
    pub fn new(trust_domain: &str) -> Self {
        let trust_domain: TrustDomain = trust_domain.parse().expect("a trust domain");
        let since = Wall(mesh::now().wall.0 - A_YEAR_MS);
        let authority = |kind| Authority::create(&trust_domain, kind, since).expect("an authority");
        let [core, network] = [Kind::Core, Kind::Network].map(authority);
        let signer = Signer::new().expect("a key");
        Self { trust_domain, core, network, signer, folder: tempfile::tempdir().expect("a folder") }
    }

    /// A role's folder, with an identity of that role.
    pub fn folder(&self, role: &str) -> PathBuf {
        self.folder_since(role, mesh::now().wall)
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

    /// A role's token that was made at that time, for an hour.
    pub fn token_since(&self, role: &str, since: Wall) -> String {
        self.token_of(&self.trust_domain.to_string(), role, since)
    }

    /// The same, by the same key, in another network's name.
    pub fn token_of(&self, trust_domain: &str, role: &str, since: Wall) -> String {
        let trust_domain = trust_domain.parse().expect("a trust domain");
        let role = role.parse().expect("a role");
        self.signer.sign(&trust_domain, &role, LIFETIME, since).expect("a token")
    }

    /// A folder with a token instead of a certificate, and with what this network believes.
    pub fn token_folder(&self, name: &str, token: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{name}/by-token"));
        folder::private_folder(&path).expect("a folder");
        let [core, network] = [&self.core, &self.network].map(|one| one.certificate_pem());
        for (file, text) in [(folder::CORE, core), (folder::NETWORK, network), (folder::TOKEN, token)] {
            folder::write_file(&path, file, text).expect("a file");
        }
        path
    }

    /// The file of the keys by which its tokens are checked.
    pub fn token_keys(&self) -> PathBuf {
        let path = self.folder.path().join("token-keys.json");
        let keys = self.signer.keys().expect("a key");
        fs::write(&path, serde_json::to_vec(&keys).expect("JSON")).expect("a file");
        path
    }

    /// How a server's connections are protected whose callers may come with tokens.
    pub fn taking_tokens(&self, role: &str) -> Security {
        let options = TokenOptions { token_keys: Some(self.token_keys()), ..TokenOptions::default() };
        self.security(role).taking(&options).expect("keys")
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
