//! The entries of central's store, told apart by their keys, read and written as central itself does it.

use central::{
    Unreadable,
    store::{RowKind, codec, codec::KnownKey, keys},
};
use domain::network::{Answered, ChargePoint, RequestKey, Session};
use evmesh_proto::store::{StoredMessage, StoredOffset};

/// An entry, as far as a promise is about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Page {
    /// As it is registered, with its numbers.
    ChargePoint(Box<ChargePoint>),
    /// Open or over.
    Session(Box<Session>),
    /// For a driver; Kafka does not have it yet.
    Notification(StoredMessage),
    /// A partition of `cp_telemetry`, and its next offset.
    Offset(i32, i64),
    /// The answer to a mutation, kept for its repeats.
    Answer(RequestKey, Box<Answered>),
    /// The public half of a key that central signs with.
    SigningKey(KnownKey),
    /// Indexes, dead letters, marks of the changelog.
    Other,
}

impl Page {
    /// Fails where central would refuse its store.
    pub fn read(key: &[u8], value: &[u8]) -> Result<Self, Unreadable> {
        let under = |prefix: &[u8]| key.strip_prefix(prefix);
        Ok(if under(keys::CHARGE_POINTS).is_some() {
            Self::ChargePoint(Box::new(codec::charge_point(value)?))
        } else if under(keys::SESSIONS).is_some() {
            Self::Session(Box::new(codec::session(value)?))
        } else if under(keys::rows(RowKind::Notification)).is_some() {
            Self::Notification(codec::decode("a message for Kafka", value)?)
        } else if let Some(partition) = under(keys::OFFSETS).and_then(|key| key.try_into().ok()) {
            let stored: StoredOffset = codec::decode("an offset", value)?;
            Self::Offset(i32::from_be_bytes(partition), stored.next)
        } else if under(keys::SIGNING_KEYS).is_some() {
            Self::SigningKey(codec::signing_key(value)?)
        } else if under(keys::ANSWERS).is_some() {
            let (request, answered) = codec::answered(value)?;
            Self::Answer(request, Box::new(answered))
        } else {
            Self::Other
        })
    }

    /// The value that [`Page::read`] gives back as this; nothing for [`Page::Other`].
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::ChargePoint(point) => codec::charge_point_value(point),
            Self::Session(session) => codec::session_value(session),
            Self::Notification(message) => codec::encode(message),
            Self::Offset(_, next) => codec::encode(&StoredOffset { next: *next }),
            Self::Answer(key, answered) => codec::answered_value(key, answered),
            Self::SigningKey(known) => codec::signing_key_value(known),
            Self::Other => Vec::new(),
        }
    }
}
