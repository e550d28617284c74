//! The client that sends, and the thread that hears what became of what it sent.
//!
//! The library's own thread polls for 100 ms, on and on, and computes through the last millisecond of each poll: 1 % of
//! a core a client that has nothing to send. Here nothing is polled for while nothing is under way.

use super::{Context, Error};
use rdkafka::{
    ClientConfig,
    config::FromClientConfigAndContext as _,
    producer::{BaseProducer, Producer as _},
};
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long one poll waits while messages are under way; the client's end waits for it.
const POLL: Duration = Duration::from_millis(100);
/// Nothing is under way: what the client says by itself, its statistics each second, waits so long at most.
const REST: Duration = Duration::from_millis(250);
/// So much of that is taken at once; else it is taken the next time.
const TOGETHER: usize = 8;

/// Dropping it drops what is still in its queue.
pub(super) struct Polled {
    client: Arc<BaseProducer<Context>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Polled {
    pub(super) fn new(config: &ClientConfig, context: Context) -> Result<Self, Error> {
        let client = BaseProducer::from_config_and_context(config, context).map_err(Error::Client)?;
        let (client, stop) = (Arc::new(client), Arc::new(AtomicBool::new(false)));
        let (polled, stopped) = (client.clone(), stop.clone());
        let thread = thread::Builder::new().name("kafka-producer".into());
        let thread = thread.spawn(move || {
            while !stopped.load(SeqCst) {
                poll(&polled);
            }
        });
        Ok(Self { client, stop, thread: Some(thread.map_err(Error::Thread)?) })
    }

    /// A message is in its queue: its thread no longer rests.
    pub(super) fn sent(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Deref for Polled {
    type Target = BaseProducer<Context>;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        self.sent();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it panicked, or it ended: it is gone either way
        }
    }
}

fn poll(client: &BaseProducer<Context>) {
    for _ in 0..TOGETHER {
        if client.in_flight_count() == 0 {
            return thread::park_timeout(REST);
        }
        client.poll(Duration::ZERO);
    }
    client.poll(POLL);
}
