//! Copies of the certificates that are given out by hand: the registry that runs takes them into its list, so that they
//! can be taken back.

use super::{Data, DataError};
use domain::Wall;
use identity::{
    GivenOut, Issued,
    folder::{private_folder, write_file},
    given_out,
};
use std::{fs, io, path::Path};

/// In the registry's folder.
const ISSUED: &str = "issued";

impl Data {
    /// Until it has run out.
    pub(super) fn keep_copy(&self, issued: &Issued) -> Result<(), DataError> {
        let folder = self.folder.join(ISSUED);
        private_folder(&folder)?;
        Ok(write_file(&folder, &format!("{}.pem", issued.serial), &issued.certificate_pem)?)
    }

    /// Those that have not run out, each with its PEM text; the others' copies go. One that cannot be read is said, and
    /// holds up nobody.
    pub(crate) fn issued(&self, now: Wall) -> Vec<(GivenOut, String)> {
        let folder = self.folder.join(ISSUED);
        let all = match fs::read_dir(&folder) {
            Ok(all) => all,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(), // none yet
            Err(error) => {
                tracing::warn!(path = %folder.display(), %error, "what was given out by hand cannot be read");
                return Vec::new();
            }
        };
        let mut copies: Vec<_> = all.filter_map(|entry| Some(entry.ok()?.path())).collect();
        copies.retain(|path| path.extension().is_some_and(|extension| extension == "pem"));
        copies.sort();
        copies.iter().filter_map(|path| read(path, now)).collect()
    }
}

fn read(path: &Path, now: Wall) -> Option<(GivenOut, String)> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "what was given out by hand cannot be read");
            return None;
        }
    };
    let Some(given) = given_out(&text) else {
        tracing::warn!(path = %path.display(), "is no certificate that was given out by hand");
        return None;
    };
    if given.certified.not_after <= now {
        _ = fs::remove_file(path); // tried again the next time
        return None;
    }
    Some((given, text))
}
