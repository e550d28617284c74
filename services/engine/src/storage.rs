//! What is on disk, and under which keys.
//!
//! | key | value |
//! |---|---|
//! | `engine` | `StoredEngine` |
//! | `ended/` + authorisation number, big-endian | `StoredSupply`: an ended session that central has not confirmed |
//! | `event/` + id, big-endian | `StoredMessage`: a row of the outbox |
//! | `refused/` + a certificate's number | `StoredRefusedCertificate` |

use crate::{
    codec,
    error::{Error, ValueError},
    telemetry,
};
use domain::{
    ChargePointId, InstanceId, SupplyState, Wall,
    refusals::{Change, MAX_REFUSALS, Refusals},
    revocations::Serial,
    supply::{MAX_OUTBOX, MAX_UNSETTLED, Stored, Write},
};
use evmesh_proto::{
    store::{StoredEngine, StoredMessage, StoredRefusedCertificate, StoredSupply},
    topics::CP_TELEMETRY,
};
use mesh::{
    convert::InvalidField,
    grpc::parse,
    kafka::OutboxRow,
    store::{Batch, Entry, Store, StoreError},
    trace::TRACEPARENT,
};
use prost::Message as _;
use std::{cmp::Ordering, path::Path};

/// The layout that this version writes.
pub const FORMAT: u32 = 2;
const ENGINE: &[u8] = b"engine";
/// Before the authorisation number of an ended session.
pub const ENDED: &[u8] = b"ended/";
/// Before the id of a row of the outbox.
pub const EVENT: &[u8] = b"event/";
const REFUSED: &[u8] = b"refused/";

/// Reads what was on disk; an empty store becomes this charge point's, with a random instance id of its own.
pub(crate) fn load(
    store: &mut impl Store,
    folder: &Path,
    charge_point: &ChargePointId,
) -> Result<Stored, Error> {
    let wrong =
        |what, source: ValueError| Error::Value { folder: folder.to_owned(), what, source: source.into() };
    let engine = match store.get(ENGINE)? {
        Some(value) => {
            StoredEngine::decode(value.as_slice()).map_err(|error| wrong("engine", error.into()))?
        }
        None => {
            let instance: InstanceId = uuid::Uuid::new_v4().to_string().parse().expect("a UUID is an id");
            let mut batch = Batch::default();
            write_engine(&mut batch, charge_point, &instance, 0, None);
            store.commit(batch)?;
            return Ok(empty(charge_point, instance));
        }
    };
    let (found, known) = (engine.format, FORMAT);
    match found.cmp(&known) {
        Ordering::Less => return Err(Error::Older { folder: folder.to_owned(), found, known }),
        Ordering::Equal => {}
        Ordering::Greater => {
            return Err(StoreError::Newer { folder: folder.to_owned(), found, known }.into());
        }
    }
    if engine.charge_point_id != charge_point.as_str() {
        return Err(Error::OtherChargePoint {
            folder: folder.to_owned(),
            found: engine.charge_point_id,
            wanted: charge_point.clone(),
        });
    }
    let record =
        |stored: &StoredSupply| codec::supply(stored).map_err(|failure| wrong("supply", failure.into()));
    let instance = parse("instance_id", &engine.instance_id);
    let mut stored = empty(charge_point, instance.map_err(|failure| wrong("engine", failure.into()))?);
    stored.highest = engine.highest_authorization;
    stored.current = engine.current.as_ref().map(record).transpose()?;
    // One more than the rules keep: what is beyond was written by someone else, and is not passed over.
    for (_, value) in store.range(ENDED, ENDED, MAX_UNSETTLED + 1)? {
        let read = StoredSupply::decode(value.as_slice()).map_err(|error| wrong("supply", error.into()))?;
        let ended = record(&read)?;
        if !matches!(ended.state, SupplyState::Ended(_)) {
            return Err(wrong(
                "supply",
                InvalidField::new("end", "must be there: the supply is over").into(),
            ));
        }
        stored.unsettled.push(ended);
    }
    for (key, _) in store.range(EVENT, EVENT, MAX_OUTBOX + 1)? {
        stored.outbox.push_back(id(&key).ok_or_else(|| wrong("event", ValueError::Key))?);
    }
    Ok(stored)
}

