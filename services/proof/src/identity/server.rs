//! The product's own processes: started, restarted, and what they have computed.

use crate::process::{self, Group};
use mesh::process::computed;
use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

/// Whatever is waited for is there within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server of the executable's, that is started again as often as it is stopped. It ends with its group.
#[derive(Debug)]
pub(super) struct Server {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    group: i32,
    child: Child,
}

impl Server {
    pub(super) fn start(
        (program, log): (&Path, &Path),
        arguments: Vec<String>,
        group: &Group,
    ) -> anyhow::Result<Self> {
        let (program, log, group) = (program.to_owned(), log.to_owned(), group.id());
        let child = spawned(&program, &arguments, &log, group)?;
        Ok(Self { program, arguments, log, group, child })
    }

    /// Stops it in order; then the work is done, and it is started again.
    pub(super) async fn restart<T>(
        &mut self,
        meanwhile: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        mesh::process::signal(self.child.id(), "TERM");
        let stopped = async || self.child.try_wait().ok().flatten();
        eventually(&format!("the end of {}", self.arguments[0]), stopped).await?;
        let done = meanwhile()?;
        self.child = spawned(&self.program, &self.arguments, &self.log, self.group)?;
        Ok(done)
    }

    pub(super) fn computed(&self) -> anyhow::Result<Duration> {
        Ok(computed(self.child.id())?)
    }
}

fn spawned(program: &Path, arguments: &[String], log: &Path, group: i32) -> anyhow::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    process::spawned((program, arguments), [log.try_clone()?, log], group)
}

/// A command of the executable's that ends by itself, and well.
pub(super) fn run(program: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command: Command = mesh::process::command(program);
    let output = command.args(arguments).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "evmesh {}: {said}", arguments.join(" "));
    Ok(output)
}

/// Looks until there is something, as long as [`PATIENCE`].
pub(super) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    process::eventually(what, (PATIENCE, Duration::from_millis(5)), look).await
}
