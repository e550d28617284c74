//! What the tests of clients share: a reader that notes what it is told.

use mesh::{
    Shutdown, clock,
    kafka::{BrokerState, KafkaOptions, Message, Origin, Producer, Reader, ReaderEvent, ensure_topics},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use testing::eventually;

pub(crate) const TOPIC: &str = "cp_telemetry";
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// What a reader told, in order.
#[derive(Clone, Default)]
pub(crate) struct Told(pub(crate) Arc<Mutex<Vec<ReaderEvent>>>);

impl Told {
    pub(crate) fn read(&self, options: &KafkaOptions, origin: Origin) -> Reader {
        let told = self.0.clone();
        let sink = move |event| {
            told.lock().unwrap().push(event);
            true
        };
        Reader::spawn(options, TOPIC, "test-group", origin, sink).unwrap()
    }

    /// Behind the last one of several messages comes a pause, before anything else.
    pub(crate) fn pauses(&self) -> bool {
        let is_message = |event: &ReaderEvent| matches!(event, ReaderEvent::Message(_));
        let told = self.0.lock().unwrap();
        let mut ends = told.windows(2).filter(|two| is_message(&two[0]) && !is_message(&two[1])).peekable();
        ends.peek().is_some() && ends.all(|two| two[1] == ReaderEvent::Pause)
    }

    /// All but pauses.
    pub(crate) fn events(&self) -> Vec<ReaderEvent> {
        self.0.lock().unwrap().iter().filter(|event| **event != ReaderEvent::Pause).cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        let message = |event| match event {
            ReaderEvent::Message(message) => Some(message),
            _ => None,
        };
        self.events().into_iter().filter_map(message).collect()
    }

    pub(crate) fn payloads(&self) -> Vec<String> {
        self.messages().into_iter().map(|message| String::from_utf8(message.payload).unwrap()).collect()
    }

    /// Where to go on after the last message of each partition.
    pub(crate) fn offsets(&self) -> BTreeMap<i32, i64> {
        self.messages().into_iter().map(|message| (message.partition, message.offset + 1)).collect()
    }

    pub(crate) fn cluster(&self) -> Option<String> {
        self.events().into_iter().find_map(|event| match event {
            ReaderEvent::NewCluster { id, .. } => Some(id),
            _ => None,
        })
    }

    pub(crate) async fn until(&self, what: &str, found: impl Fn(&Self) -> bool) {
        eventually(what, SOON, || async { found(self).then_some(()) }).await;
    }

    /// Waits until everything that was published before now has been told.
    pub(crate) async fn until_end(&self) {
        let now = clock::now().mono;
        let read = |event: &ReaderEvent| matches!(event, ReaderEvent::ReadToEnd { as_of } if *as_of >= now);
        self.until("it is read to its end", |told| told.events().iter().any(read)).await;
    }
}

pub(crate) fn beginning() -> Origin {
    Origin::Stored { cluster_id: None, offsets: BTreeMap::new() }
}

pub(crate) async fn topics(options: &KafkaOptions) {
    let created = ensure_topics(options.clone(), &[TOPIC], Shutdown::new());
    tokio::time::timeout(SOON, created).await.expect("the topics are created");
}

pub(crate) async fn send(producer: &Producer, count: std::ops::Range<usize>) {
    for n in count {
        let key = format!("CP{:02}", n % 8);
        let payload = n.to_string();
        let sent = producer.send(TOPIC, &key, payload.as_bytes(), &[]);
        tokio::time::timeout(SOON, sent).await.expect("a broker takes it").unwrap();
    }
}

pub(crate) async fn state_is(options: &KafkaOptions, producer: &Producer, wanted: BrokerState) {
    let mut state = producer.state();
    let seen = tokio::time::timeout(SOON, state.wait_for(|state| *state == wanted)).await;
    assert!(seen.is_ok(), "{wanted:?} at {}", options.kafka);
}
