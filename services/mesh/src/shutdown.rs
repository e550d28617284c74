//! The order to stop, handed to everything that runs.

use std::{future::Future, time::Duration};
use tokio_util::sync::CancellationToken;

/// The exit code when the grace is over, or a second signal came: that of a process ended by SIGTERM.
const FORCED_EXIT: i32 = 143;

tokio::task_local! {
    static HEEDED: Shutdown;
}

/// The order to stop. Cheap to clone; every clone hears it.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// Not started, and started only by [`Shutdown::start`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts at SIGTERM or Ctrl-C. A second signal, or the end of the grace, ends the process at once: no destructor
    /// runs, only `last`. Needs a tokio runtime.
    pub fn on_signals(grace: Duration, last: fn()) -> Self {
        let shutdown = Self::new();
        let order = shutdown.clone();
        tokio::spawn(async move {
            signal().await;
            tracing::info!(grace_s = grace.as_secs(), "stopping; a second signal stops at once");
            order.start();
            if tokio::time::timeout(grace, signal()).await.is_err() {
                tracing::error!(grace_s = grace.as_secs(), "not stopped within the grace; ending at once");
            }
            last();
            std::process::exit(FORCED_EXIT);
        });
        shutdown
    }

    /// Gives the order. Repeating it changes nothing.
    pub fn start(&self) {
        self.token.cancel();
    }

    pub fn is_started(&self) -> bool {
        self.token.is_cancelled()
    }

    pub async fn started(&self) {
        self.token.cancelled().await;
    }

    /// Runs a future whose waits for a port end at this order.
    pub fn heeded_by<F: Future>(&self, future: F) -> impl Future<Output = F::Output> {
        HEEDED.scope(self.clone(), future)
    }

    /// Waits for the order that the running task heeds; for ever, if it heeds none.
    pub(crate) async fn heeded() {
        match HEEDED.try_with(Self::clone) {
            Ok(shutdown) => shutdown.started().await,
            Err(_) => std::future::pending().await,
        }
    }

    /// One that hears this order, and whose own order stays below it.
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token() }
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }
}

async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await; // without signals only `start` stops the process
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_hears_its_parent_and_not_the_other_way_round() {
        let parent = Shutdown::new();
        let (one, two) = (parent.child(), parent.child());
        one.start();
        assert!(one.is_started() && !parent.is_started() && !two.is_started());
        parent.start();
        two.started().await;
    }
}
