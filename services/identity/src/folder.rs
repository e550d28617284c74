//! An identity on disk: a folder with its owner's certificate and key, and with those of the authorities that it
//! believes. This is the side that writes.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The certificates of the authorities for the network's core, one or more.
pub const CORE: &str = "core.pem";
/// The certificates of the authorities for everybody else, one or more.
pub const NETWORK: &str = "network.pem";
/// The owner's certificate, and then that of its authority.
pub const CERTIFICATE: &str = "certificate.pem";
/// The owner's key (PKCS #8).
pub const KEY: &str = "key.pem";
/// Where the registry is, HOST:PORT, that gave it and renews it; not there in an identity that was given by hand.
pub const REGISTRY: &str = "registry";

/// The owner's token, where that says who it is instead of a certificate with its key: a person's.
pub const TOKEN: &str = "token";

/// Of a mode, what lets in others than the owner.
const OTHERS: u32 = 0o077;

/// Why a file of an identity was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("cannot write {path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error(
        "the folder {folder} is open to other users (mode {mode:04o}); close it with: chmod -R go= '{folder}'"
    )]
    OpenToOthers { folder: PathBuf, mode: u32 },
}

/// What is in the folder of an identity: PEM, each.
#[derive(Clone, PartialEq, Eq)]
pub struct Folder {
    pub core: String,
    pub network: String,
    pub certificate: String,
    pub key: String,
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Writes an identity: a folder for its owner alone (0700), with what is missing above it, and in it each file (0600)
/// by rename and on disk when this returns. The certificate is the last: where it is, the rest is.
///
/// # Errors
///
/// If a file cannot be written, or the folder has something in it and is open to other users.
pub fn write(folder: &Path, Folder { core, network, certificate, key }: &Folder) -> Result<(), WriteError> {
    private_folder(folder)?;
    for (name, text) in [(CORE, core), (NETWORK, network), (KEY, key), (CERTIFICATE, certificate)] {
        write_file(folder, name, text)?;
    }
    Ok(())
}

/// Makes a folder for its owner alone (0700), with what is missing above it, whatever the umask is; so is one that is
/// empty.
///
/// # Errors
///
/// As [`write()`].
pub fn private_folder(folder: &Path) -> Result<(), WriteError> {
    let make = || -> io::Result<u32> {
        let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.exists()).collect();
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // What is in a folder survives a power cut only if the folder's own name does.
        for above in missing.into_iter().filter_map(Path::parent) {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            File::open(above)?.sync_all()?;
        }
        if fs::read_dir(folder)?.next().is_none() {
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        }
        Ok(fs::metadata(folder)?.permissions().mode() & 0o7777)
    };
    match make().map_err(|error| WriteError::Io { path: folder.to_owned(), error })? {
        mode if mode & OTHERS == 0 => Ok(()),
        mode => Err(WriteError::OpenToOthers { folder: folder.to_owned(), mode }),
    }
}

/// Writes one file of a private folder: 0600, all of it or none, and on disk when this returns.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_file(folder: &Path, name: &str, text: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), WriteError> {
    let path = folder.join(name);
    let unfinished = folder.join(format!(".{name}.new"));
    let write = || -> io::Result<()> {
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {} // a try before this one was cut off
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_ref())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| WriteError::Io { path: path.clone(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn folder(word: &str) -> Folder {
        let text = |name: &str| format!("{word} {name}");
        Folder { core: text(CORE), network: text(NETWORK), certificate: text(CERTIFICATE), key: text(KEY) }
    }

    #[test]
    fn an_identity_is_its_owners_alone_and_replaces_the_one_before() {
        let top = tempfile::tempdir().unwrap();
        let at = top.path().join("a/identity");
        for word in ["first", "second"] {
            write(&at, &folder(word)).unwrap();
            assert_eq!((mode(&at), mode(&top.path().join("a"))), (0o700, 0o700));
            let mut names: Vec<_> = fs::read_dir(&at)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            assert_eq!(names, [CERTIFICATE, CORE, KEY, NETWORK]);
            for name in names {
                assert_eq!(fs::read_to_string(at.join(&name)).unwrap(), format!("{word} {name}"));
                assert_eq!(mode(&at.join(name)), 0o600);
            }
        }
    }

    #[test]
    fn what_a_try_before_left_behind_is_no_hindrance_whatever_its_mode() {
        let top = tempfile::tempdir().unwrap();
        fs::set_permissions(top.path(), Permissions::from_mode(0o700)).unwrap();
        let left = top.path().join(".key.pem.new");
        fs::write(&left, "half").unwrap();
        fs::set_permissions(&left, Permissions::from_mode(0o666)).unwrap();
        write(top.path(), &folder("x")).unwrap();
        assert!(!left.exists());
        assert_eq!(mode(&top.path().join(KEY)), 0o600);
    }

    #[test]
    fn an_identity_goes_into_no_folder_that_is_open_to_others() {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("x"), "").unwrap();
        fs::set_permissions(top.path(), Permissions::from_mode(0o750)).unwrap();
        let said = write(top.path(), &folder("x")).unwrap_err().to_string();
        assert!(said.contains("(mode 0750); close it with: chmod -R go= '"), "{said}");
        assert!(!top.path().join(KEY).exists());
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join(CORE)).unwrap();
        fs::set_permissions(top.path(), Permissions::from_mode(0o700)).unwrap();
        let said = write(top.path(), &folder("x")).unwrap_err().to_string();
        assert!(said.starts_with(&format!("cannot write {}: ", top.path().join(CORE).display())), "{said}");
    }

    #[test]
    fn a_key_is_not_shown() {
        assert!(!format!("{:?}", folder("x")).contains(KEY));
    }
}
