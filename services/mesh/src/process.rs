//! Processes that tests, proofs and the bench start: on free ports, with nothing of this shell's settings, and never
//! outliving whoever started them.

use std::{
    ffi::OsStr,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// The ports that are given out: below those from which the system takes the ports of outgoing connections, so that
/// none of these comes between a choice and its use.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// What `/proc/PID/stat` counts in, everywhere that Linux runs.
const TICK: Duration = Duration::from_millis(10);

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

/// The processes of a run: one process group, led by a shell that kills it all once this process is gone, however it
/// went.
#[derive(Debug)]
pub struct Group {
    guard: Child,
}

impl Group {
    /// # Errors
    ///
    /// If there is no shell.
    pub fn start() -> io::Result<Self> {
        let guard = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -9 0"]) // its input ends with this process
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("a shell is needed to guard the processes: {error}"))
            })?;
        Ok(Self { guard })
    }

    /// What a member of it is started with.
    pub fn id(&self) -> i32 {
        i32::try_from(self.guard.id()).unwrap_or_default()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait(); // it has killed itself with the rest
    }
}

/// How long a process has been on a core, all of its threads: those that run, to the nanosecond; or, if that is more,
/// those too that have ended, to the tick.
///
/// # Errors
///
/// If there is no such process.
pub fn computed(process: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let Ok(schedule) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += schedule.split_whitespace().next().and_then(|on| on.parse().ok()).unwrap_or(0_u64);
    }
    let own = ticks(&std::fs::read_to_string(format!("/proc/{process}/stat"))?, OWN);
    Ok(Duration::from_nanos(nanoseconds).max(own))
}

/// What the children have computed that this process has started, and seen end.
///
/// # Errors
///
/// If the system does not say.
pub fn computed_by_the_ended() -> io::Result<Duration> {
    Ok(ticks(&std::fs::read_to_string("/proc/self/stat")?, ENDED))
}

/// Where its user's and its system's time stand, behind the name: a process's own, and that of its ended children.
const OWN: usize = 11;
const ENDED: usize = 13;

fn ticks(stat: &str, at: usize) -> Duration {
    // The name may have blanks and brackets in it.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split_whitespace();
    let ticks = fields.skip(at).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// An address on 127.0.0.1 where nothing listens. Each is given once in this process: several may be chosen before
/// the first one is used.
///
/// # Panics
///
/// If none is free.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Processes that run at once start at different places.
    let start = std::process::id().wrapping_mul(101);
    for _ in 0..count {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(offset).expect("it is within the range");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port from {} to {} is free", PORTS.start, PORTS.end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_computed_is_read_behind_whatever_name_it_has() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 0 1 2 3 4 150 50 7 3 20 0";
        assert_eq!(ticks(stat, OWN), Duration::from_secs(2));
        assert_eq!(ticks(stat, ENDED), Duration::from_millis(100));
        assert!(computed(std::process::id()).unwrap() > Duration::ZERO);
        assert!(computed(u32::MAX).is_err());
    }

    #[test]
    fn a_group_ends_with_whoever_started_it() {
        let group = Group::start().unwrap();
        let mut member = Command::new("sleep").arg("600").process_group(group.id()).spawn().unwrap();
        assert!(matches!(member.try_wait(), Ok(None)));
        drop(group);
        assert!(!member.wait().unwrap().success());
    }
}
