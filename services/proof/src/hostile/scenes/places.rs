//! Places that a stranger takes: of calls; on disk, where files could be read and a log filled.

use crate::hostile::network::{Network, eventually};
use anyhow::{Context as _, ensure};
use evmesh_proto::topics::CP_TELEMETRY;
use mesh::kafka::Producer;
use std::{
    fs,
    io::Read as _,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use testing::Miser;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

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
    let mut central = mesh::process::command(&network.evmesh)
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

/// Calls that are begun and never sent whole, from eleven addresses and from one that stands for many, and again where
/// one ends.
pub(super) async fn half_sent_calls(network: &Network) -> anyhow::Result<String> {
    const STRANGERS: u8 = 11;
    /// Each ends after 2 s: a hundred a second of each stranger.
    const OF_ONE: usize = 200;
    /// On each of so many connections of the one that stands for many.
    const OF_MANY: (usize, usize) = (20, 60);
    const WHILE: Duration = Duration::from_secs(6);
    let (mut holding, ended) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    let held = Arc::new(AtomicUsize::new(0));
    let strangers = (2..2 + STRANGERS).map(|host| (host, OF_ONE));
    for (host, each) in strangers.chain(std::iter::repeat_n((1, OF_MANY.1), OF_MANY.0)) {
        let from = Ipv4Addr::new(127, 0, 0, host).into();
        let miser = Arc::new(Miser::connect_from(from, network.central, 0).await?);
        for _ in 0..each {
            let (miser, ended, held) = (miser.clone(), ended.clone(), held.clone());
            holding.spawn(async move {
                let method = "/evmesh.driver.v1.DriverService/ListChargePoints";
                while let Ok((answer, _body)) = miser.begin(method, "identity").await {
                    held.fetch_add(1, Relaxed);
                    let _ = answer.await; // after the time that it has to be sent whole
                    held.fetch_sub(1, Relaxed);
                    ended.fetch_add(1, Relaxed);
                }
            });
        }
        sleep(Duration::from_millis(20)).await; // strangers and honest callers are one process here
    }
    let mut most = 0;
    let over = Instant::now() + WHILE;
    while Instant::now() < over {
        sleep(Duration::from_millis(100)).await;
        most = most.max(held.load(Relaxed));
    }
    let ended = ended.load(Relaxed);
    ensure!(most >= 3_000 && ended >= 3_000, "only {most} calls were held, and {ended} ended");
    Ok(format!(
        "up to {most} calls were half sent at once, from {STRANGERS} addresses and one that stands for many; {ended} \
         ended"
    ))
}
