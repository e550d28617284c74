//! Everything under a prefix, page by page.

use super::keys;
use crate::Error;
use mesh::store::Store;

/// So many entries are read at a time.
const PAGE: usize = 1000;

/// Gives every entry under a prefix, its key without it.
pub(super) fn each(
    store: &dyn Store,
    prefix: &[u8],
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut from = prefix.to_vec();
    loop {
        let page = store.range(&from, prefix, PAGE)?;
        for (key, value) in &page {
            take(&key[prefix.len()..], value)?;
        }
        match page.into_iter().next_back() {
            Some((last, _)) => from = keys::after(last),
            None => return Ok(()),
        }
    }
}
