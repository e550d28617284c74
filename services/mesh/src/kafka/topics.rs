//! Creating the topics where they are missing.

use super::KafkaOptions;
use crate::Shutdown;

/// Creates the topics with `--kafka-partitions` where they are missing and the broker allows it; tries until it has
/// reached a broker. Run it in the background: nothing waits for it.
pub async fn ensure_topics(options: KafkaOptions, topics: &'static [&'static str], shutdown: Shutdown) {
    todo!()
}