/// Which certificates are refused.
pub(crate) fn refusals(store: &impl Store, folder: &Path) -> Result<Refusals, Error> {
    let wrong = |source: ValueError| {
        let (folder, what, source) = (folder.to_owned(), "refused certificate", source.into());
        Error::Value { folder, what, source }
    };
    let mut written = Vec::new();
    for (key, value) in store.range(REFUSED, REFUSED, MAX_REFUSALS)? {
        let serial = key.strip_prefix(REFUSED).and_then(|serial| std::str::from_utf8(serial).ok());
        let serial = serial.ok_or_else(|| wrong(ValueError::Key))?;
        let read = StoredRefusedCertificate::decode(value.as_slice()).map_err(|error| wrong(error.into()))?;
        written.push((Serial::from(serial), Wall(read.not_after_ms)));
    }
    Ok(Refusals::restore(written))
}

/// Adds a change of these to a batch.
pub(crate) fn write_refusals(batch: &mut Batch, change: &Change) {
    let key = |serial: &Serial| [REFUSED, serial.as_bytes()].concat();
    for (serial, not_after) in &change.refused {
        let stored = StoredRefusedCertificate { not_after_ms: not_after.0 };
        batch.put(key(serial), stored.encode_to_vec());
    }
    change.gone.iter().for_each(|serial| batch.delete(key(serial)));
}

fn empty(charge_point: &ChargePointId, instance: InstanceId) -> Stored {
    Stored {
        charge_point: charge_point.clone(),
        instance,
        highest: 0,
        current: None,
        unsettled: Vec::new(),
        outbox: Default::default(),
    }
}

/// Adds a change of the rules' to a batch.
pub fn write(batch: &mut Batch, charge_point: &ChargePointId, instance: &InstanceId, write: &Write) {
    match write {
        Write::Engine { highest, current } => {
            let current = current.as_ref().map(codec::supply_value);
            write_engine(batch, charge_point, instance, *highest, current);
        }
        Write::Unsettled(record) => {
            batch.put(key(ENDED, record.authorization), codec::supply_value(record).encode_to_vec());
        }
        Write::Settled(number) => batch.delete(key(ENDED, *number)),
        Write::Event(event) => {
            let event_message = telemetry::event(charge_point, instance, event);
            let trace = telemetry::trace(event.kind.record(), &event_message).to_string();
            let message = StoredMessage {
                topic: CP_TELEMETRY.into(),
                key: charge_point.to_string(),
                payload: telemetry::payload(&event_message),
                headers: [(TRACEPARENT.to_owned(), trace)].into(),
            };
            batch.put(key(EVENT, event.id), message.encode_to_vec());
        }
        Write::EventGone(id) => batch.delete(key(EVENT, *id)),
    }
}

fn write_engine(
    batch: &mut Batch,
    charge_point: &ChargePointId,
    instance: &InstanceId,
    highest: u64,
    current: Option<StoredSupply>,
) {
    let engine = StoredEngine {
        format: FORMAT,
        instance_id: instance.to_string(),
        highest_authorization: highest,
        current,
        charge_point_id: charge_point.to_string(),
    };
    batch.put(ENGINE, engine.encode_to_vec());
}

/// At most `limit` rows of the outbox with an id above `after`, by id.
pub fn rows(store: &dyn Store, after: u64, limit: usize) -> Result<Vec<OutboxRow>, Error> {
    let Some(from) = after.checked_add(1) else {
        return Ok(Vec::new());
    };
    Ok(store.range(&key(EVENT, from), EVENT, limit)?.iter().filter_map(row).collect())
}

/// `None` for a row that nobody could publish: it was checked when it was written, so it is damaged.
fn row((key, value): &Entry) -> Option<OutboxRow> {
    let message = StoredMessage::decode(value.as_slice()).ok();
    if message.is_none() {
        tracing::error!(?key, "a row of the outbox is damaged and passed over");
    }
    let (id, message) = (id(key)?, message?);
    Some(OutboxRow::stored(id, message))
}

fn key(prefix: &[u8], number: u64) -> Vec<u8> {
    [prefix, &number.to_be_bytes()].concat()
}

