//! The audit of central's store, a part at a time.

use crate::{
    Error,
    store::{Snapshot, keys, meta},
};
use evmesh_proto::store::StoredAudit;
use mesh::audit::{self, Filter};

/// A part of the list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) rows: audit::Part,
    /// The store, and both ends of its chain.
    pub(crate) store_id: String,
    pub(crate) ends: StoredAudit,
}

impl Snapshot<'_> {
    /// At most `limit` rows after this number, oldest first.
    pub(crate) fn audit(&self, filter: &Filter, after: u64, limit: usize) -> Result<Part, Error> {
        let page = meta(self.store)?;
        let ends = page.audit.unwrap_or_else(|| audit::behind(0, Vec::new()));
        let rows = audit::read(self.store, keys::AUDIT, filter, after, limit)?;
        Ok(Part { rows, store_id: page.store_id, ends })
    }
}
