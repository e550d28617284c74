//! Files at the edge: folders that are their owner's alone, and texts that people wrote.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Of a mode, what lets in others than the owner.
const OTHERS: u32 = 0o077;
/// In a fresh file system's own folder, which is no content, and root's.
pub(crate) const LOST_AND_FOUND: &str = "lost+found";

/// Why a folder cannot keep what is private.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Whoever can read a store has its tickets; whoever can write to it, or lock its files, has the service.
    #[error(
        "the folder {folder} is open to other users (mode {mode:04o}); close it with: chmod -R go= '{folder}'"
    )]
    OpenToOthers { folder: PathBuf, mode: u32 },
}

/// Makes a folder for its owner alone (0700), with what is missing above it, whatever the umask is; so is one that is
/// empty. One with anything in it has to be so already: what others may have put there is for a person to judge.
pub fn private_folder(folder: &Path) -> Result<(), FolderError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let content = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name()));
    if content.collect::<Result<Vec<_>, _>>()?.iter().all(|name| name == LOST_AND_FOUND) {
        // If it is another user's to change, that is seen below.
        let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    }
    let mode = fs::metadata(folder)?.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(FolderError::OpenToOthers { folder: folder.to_owned(), mode })
}

/// Makes all that is in a private folder its owner's alone too: where it is, nobody else reaches it, but it may be
/// copied elsewhere. Whoever made it may not know how (sled).
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == LOST_AND_FOUND {
            continue;
        }
        let found = match entry.metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // removed by now
            Err(error) => return Err(error),
        };
        let mode = found.permissions().mode();
        if mode & OTHERS != 0 && !found.is_symlink() {
            fs::set_permissions(entry.path(), Permissions::from_mode(mode & !OTHERS))?;
        }
        if found.is_dir() {
            make_private(&entry.path())?;
        }
    }
    Ok(())
}

/// Why a file is no text that can be read.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is larger than {MAX_TEXT_BYTES} bytes")]
    TooLarge,
    #[error("it is in {0}; save it as UTF-8")]
    Encoding(&'static str),
    #[error(
        "line {line} is not UTF-8: it looks like Latin-1 (ISO 8859-1 or Windows-1252); save the file as UTF-8"
    )]
    EightBits { line: usize },
}

/// The largest text that is read: twice the ids of as many charge points as a network may have.
pub const MAX_TEXT_BYTES: u64 = 16 * 1024 * 1024;

/// The text of a file that a person wrote, of at most [`MAX_TEXT_BYTES`], for a parser that goes by [`str::lines`]. In
/// UTF-8; a byte-order mark before it, or before a line where files were put together, says nothing and is left out.
pub fn read_text(file: &Path) -> Result<String, TextError> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT_BYTES {
        return Err(TextError::TooLarge);
    }
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, TextError> {
    const MARK: char = '\u{feff}';
    let encoding = match bytes.as_slice() {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        // Plain text in UTF-16 has a zero beside each letter, and no text in UTF-8 has any.
        unmarked if unmarked.contains(&0) => Some("UTF-16, or is no text"),
        _ => None,
    };
    if let Some(encoding) = encoding {
        return Err(TextError::Encoding(encoding));
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.contains(MARK) => {
            Ok(text.trim_start_matches(MARK).replace(&format!("\n{MARK}"), "\n"))
        }
        Ok(text) => Ok(text),
        Err(error) => {
            let (good, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
            let line = bytes[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(TextError::EightBits { line })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_is_made_for_its_owner_alone_and_a_looser_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        private_folder(&inner).unwrap();
        assert_eq!((mode(&inner), mode(&folder.path().join("a"))), (0o700, 0o700));
        fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
        private_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700, "it was empty");
        fs::write(inner.join("x"), "").unwrap();
        for loose in [0o755, 0o750, 0o770, 0o710, 0o701, 0o702] {
            fs::set_permissions(&inner, Permissions::from_mode(loose)).unwrap();
            let said = private_folder(&inner).unwrap_err().to_string();
            let mends = format!("(mode {loose:04o}); close it with: chmod -R go= '{}'", inner.display());
            assert!(said.ends_with(&mends), "{said}");
            assert_eq!(mode(&inner), loose, "a person decides");
        }
    }

    #[test]
    fn what_is_in_a_private_folder_becomes_private_too() {
        let folder = tempfile::tempdir().unwrap();
        let (blobs, elsewhere) = (folder.path().join("in/blobs"), folder.path().join("elsewhere"));
        fs::create_dir_all(&blobs).unwrap();
        for file in [blobs.join("1"), folder.path().join("in/db"), elsewhere.clone()] {
            fs::write(&file, "x").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        }
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("in/link")).unwrap();
        make_private(&folder.path().join("in")).unwrap();
        assert_eq!(
            (mode(&blobs), mode(&blobs.join("1")), mode(&folder.path().join("in/db"))),
            (0o700, 0o600, 0o600)
        );
        assert_eq!(mode(&elsewhere), 0o666, "a link's target is another's");
    }

    #[test]
    fn a_text_is_read_with_a_mark_and_refused_with_its_encoding() {
        let read = |bytes: &[u8]| text(bytes.to_vec()).map_err(|error| error.to_string());
        assert_eq!(read("\u{feff}Alcalá\r\nb".as_bytes()), Ok("Alcalá\r\nb".to_owned()));
        assert_eq!(read("\u{feff}a\n\u{feff}b".as_bytes()), Ok("a\nb".to_owned()), "two files put together");
        assert_eq!(
            read("a\u{feff}b".as_bytes()),
            Ok("a\u{feff}b".to_owned()),
            "inside it is for whoever reads it"
        );
        assert_eq!(
            (read(b""), read(b"A"), read(b"\xef\xbb\xbf")),
            (Ok("".into()), Ok("A".into()), Ok("".into()))
        );
        let latin =
            "line 2 is not UTF-8: it looks like Latin-1 (ISO 8859-1 or Windows-1252); save the file as UTF-8";
        assert_eq!(read(b"A\nAlcal\xe1"), Err(latin.to_owned()));
        let sixteen =
            |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<_>>();
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            assert_eq!(
                read(&sixteen("\u{feff}A", order)),
                Err("it is in UTF-16; save it as UTF-8".to_owned())
            );
            let unmarked = read(&sixteen("MAD-01\n", order));
            assert_eq!(unmarked, Err("it is in UTF-16, or is no text; save it as UTF-8".to_owned()));
        }
        assert_eq!(read(b"\xff\xfe\0\0A\0\0\0"), Err("it is in UTF-32; save it as UTF-8".to_owned()));
    }

    #[test]
    fn a_file_is_read_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        for (bytes, fits) in [(MAX_TEXT_BYTES, true), (MAX_TEXT_BYTES + 1, false)] {
            fs::write(&file, vec![b'x'; bytes as usize]).unwrap();
            assert_eq!(read_text(&file).is_ok(), fits, "{bytes}");
        }
        assert!(matches!(read_text(&folder.path().join("none")), Err(TextError::Io(_))));
        assert!(matches!(read_text(folder.path()), Err(TextError::Io(_))), "a folder");
    }
}
