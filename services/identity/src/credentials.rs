//! A role's own identity: a folder, as [`folder`](crate::folder) writes it, which is read again when it changes. A
//! renewal replaces the certificate alone, or the token, so that the folder is whole at any moment.

use crate::{
    Certified, Identity, Misnamed, TrustDomain,
    authority::trust_domain_of,
    folder::{CERTIFICATE, CORE, KEY, NETWORK, TOKEN},
    stamp::{Stamp, Unusable, second, stamp},
    token::{InvalidToken, MAX_TOKEN_BYTES, claimed},
};
use domain::Wall;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};
use std::{
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::SystemTime,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

const FILES: [&str; 5] = [CERTIFICATE, KEY, CORE, NETWORK, TOKEN];

/// A folder is no identity.
#[derive(Debug, thiserror::Error)]
#[error("the identity in {} cannot be used: {problem}", folder.display())]
pub struct UnusableIdentity {
    folder: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{0}: {1}")]
    File(&'static str, String),
    #[error(
        "it has neither {CERTIFICATE} nor {TOKEN}; name another folder with --identity, or let 'evmesh enrol' make it"
    )]
    Nobody,
    #[error("{KEY} is not the key of {CERTIFICATE}")]
    OtherKey,
    #[error("{CERTIFICATE}: {0}")]
    Misnamed(#[from] Misnamed),
    #[error("{TOKEN} {0}")]
    Token(#[from] InvalidToken),
    #[error("it is {0} now, and a role stays who it is")]
    Another(Identity),
}

/// A role's own identity. Clones share it.
#[derive(Debug, Clone)]
pub struct Credentials(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    newest: Mutex<Newest>,
}

#[derive(Debug)]
struct Newest {
    /// Of the files that were read.
    stamps: Stamps,
    loaded: Arc<Loaded>,
    /// The folder, and the second, when they were looked at last; `None`: they have to be looked at again.
    looked: Option<Looked>,
    /// Of those that could not be used, which was said.
    unusable: Unusable<Stamps>,
}

type Stamps = [Option<Stamp>; FILES.len()];
type Looked = (Stamp, u64);

/// What the files say.
pub(crate) struct Loaded {
    pub(crate) own: Identity,
    shows: Shows,
    /// When its certificate ends; `None` of whom a token names.
    not_after: Option<Wall>,
    /// That of its certificate; `None` of whom a token names.
    pub(crate) key: Option<Arc<CertifiedKey>>,
    pub(crate) core: Arc<RootCertStore>,
    pub(crate) network: Arc<RootCertStore>,
    /// By TLS 1.3 alone, and by 1.2 too.
    pub(crate) for_callers: [OnceLock<Arc<ServerConfig>>; 2],
}

/// By what a role shows who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Shows {
    /// A certificate with this serial number, as it connects.
    Certificate(Arc<str>),
    /// This token, with each call.
    Token(Arc<str>),
}

impl fmt::Debug for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(serial) => f.debug_tuple("Certificate").field(serial).finish(),
            Self::Token(_) => f.write_str("Token"),
        }
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loaded").field(&self.own).finish()
    }
}

impl Credentials {
    /// Reads a folder.
    pub fn open(folder: &Path) -> Result<Self, UnusableIdentity> {
        let (looked, stamps) = (looked(folder), stamps(folder));
        let loaded = Loaded::read(folder)
            .map_err(|problem| UnusableIdentity { folder: folder.to_owned(), problem })?;
        let (loaded, unusable) = (Arc::new(loaded), Unusable::default());
        let newest = Mutex::new(Newest { stamps, loaded, looked, unusable });
        Ok(Self(Arc::new(Shared { folder: folder.to_owned(), newest })))
    }

    /// Who this is.
    pub fn own(&self) -> Identity {
        self.newest().own.clone()
    }

    /// By what it shows that now. Each call asks: a file that was put there by a rename counts at once, and one that
    /// was written in place within a second.
    pub fn shows(&self) -> Shows {
        let now = looked(&self.0.folder);
        let newest = self.lock();
        if now.is_some() && newest.looked == now {
            return newest.loaded.shows.clone();
        }
        drop(newest);
        self.newest().shows.clone()
    }

    /// When its certificate ends; `None` of whom a token names.
    pub fn not_after(&self) -> Option<Wall> {
        self.newest().not_after
    }

