//! Reading a topic, with offsets that belong to the reader's service.
//!
//! The reader owns a thread and polls on it. Each second another asks the broker for the cluster's id and for the beginning and the
//! end of every partition: so the reader knows without traffic whether the broker is there, whose offsets it holds, whether they are
//! in range, and whether everything has been read.

use super::{BrokerState, Error, KafkaOptions, reading::Reading};
use domain::{Mono, Trace};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::watch;

/// Where a reader starts.
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

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its partition.
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
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a reader tells its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderEvent {
    /// A message, in order within its partition.
    Message(Message),
    /// Everything that was published before `as_of` has been told. About once a second while that is so.
    ReadToEnd {
        /// When the ends of the partitions were asked for.
        as_of: Mono,
    },
    /// Kafka cannot be reached. Once each time, and once at the start if it isn't there.
    Away,
    /// The cluster is another than the stored one, or the first ever. It is read from the beginning; the service keeps
    /// the id, and forgets the other one's offsets. Not told under [`Origin::Latest`].
    NewCluster {
        /// The new one's.
        id: String,
    },
    /// The offset of a partition is out of range, so messages are missing. It is read from the beginning.
    Gap {
        /// Which.
        partition: i32,
    },
}

/// Reads one topic on a thread of its own, until it is dropped or its sink returns false.
#[derive(Debug)]
pub struct Reader {
    stop: Arc<AtomicBool>,
    state: watch::Receiver<BrokerState>,
}

impl Reader {
    /// Starts to read. It never blocks and needs no broker.
    ///
    /// `group` names the reader in lag dashboards, nothing else: no partition is shared out by it. `sink` runs on the
    /// reader's thread and may block: that holds the reader back. It returns false to end the reader.
    pub fn spawn(
        options: &KafkaOptions,
        topic: &str,
        group: &str,
        origin: Origin,
        sink: impl FnMut(ReaderEvent) -> bool + Send + 'static,
    ) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let reading = Reading::new(options, topic, group, origin, stop.clone(), Box::new(sink));
        let first = reading.build()?; // a wrong setting is an error here and now
        std::thread::Builder::new()
            .name(format!("kafka-{topic}"))
            .spawn(move || reading.run(first))
            .map_err(Error::Thread)?;
        Ok(Self { stop, state: options.watch.subscribe() })
    }

    /// Whether a broker answers; known without traffic, within about 3 s.
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.state.clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}
