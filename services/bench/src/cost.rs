//! What processes use while time passes.

use crate::{
    central::{Central, bytes},
    error::{Doing as _, Error},
};
use std::{fs, time::Duration};
use tokio::time::{Instant, sleep};

/// What has begun is over after this: connections, first questions, what an allocator gives back.
const SETTLES: Duration = Duration::from_secs(1);

/// How much of a core a process has while this time passes, by what it has computed so far.
pub(crate) async fn share(
    time: Duration,
    mut computed: impl FnMut() -> Result<Duration, Error>,
) -> Result<f64, Error> {
    let (begun, before) = (Instant::now(), computed()?);
    sleep(time).await;
    Ok(computed()?.saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64())
}

impl Central {
    /// How much of a core it has while this time passes.
    pub(crate) async fn share(&mut self, time: Duration) -> Result<f64, Error> {
        share(time, || Ok(self.cost()?.cpu)).await
    }

    /// What it has resident once it has settled (bytes).
    pub(crate) async fn settled(&mut self) -> Result<f64, Error> {
        sleep(SETTLES).await;
        Ok(self.cost()?.memory as f64)
    }
}

/// What this process has resident once it has settled (bytes).
pub(crate) async fn settled(process: u32) -> Result<f64, Error> {
    sleep(SETTLES).await;
    let status = fs::read_to_string(format!("/proc/{process}/status")).doing("what a process uses")?;
    Ok(bytes(&status, "VmRSS:") as f64)
}
