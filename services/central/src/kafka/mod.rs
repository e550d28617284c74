//! What central does with Kafka while it runs: reads telemetry, relays what waits on disk, broadcasts the network's
//! status, publishes the changelog and the audit's anchors. What the messages say is `messages`.

mod audit_anchors;
mod broadcast;
mod changelog_publisher;
mod reader;
mod relays;

pub(crate) use audit_anchors::run as publish_anchors;
pub(crate) use broadcast::run as broadcast;
pub(crate) use changelog_publisher::{Publisher, end as end_changelog};
pub(crate) use reader::read_telemetry;
pub(crate) use relays::{send_dead_letters, send_notifications};
