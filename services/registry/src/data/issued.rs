//! Copies of the certificates that are given out by hand: the registry that runs takes them into its list, so that they
//! can be taken back.
//!
//! A copy is `SERIAL.MILLISECONDS.pem`, with the time when it was made, which is in the certificate as a whole second;
//! once its certificate is revoked, `SERIAL.MILLISECONDS.revoked`, with the time of that. So it is known where the
//! registry's store was lost. Of any other name that ends so, it counts as well.

use super::{Data, DataError};
use domain::Wall;
use identity::{
    AskersKey, GivenOut, Issued, Kind, Request,
    folder::{private_folder, write_file},
    given_out,
};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// In the registry's folder.
const ISSUED: &str = "issued";
/// How the file of a copy ends whose certificate was revoked.
const REVOKED: &str = "revoked";

/// A copy of what was given out by hand.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) given: GivenOut,
    /// PEM.
    pub(crate) chain: String,
    /// When it was revoked, if the copy is marked so.
    pub(crate) revoked: Option<Wall>,
    path: PathBuf,
}

impl Copied {
    /// It is not needed any more.
    pub(crate) fn remove(&self) {
        _ = fs::remove_file(&self.path); // tried again the next time
    }
}

impl Data {
    pub(super) fn keep_copy(&self, issued: &Issued, Wall(now): Wall) -> Result<(), DataError> {
        let folder = self.folder.join(ISSUED);
        private_folder(&folder)?;
        Ok(write_file(&folder, &format!("{}.{now}.pem", issued.serial), &issued.certificate_pem)?)
    }

    /// All of them: those that are marked as revoked, then the others, as they were made. One that cannot be read, or
    /// that no authority of the network signed, is said, and holds up nobody.
    pub(crate) fn issued(&self) -> Vec<Copied> {
        self.copies(|_| true)
    }

    /// Those among them whose file is wanted; the others are not read.
    fn copies(&self, wanted: impl Fn(&Path) -> bool) -> Vec<Copied> {
        let folder = self.folder.join(ISSUED);
        let unreadable = |error: &dyn fmt::Display| {
            tracing::warn!(path = %folder.display(), %error, "what was given out by hand cannot be read");
            Vec::new()
        };
        let all = match fs::read_dir(&folder) {
            Ok(all) => all,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(), // none yet
            Err(error) => return unreadable(&error),
        };
        let authorities = match self.network_authorities() {
            Ok(authorities) => authorities,
            Err(error) => return unreadable(&error),
        };
        let paths = all.filter_map(|entry| Some(entry.ok()?.path()));
        let wanted = paths.filter(|path| wanted(path));
        let mut copies: Vec<_> = wanted.filter_map(|path| read(path, &authorities)).collect();
        copies.sort_by_cached_key(|one| {
            (one.revoked.is_none(), one.given.made, one.given.certified.serial.clone())
        });
        copies
    }

    /// The certificates with these serials were revoked then: so say their copies from now on.
    pub(crate) fn mark_revoked(&self, revoked: &[(String, Wall)]) {
        if revoked.is_empty() {
            return;
        }
        for copy in self.issued().into_iter().filter(|copy| copy.revoked.is_none()) {
            let serial = &copy.given.certified.serial;
            let Some((_, Wall(at))) = revoked.iter().find(|(one, _)| one == serial) else { continue };
            if let Err(error) =
                fs::rename(&copy.path, copy.path.with_file_name(format!("{serial}.{at}.{REVOKED}")))
            {
                let path = copy.path.display();
                tracing::warn!(%path, %error, "the copy of a revoked certificate cannot be marked");
            }
        }
    }

    /// Does a copy that is marked as revoked have this key?
    pub(super) fn has_revoked(&self, request: &Request) -> bool {
        let key = AskersKey::of_request(request.csr_pem());
        let is_its = |copy: &Copied| key.as_ref().is_ok_and(|key| key.bytes() == copy.given.key);
        let marked = |path: &Path| path.extension().is_some_and(|of| of == REVOKED);
        self.copies(marked).iter().any(is_its)
    }
}

fn read(path: PathBuf, authorities: &str) -> Option<Copied> {
    let is_marked = match path.extension()?.to_str()? {
        "pem" => false,
        REVOKED => true,
        _ => return None, // not written to its end
    };
    let chain = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "what was given out by hand cannot be read");
            return None;
        }
    };
    let given = given_out(&chain, authorities);
    let Some(mut given) = given.filter(|given| Kind::of(&given.certified.identity.role) == Kind::Network)
    else {
        tracing::warn!(
            path = %path.display(),
            "is no certificate of this network's authority for others than its core, and not taken in: remove it"
        );
        return None;
    };
    let named = time_in(&path);
    // One whose time was lost was revoked at its beginning at the earliest.
    let revoked = is_marked.then(|| named.unwrap_or(given.made));
    let of_that_second = |at: &Wall| (0..1000).contains(&at.0.saturating_sub(given.made.0));
    given.made = named.filter(|_| !is_marked).filter(of_that_second).unwrap_or(given.made);
    Some(Copied { given, chain, revoked, path })
}

fn time_in(path: &Path) -> Option<Wall> {
    Path::new(path.file_stem()?).extension()?.to_str()?.parse().ok().map(Wall)
}
