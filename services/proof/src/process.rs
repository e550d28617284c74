//! Processes that are killed, frozen and started again, and that never outlive the run.

use anyhow::Context as _;
pub(crate) use mesh::process::Group;
use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep},
};

/// The executable of this name, or the one beside this one.
pub(crate) fn executable(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let evmesh = match named {
        Some(evmesh) => evmesh.to_owned(),
        None => std::env::current_exe()?.with_file_name("evmesh"),
    };
    anyhow::ensure!(
        evmesh.exists(),
        "{} is not there: build it with 'cargo build --release -p evmesh', or name it with --evmesh",
        evmesh.display()
    );
    Ok(evmesh)
}

/// A program with its arguments, as a member of a group; where it writes, on stdout and on stderr.
pub(crate) fn spawned(
    (program, arguments): (&Path, &[String]),
    [stdout, stderr]: [File; 2],
    group: i32,
) -> anyhow::Result<Child> {
    mesh::process::command(program)
        .args(arguments)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(group)
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))
}

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Central,
    Registry,
    Broker,
    Engine,
    Monitor,
    Driver,
}

impl Kind {
    /// What `faults` kills and freezes: its network has no registry.
    pub(crate) const DISTURBED: [Self; 5] =
        [Self::Central, Self::Broker, Self::Engine, Self::Monitor, Self::Driver];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Central => "central",
            Self::Registry => "registry",
            Self::Broker => "broker",
            Self::Engine => "engine",
            Self::Monitor => "monitor",
            Self::Driver => "driver",
        }
    }
}

/// One process, over all its lives.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    group: i32,
    life: Mutex<Life>,
}

/// The process as it is. Whoever holds this disturbs the process, and nobody else does.
#[derive(Debug)]
pub(crate) struct Life {
    child: Option<Child>,
    pub(crate) count: u32,
}

impl Slot {
    pub(crate) fn new(
        kind: Kind,
        name: impl Into<String>,
        program: &Path,
        arguments: Vec<String>,
        folder: &Path,
        group: &Group,
    ) -> Self {
        Self {
            name: name.into(),
            kind,
            program: program.to_owned(),
            arguments,
            folder: folder.to_owned(),
            group: group.id(),
            life: Mutex::new(Life { child: None, count: 0 }),
        }
    }

    /// `None` while somebody else disturbs it.
    pub(crate) fn try_take(&self) -> Option<MutexGuard<'_, Life>> {
        self.life.try_lock().ok()
    }

    pub(crate) async fn take(&self) -> MutexGuard<'_, Life> {
        self.life.lock().await
    }

    /// Its logs, one for all its lives; what it says on stdout has a file for each.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// What each of its lives said on stdout.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = PathBuf> + '_ {
        (1..).map(|life| self.output(life)).take_while(|path| path.exists())
    }

    fn output(&self, life: u32) -> PathBuf {
        self.folder.join(format!("{}.{life}.out", self.name))
    }

    pub(crate) fn start(&self, life: &mut Life) -> anyhow::Result<()> {
        life.count += 1;
        let mut log = OpenOptions::new().create(true).append(true).open(self.log())?;
        writeln!(log, "--- life {} at {}", life.count, clock(mesh::now().wall.0))?;
        let output = match self.kind {
            Kind::Driver => File::create(self.output(life.count))?,
            Kind::Central | Kind::Registry | Kind::Broker | Kind::Engine | Kind::Monitor => {
                log.try_clone()?
            }
        };
        life.child = Some(spawned((&self.program, &self.arguments), [output, log], self.group)?);
        Ok(())
    }

    /// As a power cut would: SIGKILL. `false` if it does not run.
    pub(crate) fn kill(&self, life: &mut Life) -> bool {
        let Some(mut child) = life.child.take() else { return false };
        let killed = matches!(child.try_wait(), Ok(None)) && child.kill().is_ok();
        let _ = child.wait();
        killed
    }

    /// Stops its clock (`STOP`), lets it go on (`CONT`), or asks it to end (`TERM`).
    pub(crate) fn signal(&self, life: &Life, signal: &str) -> bool {
        life.child.as_ref().is_some_and(|child| mesh::process::signal(child.id(), signal))
    }

    /// The process's id; `None` if it does not run.
    pub(crate) fn id(&self, life: &Life) -> Option<u32> {
        life.child.as_ref().map(Child::id)
    }

    /// Its end, if it ended by itself.
    pub(crate) fn ended(&self, life: &mut Life) -> Option<ExitStatus> {
        let status = life.child.as_mut()?.try_wait().ok()??;
        life.child = None;
        Some(status)
    }
}

/// Looks until there is something: for so long, with such a pause between two looks.
pub(crate) async fn eventually<T>(
    what: &str,
    (within, pause): (Duration, Duration),
    mut look: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let until = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        anyhow::ensure!(Instant::now() < until, "not within {within:?}: {what}");
        sleep(pause).await;
    }
}

/// The page of metrics that a process has there.
pub(crate) async fn metrics(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}

/// The sum of what such a page has under this name, of the lines with this label.
pub(crate) fn sum(page: &str, name: &str, label: &str) -> f64 {
    let of_name = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
    };
    let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    page.lines().filter(of_name).filter_map(value).sum()
}

/// A wall clock's time of day, to the millisecond, for people who read logs beside it.
pub(crate) fn clock(millis: i64) -> String {
    let of_day = millis.rem_euclid(86_400_000);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
