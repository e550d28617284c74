//! Central as a process of its own, whose CPU time and memory are read alone.

use crate::error::{Doing as _, Error};
use evmesh_proto::{
    driver::{ListChargePointsRequest, driver_service_client::DriverServiceClient},
    operations::operator_service_client::OperatorServiceClient,
};
use mesh::{
    grpc::{Address, CALL_TIMEOUT, Expected, Peer, Peers},
    kafka::KafkaOptions,
    process::{self, computed, free_address},
};
use std::{
    fs::{self, OpenOptions},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// It answers, and ends when it is told to, within this.
const PATIENCE: Duration = Duration::from_secs(60);
/// It is looked at so often while it is waited for.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A central that can be stopped, killed and started again. It ends with this.
#[derive(Debug)]
pub(crate) struct Central {
    pub(crate) address: SocketAddr,
    /// Its store.
    pub(crate) data: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    group: i32,
    child: Option<Child>,
}

/// What it has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// User's and system's time, since its start.
    pub(crate) cpu: Duration,
    /// Resident memory (bytes), and the most of it so far.
    pub(crate) memory: u64,
    pub(crate) memory_most: u64,
}

impl Central {
    /// Starts it in a folder of its own, and waits until it answers; `more` are flags besides the usual.
    pub(crate) async fn start(
        folder: &Path,
        kafka: &KafkaOptions,
        more: &[&str],
        group: i32,
    ) -> Result<Self, Error> {
        fs::create_dir_all(folder).doing(folder.display().to_string())?;
        let (address, data) = (free_address(), folder.join("store"));
        let mut arguments: Vec<String> = ["central", "--plain", "--log", "warn"].map(str::to_owned).into();
        let mut flag = |flag: &str, value: String| arguments.extend([format!("--{flag}"), value]);
        flag("listen", address.to_string());
        flag("kafka", kafka.kafka.clone());
        flag("kafka-topic-prefix", kafka.kafka_topic_prefix.clone());
        arguments.extend(more.iter().map(ToString::to_string));
        let log = folder.join("central.log");
        let mut central = Self { address, data, arguments, log, group, child: None };
        central.begin().await?;
        Ok(central)
    }

    /// Starts it again, after [`Central::stop`] or [`Central::kill`], and waits until it answers.
    pub(crate) async fn begin(&mut self) -> Result<(), Error> {
        self.spawn()?;
        let mut client = DriverServiceClient::new(self.peer());
        let request = ListChargePointsRequest { page_size: 1, ..Default::default() };
        let until = Instant::now() + PATIENCE;
        while client.list_charge_points(request.clone()).await.is_err() {
            self.lives()?;
            if Instant::now() > until {
                return Err(late("central answers"));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Starts it again, and waits for nothing.
    pub(crate) fn spawn(&mut self) -> Result<(), Error> {
        let evmesh = std::env::current_exe().doing("this program has no name")?;
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.doing(self.log.display().to_string())?;
        let copy = log.try_clone().doing(self.log.display().to_string())?;
        let child = process::command(evmesh)
            .args(&self.arguments)
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(copy)
            .stderr(log)
            .process_group(self.group)
            .spawn()
            .doing("central cannot be started")?;
        self.child = Some(child);
        Ok(())
    }

    /// As a client names it.
    pub(crate) fn to_address(&self) -> Address {
        Address::from(self.address)
    }

    /// As an operator calls it.
    pub(crate) fn operator(&self) -> OperatorServiceClient<Peer> {
        OperatorServiceClient::new(self.peer())
    }

    /// By a connection of its own.
    pub(crate) fn peer(&self) -> Peer {
        Peers::default().peer(&self.to_address(), Expected::Central, CALL_TIMEOUT)
    }

    /// Ends it in order.
    pub(crate) async fn stop(&mut self) -> Result<(), Error> {
        let Some(child) = &mut self.child else { return Ok(()) };
        process::signal(child.id(), "TERM");
        let until = Instant::now() + PATIENCE;
        while child.try_wait().doing("central")?.is_none() {
            if Instant::now() > until {
                return Err(late("central ends in order"));
            }
            sleep(LOOK_EVERY).await;
        }
        self.child = None;
        Ok(())
    }

    /// Ends it as a power cut would: SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill(); // it has ended by itself, or does now
            let _ = child.wait();
        }
    }

    /// Has it ended by itself?
    pub(crate) fn lives(&mut self) -> Result<(), Error> {
        let ended = self.child.as_mut().map(|child| child.try_wait().doing("central")).transpose()?;
        let Some(Some(status)) = ended else { return Ok(()) };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let said = log.lines().last().unwrap_or("it said nothing").to_owned();
        Err(Error::CentralEnded { status: status.to_string(), said })
    }

    /// What it has used since it was started last.
    pub(crate) fn cost(&mut self) -> Result<Cost, Error> {
        self.lives()?;
        let id = self.child.as_ref().map(Child::id).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{id}/status")).doing("what central uses")?;
        Ok(Cost {
            cpu: computed(id).doing("what central has computed")?,
            memory: bytes(&status, "VmRSS:"),
            memory_most: bytes(&status, "VmHWM:"),
        })
    }

    /// How many files it has open, connections among them.
    pub(crate) fn open_files(&mut self) -> Result<usize, Error> {
        self.lives()?;
        let id = self.child.as_ref().map(Child::id).unwrap_or_default();
        Ok(fs::read_dir(format!("/proc/{id}/fd")).doing("what central has open")?.count())
    }
}

impl Drop for Central {
    fn drop(&mut self) {
        self.kill();
    }
}

/// It is not done in time.
pub(crate) fn late(what: &str) -> Error {
    Error::Late { what: what.to_owned(), within: PATIENCE.as_secs() }
}

/// Of a line such as `VmRSS:      5060 kB`.
pub(crate) fn bytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tevmesh\nVmHWM:\t    5100 kB\nVmRSS:\t    5060 kB\n";
        assert_eq!([bytes(status, "VmRSS:"), bytes(status, "VmHWM:")], [5_181_440, 5_222_400]);
        assert_eq!(bytes("", "VmRSS:"), 0);
    }
}
