//! Producer and reader.

use mesh::{
    Shutdown, clock,
    kafka::{BrokerState, KafkaOptions, Message, Origin, Producer, Reader, ReaderEvent, ensure_topics},
    testing::{Proxy, broker, embedded_broker, eventually, free_address},
    trace::Trace,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

const TOPIC: &str = "cp_telemetry";
const SOON: Duration = Duration::from_secs(15);

/// What a reader told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<ReaderEvent>>>);

impl Told {
    fn read(&self, options: &KafkaOptions, origin: Origin) -> Reader {
        let told = self.0.clone();
        let sink = move |event| {
            told.lock().unwrap().push(event);
            true
        };
        Reader::spawn(options, TOPIC, "test-group", origin, sink).unwrap()
    }

    fn events(&self) -> Vec<ReaderEvent> {
        self.0.lock().unwrap().clone()
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    fn messages(&self) -> Vec<Message> {
        let message = |event| match event {
            ReaderEvent::Message(message) => Some(message),
            _ => None,
        };
        self.events().into_iter().filter_map(message).collect()
    }

    fn payloads(&self) -> Vec<String> {
        self.messages().into_iter().map(|message| String::from_utf8(message.payload).unwrap()).collect()
    }

    /// Where to go on after the last message of each partition.
    fn offsets(&self) -> BTreeMap<i32, i64> {
        self.messages().into_iter().map(|message| (message.partition, message.offset + 1)).collect()
    }

    fn cluster(&self) -> Option<String> {
        self.events().into_iter().find_map(|event| match event {
            ReaderEvent::NewCluster { id } => Some(id),
            _ => None,
        })
    }

    async fn until(&self, what: &str, found: impl Fn(&Self) -> bool) {
        eventually(what, SOON, || async { found(self).then_some(()) }).await;
    }

    /// Waits until everything that was published before now has been told.
    async fn until_end(&self) {
        let now = clock::now().mono;
        let read = |event: &ReaderEvent| matches!(event, ReaderEvent::ReadToEnd { as_of } if *as_of >= now);
        self.until("it is read to its end", |told| told.events().iter().any(read)).await;
    }
}

fn beginning() -> Origin {
    Origin::Stored { cluster_id: None, offsets: BTreeMap::new() }
}

async fn topics(options: &KafkaOptions) {
    let created = ensure_topics(options.clone(), &[TOPIC], Shutdown::new());
    tokio::time::timeout(SOON, created).await.expect("the topics are created");
}

async fn send(producer: &Producer, count: std::ops::Range<usize>) {
    for n in count {
        let key = format!("CP{:02}", n % 8);
        let sent = producer.send(TOPIC, &key, n.to_string().into_bytes());
        tokio::time::timeout(SOON, sent).await.expect("a broker takes it").unwrap();
    }
}

async fn state_is(options: &KafkaOptions, producer: &Producer, wanted: BrokerState) {
    let mut state = producer.state();
    let seen = tokio::time::timeout(SOON, state.wait_for(|state| *state == wanted)).await;
    assert!(seen.is_ok(), "{wanted:?} at {}", options.kafka);
}

#[tokio::test]
async fn keys_go_to_the_partitions_of_other_clients() {
    let broker = broker();
    let options = broker.options();
    topics(&options).await;
    let producer = Producer::new(&options, "test").unwrap();
    // What Kafka's own Java client computes: murmur2 of the key, modulo the number of partitions.
    let murmur2 = |key: &[u8]| {
        let (m, mut h) = (0x5bd1_e995_u32, 0x9747_b28c_u32 ^ key.len() as u32);
        let mut chunks = key.chunks_exact(4);
        for chunk in &mut chunks {
            let mut k = u32::from_le_bytes(chunk.try_into().unwrap()).wrapping_mul(m);
            k ^= k >> 24;
            h = h.wrapping_mul(m) ^ k.wrapping_mul(m);
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            h = (h ^ rest.iter().rev().fold(0, |k, byte| k << 8 | u32::from(*byte))).wrapping_mul(m);
        }
        h = (h ^ (h >> 13)).wrapping_mul(m);
        h ^ (h >> 15)
    };
    // Known values of Kafka's own UtilsTest.
    assert_eq!(murmur2(b"21") as i32, -973_932_308);
    assert_eq!(murmur2(b"foobar") as i32, -790_332_482);
    let told = Told::default();
    let _reader = told.read(&options, beginning());
    send(&producer, 0..64).await;
    told.until("all 64 are read", |told| told.messages().len() == 64).await;
    for message in told.messages() {
        let expected = (murmur2(&message.key) & 0x7fff_ffff) % 4;
        assert_eq!(message.partition, expected as i32, "{:?}", String::from_utf8(message.key));
    }
    // Each key in its order.
    for key in 0..8 {
        let key = format!("CP{key:02}").into_bytes();
        let of_key = told.messages().into_iter().filter(|message| message.key == key);
        let numbers: Vec<usize> =
            of_key.map(|m| String::from_utf8(m.payload).unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted() && numbers.len() == 8, "{numbers:?}");
    }
}

#[tokio::test]
async fn a_reader_goes_on_at_stored_offsets_and_knows_the_end() {
    let broker = broker();
    let options = broker.options();
    topics(&options).await;
    let producer = Producer::new(&options, "test").unwrap();
    send(&producer, 0..20).await;
    let told = Told::default();
    let reader = told.read(&options, beginning());
    told.until_end().await;
    assert!(matches!(told.events()[0], ReaderEvent::NewCluster { .. }), "the first cluster is new");
    assert_eq!(told.messages().len(), 20);
    let origin = Origin::Stored { cluster_id: told.cluster(), offsets: told.offsets() };
    drop(reader);

    send(&producer, 20..30).await;
    let told = Told::default();
    let _reader = told.read(&options, origin);
    told.until_end().await;
    let mut payloads = told.payloads();
    payloads.sort();
    assert_eq!(payloads, (20..30).map(|n| n.to_string()).collect::<Vec<_>>());
    let others = told.events().into_iter().filter(|event| !matches!(event, ReaderEvent::Message(_)));
    assert!(
        others.clone().all(|event| matches!(event, ReaderEvent::ReadToEnd { .. })),
        "{:?}",
        others.collect::<Vec<_>>()
    );
    // It goes on saying so, without traffic.
    told.clear();
    told.until_end().await;
}

#[tokio::test]
async fn a_trace_travels_in_a_header() {
    let broker = broker();
    let options = broker.options();
    topics(&options).await;
    let producer = Producer::new(&options, "test").unwrap();
    let told = Told::default();
    let _reader = told.read(&options, beginning());
    let trace = Trace::root();
    trace.scope(send(&producer, 0..1)).await;
    told.until("it is read", |told| told.messages().len() == 1).await;
    assert_eq!(told.messages()[0].trace, Some(trace));
}

#[tokio::test]
async fn latest_is_what_comes_after_the_first_contact() {
    let broker = broker();
    let options = broker.options();
    let told = Told::default();
    // Without the topic the first contact is made all the same: its first message is read.
    let _reader = told.read(&options, Origin::Latest);
    told.until_end().await;
    topics(&options).await;
    let producer = Producer::new(&options, "test").unwrap();
    send(&producer, 0..3).await;
    told.until("the first messages of a new topic are read", |told| told.messages().len() == 3).await;

    let late = Told::default();
    let _late_reader = late.read(&options, Origin::Latest);
    late.until_end().await;
    send(&producer, 3..5).await;
    late.until("only what came later is read", |told| told.messages().len() == 2).await;
    let mut payloads = late.payloads();
    payloads.sort();
    assert_eq!(payloads, ["3", "4"]);
    assert_eq!(late.cluster(), None);
}

#[tokio::test]
async fn an_offset_out_of_range_is_a_gap_and_is_read_from_the_beginning() {
    let broker = broker();
    let options = broker.options();
    topics(&options).await;
    let producer = Producer::new(&options, "test").unwrap();
    send(&producer, 0..20).await;
    let told = Told::default();
    let reader = told.read(&options, beginning());
    told.until_end().await;
    let cluster_id = told.cluster();
    let mut offsets = told.offsets();
    let partition = *offsets.keys().next().unwrap();
    let expected = told.messages().into_iter().filter(|message| message.partition == partition).count();
    offsets.insert(partition, 1_000_000);
    drop(reader);

    let told = Told::default();
    let _reader = told.read(&options, Origin::Stored { cluster_id, offsets });
    told.until_end().await;
    let gaps = told.events().into_iter().filter(|event| *event == ReaderEvent::Gap { partition }).count();
    assert_eq!((gaps, told.messages().len()), (1, expected));
    assert!(told.messages().iter().all(|message| message.partition == partition));
}

#[tokio::test]
async fn another_cluster_is_noticed_and_read_from_the_beginning() {
    let broker = broker();
    let options = broker.options();
    topics(&options).await;
    let producer = Producer::new(&options, "test").unwrap();
    send(&producer, 0..8).await;
    let told = Told::default();
    let offsets = (0..4).map(|partition| (partition, 1_000_000)).collect();
    let _reader = told.read(&options, Origin::Stored { cluster_id: Some("another".into()), offsets });
    told.until_end().await;
    assert!(matches!(told.events()[0], ReaderEvent::NewCluster { .. }));
    assert!(!told.events().iter().any(|event| matches!(event, ReaderEvent::Gap { .. })));
    assert_eq!(told.messages().len(), 8);
}

#[tokio::test]
async fn the_sink_holds_the_reader_back_and_ends_it() {
    let broker = broker();
    let options = broker.options();
    topics(&options).await;
    let producer = Producer::new(&options, "test").unwrap();
    send(&producer, 0..10).await;
    let (sender, receiver) = std::sync::mpsc::sync_channel(0);
    let sink = move |event| sender.send(event).is_ok();
    let _reader = Reader::spawn(&options, TOPIC, "test-group", beginning(), sink).unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let count = receiver.iter().filter(|event| matches!(event, ReaderEvent::Message(_))).take(10).count();
        drop(receiver);
        count
    });
    assert_eq!(tokio::time::timeout(SOON, read).await.unwrap().unwrap(), 10);
}

