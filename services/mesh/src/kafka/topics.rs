//! Creating the topics where they are missing.

use super::{Error, KafkaOptions};
use crate::{Shutdown, backoff::Backoff};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::FromClientConfigAndContext as _,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, Producer as _},
};
use std::time::Duration;

/// A broker that does not answer within this is tried again.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Creates the topics with `--kafka-partitions` where they are missing and the broker allows it; tries until it has
/// reached a broker. Run it in the background: nothing waits for it.
pub async fn ensure_topics(options: KafkaOptions, topics: &'static [&'static str], shutdown: Shutdown) {
    let mut backoff = Backoff::new();
    loop {
        let tried = tokio::select! {
            tried = create(&options, topics) => tried,
            () = shutdown.started() => return,
        };
        match tried {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "topics could not be created; tried again"),
        }
        tokio::select! {
            () = backoff.wait() => {}
            () = shutdown.started() => return,
        }
    }
}

async fn create(options: &KafkaOptions, topics: &'static [&'static str]) -> Result<(), Error> {
    let config = options.client("evmesh-topics", &[("statistics.interval.ms", "0")]);
    let admin = AdminClient::from_config_and_context(&config, options.context()).map_err(Error::Client)?;
    let names: Vec<String> = topics.iter().map(|topic| options.topic(topic)).collect();
    let replicas = || TopicReplication::Fixed(options.kafka_replicas);
    let wanted: Vec<NewTopic<'_>> = names
        .iter()
        .map(|name| NewTopic::new(name, options.kafka_partitions, replicas()))
        .collect();
    match admin
        .create_topics(&wanted, &AdminOptions::new().request_timeout(Some(TIMEOUT)))
        .await
    {
        Ok(results) => {
            for result in results {
                match result {
                    Ok(topic) => tracing::info!(topic, "topic created"),
                    Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    // Not ours to create, perhaps: whoever runs the broker does it.
                    Err((topic, code)) => {
                        tracing::warn!(topic, %code, "the broker does not let us create a topic")
                    }
                }
            }
            Ok(())
        }
        // The embedded broker has no such call, and creates topics that a producer asks for.
        Err(KafkaError::AdminOp(RDKafkaErrorCode::UnsupportedFeature)) => ask_for(options, names).await,
        Err(error) => Err(Error::Client(error)),
    }
}

async fn ask_for(options: &KafkaOptions, names: Vec<String>) -> Result<(), Error> {
    let config = options.client("evmesh-topics", &[("statistics.interval.ms", "0")]);
    let producer: BaseProducer = config.create().map_err(Error::Client)?;
    let asked = tokio::task::spawn_blocking(move || {
        names
            .iter()
            .try_for_each(|name| producer.client().fetch_metadata(Some(name), TIMEOUT).map(|_| ()))
    });
    asked.await.map_err(|_| Error::Closed)?.map_err(Error::Client)
}
