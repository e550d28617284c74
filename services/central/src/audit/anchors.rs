//! The newest hash of the chain on Kafka: published by `kafka`, read back by whoever verifies.

use crate::Error;
use evmesh_proto::topics::{AUDIT_ANCHORS, AuditAnchor};
use mesh::kafka::{self, KafkaOptions, Log, Origin, Reader, ReaderEvent};
use std::{
    collections::BTreeMap,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    time::Duration,
};

/// So many messages may wait to be looked at.
const QUEUE: usize = 1000;
/// Kafka is given so long to say something more.
const PATIENCE: Duration = Duration::from_secs(15);
/// Names the reader in lag dashboards.
const GROUP: &str = "evmesh-audit";

pub(crate) fn log(options: &KafkaOptions) -> Log {
    Log::of_everything(options, AUDIT_ANCHORS)
}

/// The newest one of any store; `None`: there is none, or it cannot be read.
pub(crate) async fn newest(options: &KafkaOptions) -> Result<Option<AuditAnchor>, kafka::Error> {
    let tail = log(options).tail(None).await?;
    Ok(tail.last.and_then(|message| serde_json::from_slice(&message.payload).ok()))
}

/// As it is published.
pub(crate) fn payload(anchor: &AuditAnchor) -> Vec<u8> {
    // Only maps with strange keys, or a failing writer, are no JSON: this is a struct, and the writer is memory.
    serde_json::to_vec(anchor).expect("an anchor is JSON")
}

/// Every one that there is, of every store, oldest first. What cannot be read is passed over. `None`: Kafka does not
/// answer. Blocks.
pub fn all(options: &KafkaOptions) -> Result<Option<Vec<AuditAnchor>>, Error> {
    let (events, told) = sync_channel(QUEUE);
    let origin = Origin::Stored { cluster_id: None, offsets: BTreeMap::new() };
    let _reader =
        Reader::spawn(options, AUDIT_ANCHORS, GROUP, origin, move |event| events.send(event).is_ok())?;
    let mut anchors = Vec::new();
    loop {
        match told.recv_timeout(PATIENCE) {
            Ok(ReaderEvent::Message(message)) => {
                anchors.extend(serde_json::from_slice(&message.payload).ok())
            }
            Ok(ReaderEvent::ReadToEnd { .. }) => return Ok(Some(anchors)),
            Ok(ReaderEvent::NewCluster { .. } | ReaderEvent::Gap { .. } | ReaderEvent::Pause) => {}
            Ok(ReaderEvent::Away) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Ok(None);
            }
        }
    }
}
