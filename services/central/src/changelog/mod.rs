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
//! A store that goes on without its changelog ends it ([`END_KEY`]), as soon as Kafka is there: nothing is rebuilt from
//! what lacks all that came after, tickets too. Kept again, or found to lack what it had, the log gets every row anew:
//! behind an end, since some of those before it may be of what was deleted meanwhile, and each with the header
//! [`ENDED`], until a message says that the log is whole ([`WHOLE_KEY`]).
//!
//! Deliberately absent: offsets and rows that wait for Kafka (a rebuilt store reads `cp_telemetry` from its
//! beginning, and a driver who missed a message asks), readings between changes of a session, indexes.

mod marks;
mod rebuild;

pub(crate) use marks::Marks;
#[cfg(test)]
pub(crate) use rebuild::{Progress, discard};
pub(crate) use rebuild::{Rebuild, rebuild};

use domain::Wall;
use evmesh_proto::{store::StoredMeta, topics::CENTRAL_CHANGELOG};
use mesh::kafka::{KafkaOptions, Log, Message};

/// The header with the random id of the store that wrote the message.
pub(crate) const STORE: &str = "store";
/// The header with the row's version, in decimal: it rises with each message of a store.
pub(crate) const VERSION: &str = "version";
/// The header with the layout of the store that wrote it.
pub(crate) const FORMAT: &str = "format";

/// The header of the message that ends a log, and of each after it until it is whole again.
pub(crate) const ENDED: &str = "ended";
/// The key of what ends a log: no row has such a one.
pub(crate) const END_KEY: &[u8] = b"\0end";
/// The key of what says that it is whole again: another one, since compaction must leave the end where it is.
pub(crate) const WHOLE_KEY: &[u8] = b"\0whole";
/// What is said of a store that is [`Standing::Ahead`].
pub(crate) const AHEAD: &str = "this store is an older copy: its changelog on Kafka knows more, so it is not written: \
     to have it all, stop central, move the data folder away and start with --rebuild; to go on with the copy, delete \
     the topic";

pub(crate) fn log(options: &KafkaOptions) -> Log {
    Log::new(options, CENTRAL_CHANGELOG)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) version: u64,
    /// Of its row; or [`END_KEY`], or [`WHOLE_KEY`].
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
    /// The highest that the log may have of them.
    pub(crate) version: u64,
}

/// With this as its last message, does the changelog lack what its store knew without it?
pub(crate) fn has_ended(message: &Message) -> bool {
    message.header(ENDED).is_some()
}

/// Is this the message that ended a changelog?
pub(crate) fn is_end(message: &Message) -> bool {
    message.key == END_KEY
}

/// A rebuilt store lacks what was younger than the changelog: for so long every start asks every engine.
const ASK_FOR_MS: i64 = 24 * 3600 * 1000;

/// Was this store rebuilt so lately that engines may know more?
pub(crate) fn is_recent(meta: &StoredMeta, now: Wall) -> bool {
    meta.rebuilt_ms != 0 && (now.0 - meta.rebuilt_ms).abs() < ASK_FOR_MS
}

/// How much of a store a changelog has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All, as far as its last message says.
    Whole,
    /// All: that is what the last message says.
    WholeAgain,
    /// Nothing came after its end.
    Ended,
    /// Some of what is published again.
    Refilled,
}

impl Reach {
    pub(crate) fn of(last: Option<&Message>) -> Self {
        match last {
            Some(last) if is_end(last) => Self::Ended,
            Some(last) if has_ended(last) => Self::Refilled,
            Some(last) if last.key == WHOLE_KEY => Self::WholeAgain,
            Some(_) | None => Self::Whole,
        }
    }

    pub(crate) fn has_ended(self) -> bool {
        matches!(self, Self::Ended | Self::Refilled)
    }
}

/// What is to be done before a log is whole that gets every row again (`marked_to` in [`StoredMeta`]).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Refill {
    /// Nothing, as far as is known.
    #[default]
    Done,
    /// What is in the log has to be ended.
    ToEnd,
    /// It has ended, and has to have what is marked up to this version.
    Behind(u64),
}

/// What the publisher found before it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub(crate) cluster: String,
    /// Who wrote last; `None`: the changelog is empty.
    pub(crate) last: Option<Written>,
    /// It is who wrote among this store's own messages.
    pub(crate) disturbed: bool,
    /// How far it is from having ended to being whole again.
    pub(crate) reach: Reach,
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
