//! Creating the topics where they are missing.

use super::{Context, Error, KafkaOptions, embedded, refusal::Act};
use crate::{Shutdown, backoff::Backoff};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::FromClientConfigAndContext as _,
    error::{KafkaError, RDKafkaErrorCode},
    metadata::Metadata,
};
use std::{sync::Arc, time::Duration};

/// Shared with the thread that waits for librdkafka.
pub(super) type Admin = Arc<AdminClient<Context>>;

/// A broker that does not answer within this is tried again.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// Creates those of the topics that Kafka may have with `--kafka-partitions` where they are missing and the broker
/// allows it; tries until it has reached a broker. Run it in the background: nothing waits for it.
pub async fn ensure_topics(options: KafkaOptions, topics: &'static [&'static str], shutdown: Shutdown) {
    let mut backoff = Backoff::default();
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
    let may_have = topics.iter().filter(|topic| options.may_have(topic));
    let names: Vec<String> = may_have.map(|topic| options.topic(topic)).collect();
    let Some(admin) = admin(options, names.clone()).await? else { return Ok(()) };
    let replicas = || TopicReplication::Fixed(options.kafka_replicas);
    let topic = |name| NewTopic::new(name, options.kafka_partitions, replicas());
    create_with(options, &admin, names.iter().map(|name| topic(name)).collect()).await
}

/// Removes every topic that begins with the prefix of these options, which is not empty: what a run for itself has made.
pub async fn remove_topics(options: &KafkaOptions) -> Result<(), Error> {
    let Some(admin) = admin(options, Vec::new()).await? else { return Ok(()) };
    let (asked, prefix) = (admin.clone(), options.kafka_topic_prefix.clone());
    let ours = blocking(move || {
        let found = asked.inner().fetch_metadata(None, TIMEOUT)?;
        let names = found.topics().iter().map(|topic| topic.name().to_owned());
        Ok(names.filter(|name| !prefix.is_empty() && name.starts_with(&prefix)).collect::<Vec<_>>())
    });
    let ours = ours.await?;
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    if ours.is_empty() {
        return Ok(());
    }
    let removed = admin.delete_topics(&ours, &limit()).await.map_err(Error::Ask)?;
    let refused = removed.into_iter().find_map(Result::err);
    refused.map_or(Ok(()), |(_, code)| Err(Error::Ask(KafkaError::AdminOp(code))))
}

/// A client that may create topics. `None` on the embedded broker, which has no call for that: it has created these
/// by now, as for a producer that asks for them.
pub(super) async fn admin(options: &KafkaOptions, names: Vec<String>) -> Result<Option<Admin>, Error> {
    // Just long enough to create topics: what it finds out of the broker counts for nothing.
    let config = options.client("evmesh-topics", &[("statistics.interval.ms", "0")])?;
    let admin = AdminClient::from_config_and_context(&config, options.context()).map_err(Error::Client)?;
    let admin = Arc::new(admin);
    blocking(move || {
        let cluster = admin.inner().fetch_cluster_id(TIMEOUT);
        let cluster = cluster.ok_or(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?;
        let embedded = cluster.starts_with(embedded::CLUSTER_ID_PREFIX);
        if embedded {
            for name in &names {
                admin.inner().fetch_metadata(Some(name), TIMEOUT)?;
            }
        }
        Ok((!embedded).then_some(admin))
    })
    .await
}

pub(super) async fn create_with(
    options: &KafkaOptions,
    admin: &Admin,
    wanted: Vec<NewTopic<'_>>,
) -> Result<(), Error> {
    for result in admin.create_topics(&wanted, &limit()).await.map_err(Error::Ask)? {
        match result {
            Ok(topic) => tracing::info!(topic, "topic created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // Not ours to create, perhaps: whoever runs the broker does it.
            Err((topic, _)) if is_there(admin, topic.clone()).await => {
                tracing::debug!(topic, "not ours to create")
            }
            Err((topic, RDKafkaErrorCode::TopicAuthorizationFailed)) => options.denied(Act::Create(topic)),
            Err((topic, code)) => tracing::warn!(topic, %code, "the broker does not let us create a topic"),
        }
    }
    Ok(())
}

/// A broker says who may not create a topic, before it says that there is one. Where we may not create it, the question
/// does not either.
async fn is_there(admin: &Admin, topic: String) -> bool {
    let admin = admin.clone();
    let asked = blocking(move || admin.inner().fetch_metadata(Some(&topic), TIMEOUT)).await;
    asked.is_ok_and(|found| found.topics().iter().any(|topic| !topic.partitions().is_empty()))
}

/// Does the broker say that this topic is none of ours?
pub(super) fn denied_by(metadata: &Metadata, topic: &str) -> bool {
    let mut found = metadata.topics().iter().filter(|found| found.name() == topic);
    found.any(|found| {
        found.error().map(RDKafkaErrorCode::from) == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
    })
}

/// How long one question to the broker may take.
pub(super) fn limit() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT))
}

/// librdkafka waits in its own way, off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?.map_err(Error::Ask)
}
