//! A copy of the store in its place: it does not overwrite, or end, what came after it.

use crate::{
    changelog::{charge, forgotten, lose, options, to_rebuild},
    changelog_end::without,
    running_central::{Central, Monitor, no_kafka},
};
use central::Options;
use evmesh_proto::network::Ticket;
use mesh::kafka::KafkaOptions;
use std::path::{Path, PathBuf};

fn copy_folder(from: &Path, to: &Path) {
    mesh::files::private_folder(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.unwrap(), to.to_owned());
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// In the place of a store there is a copy of it that is older than a charge, which the changelog has.
struct OlderCopy {
    folder: PathBuf,
    ticket: Ticket,
}

impl OlderCopy {
    /// Of the store in this folder, which is not there yet.
    async fn of(folder: PathBuf, kafka: KafkaOptions) -> Self {
        let copy = folder.with_extension("copy");
        let central = Central::with(options(&folder, kafka.clone())).await;
        let (engine, monitor) = central.charge_point("MAD-01").await;
        central.copied().await;
        drop(monitor);
        central.stop().await;
        copy_folder(&folder, &copy);
        let central = Central::with(options(&folder, kafka)).await;
        let monitor = Monitor::connect(&central, "MAD-01", &engine).await;
        let ticket = charge(&central, &engine, "101", "MAD-01", 900).await;
        forgotten(&engine).await;
        central.copied().await;
        drop(monitor);
        central.stop().await;
        lose(&folder);
        std::fs::rename(copy, &folder).unwrap();
        Self { folder, ticket }
    }

    /// Central with these options says that it is one, and leaves the changelog as it was.
    async fn changes_nothing(self, options: Options) {
        let kafka = options.kafka.clone();
        let central = Central::with(options).await;
        central.says("older copy").await;
        assert!(central.tickets("101").await.is_empty());
        central.stop().await;
        lose(&self.folder);
        let central = Central::with(to_rebuild(&self.folder, kafka)).await;
        assert_eq!(central.ticket("101").await, self.ticket);
        central.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_store_does_not_overwrite_what_came_after_it() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("central");
    let copy = OlderCopy::of(folder.clone(), broker.options()).await;
    copy.changes_nothing(options(&folder, broker.options())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_without_its_changelog_does_not_end_what_knows_more() {
    let broker = testing::broker();
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("central");
    let copy = OlderCopy::of(folder.clone(), broker.options()).await;
    copy.changes_nothing(without(&folder, broker.options())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_that_began_without_kafka_is_known_once_it_is_there() {
    let broker = testing::broker();
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("central");
    let copy = OlderCopy::of(folder.clone(), broker.options()).await;
    for _ in ["it marks", "and marks again"] {
        let central = Central::with(options(&folder, no_kafka())).await;
        let (_engine, _monitor) = central.charge_point("MAD-09").await;
        central.stop().await;
    }
    copy.changes_nothing(options(&folder, broker.options())).await;
}
