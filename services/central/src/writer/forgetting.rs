//! What came to nothing goes from the store once it is old: some of it at a time, the oldest first.

use super::Writer;
use crate::{
    Error,
    error::Unreadable,
    store::{delete_session, keys, stored_session},
};
use domain::Wall;
use mesh::store::{Batch, Store};

/// So many sessions go at a time: some milliseconds. More in a second cannot come to nothing for long.
const AT_ONCE: usize = 500;

impl Writer {
    /// The rules say which; here they leave the store, and the changelog.
    pub(super) fn forget_sessions(
        &mut self,
        now: Wall,
        store: &dyn Store,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let of_entry = |entry: &[u8]| {
            let damaged = || Unreadable::new("an entry of what came to nothing", "its key is damaged");
            keys::of_nothing(entry).ok_or_else(damaged)
        };
        let oldest = |most| store.range(keys::NOTHING, keys::NOTHING, most);
        let Some((first, _)) = oldest(1)?.pop() else { return Ok(()) };
        if !self.network.is_outlived(of_entry(&first)?.0, now) {
            return Ok(()); // the common case
        }
        for (entry, _) in oldest(AT_ONCE)? {
            let (since, id) = of_entry(&entry)?;
            if !self.network.is_outlived(since, now) {
                break;
            }
            batch.delete(entry);
            let Some(session) = stored_session(store, &id)? else { continue };
            if self.network.forgets(&session, now) {
                delete_session(&session, batch);
                if let Some(marks) = &mut self.marks {
                    marks.mark(&keys::session(&id), now);
                }
            }
        }
        Ok(())
    }
}
