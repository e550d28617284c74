//! Reads `cp_telemetry` from the offsets in the store, and hands it to the writer.
//!
//! Whatever a message holds, it moves the offset. The reader's thread waits while the writer's queue is full, and so
//! does Kafka.

use crate::{
    Error,
    messages::Incoming,
    signing::Keys,
    writer::{Handle, Input},
};
use domain::network::{Broker, Command, Source};
use evmesh_proto::topics;
use mesh::kafka::{KafkaOptions, Origin, Reader, ReaderEvent};
use std::{collections::BTreeMap, sync::Arc};

/// Names central in lag dashboards.
const GROUP: &str = "evmesh-central";

pub(crate) fn read_telemetry(
    options: &KafkaOptions,
    (cluster_id, offsets): (Option<String>, BTreeMap<i32, i64>),
    handle: Handle,
    keys: Arc<Keys>,
) -> Result<Reader, Error> {
    let origin = Origin::Stored { cluster_id, offsets };
    let mut plain = Vec::new();
    let sink = move |event| handle.telemetry(input((&keys, &mut plain), event));
    Ok(Reader::spawn(options, topics::CP_TELEMETRY, GROUP, origin, sink)?)
}

/// `opens` are the keys that open what is sealed, and where to.
fn input(opens: (&Keys, &mut Vec<u8>), event: ReaderEvent) -> Input {
    match event {
        ReaderEvent::Message(message) => {
            let source = Source { partition: message.partition, offset: message.offset };
            Input::Message(Incoming::opened(opens, source, (message.key, message.payload), message.trace))
        }
        ReaderEvent::ReadToEnd { as_of } => Input::Command(Command::Broker(Broker::ReadTo(as_of))),
        ReaderEvent::Away => Input::Command(Command::Broker(Broker::Away)),
        ReaderEvent::NewCluster { id, .. } => Input::NewCluster(id),
        ReaderEvent::Gap { .. } => Input::Command(Command::Broker(Broker::Gap)), // its reader says which
    }
}