fn at(options: &KafkaOptions, address: SocketAddr) -> KafkaOptions {
    let mut moved = options.separate();
    moved.kafka = address.to_string();
    moved
}

#[tokio::test]
async fn clients_that_start_before_the_broker_work_once_it_appears() {
    let broker = embedded_broker();
    let target = broker.options().kafka.parse().unwrap();
    let address = free_address(); // nothing listens there yet
    let options = at(&broker.options(), address);
    let told = Told::default();
    let _reader = told.read(&options, beginning());
    let producer = Producer::new(&options, "test").unwrap();
    let created = tokio::spawn(ensure_topics(options.clone(), &[TOPIC], Shutdown::new()));
    let sent = tokio::spawn({
        let producer = producer.clone();
        async move { producer.send(TOPIC, "CP1", b"early".to_vec()).await }
    });
    told.until("it is told that kafka is away", |told| told.events() == [ReaderEvent::Away]).await;
    state_is(&options, &producer, BrokerState::Lost).await;
    producer.send_lossy(TOPIC, "CP1", b"dropped"); // best effort does not wait

    let _proxy = Proxy::start_at(address, target).await;
    let back = std::time::Duration::from_secs(9); // INV-9: ready within 10 s
    tokio::time::timeout(back, sent).await.expect("sent soon after the broker appeared").unwrap().unwrap();
    tokio::time::timeout(back, created).await.expect("topics are there").unwrap();
    told.until_end().await;
    assert_eq!(told.payloads(), ["early"]);
    state_is(&options, &producer, BrokerState::Reached).await;
}

