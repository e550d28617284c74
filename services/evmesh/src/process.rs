//! What every long-running process has: its logs, its screen, its end.

use crate::{exit::Failure, renewal};
use mesh::{
    Shutdown,
    grpc::SecurityOptions,
    observability::{self, LogRing, LogWriter, ObservabilityOptions},
};
use std::{
    collections::BTreeSet,
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};
use tracing::Level;
use ui::{Panel, Warned};

/// After a panel has closed, so many of its errors are printed: they went with its picture.
const ERRORS_AFTER_PANEL: usize = 10;

/// Before a panel opens, what it would show is looked at so often.
const SAID_EVERY: Duration = Duration::from_millis(500);

/// How a process logs, shows itself and stops.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Process")]
pub(crate) struct Process {
    #[command(flatten)]
    observability: ObservabilityOptions,

    /// Lines instead of a panel that repaints in place. Without a terminal there are lines anyway.
    #[arg(long, env = "EVMESH_PLAIN")]
    plain: bool,

    /// How long an ordered stop may take after SIGTERM or Ctrl-C, in seconds; then the process exits as it is.
    #[arg(long, value_name = "SECONDS", env = "EVMESH_GRACE", default_value = "10", value_parser = mesh::seconds)]
    grace: Duration,
}

/// A process whose logs are set up, and which hears signals.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) shutdown: Shutdown,
    log: Option<LogRing>,
    warning: Option<&'static str>,
}

impl Process {
    /// The same, without a panel.
    pub(crate) fn without_panel(self) -> Self {
        Self { plain: true, ..self }
    }

    /// Begins. Needs a tokio runtime.
    pub(crate) fn begin(&self) -> Result<Stage, Failure> {
        let log = (!self.plain && ui::is_terminal()).then(LogRing::default);
        let writer = match &log {
            Some(log) => LogWriter::Panel(log.clone()),
            None => LogWriter::Stderr { colours: ui::colours_on_stderr() },
        };
        observability::init(&self.observability, writer).map_err(|error| match error {
            observability::Error::Filter { .. } => Failure::Usage(error.to_string()),
            observability::Error::Twice | observability::Error::Metrics(..) => Failure::because(&error),
        })?;
        // Each connection is an open file. Where the system says no, the limit stays what it was.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        Ok(Stage { shutdown: Shutdown::on_signals(self.grace, ui::restore), log, warning: None })
    }
}

impl Stage {
    /// The same, whose panel stands under this warning.
    pub(crate) fn under(self, warning: Option<&'static str>) -> Self {
        Self { warning, ..self }
    }

    /// The same, whose identity is renewed as long as the process lives.
    pub(crate) fn renewing(self, security: &SecurityOptions) -> Self {
        tokio::spawn(renewal::keep_renewed(security.clone()));
        self
    }

    /// Waits for what comes before the service runs; `None` if the order to stop ended that wait.
    pub(crate) async fn begins<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, E> {
        match self.said_on_stderr(self.shutdown.heeded_by(work)).await {
            Err(_) if self.shutdown.is_started() => Ok(None),
            done => done.map(Some),
        }
    }

    /// Waits for what comes before the panel opens. What is worth a warning meanwhile is said on stderr: a start that
    /// waits for a port looks like one that hangs.
    async fn said_on_stderr<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(ring) = &self.log else { return work.await };
        let (mut work, mut said) = (pin!(work), BTreeSet::new());
        let mut often = tokio::time::interval(SAID_EVERY);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = often.tick() => {
                    for (level, text) in ring.worst_first(ERRORS_AFTER_PANEL) {
                        if level <= Level::WARN && said.insert(text.clone()) {
                            eprintln!("evmesh: {text}");
                        }
                    }
                }
            }
        }
    }

    /// Is there a panel, or are lines printed?
    pub(crate) fn has_panel(&self) -> bool {
        self.log.is_some()
    }

    /// Runs the service, and its panel if there is a terminal for it. When one of them ends, the other is told to.
    pub(crate) async fn run<P: Panel>(
        self,
        service: Pin<Box<dyn Future<Output = Result<(), Failure>> + '_>>,
        panel: impl FnOnce(LogRing) -> P,
    ) -> Result<(), Failure> {
        let Self { shutdown, log, warning } = self;
        let service = async {
            let ended = service.await;
            shutdown.start();
            ended
        };
        let Some(ring) = log else {
            drop(panel); // central collects what a panel shows as long as there may be one
            return service.await;
        };
        let panel = async {
            let closed = ui::show(Warned { panel: panel(ring.clone()), warning }, shutdown.started()).await;
            shutdown.start();
            closed
        };
        let (ended, closed) = tokio::join!(service, panel);
        let worst = ring.worst_first(ERRORS_AFTER_PANEL).into_iter();
        worst.filter(|(level, _)| *level == Level::ERROR).for_each(|(_, text)| eprintln!("{text}"));
        ended?;
        closed.map_err(|error| Failure::terminal(&error))
    }
}
