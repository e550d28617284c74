//! Producer and reader while the broker is away, comes late, or is another one.

use crate::told::{SOON, TOPIC, Told, beginning, send, state_is, topics};
use mesh::{
    Shutdown,
    kafka::{BrokerState, KafkaOptions, Producer, ReaderEvent, ensure_topics},
    observability::LogRing,
};
use std::{net::SocketAddr, time::Duration};
use testing::{Proxy, broker, embedded_broker, eventually, free_address};
use tokio::time::Instant;
use tracing_subscriber::prelude::*;

fn at(options: &KafkaOptions, address: SocketAddr) -> KafkaOptions {
    let mut moved = KafkaOptions::at(address.to_string());
    moved.kafka_topic_prefix.clone_from(&options.kafka_topic_prefix);
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
        async move { producer.send(TOPIC, "CP1", b"early", &[]).await }
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
            tokio::spawn(async move { producer.send(TOPIC, "CP00", n.to_string().as_bytes(), &[]).await })
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
    let sent = tokio::time::timeout(SOON, producer.send(TOPIC, "CP00", b"200", &[])).await;
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
    let refused = producer.send(TOPIC, "CP00", b"4", &[]);
    let refused = tokio::time::timeout(SOON, refused).await.expect("it does not wait for ever");
    assert!(refused.is_err_and(|error| !error.is_permanent()));
    send(&producer, 5..8).await;
}

/// librdkafka reads a client's files once. Here it is one that plain text does not need.
#[tokio::test]
async fn a_producer_whose_files_change_is_replaced_and_loses_nothing() {
    let broker = broker();
    let mut options = broker.options();
    topics(&options).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "one").unwrap();
    options.protection.kafka_password_file = Some(file.clone());
    let told = Told::default();
    let _reader = told.read(&options, beginning());
    let producer = Producer::new(&options, "test").unwrap();
    let log = LogRing::default();
    let layer = tracing_subscriber::fmt::layer().with_writer(log.clone());
    let _logged = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let replaced =
        || log.worst_first(99).iter().filter(|(_, line)| line.contains("files have changed")).count();
    let mut sent = 0;
    for version in ["two", "three"] {
        std::fs::write(&file, version).unwrap();
        let before = replaced();
        let deadline = Instant::now() + SOON;
        while replaced() == before {
            assert!(Instant::now() < deadline, "{version} is not used");
            send(&producer, sent..sent + 8).await;
            sent += 8;
        }
    }
    send(&producer, sent..sent + 8).await;
    told.until("all are read", |told| told.messages().len() >= sent + 8).await;
    let mut numbers: Vec<usize> = told.payloads().iter().map(|payload| payload.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..sent + 8), "{numbers:?}");
    assert_eq!(replaced(), 2, "once a change");
}
