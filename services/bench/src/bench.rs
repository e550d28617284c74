//! What every row measures with.

use crate::{
    broker::Broker,
    central::Central,
    error::{Doing as _, Error},
    files,
    options::{Options, Size},
};
use mesh::{
    kafka::{KafkaOptions, remove_topics},
    process::Group,
};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// A folder on a disk, on every Linux: what lies in `/tmp` may lie in memory.
const ON_DISK: &str = "/var/tmp";

/// A bench that runs.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) size: Size,
    /// How long a measured run lasts.
    pub(crate) time: Duration,
    /// Its processes end with it, before their folder goes.
    group: Group,
    folder: TempDir,
    named: Option<String>,
    broker: OnceCell<Broker>,
    /// Of all its topics.
    prefix: String,
    /// Each central and each prefix has a number of its own.
    count: AtomicU32,
}

impl Bench {
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let place = match std::env::var_os("TMPDIR") {
            None if Path::new(ON_DISK).is_dir() => PathBuf::from(ON_DISK),
            _ => std::env::temp_dir(),
        };
        let folder = tempfile::Builder::new().prefix("evmesh-bench-").tempdir_in(&place);
        Ok(Self {
            size: options.size,
            time: options.time(),
            group: Group::start().doing("processes cannot be guarded")?,
            folder: folder.doing(format!("no folder can be made in {}", place.display()))?,
            named: options.kafka.clone(),
            broker: OnceCell::new(),
            prefix: format!("bench-{:016x}-", fastrand::u64(..)),
            count: AtomicU32::new(0),
        })
    }

    /// How often a figure is measured, after a warm-up at the full size.
    pub(crate) fn runs(&self) -> usize {
        match self.size {
            Size::Small => 1,
            Size::Full => 3,
        }
    }

    /// How long a load lasts before it is measured.
    pub(crate) fn warm_up(&self) -> Duration {
        match self.size {
            Size::Small => Duration::from_secs(1),
            Size::Full => Duration::from_secs(10),
        }
    }

    /// Those of these numbers of charge points that this machine's limit of open files allows. What it forbids is said
    /// with the arithmetic; it is an error where it forbids all.
    pub(crate) fn possible(&self, row: &str, sizes: &[u32]) -> Result<Vec<u32>, Error> {
        let (mut possible, mut refused) = (Vec::new(), None);
        for charge_points in sizes {
            let files = files::of_network(*charge_points);
            match files::has_files(&format!("{row} with {charge_points} charge points"), &files) {
                Ok(()) => possible.push(*charge_points),
                Err(error) => {
                    self.say(&error.to_string());
                    refused = Some(error);
                }
            }
        }
        match refused {
            Some(error) if possible.is_empty() => Err(error),
            _ => Ok(possible),
        }
    }

    /// Kafka, with topics that nobody else has.
    pub(crate) async fn kafka(&self) -> Result<KafkaOptions, Error> {
        let broker = self.broker.get_or_try_init(|| Broker::find(self.named.as_deref())).await?;
        broker.topics(format!("{}{}-", self.prefix, self.number())).await
    }

    /// A central that answers, with a new store; `more` are flags besides the usual.
    pub(crate) async fn central(&self, kafka: &KafkaOptions, more: &[&str]) -> Result<Central, Error> {
        let folder = self.folder().join(format!("central-{}", self.number()));
        Central::start(&folder, kafka, more, self.group.id()).await
    }

    /// Of which a row's own processes are members: they end with the bench.
    pub(crate) fn group(&self) -> i32 {
        self.group.id()
    }

    /// Where a row may write, on a real disk.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Tells the person who waits.
    pub(crate) fn say(&self, text: &str) {
        eprintln!("evmesh bench: {text}");
    }

    /// Leaves nothing behind: what it made on a broker that goes on, too.
    pub(crate) async fn end(self) {
        self.forget_topics().await;
    }

    /// What was made on Kafka is not needed any more.
    pub(crate) async fn forget_topics(&self) {
        let Some(broker) = self.broker.get() else { return };
        let mut options = KafkaOptions::at(&broker.address);
        options.kafka_topic_prefix.clone_from(&self.prefix);
        if let Err(error) = remove_topics(&options).await {
            self.say(&format!("the topics that begin with {} are left on Kafka: {error}", self.prefix));
        }
    }

    pub(crate) fn number(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }
}
