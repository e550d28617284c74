//! A role's own identity: a folder, as [`folder`](crate::folder) writes it, which is read again when it changes. A
//! renewal replaces the certificate alone, so that the folder is whole at any moment.

use crate::{
    Certified, Identity, Misnamed,
    folder::{CERTIFICATE, CORE, KEY, NETWORK},
};
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
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

const FILES: [&str; 4] = [CERTIFICATE, KEY, CORE, NETWORK];

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
    #[error("{KEY} is not the key of {CERTIFICATE}")]
    OtherKey,
    #[error("{CERTIFICATE}: {0}")]
    Misnamed(#[from] Misnamed),
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
    /// Of those that could not be used, which was said.
    unusable: Option<Stamps>,
}

/// Which file it is, when it was last written, and how long it is.
type Stamps = [Option<(u64, SystemTime, u64)>; FILES.len()];

/// What the files say.
pub(crate) struct Loaded {
    pub(crate) own: Certified,
    serial: Arc<str>,
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) core: Arc<RootCertStore>,
    pub(crate) network: Arc<RootCertStore>,
    /// By TLS 1.3 alone, and by 1.2 too.
    pub(crate) for_callers: [OnceLock<Arc<ServerConfig>>; 2],
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loaded").field(&self.own).finish()
    }
}

impl Credentials {
    /// Reads a folder.
    pub fn open(folder: &Path) -> Result<Self, UnusableIdentity> {
        let stamps = stamps(folder);
        let loaded = Loaded::read(folder)
            .map_err(|problem| UnusableIdentity { folder: folder.to_owned(), problem })?;
        let newest = Mutex::new(Newest { stamps, loaded: Arc::new(loaded), unusable: None });
        Ok(Self(Arc::new(Shared { folder: folder.to_owned(), newest })))
    }

    /// Who this is, and until when.
    pub fn own(&self) -> Certified {
        self.newest().own.clone()
    }

    /// Which certificate it is.
    pub fn serial(&self) -> Arc<str> {
        self.newest().serial.clone()
    }

    /// As the files are now. Where they cannot be used, as they were.
    pub(crate) fn newest(&self) -> Arc<Loaded> {
        let now = stamps(&self.0.folder);
        let mut newest = self.0.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.stamps != now {
            let own = &newest.loaded.own.identity;
            let read = Loaded::read(&self.0.folder).and_then(|loaded| match loaded.own.identity == *own {
                true => Ok(loaded),
                false => Err(Problem::Another(loaded.own.identity)),
            });
            match read {
                Ok(loaded) => {
                    let Certified { identity, serial, .. } = &loaded.own;
                    tracing::info!(%identity, serial, "the identity's files have changed; they count from now on");
                    *newest = Newest { stamps: now, loaded: Arc::new(loaded), unusable: None };
                }
                // Tried again each time: that they cannot be read may pass.
                Err(problem) if newest.unusable != Some(now) => {
                    let folder = self.0.folder.display();
                    tracing::warn!(%folder, %problem, "the identity's files have changed, and cannot be used");
                    newest.unusable = Some(now);
                }
                Err(_) => {}
            }
        }
        newest.loaded.clone()
    }
}

fn stamps(folder: &Path) -> Stamps {
    FILES.map(|file| {
        let file = fs::metadata(folder.join(file)).ok()?;
        Some((file.ino(), file.modified().ok()?, file.len()))
    })
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
        let chain = certificates(CERTIFICATE)?;
        let own = Certified::read(&chain[0])?;
        let key = PrivateKeyDer::from_pem_file(folder.join(KEY))
            .map_err(|error| Problem::File(KEY, words(&error)))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Problem::OtherKey,
            error => Problem::File(KEY, error.to_string()),
        })?;
        let serial = own.serial.as_str().into();
        Ok(Self {
            own,
            serial,
            key: Arc::new(key),
            core: authority(CORE)?,
            network: authority(NETWORK)?,
            for_callers: Default::default(),
        })
    }
}

/// The library's own words have a value's debugging form in them.
fn words(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "it has nothing of this kind".to_owned(),
        _ => "it is no PEM".to_owned(),
    }
}
