//! Reading a topic, with offsets that belong to the reader's service.
//!
//! The reader owns a thread and polls on it. Each second another asks the broker for the cluster's id and for the
//! beginning and the end of every partition: so the reader knows without traffic whether the broker is there, whose
//! offsets it holds, whether they are in range, and whether everything has been read.

use super::{
    BrokerState, Error, KafkaOptions,
    message::{Origin, ReaderEvent},
    reading::Reading,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::watch;

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
