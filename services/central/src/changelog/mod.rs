//! A copy of the store on Kafka, so that a lost one can be rebuilt: the topic `central_changelog`.
//!
//! Each row that changes is *marked* in the same transaction ([`Marks`]); a publisher takes marks in the order of their
//! versions, publishes the rows as they are by then, and a mark goes once Kafka has its row. So with Kafka away,
//! marks stay on disk and coalesce, and nothing waits but a record that an engine would otherwise forget
//! (`Config::confirm_copied`).
//!
//! Why every beginning of the log is a state to recover from: a mark keeps the version of the *first* change that
//! Kafka does not have, and versions are published in order. So if any change is in the log, every row is there as it
//! was then, or later.
//!
//! A store that goes on without its changelog ends it ([`ENDED`]), as soon as Kafka is there: nothing is rebuilt from
//! what lacks all that came after, tickets too. Kept again, the log gets every row anew.
//!
//! Deliberately absent: offsets and rows that wait for Kafka (a rebuilt store reads `cp_telemetry` from its
//! beginning, and a driver who missed a message asks), readings between changes of a session, indexes.

mod marks;
mod rebuild;

pub(crate) use marks::Marks;
#[cfg(test)]
pub(crate) use rebuild::{Progress, discard};
pub(crate) use rebuild::{Rebuild, is_recent, rebuild};

use evmesh_proto::topics::CENTRAL_CHANGELOG;
use mesh::kafka::{KafkaOptions, Log, Message};

/// The header with the random id of the store that wrote the message.
pub(crate) const STORE: &str = "store";
/// The header with the row's version, in decimal: it rises with each message of a store.
pub(crate) const VERSION: &str = "version";
/// The header with the layout of the store that wrote it.
pub(crate) const FORMAT: &str = "format";

/// The header of the message that ends a log, which is no row.
pub(crate) const ENDED: &str = "ended";

pub(crate) fn log(options: &KafkaOptions) -> Log {
    Log::new(options, CENTRAL_CHANGELOG)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) version: u64,
    pub(crate) key: Vec<u8>,
    /// As it is on disk; `None`: it is deleted.
    pub(crate) value: Option<Vec<u8>>,
}

/// Who wrote a message of the changelog, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// The store's id; empty if it names none.
    pub(crate) store: String,
    /// The version; 0 if it names none.
    pub(crate) version: u64,
    pub(crate) format: u32,
}

impl Written {
    pub(crate) fn of(message: &Message) -> Self {
        let number =
            |name| message.header(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        Self {
            store: message.header(STORE).unwrap_or_default().to_owned(),
            version: number(VERSION),
            format: u32::try_from(number(FORMAT)).unwrap_or(u32::MAX),
        }
    }
}

/// What ends the changelog of a store that goes on without one.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// The store, and the one that it was rebuilt from: whose log it may end.
    pub(crate) stores: [String; 2],
    pub(crate) version: u64,
}

/// Is this the message that ended a changelog?
pub(crate) fn is_end(message: &Message) -> bool {
    message.header(ENDED).is_some()
}

/// What the publisher found before it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub(crate) cluster: String,
    /// Who wrote last; `None`: the changelog is empty.
    pub(crate) last: Option<Written>,
    /// It is who wrote among this store's own messages.
    pub(crate) disturbed: bool,
    /// What is wrong with how the broker keeps the topic.
    pub(crate) unkept: Option<String>,
}

/// Is the changelog this store's to write?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Standing {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    Ours,
    /// It is another store's.
    Foreign,
    /// It is this store's, and knows more: this store is an older copy.
    Ahead,
}
