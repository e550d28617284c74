//! The Kafka that is measured on: one that is there, or one of the source tree's, started and stopped.

use crate::error::{Doing as _, Error};
use evmesh_proto::topics::{CP_TELEMETRY, DRIVER_NOTIFICATIONS};
use mesh::{
    Shutdown,
    kafka::{self, KafkaOptions, ensure_topics},
};
use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::time::sleep;

/// Where it is, below the root of the source tree.
const SCRIPT: &str = ".ci/kafka";
/// One that is named answers within this.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// A script that starts one is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A broker that is there.
#[derive(Debug)]
pub(crate) struct Broker {
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// The one that this bench started: it is stopped with this.
    _started: Option<Started>,
}

impl Broker {
    /// The one that is named, the one that runs, or a new one.
    pub(crate) async fn find(named: Option<&str>) -> Result<Self, Error> {
        if let Some(address) = named {
            return Ok(Self { address: address.to_owned(), _started: None });
        }
        let here = std::env::current_dir().doing("this folder has no name")?;
        let script = here.ancestors().map(|folder| folder.join(SCRIPT)).find(|script| script.exists());
        let script = script.ok_or(Error::NoKafka)?;
        if let Ok(address) = said(Command::new(&script).arg("address").output().doing("bash")?, &script) {
            return Ok(Self { address, _started: None });
        }
        let mut started = Started::begin(&script)?;
        let address = started.address().await?;
        Ok(Self { address, _started: Some(started) })
    }

    /// How it is reached, with topics of this prefix, the first of which are there.
    pub(crate) async fn topics(&self, prefix: String) -> Result<KafkaOptions, Error> {
        let mut options = KafkaOptions::at(&self.address);
        options.kafka_topic_prefix = prefix;
        let made = ensure_topics(options.clone(), &[CP_TELEMETRY, DRIVER_NOTIFICATIONS], Shutdown::new());
        let away = |_| Error::KafkaAway { address: self.address.clone() };
        tokio::time::timeout(ANSWERS_WITHIN, made).await.map_err(away)?;
        let there = kafka::check(&options, CP_TELEMETRY, ANSWERS_WITHIN).await;
        there.map_err(Error::Lacks)?;
        Ok(options)
    }
}

/// One of our own, from the first moment of its start.
#[derive(Debug)]
struct Started {
    script: PathBuf,
    /// The script, as long as it starts one.
    starts: Option<Child>,
}

impl Started {
    fn begin(script: &Path) -> Result<Self, Error> {
        // In a group of its own, so that Ctrl-C is heard by us alone.
        let starts = Command::new(script)
            .arg("start")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .doing(script.display().to_string())?;
        Ok(Self { script: script.to_owned(), starts: Some(starts) })
    }

    async fn address(&mut self) -> Result<String, Error> {
        while let Some(starts) = &mut self.starts {
            if starts.try_wait().doing("the script")?.is_some() {
                break;
            }
            sleep(LOOK_EVERY).await;
        }
        let ended = self.starts.take().map(Child::wait_with_output);
        let output = ended.unwrap_or_else(|| Err(std::io::ErrorKind::NotFound.into()));
        said(output.doing(self.script.display().to_string())?, &self.script)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(mut starts) = self.starts.take() {
            let _ = starts.kill();
            let _ = starts.wait();
        }
        // What it says goes nowhere: the bench has said what there is to say.
        let _ = Command::new(&self.script).arg("stop").process_group(0).output();
    }
}

/// The address that it printed.
fn said(output: std::process::Output, script: &Path) -> Result<String, Error> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = text(&output.stderr).lines().last().unwrap_or("it said nothing").to_owned();
    Err(Error::KafkaScript { script: script.to_owned(), said })
}
