//! Processes that tests start.

use std::{ffi::OsStr, process::Command};

/// A command of the executable, with nothing of this shell's `EVMESH_` variables: they would be settings of it.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("EVMESH_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Sends a signal, by its name without `SIG`: `TERM`, `STOP`, `CONT`. `false` if nobody takes it.
pub fn signal(process: u32, name: &str) -> bool {
    let command = format!("kill -{name} {process}");
    Command::new("sh").args(["-c", &command]).status().is_ok_and(|status| status.success())
}
