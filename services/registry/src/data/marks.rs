//! Marks of revocations, beside the registry's store: a file for each role, of which an older copy of the store, or a
//! lost one, knows nothing. [`domain::enrolment::Mark`] says what they are.

use super::{Data, DataError};
use crate::stored;
use domain::{
    Wall,
    enrolment::{KeyHash, Mark, RolePath},
};
use identity::{
    AskersKey, Request, Role,
    folder::{CERTIFICATE, WriteError, private_folder, write_file},
    given_out, sha256,
};
use mesh::convert::hex;
use std::{fs, io, path::Path};

/// In the registry's folder.
const REVOKED: &str = "revoked";
/// How the file of one ends.
const MARK: &str = "mark";

/// A file's name, which no two roles share on any disk.
fn name(role: &str) -> String {
    format!("{}.{MARK}", hex(&sha256(role.as_bytes())))
}

impl Data {
    /// All of them.
    ///
    /// # Errors
    ///
    /// If one cannot be read, or is damaged: then nobody knows who was revoked, if the store does not.
    pub(crate) fn marks(&self) -> Result<Vec<(RolePath, Mark)>, DataError> {
        let folder = self.folder.join(REVOKED);
        let unreadable = |error| DataError::Unreadable { path: folder.clone(), error };
        let all = match fs::read_dir(&folder) {
            Ok(all) => all,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()), // none yet
            Err(error) => return Err(unreadable(error)),
        };
        let mut marks = Vec::new();
        for entry in all {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|of| of == MARK) {
                marks.extend(read(&path)?);
            }
        }
        Ok(marks)
    }

    /// Writes a role's, or removes it, if there is none any more.
    pub(crate) fn write_mark(&self, role: &str, mark: Option<&Mark>) -> Result<(), WriteError> {
        let folder = self.folder.join(REVOKED);
        let Some(mark) = mark else {
            _ = fs::remove_file(folder.join(name(role))); // tried again at the next start
            return Ok(());
        };
        private_folder(&folder)?;
        write_file(&folder, &name(role), &stored::mark_value(role, mark))
    }

    /// May this role be issued into a folder whose key this is, by the marks?
    ///
    /// # Errors
    ///
    /// If that key was revoked, or whatever is issued now counted as revoked.
    pub(super) fn is_not_revoked(
        &self,
        role: &Role,
        to: &Path,
        request: &Request,
        now: Wall,
    ) -> Result<(), DataError> {
        let path = self.folder.join(REVOKED).join(name(&role.to_string()));
        let mut is_revoked = self.has_revoked_copy(to, request);
        if let Some((_, mark)) = read(&path)? {
            if mark.revoked > now {
                return Err(DataError::RevokedAhead { role: role.clone(), at: mark.revoked });
            }
            let key = AskersKey::of_request(request.csr_pem()).map(|key| KeyHash(sha256(key.bytes())));
            is_revoked |= key.is_ok_and(|key| mark.has_revoked(&key));
            // It may have been given another key before: the folder says when.
            let before = super::read(&to.join(CERTIFICATE))?.unwrap_or_default();
            let before = given_out(&before, &self.network_authorities()?);
            is_revoked |= before.is_some_and(|before| before.made <= mark.revoked);
        }
        if is_revoked { Err(DataError::Revoked(to.to_owned())) } else { Ok(()) }
    }
}

fn read(path: &Path) -> Result<Option<(RolePath, Mark)>, DataError> {
    match fs::read(path) {
        Ok(value) => stored::mark(&value).map(Some).map_err(|_| DataError::Mark(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DataError::Unreadable { path: path.to_owned(), error }),
    }
}
