//! What queries see: the memory, and behind it the store with every session that ever was.

use super::{codec, keys};
use crate::{Error, error::Unreadable};
use domain::network::{Archive, Network, Session};
use domain::{ChargePointId, DriverId, SessionId, Wall};
use mesh::store::Store;
use std::cell::RefCell;

/// The whole state right after a commit, so that a query sees every answer already given (INV-6).
pub struct Snapshot<'a> {
    /// With the readings that are ahead of the disk.
    pub network: &'a Network,
    pub(crate) store: &'a dyn Store,
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

/// Which sessions are listed: those that pass everything that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub driver: Option<DriverId>,
    /// Where it is, or was in the end: not where it was only asked for.
    pub charge_point: Option<ChargePointId>,
    /// From this moment on: a session's creation, of a ticket its issue.
    pub from: Option<Wall>,
    /// Before this moment.
    pub before: Option<Wall>,
}

impl Filter {
    pub fn of_driver(driver: DriverId) -> Self {
        Self { driver: Some(driver), ..Self::default() }
    }

    /// Where the entries are that may pass, as few as the indexes tell.
    fn prefix(&self) -> Vec<u8> {
        match (&self.driver, &self.charge_point) {
            (Some(driver), _) => keys::of_driver(driver),
            (None, Some(id)) => keys::of_charge_point(id),
            (None, None) => keys::SESSIONS.to_vec(),
        }
    }

    fn passes(&self, session: &Session, with_ticket: bool) -> bool {
        let at = match (with_ticket, session.ticket()) {
            (false, _) => session.created,
            (true, Some(ticket)) => ticket.issued,
            (true, None) => return false,
        };
        self.driver.as_ref().is_none_or(|driver| *driver == session.driver)
            && self.charge_point.as_ref().is_none_or(|id| *id == session.charge_point)
            && self.from.is_none_or(|from| at >= from)
            && self.before.is_none_or(|before| at < before)
    }
}

/// A part of a list. It may be empty and yet have more after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Oldest first.
    pub sessions: Vec<Session>,
    /// Where to go on; `None`: there is no more.
    pub next: Option<SessionId>,
}

/// One query looks at so many entries at most, so that it holds the writer up for some milliseconds only.
const MAX_LOOKED_AT: usize = 500;

impl Snapshot<'_> {
    /// One session, open or long over.
    pub fn session(&self, id: &SessionId) -> Result<Option<Session>, Error> {
        match self.network.session(id) {
            Some(session) => Ok(Some(session.clone())),
            None => stored_session(self.store, id),
        }
    }

    /// At most `limit` sessions after `after`, oldest first; with a ticket only, if so asked.
    pub fn sessions(
        &self,
        filter: &Filter,
        with_ticket: bool,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Result<Part, Error> {
        let prefix = filter.prefix();
        let from = after.map_or_else(|| prefix.clone(), |after| keys::after(keys::under(&prefix, after)));
        let entries = self.store.range(&from, &prefix, MAX_LOOKED_AT)?;
        let all_seen = entries.len() < MAX_LOOKED_AT;
        let mut sessions = Vec::new();
        let mut next = None;
        let count = entries.len();
        for (index, (key, value)) in entries.iter().enumerate() {
            let id = session_id(&key[prefix.len()..])?;
            if let Some(session) = self.listed(filter, with_ticket, &id, value)? {
                sessions.push(session);
            }
            let last = index + 1 == count;
            if !last && sessions.len() == limit || last && !all_seen {
                next = Some(id);
                break;
            }
        }
        Ok(Part { sessions, next })
    }

    /// The session of an entry, if it is wanted.
    fn listed(
        &self,
        filter: &Filter,
        with_ticket: bool,
        id: &SessionId,
        value: &[u8],
    ) -> Result<Option<Session>, Error> {
        let in_index = filter.driver.is_some() || filter.charge_point.is_some();
        let session = match self.network.session(id) {
            Some(session) => session.clone(),
            None if !in_index => codec::session(value)?,
            None if with_ticket && value != keys::WITH_TICKET => return Ok(None),
            None => match stored_session(self.store, id)? {
                Some(session) => session,
                None => return Ok(None), // of a rebuilt store: an entry is written with its session, and goes with it
            },
        };
        Ok(filter.passes(&session, with_ticket).then_some(session))
    }
}

fn session_id(bytes: &[u8]) -> Result<SessionId, Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| Unreadable::new("a session's key", error))?;
    Ok(text.parse().map_err(|problem| Unreadable::new("a session's key", problem))?)
}

/// A session as it is on disk.
pub(crate) fn stored_session(store: &dyn Store, id: &SessionId) -> Result<Option<Session>, Error> {
    let value = store.get(&keys::session(id))?;
    Ok(value.map(|value| codec::session(&value)).transpose()?)
}

/// The sessions that left the memory, for the rules. They cannot handle a store that fails: the error waits in here,
/// and nothing that was decided on it may leave.
pub(crate) struct StoreArchive<'a> {
    store: &'a dyn Store,
    error: RefCell<Option<Error>>,
}

impl<'a> StoreArchive<'a> {
    pub(crate) fn new(store: &'a dyn Store) -> Self {
        Self { store, error: RefCell::new(None) }
    }

    pub(crate) fn into_result(self) -> Result<(), Error> {
        self.error.into_inner().map_or(Ok(()), Err)
    }
}

impl Archive for StoreArchive<'_> {
    fn session(&self, id: &SessionId) -> Option<Session> {
        match stored_session(self.store, id) {
            Ok(session) => session,
            Err(error) => {
                self.error.replace(Some(error));
                None
            }
        }
    }
}
