//! By what a file that has changed is known.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, time::SystemTime};

/// Which file it is, when it was last written, and how long it is.
pub(crate) type Stamp = (u64, SystemTime, u64);

/// `None` where it is not there.
pub(crate) fn stamp(file: &Path) -> Option<Stamp> {
    let file = fs::metadata(file).ok()?;
    Some((file.ino(), file.modified().ok()?, file.len()))
}
