//! Where each thing is in central's store. Ids have no zero byte, so that one ends a key's part; session ids sort by
//! time.
//!
//! | prefix | rest of the key | value |
//! |---|---|---|
//! | `m` | – | `StoredMeta` |
//! | `b` | public key, 64 hexadecimal digits | `StoredSigningKey` |
//! | `c` | charge point | `StoredChargePoint` |
//! | `s` | session | `StoredSession`, open and archived |
//! | `a` | session | empty: the session is not closed |
//! | `d` | driver, 0, session | `t` if it has a ticket, else empty |
//! | `p` | charge point, 0, session | the same |
//! | `v` | since when, 8 bytes big-endian, session | empty: it came to nothing then, unless its row says another date |
//! | `r` | method, 0, caller, 0, request id, 0 | `StoredAnswer` |
//! | `o` | number, 8 bytes big-endian | `StoredMessage` for a driver, not delivered yet |
//! | `l` | number, 8 bytes big-endian | `StoredMessage` that is a dead letter, not delivered yet |
//! | `i` | path of a SPIFFE name | `StoredRevoked` |
//! | `q` | card | `StoredCard` |
//! | `x` | card | `StoredCardBlock` |
//! | `u` | – | 32 bytes: the registry's key, by which cards are looked up |
//! | `g` | charge point | `StoredServed`: the gateway that serves it, or is to |
//! | `k` | partition, 4 bytes big-endian | `StoredOffset` |
//! | `t` | – | 32 random bytes, out of which the keys of sealed telemetry are made |
//! | `h` | number, 8 bytes big-endian | `StoredAuditEntry` |
//! | `j` | the first one's version, 8 bytes big-endian | `StoredMarks`: rows that the changelog lacks |

use domain::{CardId, ChargePointId, DriverId, SessionId, Wall};
use mesh::convert::hex;

/// Two kinds of rows, each in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    Notification,
    /// What central could not use.
    DeadLetter,
}

pub(crate) const META: &[u8] = b"m";
pub const SIGNING_KEYS: &[u8] = b"b";
pub const CHARGE_POINTS: &[u8] = b"c";
pub const SESSIONS: &[u8] = b"s";
pub(crate) const ACTIVE: &[u8] = b"a";
const BY_DRIVER: &[u8] = b"d";
const BY_CHARGE_POINT: &[u8] = b"p";
pub(crate) const NOTHING: &[u8] = b"v";
pub const ANSWERS: &[u8] = b"r";
const NOTIFICATIONS: &[u8] = b"o";
const DEAD_LETTERS: &[u8] = b"l";
pub const REVOKED: &[u8] = b"i";
pub const CARDS: &[u8] = b"q";
pub const CARD_BLOCKS: &[u8] = b"x";
pub const CARD_KEY: &[u8] = b"u";
pub const SERVED: &[u8] = b"g";
pub const OFFSETS: &[u8] = b"k";
pub(crate) const SEALING_SECRET: &[u8] = b"t";
pub const AUDIT: &[u8] = b"h";
pub(crate) const MARKS: &[u8] = b"j";

/// What the changelog has, in the order of the keys. All else is made from it, or means nothing to another store.
pub(crate) const LOGGED: [&[u8]; 6] = [SIGNING_KEYS, CHARGE_POINTS, REVOKED, CARD_BLOCKS, ANSWERS, SESSIONS];
/// Every prefix of a row but [`META`].
pub(crate) const ALL: [&[u8]; 18] = [
    SIGNING_KEYS,
    CHARGE_POINTS,
    SESSIONS,
    ACTIVE,
    BY_DRIVER,
    BY_CHARGE_POINT,
    NOTHING,
    ANSWERS,
    NOTIFICATIONS,
    DEAD_LETTERS,
    REVOKED,
    CARDS,
    CARD_BLOCKS,
    CARD_KEY,
    SERVED,
    OFFSETS,
    AUDIT,
    MARKS,
];

/// The value of an index entry whose session has a ticket.
pub(crate) const WITH_TICKET: &[u8] = b"t";

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) fn signing_key(public: &[u8; 32]) -> Vec<u8> {
    join(&[SIGNING_KEYS, hex(public).as_bytes()])
}

pub(crate) fn charge_point(id: &ChargePointId) -> Vec<u8> {
    join(&[CHARGE_POINTS, id.as_str().as_bytes()])
}

