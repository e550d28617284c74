//! The writer at its start: what the store kept.

use super::Writer;
use crate::{
    Error,
    changelog::{Marks, Standing, is_recent},
    store::{RowKind, Rows, keys, offsets, open_meta, stored},
};
use domain::network::{Config, Network, Source};
use domain::{Now, SessionId};
use mesh::{group_commit::Owner, store::Store};
use std::collections::BTreeMap;

impl Writer {
    /// Reads what the store kept. A new store gets its format.
    pub fn open<S: Store>(mut store: S, config: Config, now: Now) -> Result<Owner<Self, S>, Error> {
        let meta = open_meta(&mut store, config.confirm_copied)?;
        let marks =
            config.confirm_copied.then(|| Marks::restore(&store, meta.changelog_version)).transpose()?;
        let mut stored = stored(&store)?;
        stored.ask_every_engine = is_recent(&meta, now.wall);
        if let Some(marks) = &marks {
            let marked = |id: &SessionId| marks.has(&keys::session(id));
            stored.uncopied =
                stored.sessions.iter().map(|session| session.id.clone()).filter(marked).collect();
        }
        let offsets = offsets(&store)?;
        let mut network = Network::restore(config, now, stored);
        network.resume_at(offsets.iter().map(|(&partition, &offset)| Source { partition, offset }));
        let rules = Self {
            network,
            meta,
            notifications: Rows::restore(RowKind::Notification, &store)?,
            dead_letters: Rows::restore(RowKind::DeadLetter, &store)?,
            marks,
            standing: Standing::default(),
            unkept: None,
            offsets,
            checkpointed: now.mono,
        };
        Ok(Owner { rules, store })
    }

    /// Where Kafka is to be read on, and whose offsets these are.
    pub fn position(&self) -> (Option<String>, BTreeMap<i32, i64>) {
        let id = &self.meta.cluster_id;
        ((!id.is_empty()).then(|| id.clone()), self.offsets.clone())
    }
}
