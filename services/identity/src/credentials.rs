//! A role's own identity: a folder, as [`folder`](crate::folder) writes it, which is read again when it changes. A
//! renewal replaces the certificate alone, so that the folder is whole at any moment.

use crate::{
    Certified, Misnamed,
    folder::{CERTIFICATE, CORE, KEY, NETWORK},
};
use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
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
}

/// A role's own identity. Clones share it.
#[derive(Debug, Clone)]
pub struct Credentials(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    newest: Mutex<(Stamps, Arc<Loaded>)>,
}

/// When each file was last written, and how long it is.
type Stamps = [Option<(SystemTime, u64)>; FILES.len()];

/// What the files say.
pub(crate) struct Loaded {
    pub(crate) own: Certified,
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) core: Arc<RootCertStore>,
    pub(crate) network: Arc<RootCertStore>,
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
        let newest = Mutex::new((stamps, Arc::new(loaded)));
        Ok(Self(Arc::new(Shared { folder: folder.to_owned(), newest })))
    }

    /// Who this is, and until when.
    pub fn own(&self) -> Certified {
        self.newest().own.clone()
    }

    /// As the files are now. Where they cannot be used, as they were.
    pub(crate) fn newest(&self) -> Arc<Loaded> {
        let now = stamps(&self.0.folder);
        let mut newest = self.0.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.0 != now {
            match Loaded::read(&self.0.folder) {
                Ok(loaded) => {
                    let Certified { identity, serial, .. } = &loaded.own;
                    tracing::info!(%identity, serial, "the identity's files have changed; they count from now on");
                    newest.1 = Arc::new(loaded);
                }
                Err(problem) => {
                    let folder = self.0.folder.display();
                    tracing::warn!(%folder, %problem, "the identity's files have changed, and cannot be used");
                }
            }
            newest.0 = now;
        }
        newest.1.clone()
    }
}

fn stamps(folder: &Path) -> Stamps {
    FILES.map(|file| {
        let file = fs::metadata(folder.join(file)).ok()?;
        Some((file.modified().ok()?, file.len()))
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
        Ok(Self { own, key: Arc::new(key), core: authority(CORE)?, network: authority(NETWORK)? })
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
