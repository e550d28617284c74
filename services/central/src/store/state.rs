//! The rules' state on disk: what they start from, and how a session is written.

use super::{cards::cards, codec, history, keys, pages::each};
use crate::{Error, error::Unreadable};
use domain::network::{Facts, Session, Stored};
use mesh::store::{Batch, Store};

pub(crate) fn stored(store: &dyn Store) -> Result<Stored, Error> {
    let mut stored = Stored::default();
    each(store, keys::CHARGE_POINTS, |_, value| {
        stored.charge_points.push(codec::charge_point(value)?);
        Ok(())
    })?;
    each(store, keys::ACTIVE, |key, _| {
        let id = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
        let session = id.map(|id| history::stored_session(store, &id)).transpose()?.flatten();
        let missing = || Unreadable::new("an open session", "it is missing");
        stored.sessions.push(session.ok_or_else(missing)?);
        Ok(())
    })?;
    each(store, keys::ANSWERS, |_, value| {
        stored.answers.push(codec::answered(value)?);
        Ok(())
    })?;
    stored.cards = cards(store)?;
    Ok(stored)
}

/// A session with all that leads to it, where that is not written yet.
pub(crate) fn put_session(session: &Session, batch: &mut Batch) {
    let Facts { id, driver, charge_point, .. } = &**session;
    let entry = if session.ticket().is_some() { keys::WITH_TICKET } else { b"" };
    batch.put(keys::session(id), codec::session_value(session));
    if session.is_listed() {
        return;
    }
    batch.put(keys::under(&keys::of_driver(driver), id), entry);
    batch.put(keys::under(&keys::of_charge_point(charge_point), id), entry);
    if let Some(since) = session.came_to_nothing() {
        batch.put(keys::nothing(since, id), b"");
    }
    if session.closed() {
        batch.delete(keys::active(id));
    } else {
        batch.put(keys::active(id), b"");
    }
}

/// A session that came to nothing, and all that leads to it.
pub(crate) fn delete_session(session: &Session, batch: &mut Batch) {
    let Facts { id, driver, charge_point, .. } = &**session;
    batch.delete(keys::session(id));
    batch.delete(keys::under(&keys::of_driver(driver), id));
    batch.delete(keys::under(&keys::of_charge_point(charge_point), id));
    batch.delete(keys::active(id));
    if let Some(since) = session.came_to_nothing() {
        batch.delete(keys::nothing(since, id));
    }
}
