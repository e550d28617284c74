//! Who did what: what central's store and Kafka have of it. The chain itself is [`mesh::audit`].

pub mod anchors;
mod list;
