//! What happens in a network once it is bound: it gets ready, then a driver works through a file, or people watch it.

use super::{Options, faults, network::Network, ready::ready};
use crate::{
    exit::{Failure, even_unread},
    far::Far,
    operator,
    output::{self, Output},
};
use domain::{ChargePointId, requests::Summary};
use driver::words::Words;
use mesh::Shutdown;
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    watch,
};

/// The plot, before it begins.
pub(super) struct Story {
    central: Far,
    charge_points: Vec<ChargePointId>,
    ready_timeout: Duration,
    /// Lines are printed; if not, a panel shows what happens.
    lines: bool,
    drive: Option<Drive>,
}

/// A driver with a file, and the hand that breaks charge points for it.
struct Drive {
    service: driver::Service,
    faults: HashSet<u32>,
    hands: BTreeMap<ChargePointId, engine::Point>,
}

impl Story {
    /// Reads the file of requests: what is wrong with it is known before anything runs.
    pub(super) async fn bind(
        options: &Options,
        network: &Network,
        kafka: &str,
        lines: bool,
    ) -> Result<Self, Failure> {
        let central = network.central.local_addr();
        let drive = match &options.drive.requests {
            None => None,
            Some(file) => {
                let flags = vec![
                    ("driver", options.drive.driver.to_string()),
                    ("central", central.to_string()),
                    ("requests", file.display().to_string()),
                    ("pause", options.drive.pause.as_secs_f64().to_string()),
                    ("kafka", kafka.to_owned()),
                    ("kafka-topic-prefix", options.kafka_topic_prefix.clone()),
                ];
                let service = driver::Service::bind(super::network::role("driver", flags)?).await;
                Some(Drive {
                    service: service.map_err(|error| Failure::because(&error))?,
                    faults: faults::expected(file),
                    hands: network.hands(),
                })
            }
        };
        Ok(Self {
            central: Far::central(&central.into()),
            charge_points: network.points.iter().map(|point| point.id.clone()).collect(),
            ready_timeout: options.drive.ready_timeout,
            lines,
            drive,
        })
    }

    /// What the driver's app shows, if there is a driver.
    pub(super) fn view(&self) -> Option<watch::Receiver<driver::View>> {
        self.drive.as_ref().map(|drive| drive.service.view())
    }

    /// Runs until the last request has concluded, or until the order to stop. It gives what came of the requests.
    pub(super) async fn run(self, shutdown: Shutdown) -> Result<Option<Summary>, Failure> {
        let lines = self.lines;
        let progress = |text: &str| say(lines, text);
        let ready = tokio::select! {
            ready = ready(&self.central, &self.charge_points, self.ready_timeout, progress) => ready,
            () = shutdown.started() => return Ok(None),
        };
        match (self.drive, ready) {
            (Some(drive), Ok(())) => {
                say(lines, "ready: every charge point is available")?;
                drive.run(lines, shutdown).await.map(Some)
            }
            (Some(_), Err(failure)) => Err(failure),
            (None, ready) => {
                match ready {
                    Ok(()) => say(lines, "ready: every charge point is available")?,
                    // It may still become ready: whoever watches sees it.
                    Err(Failure::Failed(why)) => tracing::warn!("{why}"),
                    Err(failure) => return Err(failure),
                }
                if !lines {
                    return Ok(None);
                }
                tokio::select! {
                    ended = operator::follow(&self.central, Output::Text) => ended.map(|()| None),
                    () = shutdown.started() => Ok(None),
                }
            }
        }
    }
}

impl Drive {
    async fn run(self, lines: bool, shutdown: Shutdown) -> Result<Summary, Failure> {
        let words = self.service.words();
        let (shown, hand) = (self.service.events(), self.service.events());
        let (ended, shown, ()) = tokio::join!(
            self.service.run(shutdown),
            show(words, shown, lines),
            faults::inject(self.faults, self.hands, hand),
        );
        let summary = ended.map_err(|error| Failure::because(&error))?;
        even_unread(shown)?;
        Ok(summary)
    }
}

/// Prints the table of what came of each request.
pub(super) fn report(summary: &Summary) -> Result<(), Failure> {
    let table = driver::words::summary(summary, driver::Output::Text);
    even_unread(output::line(&format!("\n{table}")))
}

/// Shows each event until the driver's run ends.
async fn show(words: Words, mut events: Receiver<driver::DriverEvent>, lines: bool) -> Result<(), Failure> {
    loop {
        match events.recv().await {
            Ok(event) => say(lines, &words.text(&event))?,
            Err(RecvError::Lagged(missed)) => {
                say(lines, &format!("{missed} messages are not shown: they came too fast"))?
            }
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

/// Prints a line where there is no panel: a panel has its own ways.
fn say(lines: bool, text: &str) -> Result<(), Failure> {
    if lines { output::line(text) } else { Ok(()) }
}