fn id(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(EVENT)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::running;
    use domain::{
        SupplyEnd, SupplyRecord, SupplyState, Wall,
        supply::{Event, EventKind},
    };
    use mesh::store::MemoryStore;

    fn here() -> ChargePointId {
        "MAD-01".parse().unwrap()
    }

    #[test]
    fn a_new_store_keeps_its_random_instance() {
        let mut store = MemoryStore::new();
        let first = load(&mut store, Path::new("d"), &here()).unwrap();
        assert_eq!(load(&mut store, Path::new("d"), &here()).unwrap(), first);
        assert_ne!(load(&mut MemoryStore::new(), Path::new("d"), &here()).unwrap().instance, first.instance);
    }

    #[test]
    fn everything_written_is_read_back_in_order() {
        let mut store = MemoryStore::new();
        let instance = load(&mut store, Path::new("d"), &here()).unwrap().instance;
        let ended = |number| SupplyRecord {
            authorization: number,
            state: SupplyState::Ended(SupplyEnd::Completed),
            ..running()
        };
        let event = |id| Event { id, at: Wall(0), kind: EventKind::MonitorLost };
        let mut batch = Batch::default();
        for change in [
            Write::Engine { highest: 300, current: Some(running()) },
            Write::Unsettled(ended(256)),
            Write::Unsettled(ended(2)),
            Write::Unsettled(ended(3)),
            Write::Settled(3),
            Write::Event(event(1)),
            Write::Event(event(255)),
            Write::Event(event(256)),
            Write::EventGone(1),
        ] {
            write(&mut batch, &here(), &instance, &change);
        }
        store.commit(batch).unwrap();
        let stored = load(&mut store, Path::new("d"), &here()).unwrap();
        assert_eq!((stored.highest, stored.current), (300, Some(running())));
        assert_eq!(stored.unsettled, [ended(2), ended(256)]);
        assert_eq!(stored.outbox, [255, 256]);
        let ids = |after, limit| -> Vec<u64> {
            rows(&store, after, limit).unwrap().iter().map(|row| row.id).collect()
        };
        assert_eq!(
            (ids(0, 9), ids(0, 1), ids(255, 9), ids(256, 9)),
            (vec![255, 256], vec![255], vec![256], vec![])
        );
        assert_eq!(rows(&store, 0, 1).unwrap()[0].key, "MAD-01");
    }

    #[test]
    fn a_store_that_is_not_this_engines_is_refused_in_plain_words() {
        let mut store = MemoryStore::new();
        load(&mut store, Path::new("d"), &here()).unwrap();
        let error = load(&mut store, Path::new("d"), &"BCN-01".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the store in d is charge point MAD-01's, not BCN-01's; choose another folder with --data"
        );
        let mut batch = Batch::default();
        batch.put(ENGINE, StoredEngine { format: 3, ..StoredEngine::default() }.encode_to_vec());
        store.commit(batch).unwrap();
        let error = load(&mut store, Path::new("d"), &here()).unwrap_err();
        assert!(matches!(error, Error::Store(StoreError::Newer { found: 3, .. })));
        let mut batch = Batch::default();
        // Format 1 as it was, with a supply in the field that format 2 reserves.
        batch.put(ENGINE, [8, 1, 34, 4, 10, 2, b's', b'1']);
        store.commit(batch).unwrap();
        let error = load(&mut store, Path::new("d"), &here()).unwrap_err();
        assert!(matches!(error, Error::Older { found: 1, .. }) && error.needs_a_person(), "{error}");
        let mut batch = Batch::default();
        batch.delete(ENGINE);
        store.commit(batch).unwrap();
        load(&mut store, Path::new("d"), &here()).unwrap();
        let mut batch = Batch::default();
        batch.put(key(ENDED, 7), codec::supply_value(&running()).encode_to_vec());
        store.commit(batch).unwrap();
        let unended = load(&mut store, Path::new("d"), &here());
        assert!(
            matches!(unended, Err(Error::Value { what: "supply", .. })),
            "it is taken for no running one"
        );
        let mut batch = Batch::default();
        batch.put(ENGINE, [255_u8; 3]);
        store.commit(batch).unwrap();
        assert!(matches!(
            load(&mut store, Path::new("d"), &here()),
            Err(Error::Value { what: "engine", .. })
        ));
    }
}