    /// As the files are now. Where they cannot be used, as they were.
    pub(crate) fn newest(&self) -> Arc<Loaded> {
        let (looked, now, second) = (looked(&self.0.folder), stamps(&self.0.folder), second());
        let mut newest = self.lock();
        newest.looked = looked;
        if newest.stamps != now && newest.unusable.is_due(&now, second) {
            let own = &newest.loaded.own;
            let read = Loaded::read(&self.0.folder).and_then(|loaded| match loaded.own == *own {
                true => Ok(loaded),
                false => Err(Problem::Another(loaded.own)),
            });
            match read {
                Ok(loaded) => {
                    let Loaded { own: identity, shows, .. } = &loaded;
                    tracing::info!(%identity, ?shows, "the identity's files have changed; they count from now on");
                    let unusable = Unusable::default();
                    *newest = Newest { stamps: now, loaded: Arc::new(loaded), looked, unusable };
                }
                Err(problem) if newest.unusable.is_news(now, second) => {
                    let folder = self.0.folder.display();
                    tracing::warn!(%folder, %problem, "the identity's files have changed, and cannot be used");
                }
                Err(_) => {}
            }
        }
        newest.loaded.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.0.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Before [`stamps`]: what comes between is looked at again. `None` of a folder that has changed in this second: it may
/// change once more and look the same, since a file system's clock ticks slowly.
fn looked(folder: &Path) -> Option<Looked> {
    let (stamp, second) = (stamp(folder)?, second());
    let changed = stamp.1.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    (changed < second).then_some((stamp, second))
}

fn stamps(folder: &Path) -> Stamps {
    FILES.map(|file| stamp(&folder.join(file)))
}

/// What all of this is encrypted with. Named, since which one is chosen by itself depends on other crates' features.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl Loaded {
    fn read(folder: &Path) -> Result<Self, Problem> {
        let certificates = |file: &'static str| {
            let of_file = |error: pem::Error| Problem::File(file, words(&error));
            let all = CertificateDer::pem_file_iter(folder.join(file)).map_err(of_file)?;
            let all = all.collect::<Result<Vec<_>, _>>().map_err(of_file)?;
            if all.is_empty() {
                return Err(Problem::File(file, "it has no certificate".to_owned()));
            }
            Ok(all)
        };
        let authority = |file: &'static str| {
            let mut roots = RootCertStore::empty();
            for root in certificates(file)? {
                roots.add(root).map_err(|error| Problem::File(file, error.to_string()))?;
            }
            Ok::<_, Problem>(Arc::new(roots))
        };
        // Where both are, the certificate counts, as it does at a server.
        let by_token = folder.join(TOKEN).exists() && !folder.join(CERTIFICATE).exists();
        if by_token {
            let (core, token) = (certificates(CORE)?, token(folder)?);
            // Whom a token calls is central: the other authority's certificate may be missing.
            let network = match folder.join(NETWORK).exists() {
                true => authority(NETWORK)?,
                false => Arc::new(RootCertStore::empty()),
            };
            return Ok(Self {
                own: claimed(&token)?.identity(&network_of(&core[0])?),
                shows: Shows::Token(token.into()),
                not_after: None,
                key: None,
                core: authority(CORE)?,
                network,
                for_callers: Default::default(),
            });
        }
        if let Ok(false) = folder.join(CERTIFICATE).try_exists() {
            return Err(Problem::Nobody);
        }
        let chain = certificates(CERTIFICATE)?;
        let Certified { identity, serial, not_after } = Certified::read(&chain[0])?;
        let key = PrivateKeyDer::from_pem_file(folder.join(KEY))
            .map_err(|error| Problem::File(KEY, words(&error)))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Problem::OtherKey,
            error => Problem::File(KEY, error.to_string()),
        })?;
        Ok(Self {
            own: identity,
            shows: Shows::Certificate(serial.into()),
            not_after: Some(not_after),
            key: Some(Arc::new(key)),
            core: authority(CORE)?,
            network: authority(NETWORK)?,
            for_callers: Default::default(),
        })
    }
}

/// A token with what a person's shell or editor put behind it left out.
fn token(folder: &Path) -> Result<String, Problem> {
    let read = || -> io::Result<String> {
        let (most, mut text) = (u64::try_from(MAX_TOKEN_BYTES).unwrap_or(u64::MAX), String::new());
        fs::File::open(folder.join(TOKEN))?.take(most.saturating_add(2)).read_to_string(&mut text)?;
        Ok(text.trim().to_owned())
    };
    read().map_err(|error| Problem::File(TOKEN, error.to_string()))
}

/// The network of the core authority, which a token does not name.
fn network_of(core: &[u8]) -> Result<TrustDomain, Problem> {
    let certificate = X509Certificate::from_der(core).ok();
    let named = certificate.and_then(|(_, certificate)| trust_domain_of(&certificate));
    named.ok_or_else(|| Problem::File(CORE, "it is no authority of a network's".to_owned()))
}

/// The library's own words have a value's debugging form in them.
fn words(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "it has nothing of this kind".to_owned(),
        _ => "it is no PEM".to_owned(),
    }
}