#[tokio::test]
async fn a_broker_lost_and_back_loses_nothing() {
    let broker = embedded_broker();
    let (options, embedded) = (broker.options(), broker.embedded().unwrap());
    topics(&options).await;
    let producer = Producer::new(&options, "test").unwrap();
    // Found without traffic, both ways.
    state_is(&options, &producer, BrokerState::Reached).await;
    let told = Told::default();
    let _reader = told.read(&options, beginning());
    send(&producer, 0..5).await;
    told.until_end().await;

    embedded.down().unwrap();
    state_is(&options, &producer, BrokerState::Lost).await;
    told.until("it is told that kafka is away", |told| told.events().contains(&ReaderEvent::Away)).await;
    let sends: Vec<_> = (5..15)
        .map(|n| {
            let producer = producer.clone();
            tokio::spawn(async move { producer.send(TOPIC, "CP00", n.to_string().into_bytes()).await })
        })
        .collect();
    let waits = || async { (!producer.flush(Duration::from_millis(10)).await).then_some(()) };
    eventually("the messages wait in the queue", SOON, waits).await;
    embedded.up().unwrap();
    for sent in sends {
        tokio::time::timeout(SOON, sent).await.expect("sent once it is back").unwrap().unwrap();
    }
    state_is(&options, &producer, BrokerState::Reached).await;
    assert!(producer.flush(SOON).await);
    told.until_end().await;
    assert_eq!(told.messages().len(), 15, "each once");
    assert_eq!(told.events().iter().filter(|event| **event == ReaderEvent::Away).count(), 1);
    producer.send_lossy(TOPIC, "CP1", b"best effort");
    told.until("best effort is good while the broker is there", |told| told.messages().len() == 16).await;
}

