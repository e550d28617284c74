//! Copies of the certificates that are given out by hand: the registry that runs takes them into its list, so that they
//! can be taken back.
//!
//! A copy is `SERIAL.MILLISECONDS.pem`, with the time when it was made, which is in the certificate as a whole second;
//! of any other name that ends so, it counts as well. `SERIAL.MILLISECONDS.revoked`, with the time of that, is what
//! older versions made of the copy of one that was revoked: it counts as such.

use super::{Data, DataError};
use domain::{
    Wall,
    enrolment::{Certificate, KeyHash, RolePath},
};
use identity::{
    AskersKey, GivenOut, Issued, Kind, Request,
    folder::{KEY, private_folder, write_file},
    given_out, sha256,
};
use std::{
    collections::HashMap,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// In the registry's folder.
const ISSUED: &str = "issued";
/// How the file of a copy ends whose certificate was revoked.
const REVOKED: &str = "revoked";
/// At most so many copies are looked at: half a kilobyte each is held.
const MAX_COPIES: usize = 100_000;

/// A copy of what was given out by hand.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) role: RolePath,
    pub(crate) hosts: Vec<String>,
    pub(crate) key: KeyHash,
    pub(crate) made: Wall,
    /// Revoked, if the copy is marked so.
    pub(crate) certificate: Certificate,
    /// Why it is not in the list was said.
    pub(crate) was_said: bool,
    path: PathBuf,
}

impl Copied {
    /// PEM.
    pub(crate) fn chain(&self) -> io::Result<String> {
        fs::read_to_string(&self.path)
    }

    /// It is not needed any more.
    pub(crate) fn remove(&self) {
        _ = fs::remove_file(&self.path); // tried again the next time
    }
}

/// The copies as they were found last. A file is read once, and again only if it was changed.
#[derive(Debug, Default)]
pub(crate) struct Copies(HashMap<OsString, (Option<SystemTime>, Option<Copied>)>);

impl Copies {
    /// All of them: those that are marked as revoked, then the others, as they were made.
    pub(crate) fn in_order(&mut self) -> Vec<&mut Copied> {
        let mut all: Vec<_> = self.0.values_mut().filter_map(|(_, copy)| copy.as_mut()).collect();
        let place = |one: &Copied| (one.certificate.revoked.is_none(), one.made);
        all.sort_unstable_by(|one, other| {
            place(one).cmp(&place(other)).then_with(|| one.certificate.serial.cmp(&other.certificate.serial))
        });
        all
    }

    /// Looks at the folder. One that cannot be read, or that no authority of the network signed, is said, and holds up
    /// nobody. Returns how many files were read.
    pub(crate) fn look(&mut self, data: &Data) -> usize {
        let folder = data.folder.join(ISSUED);
        let unreadable = |path: &Path, error: &dyn fmt::Display| {
            tracing::warn!(path = %path.display(), %error, "what was given out by hand cannot be read");
        };
        let found = fs::read_dir(&folder).map(Some).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(None), // none yet
            _ => Err(DataError::Unreadable { path: folder.clone(), error }),
        });
        let (found, authorities) = match found.and_then(|found| Ok((found, data.network_authorities()?))) {
            Ok(both) => both,
            Err(error) => {
                unreadable(&folder, &error);
                return 0;
            }
        };
        let (mut before, mut read_now, mut more) = (std::mem::take(&mut self.0), 0, 0_usize);
        for entry in found.into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if is_marked(&path).is_none() {
                continue;
            }
            if self.0.len() >= MAX_COPIES {
                more += 1;
                continue;
            }
            let (name, modified) = (entry.file_name(), entry.metadata().and_then(|of| of.modified()).ok());
            let known = before.remove(&name).filter(|(of, _)| *of == modified);
            let known = known.map(Ok).unwrap_or_else(|| {
                read_now += 1;
                read(&path, &authorities).map(|copy| (modified, copy))
            });
            match known {
                Ok(known) => drop(self.0.insert(name, known)),
                Err(error) => unreadable(&path, &error),
            }
        }
        if more > 0 {
            let path = folder.display();
            tracing::error!(%path, more, "more than {MAX_COPIES} copies: the rest is not in the list");
        }
        read_now
    }
}

impl Data {
    pub(super) fn keep_copy(&self, issued: &Issued, Wall(now): Wall) -> Result<(), DataError> {
        let folder = self.folder.join(ISSUED);
        private_folder(&folder)?;
        let name = format!("{}.{now}.pem", issued.serial);
        Ok(write_file(&folder, &name, &issued.certificate_pem)?)
    }

    /// Does a copy that is marked as revoked have the key that is in this folder? A new key is in none.
    pub(super) fn has_revoked_copy(&self, to: &Path, request: &Request) -> bool {
        let (Ok(key), Ok(authorities)) =
            (AskersKey::of_request(request.csr_pem()), self.network_authorities())
        else {
            return false;
        };
        let copies = fs::read_dir(self.folder.join(ISSUED)).ok().filter(|_| to.join(KEY).exists());
        let paths = copies.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let marked = paths.filter(|path| is_marked(path) == Some(true));
        let mut copies = marked.filter_map(|path| read(&path, &authorities).ok()?);
        copies.any(|copy| copy.key == KeyHash(sha256(key.bytes())))
    }
}

/// Is a copy of this name one that was revoked? `None`: it is no copy, or not written to its end.
fn is_marked(path: &Path) -> Option<bool> {
    match path.extension()?.to_str()? {
        "pem" => Some(false),
        REVOKED => Some(true),
        _ => None,
    }
}

/// `None`, which is said: it is none of this network's.
fn read(path: &Path, authorities: &str) -> io::Result<Option<Copied>> {
    let given = given_out(&String::from_utf8_lossy(&fs::read(path)?), authorities);
    let given = given.filter(|given| Kind::of(&given.certified.identity.role) == Kind::Network);
    let Some(GivenOut { certified, key, hosts, made }) = given else {
        tracing::warn!(
            path = %path.display(),
            "is no certificate of this network's authority for others than its core, and not taken in: remove it"
        );
        return Ok(None);
    };
    let (named, is_marked) = (time_in(path), is_marked(path) == Some(true));
    // One whose time was lost was revoked at its beginning at the earliest.
    let revoked = is_marked.then(|| named.unwrap_or(made));
    let of_that_second = |at: &Wall| (0..1000).contains(&at.0.saturating_sub(made.0));
    let made = named.filter(|_| !is_marked).filter(of_that_second).unwrap_or(made);
    Ok(Some(Copied {
        role: certified.identity.role.to_string().into(),
        hosts,
        key: KeyHash(sha256(&key)),
        made,
        certificate: Certificate { serial: certified.serial, not_after: certified.not_after, revoked },
        was_said: false,
        path: path.to_owned(),
    }))
}

fn time_in(path: &Path) -> Option<Wall> {
    Path::new(path.file_stem()?).extension()?.to_str()?.parse().ok().map(Wall)
}
