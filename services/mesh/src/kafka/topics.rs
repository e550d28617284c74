//! Creating the topics where they are missing.

use super::{Error, KafkaOptions, embedded};
use crate::{Shutdown, backoff::Backoff};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::FromClientConfigAndContext as _,
    error::{KafkaError, RDKafkaErrorCode},
};
use std::{sync::Arc, time::Duration};

/// A broker that does not answer within this is tried again.
const TIMEOUT: Duration = Duration::from_secs(2);

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
    // Just long enough to create topics: what it finds out of the broker counts for nothing.
    let config = options.client("evmesh-topics", &[("statistics.interval.ms", "0")]);
    let admin = AdminClient::from_config_and_context(&config, options.context()).map_err(Error::Client)?;
    let names: Arc<Vec<String>> = Arc::new(topics.iter().map(|topic| options.topic(topic)).collect());

    // The embedded broker has no call to create topics; it creates those that a producer asks for.
    let asked = names.clone();
    let (admin, embedded) = blocking(move || {
        let cluster = admin.inner().fetch_cluster_id(TIMEOUT);
        let cluster = cluster.ok_or(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?;
        let embedded = cluster.starts_with(embedded::CLUSTER_ID_PREFIX);
        if embedded {
            for name in asked.iter() {
                admin.inner().fetch_metadata(Some(name), TIMEOUT)?;
            }
        }
        Ok((admin, embedded))
    })
    .await?;
    if embedded {
        return Ok(());
    }

    let replicas = || TopicReplication::Fixed(options.kafka_replicas);
    let topic = |name| NewTopic::new(name, options.kafka_partitions, replicas());
    let wanted: Vec<NewTopic<'_>> = names.iter().map(|name| topic(name)).collect();
    let limit = AdminOptions::new().request_timeout(Some(TIMEOUT));
    for result in admin.create_topics(&wanted, &limit).await.map_err(Error::Ask)? {
        match result {
            Ok(topic) => tracing::info!(topic, "topic created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // Not ours to create, perhaps: whoever runs the broker does it.
            Err((topic, code)) => tracing::warn!(topic, %code, "the broker does not let us create a topic"),
        }
    }
    Ok(())
}

/// librdkafka waits in its own way, off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?.map_err(Error::Ask)
}