#[tokio::test]
async fn a_new_cluster_behind_the_same_address_is_noticed() {
    let (one, two) = (embedded_broker(), embedded_broker());
    let proxy = Proxy::start(one.options().kafka.parse().unwrap()).await;
    let options = at(&one.options(), proxy.address());
    topics(&options).await;
    let producer = Producer::new(&options, "test").unwrap();
    send(&producer, 0..5).await;
    let told = Told::default();
    let _reader = told.read(&options, beginning());
    told.until_end().await;
    told.clear();

    proxy.set_target(two.options().kafka.parse().unwrap());
    drop(one);
    told.until("the new cluster is noticed", |told| told.cluster().is_some()).await;
    let at_two = at(&options, two.options().kafka.parse().unwrap());
    topics(&at_two).await;
    send(&Producer::new(&at_two, "test").unwrap(), 100..103).await;
    told.until("it is read from its beginning", |told| told.messages().len() == 3).await;
    // The producer of before goes on there too.
    let sent = tokio::time::timeout(SOON, producer.send(TOPIC, "CP00", b"200".to_vec())).await;
    sent.expect("the producer found the new cluster").unwrap();
    told.until("and is read", |told| told.payloads().contains(&"200".to_owned())).await;
}

/// An idempotent producer ends itself when the broker contradicts what it had acknowledged.
#[tokio::test]
async fn a_producer_that_gave_up_is_replaced() {
    use rdkafka::{
        mocking::MockCluster,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };
    let cluster = MockCluster::new(1).unwrap();
    let options = KafkaOptions::at(cluster.bootstrap_servers());
    let producer = Producer::new(&options, "test").unwrap();
    send(&producer, 0..4).await;
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    // This one fails, and its sender knows; later ones go out again.
    let refused = producer.send(TOPIC, "CP00", b"4".to_vec());
    let refused = tokio::time::timeout(SOON, refused).await.expect("it does not wait for ever");
    assert!(refused.is_err_and(|error| !error.is_permanent()));
    send(&producer, 5..8).await;
}

#[tokio::test]
async fn what_was_there_at_the_start_is_read_to_its_end_while_more_comes_than_is_read() {
    let broker = broker();
    let options = broker.options();
    topics(&options).await;
    let producer = Producer::new(&options, "test").unwrap();
    send(&producer, 0..200).await;
    // For each message that the reader takes, two more come: it falls behind for ever.
    let mut sent = 200_usize..;
    let told = Told::default();
    let slow = told.0.clone();
    let sink = move |event| {
        if let ReaderEvent::Message(_) = event {
            for n in sent.by_ref().take(2) {
                producer.send_lossy(TOPIC, &format!("CP{:02}", n % 8), b"more");
            }
        }
        slow.lock().unwrap().push(event);
        true
    };
    let _reader = Reader::spawn(&options, TOPIC, "test-group", beginning(), sink).unwrap();
    told.until("it is read to the end that it had", |told| {
        let end = |event: &ReaderEvent| matches!(event, ReaderEvent::ReadToEnd { .. });
        told.events().iter().any(end)
    })
    .await;
}
