//! The small file that says how far the topic is read: written whole, about once a second where something has changed.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Where to go on in the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The cluster that the offsets are of.
    pub(crate) cluster_id: String,
    /// The next offset of each partition.
    pub(crate) offsets: BTreeMap<i32, i64>,
}

/// Where a position is kept. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Offsets {
    folder: PathBuf,
}

impl Offsets {
    /// The folder, made where it is missing, and what was kept there.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Option<Position>), Error> {
        let offsets = Self { folder: folder.to_owned() };
        let unusable = |source| Error::Folder { folder: folder.to_owned(), source };
        private(fs::DirBuilder::new().recursive(true)).create(folder).map_err(unusable)?;
        let kept = match fs::read(offsets.file()) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| Error::Unreadable { file: offsets.file(), source: error.into() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unusable(error)),
        };
        // A folder that cannot be written is known now, and not by the first request.
        if kept.is_none() {
            offsets.create().map(drop).map_err(unusable)?;
        }
        Ok((offsets, kept))
    }

    /// Keeps a position: it is on disk, whole, when this returns.
    pub(crate) fn keep(&self, position: &Position) -> io::Result<()> {
        let mut file = self.create()?;
        file.write_all(&serde_json::to_vec(position)?)?;
        file.sync_all()?;
        fs::rename(self.new_file(), self.file())?;
        File::open(&self.folder)?.sync_all()
    }

    fn create(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.new_file())
    }

    fn file(&self) -> PathBuf {
        self.folder.join("offsets.json")
    }

    fn new_file(&self) -> PathBuf {
        self.folder.join("offsets.json.new")
    }
}

/// For its owner alone.
fn private(folder: &mut fs::DirBuilder) -> &mut fs::DirBuilder {
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(folder, 0o700);
    folder
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_kept_is_read_again_and_is_its_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let (offsets, kept) = Offsets::open(&folder).unwrap();
        assert_eq!(kept, None);
        let position =
            |next| Position { cluster_id: "a".into(), offsets: BTreeMap::from([(0, next), (3, 0)]) };
        offsets.keep(&position(7)).unwrap();
        offsets.keep(&position(8)).unwrap();
        assert_eq!(Offsets::open(&folder).unwrap().1, Some(position(8)));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&offsets.file()), mode(&folder)), (0o600, 0o700));
        // What a crash in mid-write leaves is not the file.
        fs::write(offsets.new_file(), "{\"clus").unwrap();
        assert_eq!(Offsets::open(&folder).unwrap().1, Some(position(8)));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("offsets.json"), "[]").unwrap();
        let error = Offsets::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("offsets.json") && error.contains("remove it"), "{error}");
        let file = folder.path().join("a-file");
        fs::write(&file, "").unwrap();
        let error = Offsets::open(&file).unwrap_err().to_string();
        assert!(error.contains("a-file") && error.contains("--data"), "{error}");
    }
}
