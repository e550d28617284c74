//! What is left on disk: files that others could read, and a log that others could fill.

use crate::hostile::network::{Network, eventually};
use anyhow::{Context as _, ensure};
use evmesh_proto::topics::CP_TELEMETRY;
use mesh::kafka::Producer;
use std::{fs, io::Read as _, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio, time::Duration};
use tokio::time::sleep;

/// Of a mode, what lets in others than the owner.
const OTHERS: u32 = 0o077;

/// How many files and folders there are; an error names one that is open to others.
fn private(folder: &Path) -> anyhow::Result<usize> {
    let mut count = 1;
    let mode = fs::metadata(folder)?.permissions().mode();
    ensure!(mode & OTHERS == 0, "{} is open to other users (mode {mode:o})", folder.display());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            count += private(&entry.path())?;
            continue;
        }
        let mode = metadata.permissions().mode();
        ensure!(mode & OTHERS == 0, "{} is open to other users (mode {mode:o})", entry.path().display());
        count += 1;
    }
    Ok(count)
}

/// Stores as the roles have made them; and a folder into which another user can put a file, or lock one.
pub(super) async fn open_files(network: &Network) -> anyhow::Result<String> {
    let mut count = 0;
    for entry in fs::read_dir(network.folder.join("data"))? {
        count += private(&entry?.path())?;
    }
    ensure!(count >= 9, "only {count} files and folders were looked at");
    let open = network.folder.join("open");
    fs::create_dir_all(&open)?;
    fs::write(open.join("planted"), "by somebody else")?;
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777))?;
    let mut central = mesh::testing::process::command(&network.evmesh)
        .args(["central", "--plain", "--listen", "127.0.0.1:0", "--data"])
        .arg(&open)
        .stderr(Stdio::piped())
        .spawn()?;
    let ended = eventually("it is refused", async || central.try_wait().ok().flatten()).await;
    let _ = central.kill(); // where it was let in
    let mut said = String::new();
    central.stderr.take().context("piped")?.read_to_string(&mut said)?;
    ensure!(!ended?.success() && said.contains("chmod"), "it is not refused with what mends it: {said}");
    Ok(format!(
        "{count} files and folders of 3 stores are their owner's alone, and an open folder was refused"
    ))
}

/// Megabytes of nonsense on the topic, and what central says of them.
pub(super) async fn garbage(network: &Network) -> anyhow::Result<String> {
    const BYTES: usize = 200;
    const WHILE: u32 = 5;
    /// Twenty lines of a kind a second, of 512 bytes each, and other things that are going on.
    const LOGGED: usize = 256 * 1024;
    let producer = Producer::new(&network.kafka, "stranger")?;
    let before = network.log_of_central()?.len();
    let mut sent = 0_usize;
    for _ in 0..WHILE * 10 {
        for n in 0..100 {
            let nonsense = format!("{{\"type\": \"NONSENSE-{n}\", \"pad\": \"{}\"}}", "x".repeat(BYTES));
            producer.send_lossy(CP_TELEMETRY, &format!("CP-{n}"), nonsense.as_bytes());
            sent += nonsense.len();
        }
        sleep(Duration::from_millis(100)).await;
    }
    let logged =
        network.log_of_central()?.len().checked_sub(before).context("the log is shorter than it was")?;
    ensure!(sent > 1_000_000, "only {sent} bytes were sent");
    ensure!(logged < LOGGED, "central logged {logged} bytes for {sent} bytes of nonsense");
    let (sent, logged) = (sent / 1024, logged / 1024);
    Ok(format!(
        "{sent} KiB of nonsense were put on the topic in {WHILE} s; central's log grew by {logged} KiB"
    ))
}
