//! What gateways serve, beside the registry's store: all of it in a file, against an older copy of the store, or a lost
//! one. The file has a version, which the store has, too: so one tells which of them is behind.

use super::{Data, DataError};
use crate::stored::{gateways, gateways_value};
use domain::gateways::Gateways;
use identity::{
    folder::{WriteError, write_file},
    sha256,
};
use std::{fs, io};

/// In the registry's folder: the SHA-256 of what follows it there.
const GATEWAYS: &str = "gateways";

impl Data {
    /// With their version; where there is no file, nothing, and 0.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is damaged: then nobody knows what gateways serve, if the store does not.
    pub(crate) fn gateways(&self) -> Result<(Gateways, u64), DataError> {
        let path = self.folder.join(GATEWAYS);
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Gateways::default(), 0)),
            Err(error) => return Err(DataError::Unreadable { path, error }),
        };
        let whole = file.split_first_chunk().filter(|(digest, value)| sha256(value) == **digest);
        whole.and_then(|(_, value)| gateways(value).ok()).ok_or(DataError::Gateways(path))
    }

    pub(crate) fn write_gateways(&self, all: &Gateways, version: u64) -> Result<(), WriteError> {
        let value = gateways_value(all, version);
        write_file(&self.folder, GATEWAYS, &[&sha256(&value)[..], &value].concat())
    }
}
