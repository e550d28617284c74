//! What every row measures with.

use crate::{
    broker::Broker,
    central::Central,
    error::{Doing as _, Error},
    figure::Figure,
    files,
    options::{Options, Size},
};
use mesh::{
    kafka::{KafkaOptions, remove_topics},
    process::Group,
};
use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
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
    /// In the place of a row's own numbers of charge points, if there are any.
    charge_points: Vec<u32>,
    /// Its processes end with it, before their folder goes.
    group: Group,
    folder: TempDir,
    named: Option<String>,
    broker: OnceCell<Broker>,
    /// Of all its topics.
    prefix: String,
    /// Each central and each prefix has a number of its own.
    count: AtomicU32,
    missing: Mutex<Vec<Missing>>,
}

/// What could not be measured, and why.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) why: Error,
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
            charge_points: options.charge_points.clone(),
            group: Group::start().doing("processes cannot be guarded")?,
            folder: folder.doing(format!("no folder can be made in {}", place.display()))?,
            named: options.kafka.clone(),
            broker: OnceCell::new(),
            prefix: format!("bench-{:016x}-", fastrand::u64(..)),
            count: AtomicU32::new(0),
            missing: Mutex::default(),
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

    /// The figures of each of these numbers of charge points, or why they cannot be had: networks of their own, of
    /// which nothing is left when the next one begins. Those that this machine's limit of open files forbids are told
    /// before any is measured; it is an error where it forbids all.
    pub(crate) async fn each(
        &self,
        row: &str,
        sizes: &[u32],
        figures: impl AsyncFn(u32) -> Result<Vec<Figure>, Error>,
    ) -> Result<Vec<Figure>, Error> {
        let sizes = if self.charge_points.is_empty() { sizes } else { &self.charge_points };
        let what = |charge_points: u32| format!("{row} with {charge_points} charge points");
        let (mut possible, mut refused) = (Vec::new(), Vec::new());
        for charge_points in sizes {
            match files::has_files(&what(*charge_points), &files::of_network(*charge_points)) {
                Ok(()) => possible.push(*charge_points),
                Err(error) => refused.push((*charge_points, error)),
            }
        }
        if possible.is_empty()
            && let Some((_, error)) = refused.pop()
        {
            return Err(error);
        }
        refused.into_iter().for_each(|(charge_points, error)| self.lacks(what(charge_points), error));
        let mut all = Vec::new();
        for charge_points in possible {
            all.extend(self.part(what(charge_points), figures(charge_points)).await?);
            self.forget().await;
        }
        Ok(all)
    }

    /// The figures of this part of a row. Why they cannot be had is told beside the other parts', unless no other part
    /// can be had either: that is an error.
    pub(crate) async fn part(
        &self,
        what: impl Into<String>,
        figures: impl Future<Output = Result<Vec<Figure>, Error>>,
    ) -> Result<Vec<Figure>, Error> {
        figures.await.or_else(|why| {
            if why.is_of_all_rows() {
                return Err(why);
            }
            self.lacks(what.into(), why);
            Ok(Vec::new())
        })
    }

    /// This cannot be measured, which is told now and at the end.
    pub(crate) fn lacks(&self, what: String, why: Error) {
        self.say(&format!("{what}: {why}"));
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).push(Missing { what, why });
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

    /// Leaves nothing behind: what it made on a broker that goes on, too. Tells what it could not measure.
    pub(crate) async fn end(self) -> Vec<Missing> {
        self.forget().await;
        self.missing.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was made on Kafka and on the disk is not needed any more: no process has it.
    pub(crate) async fn forget(&self) {
        for entry in fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            let path = entry.path();
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }; // else at the end
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_measured_is_told_beside_what_can() {
        let bench = Bench::new(&mesh::flags::defaults(&["intake"])).unwrap();
        let late = || Error::Late { what: "central answers".to_owned(), within: 60 };
        let measured = async |charge_points: u32| match charge_points {
            2_000 => Err(late()),
            size => Ok(vec![Figure::new("intake: something", size.into(), 1.0, "s")]),
        };
        fs::write(bench.folder().join("store"), "what a central leaves").unwrap();
        let figures = bench.each("intake", &[1_000, 2_000, 3_000], measured).await.unwrap();
        assert_eq!(figures.iter().map(|figure| figure.size).collect::<Vec<_>>(), [1_000, 3_000]);
        assert!(!bench.folder().join("store").exists());
        let missing = bench.end().await;
        let told: Vec<_> =
            missing.iter().map(|missing| (missing.what.as_str(), missing.why.to_string())).collect();
        assert_eq!(told, [("intake with 2000 charge points", "not within 60 s: central answers".to_owned())]);
    }

    #[tokio::test]
    async fn other_numbers_of_charge_points_can_be_asked_for() {
        let bench = Bench::new(&mesh::flags::defaults(&["intake", "--charge-points", "20,30"])).unwrap();
        let measured = async |size: u32| Ok(vec![Figure::new("intake: something", size.into(), 1.0, "s")]);
        let figures = bench.each("intake", &[1_000], measured).await.unwrap();
        assert_eq!(figures.iter().map(|figure| figure.size).collect::<Vec<_>>(), [20, 30]);
    }
}
