//! Central without its thread, its sockets and its clocks, for whoever drives it step by step: `proof`'s simulation.
//!
//! Everything here is what runs in production; nothing here decides anything.

pub use crate::engine_client::{Request, Response};

use crate::{
    Error,
    api::view,
    messages::{self, Incoming},
    store::{Filter, RowKind, Snapshot, codec, keys, read_rows},
    writer::{self, Writer},
};
use domain::network::{
    Answered, ChargePoint, Command, Config, Effect, Network, Notice, RequestKey, Session, Source,
};
use domain::{DriverId, Now, SessionId};
use evmesh_proto::{
    network,
    store::{StoredMessage, StoredOffset},
};
use mesh::{group_commit::Owner, store::Store};
use std::collections::BTreeMap;

/// What comes to central.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Something that happened, or is asked for.
    Command(Command),
    /// A message on `cp_telemetry`.
    Message {
        /// Where it stood.
        source: Source,
        /// Its key.
        key: Vec<u8>,
        /// Its bytes.
        payload: Vec<u8>,
    },
    /// Kafka is another cluster than before, or the first ever.
    NewCluster(String),
    /// Kafka has these notifications.
    Delivered(Vec<u64>),
    /// Kafka has these dead letters.
    LettersDelivered(Vec<u64>),
}

/// Central's writer, over any store.
pub struct Central<S>(Owner<Writer, S>);

impl<S> std::fmt::Debug for Central<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Central").finish_non_exhaustive()
    }
}

impl<S: Store> Central<S> {
    /// Reads what the store kept, as at every start.
    pub fn open(store: S, config: Config, now: Now) -> Result<Self, Error> {
        Writer::open(store, config, now).map(Self)
    }

    /// One step of the writer: the inputs in order, one transaction, and then what may leave.
    pub fn step(&mut self, now: Now, inputs: Vec<Input>) -> Result<Vec<Effect>, Error> {
        self.0.step(now, inputs.into_iter().map(Into::into))
    }

    /// Writes what only lives in memory, as the last thing of a stop in good order.
    pub fn close(&mut self) -> Result<(), Error> {
        self.0.close()
    }

    /// Where Kafka is to be read on, and of which cluster.
    pub fn position(&self) -> (Option<String>, BTreeMap<i32, i64>) {
        self.0.rules.position()
    }

    fn snapshot(&self) -> Snapshot<'_> {
        self.0.rules.snapshot(&self.0.store)
    }

    /// The rules' state.
    pub fn network(&self) -> &Network {
        self.snapshot().network
    }

    /// `GetSession`, without the check of whose it is.
    pub fn session(&self, id: &SessionId) -> Result<Option<Session>, Error> {
        self.snapshot().session(id)
    }

    /// `ListSessions` of one driver, or `ListTickets`: at most `limit`, oldest first.
    pub fn sessions_of(
        &self,
        driver: &DriverId,
        with_ticket: bool,
        limit: usize,
    ) -> Result<Vec<Session>, Error> {
        Ok(self.snapshot().sessions(&Filter::Driver(driver.clone()), with_ticket, None, limit)?.sessions)
    }

    /// At most `limit` notifications that Kafka does not have yet, after this number.
    pub fn notifications(&self, after: u64, limit: usize) -> Result<Vec<(u64, StoredMessage)>, Error> {
        read_rows(&self.0.store, RowKind::Notification, after, limit)
    }

    /// At most `limit` dead letters that Kafka does not have yet.
    pub fn letters(&self, limit: usize) -> Result<Vec<(u64, StoredMessage)>, Error> {
        read_rows(&self.0.store, RowKind::DeadLetter, 0, limit)
    }
}

impl From<Input> for writer::Input {
    fn from(input: Input) -> Self {
        match input {
            Input::Command(command) => Self::Command(command),
            Input::Message { source, key, payload } => {
                Self::Message(Incoming::new(source, key, payload, None))
            }
            Input::NewCluster(id) => Self::NewCluster(id),
            Input::Delivered(rows) => Self::Delivered(RowKind::Notification, rows),
            Input::LettersDelivered(rows) => Self::Delivered(RowKind::DeadLetter, rows),
        }
    }
}

/// The bytes of a reading's echo on `driver_notifications`.
pub fn reading(notice: &Notice) -> Vec<u8> {
    messages::payload(notice)
}

/// A session as the calls show it.
pub fn shown(session: &Session) -> network::Session {
    view::session(session)
}

/// One entry of central's store.
#[derive(Debug, Clone, PartialEq)]
pub enum Page {
    /// A charge point.
    ChargePoint(Box<ChargePoint>),
    /// A session.
    Session(Box<Session>),
    /// A session that is not closed.
    Active(SessionId),
    /// A notification that Kafka does not have yet.
    Notification(u64, StoredMessage),
    /// Where a partition of `cp_telemetry` is read on.
    Offset(i32, i64),
    /// The answer to a mutation, kept for its repeats.
    Answer(RequestKey, Box<Answered>),
    /// Anything else.
    Other,
}

/// Reads an entry of central's store.
pub fn page(key: &[u8], value: &[u8]) -> Result<Page, Error> {
    let under = |prefix: &[u8]| key.strip_prefix(prefix);
    Ok(if under(keys::CHARGE_POINTS).is_some() {
        Page::ChargePoint(Box::new(codec::charge_point(value)?))
    } else if under(keys::SESSIONS).is_some() {
        Page::Session(Box::new(codec::session(value)?))
    } else if let Some(id) = under(keys::ACTIVE) {
        let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
        id.map_or(Page::Other, Page::Active)
    } else if under(keys::rows(RowKind::Notification)).is_some() {
        let number = keys::row_number(key).unwrap_or_default();
        Page::Notification(number, codec::decode("a message for Kafka", value)?)
    } else if let Some(partition) = under(keys::OFFSETS).and_then(|key| key.try_into().ok()) {
        let stored: StoredOffset = codec::decode("an offset", value)?;
        Page::Offset(i32::from_be_bytes(partition), stored.next)
    } else if under(keys::ANSWERS).is_some() {
        let (request, answered) = codec::answered(value)?;
        Page::Answer(request, Box::new(answered))
    } else {
        Page::Other
    })
}
