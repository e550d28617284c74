//! The registry's folder: `core` and `network`, an authority each (`certificate.pem`, `key.pem`; `rotation.rs` has what
//! else there is for a while), `tokens`, the key that signs people's tokens, `identities`, those that a network begins
//! with, `issued`, copies of what was given out by hand, `revoked`, marks of who was revoked, and `gateways`, what they
//! serve.
//!
//! All of it works without a server: a network is begun so, and the identities of its core, whose authority has its
//! key elsewhere, are renewed so.

mod gateways;
mod issued;
mod marks;
mod tokens;

pub(crate) use issued::{Copied, Copies};
pub use tokens::Token;

use domain::{Name, Wall, enrolment::GIVEN_FOR};
use identity::{
    Authority, AuthorityError, Identity, KeyError, Kind, Request, Role, TrustDomain, check_hosts,
    folder::{self, CERTIFICATE, Folder, KEY, WriteError},
    named_in,
    token::SignError,
};
use mesh::convert::timestamp;
use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Of a mode, what lets in others than the owner.
const OTHERS: u32 = 0o077;

/// How long an identity is valid unless told otherwise. One of the core's is renewed by hand, once a year.
pub fn lifetime(role: &Role) -> Duration {
    match Kind::of(role) {
        Kind::Core => 397 * DAY,
        Kind::Network => GIVEN_FOR,
    }
}

