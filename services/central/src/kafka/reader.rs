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

/// The writer is given at most so many messages at a time, and all that are there.
const TOGETHER: usize = 256;
/// Names central in lag dashboards.
const GROUP: &str = "evmesh-central";

pub(crate) fn read_telemetry(
    options: &KafkaOptions,
    (cluster_id, offsets): (Option<String>, BTreeMap<i32, i64>),
    handle: Handle,
    keys: Arc<Keys>,
) -> Result<Reader, Error> {
    let origin = Origin::Stored { cluster_id, offsets };
    let (mut plain, mut messages) = (Vec::new(), Vec::new());
    let sink = move |event| match event {
        ReaderEvent::Message(message) => {
            let source = Source { partition: message.partition, offset: message.offset };
            let (opens, bytes) = ((&*keys, &mut plain), (message.key, message.payload));
            messages.push(Incoming::opened(opens, source, bytes, message.trace));
            messages.len() < TOGETHER || handle.telemetry(Input::Messages(std::mem::take(&mut messages)))
        }
        event => {
            let before = std::mem::take(&mut messages);
            (before.is_empty() || handle.telemetry(Input::Messages(before)))
                && news(event).is_none_or(|news| handle.telemetry(news))
        }
    };
    Ok(Reader::spawn(options, topics::CP_TELEMETRY, GROUP, origin, sink)?)
}

/// What the writer is told beside the messages.
fn news(event: ReaderEvent) -> Option<Input> {
    Some(match event {
        ReaderEvent::Message(_) | ReaderEvent::Pause => return None,
        ReaderEvent::ReadToEnd { as_of } => Input::Command(Command::Broker(Broker::ReadTo(as_of))),
        ReaderEvent::Away => Input::Command(Command::Broker(Broker::Away)),
        ReaderEvent::NewCluster { id, .. } => Input::NewCluster(id),
        ReaderEvent::Gap { .. } => Input::Command(Command::Broker(Broker::Gap)), // its reader says which
    })
}
