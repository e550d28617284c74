//! Where `evmesh up` keeps its stores: a folder that stays, or one that goes with the process.

use crate::exit::Failure;
use mesh::files::{self, FolderError};
use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The folder of a network's stores.
pub(super) enum Folder {
    /// The user's: kept for the next run.
    Kept(PathBuf),
    /// Ours: removed when dropped.
    Temporary(TempDir),
}

impl Folder {
    /// The user's folder, theirs alone, created if it is missing; without one, a temporary folder.
    pub(super) fn open(kept: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = kept else {
            let only_ours = Permissions::from_mode(0o700);
            let folder = tempfile::Builder::new().prefix("evmesh-").permissions(only_ours).tempdir();
            return folder.map(Self::Temporary).map_err(|error| {
                Failure::Failed(format!(
                    "cannot create a temporary folder: {error}; name a folder with --data"
                ))
            });
        };
        files::private_folder(path).map_err(|error| match error {
            FolderError::Io(error) => Failure::Failed(format!(
                "cannot create the folder '{}': {error}; name another with --data",
                path.display()
            )),
            open @ FolderError::OpenToOthers { .. } => Failure::Store(open.to_string()),
        })?;
        Ok(Self::Kept(path.to_owned()))
    }

    /// One service's own folder in it.
    pub(super) fn of(&self, service: &str) -> PathBuf {
        self.path().join(service)
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Kept(path) => format!("{} (kept for the next run)", path.display()),
            Self::Temporary(folder) => {
                format!("{} (removed at the end; --data DIR keeps it)", folder.path().display())
            }
        }
    }
}