/// Why there is no authority, or no identity.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error(
        "the folder {} has something in it, and an authority is not made over another; choose another one, or remove \
         it if an 'evmesh registry init' was cut off there", .0.display()
    )]
    NotEmpty(PathBuf),
    #[error("there is no registry in {}: make one with 'evmesh registry init'", .0.display())]
    NoRegistry(PathBuf),
    #[error(
        "the key of the {kind} authority is not there; bring it back as {} while it is needed", path.display()
    )]
    KeyElsewhere { kind: Kind, path: PathBuf },
    #[error("cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} is open to other users; close it with: chmod go= '{}'", .0.display(), .0.display())]
    OpenToOthers(PathBuf),
    #[error("the authority in {}: {error}", folder.display())]
    Authority { folder: PathBuf, error: AuthorityError },
    #[error("the authority in {} is the {found} one: the files of two were exchanged", folder.display())]
    Exchanged { folder: PathBuf, found: Kind },
    #[error("the folder {} is the identity of {found}; choose another one", folder.display())]
    Anothers { folder: PathBuf, found: Identity },
    #[error(
        "the folder {} is the identity of {found} already; choose another one ('evmesh registry renew' renews it)",
        folder.display()
    )]
    Enrolled { folder: PathBuf, found: Identity },
    #[error("the key in {} was revoked; issue into an empty folder", .0.display())]
    Revoked(PathBuf),
    #[error(
        "{role} was revoked at {}, which is yet to come by this clock: until then whatever is issued counts as \
         revoked; set the clock right, or enrol it with a token ('evmesh registry token {role}')", timestamp(*at)
    )]
    RevokedAhead { role: Role, at: Wall },
    #[error(
        "the mark of a revocation in {} is damaged: put its backup in its place; or remove it, and if the store is \
         lost, too, or an older copy, revoke once more whoever was revoked", .0.display()
    )]
    Mark(PathBuf),
    #[error(
        "what gateways serve, in {}, is damaged: put its backup in its place; or remove it, and if the store is lost, \
         too, or an older copy, say again what was changed since ('evmesh registry gateway list' shows what is known)",
        .0.display()
    )]
    Gateways(PathBuf),
    #[error("the folder {} is no identity: it has no certificate and key; 'evmesh enrol' gets them", .0.display())]
    NoIdentity(PathBuf),
    #[error("what answered is not the registry that was meant: {0}")]
    Stranger(&'static str),
    #[error("{} {error}", path.display())]
    Key { path: PathBuf, error: KeyError },
    #[error(transparent)]
    Issue(#[from] AuthorityError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// An identity that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub identity: Identity,
    /// Where it is now.
    pub folder: PathBuf,
    pub serial: String,
    pub not_after: Wall,
}

/// What a network begins with.
#[derive(Debug, Clone)]
pub struct Beginning {
    pub trust_domain: TrustDomain,
    pub central: Name,
    /// The first of its admins, who makes the others.
    pub admin: Name,
    /// Where central and the registry are found.
    pub hosts: Vec<String>,
}

/// The registry's folder.
#[derive(Debug, Clone)]
pub struct Data {
    folder: PathBuf,
}

impl Data {
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn authority_folder(&self, kind: Kind) -> PathBuf {
        self.folder.join(kind.to_string())
    }

    /// Where the registry that runs keeps its store.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// Where the key of the core's authority is, until it is moved offline.
    pub fn core_key(&self) -> PathBuf {
        self.authority_folder(Kind::Core).join(KEY)
    }

    /// The registry's own identity, as [`Data::init`] makes it.
    pub fn own_identity(&self) -> PathBuf {
        self.folder.join("identities").join("registry")
    }

    /// The identities that are in the registry's own folder.
    pub(crate) fn own_identities(&self) -> Result<Vec<PathBuf>, DataError> {
        let path = self.folder.join("identities");
        let read = || -> io::Result<Vec<PathBuf>> {
            let all = fs::read_dir(&path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
            Ok(all.into_iter().filter(|path| path.join(CERTIFICATE).exists()).collect())
        };
        read().map_err(|error| DataError::Unreadable { path, error })
    }

    /// Makes the authorities of a network, and the identities that it begins with, in this order: the registry's,
    /// central's, and its first admin's.
    ///
    /// # Errors
    ///
    /// If the folder has anything in it: then nothing is changed. If it cannot be written.
    pub fn init(&self, beginning: Beginning, now: Wall) -> Result<Vec<Given>, DataError> {
        let Beginning { trust_domain, central, admin, hosts } = beginning;
        check_hosts(&Role::Registry, &hosts).map_err(AuthorityError::from)?;
        match fs::read_dir(&self.folder).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(DataError::NotEmpty(self.folder.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DataError::Unreadable { path: self.folder.clone(), error }),
        }
        folder::private_folder(&self.folder)?;
        for kind in [Kind::Core, Kind::Network] {
            let authority = Authority::create(&trust_domain, kind, now)?;
            let at = self.authority_folder(kind);
            folder::private_folder(&at)?;
            folder::write_file(&at, KEY, &authority.key_pem())?;
            folder::write_file(&at, CERTIFICATE, authority.certificate_pem())?;
        }
        self.signer()?;
        let first = [
            ("registry", Role::Registry, &hosts[..]),
            ("central", Role::Central(central), &hosts[..]),
            ("admin", Role::Admin(admin), &[]),
        ];
        let identities = self.folder.join("identities");
        let give = |(name, role, hosts): (&str, Role, &[String])| {
            let lifetime = lifetime(&role);
            self.issue(role, &identities.join(name), hosts, lifetime, now)
        };
        first.into_iter().map(give).collect()
    }

    /// Gives out an identity, as a folder, by the authority whose it is to give. A folder that is this identity already
    /// keeps its key: for a while its certificate and its key come from two moments otherwise.
    ///
    /// # Errors
    ///
    /// If the authority or its key is not there, the folder is another's identity, its key was revoked, as far as that
    /// is known without the registry's store, or by a clock that was ahead, or it cannot be written.
    pub fn issue(
        &self,
        role: Role,
        to: &Path,
        hosts: &[String],
        lifetime: Duration,
        now: Wall,
    ) -> Result<Given, DataError> {
        check_hosts(&role, hosts).map_err(AuthorityError::from)?;
        let kind = Kind::of(&role);
        let authority = self.authority(kind)?;
        let identity = Identity { trust_domain: authority.trust_domain().clone(), role };
        let request = request(to, &identity)?;
        if kind == Kind::Network {
            self.is_not_revoked(&identity.role, to, &request, now)?;
        }
        let issued = authority.issue(request.csr_pem(), &identity, hosts, lifetime, now)?;
        let (core, network) = (self.certificate(Kind::Core)?, self.network_authorities()?);
        if kind == Kind::Network {
            // The key first: by a copy its key gets the name, and has to be somebody's.
            folder::private_folder(to)?;
            folder::write_file(to, KEY, &request.key_pem())?;
            self.keep_copy(&issued, now)?;
        }
        let files = Folder { core, network, certificate: issued.certificate_pem, key: request.key_pem() };
        folder::write(to, &files)?;
        Ok(Given { identity, folder: to.to_owned(), serial: issued.serial, not_after: issued.not_after })
    }

    /// An authority with its key.
    ///
    /// # Errors
    ///
    /// If it is not there, or not whole.
    pub(crate) fn authority(&self, kind: Kind) -> Result<Authority, DataError> {
        let folder = self.authority_folder(kind);
        let certificate = self.certificate(kind)?;
        let path = folder.join(KEY);
        let key = read_private(&path)?.ok_or(DataError::KeyElsewhere { kind, path })?;
        let authority = Authority::from_pem(&certificate, &key);
        let authority = authority.map_err(|error| DataError::Authority { folder: folder.clone(), error })?;
        match authority.kind() {
            found if found == kind => Ok(authority),
            found => Err(DataError::Exchanged { folder, found }),
        }
    }

    /// An authority's certificate, which stays where its key does not.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub(crate) fn certificate(&self, kind: Kind) -> Result<String, DataError> {
        let path = self.authority_folder(kind).join(CERTIFICATE);
        read(&path)?.ok_or_else(|| DataError::NoRegistry(self.folder.clone()))
    }
}

/// The key of a folder that is this identity already, or a new one.
fn request(to: &Path, identity: &Identity) -> Result<Request, DataError> {
    if let Some(found) = named(to)?.filter(|found| found != identity) {
        return Err(DataError::Anothers { folder: to.to_owned(), found });
    }
    match own_key(to)? {
        Some(request) => Ok(request),
        None => Ok(Request::new().map_err(AuthorityError::from)?),
    }
}

/// Whose identity a folder is.
pub(crate) fn named(folder: &Path) -> Result<Option<Identity>, DataError> {
    Ok(read(&folder.join(CERTIFICATE))?.and_then(|certificate| named_in(&certificate)))
}

/// A request with the key that is in a folder.
pub(crate) fn own_key(folder: &Path) -> Result<Option<Request>, DataError> {
    let path = folder.join(KEY);
    let request =
        |key: String| Request::with_key(&key).map_err(|error| DataError::Key { path: path.clone(), error });
    read_private(&path)?.map(request).transpose()
}

/// What is in a file, if it is there.
fn read(path: &Path) -> Result<Option<String>, DataError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DataError::Unreadable { path: path.to_owned(), error }),
    }
}

/// The same of one that nobody but its owner may read.
fn read_private(path: &Path) -> Result<Option<String>, DataError> {
    let text = read(path)?;
    let mode = fs::metadata(path).map(|found| found.permissions().mode());
    if text.is_some() && mode.is_ok_and(|mode| mode & OTHERS != 0) {
        return Err(DataError::OpenToOthers(path.to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
