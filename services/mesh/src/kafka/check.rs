//! Is Kafka there, for whoever asks?

use super::{
    BrokerState, Error, KafkaOptions,
    consumer::{self, Client},
    refusal::Act,
    topics::{TIMEOUT, denied_by},
};
use rdkafka::consumer::Consumer as _;
use std::time::Duration;
use tokio::time::Instant;

/// Asks the brokers for a topic's end, which they have to be reached for where they say that they are, and which takes
/// the right to read or write it. `Err`: what is wrong, in a sentence with the address in it.
pub async fn check(options: &KafkaOptions, topic: &str, within: Duration) -> Result<(), String> {
    let words = |error: Error| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let options = options.clone();
    let topic = options.topic(topic);
    let client = consumer::build(&options, "evmesh-check", &[]).map_err(words)?;
    let until = Instant::now() + within;
    let asked = tokio::task::spawn_blocking(move || ask(&options, &client, &topic, until));
    asked.await.map_err(|error| error.to_string())?
}

fn ask(options: &KafkaOptions, client: &Client, topic: &str, until: Instant) -> Result<(), String> {
    let kafka = &options.kafka;
    let mut found = format!("kafka at {kafka} did not answer in time; --timeout waits longer");
    while Instant::now() < until {
        // What it says of its connections comes by polls; what there is to read counts for nothing here.
        let _ = client.poll(Duration::from_millis(100));
        if let Some(problem) = options.watch.problem() {
            return Err(problem);
        }
        let Ok(metadata) = client.fetch_metadata(Some(topic), TIMEOUT) else { continue };
        if denied_by(&metadata, topic) {
            return Err(Act::Use(topic.to_owned()).denied(kafka, &options.protection));
        }
        if metadata.topics().iter().all(|found| found.partitions().is_empty()) {
            found = format!("kafka at {kafka} has no topic {topic}");
            continue; // it may be about to be made
        }
        if client.fetch_watermarks(topic, 0, TIMEOUT).is_ok() {
            return Ok(());
        }
    }
    if options.watch.get() == BrokerState::Lost {
        Err(format!("kafka at {kafka} is not reached"))
    } else {
        Err(found)
    }
}
