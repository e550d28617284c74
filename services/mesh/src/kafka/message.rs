//! What is read of a topic, and from where.

use crate::trace::TRACEPARENT;
use domain::{Mono, Trace};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// With what is published from its first contact on.
    Latest,
    /// At the service's own offsets.
    Stored {
        /// The cluster that they are of; `None` where there is none yet.
        cluster_id: Option<String>,
        /// The next offset of each partition; partitions that are missing are read from their beginning.
        offsets: BTreeMap<i32, i64>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub partition: i32,
    /// Its offset; the next one to read is at least one above.
    pub offset: i64,
    /// Its key; empty without one.
    pub key: Vec<u8>,
    /// Its value; empty without one.
    pub payload: Vec<u8>,
    /// Its other headers whose values are text.
    pub headers: Vec<(String, String)>,
    /// What caused it, by its header `traceparent`.
    pub trace: Option<Trace>,
}

impl Message {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a reader tells its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderEvent {
    /// A message, in order within its partition.
    Message(Message),
    /// The messages that were there have been told, or many were: whoever takes several together takes them now.
    Pause,
    /// Everything that was published before `as_of`, when the ends of the partitions were asked for, has been told.
    /// About once a second while that is so.
    ReadToEnd { as_of: Mono },
    /// Kafka cannot be reached. Once each time, and once at the start if it isn't there.
    Away,
    /// The cluster is another than the stored one, or the first ever; the service keeps the id, and forgets the other
    /// one's offsets.
    NewCluster {
        id: String,
        /// The next offset of each partition that is not read from its beginning: only at the first contact of
        /// [`Origin::Latest`].
        from: BTreeMap<i32, i64>,
    },
    /// The offset of a partition is out of range, so messages are missing. It is read from the beginning.
    Gap { partition: i32 },
}

/// It outlives librdkafka's.
impl From<&BorrowedMessage<'_>> for Message {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let (mut trace, mut headers) = (None, Vec::new());
        for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
            match header.value.and_then(|value| std::str::from_utf8(value).ok()) {
                Some(value) if header.key == TRACEPARENT => trace = trace.or_else(|| value.parse().ok()),
                Some(value) => headers.push((header.key.to_owned(), value.to_owned())),
                None => {}
            }
        }
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().unwrap_or_default().to_vec(),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers,
            trace,
        }
    }
}
