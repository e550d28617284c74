//! Producer and reader on a broker that is there.

use crate::told::{SOON, TOPIC, Told, beginning, send, topics};
use mesh::{
    kafka::{Origin, Producer, Reader, ReaderEvent},
    trace,
};
use testing::broker;

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
    assert!(told.pauses(), "whoever takes several together hears when to take them");
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
    let trace = trace::root();
    trace::scope(trace, send(&producer, 0..1)).await;
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
    // Where it began is told: a service that keeps its offsets goes on there, even if nothing had come.
    let began = |event: &ReaderEvent| match event {
        ReaderEvent::NewCluster { from, .. } => from.values().sum::<i64>() == 3,
        _ => false,
    };
    assert_eq!(late.events().iter().filter(|event| began(event)).count(), 1, "{:?}", late.events());
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