pub(crate) fn session(id: &SessionId) -> Vec<u8> {
    join(&[SESSIONS, id.as_str().as_bytes()])
}

pub(crate) fn active(id: &SessionId) -> Vec<u8> {
    join(&[ACTIVE, id.as_str().as_bytes()])
}

/// What every entry of a driver's index starts with.
pub(crate) fn of_driver(driver: &DriverId) -> Vec<u8> {
    join(&[BY_DRIVER, driver.as_str().as_bytes(), &[0]])
}

/// What every entry of a charge point's index starts with.
pub(crate) fn of_charge_point(id: &ChargePointId) -> Vec<u8> {
    join(&[BY_CHARGE_POINT, id.as_str().as_bytes(), &[0]])
}

/// A session's entry under a prefix: [`of_driver`], [`of_charge_point`], [`SESSIONS`].
pub(crate) fn under(prefix: &[u8], session: &SessionId) -> Vec<u8> {
    join(&[prefix, session.as_str().as_bytes()])
}

/// A session's entry among those that came to nothing: the oldest first.
pub(crate) fn nothing(since: Wall, session: &SessionId) -> Vec<u8> {
    join(&[NOTHING, &since.0.max(0).to_be_bytes(), session.as_str().as_bytes()])
}

/// Since when, and the session, of a key of [`nothing`].
pub(crate) fn of_nothing(key: &[u8]) -> Option<(Wall, SessionId)> {
    let (since, session) = key.strip_prefix(NOTHING)?.split_first_chunk()?;
    Some((Wall(i64::from_be_bytes(*since)), std::str::from_utf8(session).ok()?.parse().ok()?))
}

/// The first key after this one.
pub(crate) fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

pub(crate) fn answer(request: &[u8]) -> Vec<u8> {
    join(&[ANSWERS, request])
}

/// What every row of a kind starts with.
pub fn rows(kind: RowKind) -> &'static [u8] {
    match kind {
        RowKind::Notification => NOTIFICATIONS,
        RowKind::DeadLetter => DEAD_LETTERS,
    }
}

pub(crate) fn row(kind: RowKind, number: u64) -> Vec<u8> {
    join(&[rows(kind), &number.to_be_bytes()])
}

/// The number in a key of [`row`].
pub(crate) fn row_number(key: &[u8]) -> Option<u64> {
    key.get(1..)?.try_into().map(u64::from_be_bytes).ok()
}

pub(crate) fn revoked(role: &str) -> Vec<u8> {
    join(&[REVOKED, role.as_bytes()])
}

pub(crate) fn card(id: &CardId) -> Vec<u8> {
    join(&[CARDS, id.as_str().as_bytes()])
}

pub(crate) fn card_block(id: &CardId) -> Vec<u8> {
    join(&[CARD_BLOCKS, id.as_str().as_bytes()])
}

pub(crate) fn served(id: &ChargePointId) -> Vec<u8> {
    join(&[SERVED, id.as_str().as_bytes()])
}

pub(crate) fn offset(partition: i32) -> Vec<u8> {
    join(&[OFFSETS, &partition.to_be_bytes()])
}

/// Where the marks from this version on are.
pub(crate) fn marks(version: u64) -> Vec<u8> {
    join(&[MARKS, &version.to_be_bytes()])
}

/// The version in a key of [`marks`].
pub(crate) fn marks_version(key: &[u8]) -> Option<u64> {
    row_number(key)
}

/// The session of a key of [`session`].
pub(crate) fn session_of(key: &[u8]) -> Option<SessionId> {
    std::str::from_utf8(key.strip_prefix(SESSIONS)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_driver_hold_no_other_and_sort_by_time() {
        let (one, ten): (DriverId, DriverId) = ("1".parse().unwrap(), "10".parse().unwrap());
        let (old, new): (SessionId, SessionId) = ("018f".parse().unwrap(), "0190".parse().unwrap());
        assert!(!under(&of_driver(&ten), &old).starts_with(&of_driver(&one)));
        assert!(under(&of_driver(&one), &old) < under(&of_driver(&one), &new));
        let row = |number| row(RowKind::Notification, number);
        assert!(row(255) < row(256) && row_number(&row(256)) == Some(256));
        assert_eq!(row_number(b"o123"), None);
    }
}
