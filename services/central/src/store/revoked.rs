//! Whom the registry has revoked, so that they are refused while it is away.

use super::{codec, keys, pages::each};
use crate::{Error, error::Unreadable};
use domain::{enrolment::RolePath, revocations::Revocations};
use mesh::store::{Batch, Store};

pub(crate) fn revocations(store: &dyn Store) -> Result<Revocations, Error> {
    let mut written = Vec::new();
    each(store, keys::REVOKED, |role, value| {
        let role = std::str::from_utf8(role).map_err(|error| Unreadable::new("a revoked identity", error))?;
        written.push((RolePath::from(role), codec::revoked(value)?));
        Ok(())
    })?;
    Ok(Revocations::restore(written))
}

/// Writes one as it is held now; gives the key of its row.
pub(crate) fn put_revoked(role: &str, held: &Revocations, batch: &mut Batch) -> Vec<u8> {
    let key = keys::revoked(role);
    match held.get(role) {
        Some(revoked) => batch.put(key.clone(), codec::revoked_value(revoked)),
        None => batch.delete(key.clone()),
    }
    key
}
