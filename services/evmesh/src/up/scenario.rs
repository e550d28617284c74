//! What happens in a network once it is bound: it gets ready, then a driver works through a file, or people watch it.

use super::{
    faults,
    network::Network,
    options::{Options, role},
    protection::{ADMIN, Protection},
    ready::{Waiting, ready},
};
use crate::{
    exit::{Because as _, Failure, even_unread},
    json,
    operator::network::{News, follow, open},
    output::{self, Output},
    remote::{Remote, security},
    tables,
};
use domain::{ChargePointId, requests::Summary};
use driver::words::Words;
use evmesh_proto::network::ChargePointDetail;
use mesh::Shutdown;
use serde::Serialize;
use serde_json::{Value, json as object};
use std::{
    collections::{BTreeMap, HashSet},
    io,
    time::Duration,
};
use tokio::sync::{broadcast::Receiver, watch};

/// Where what happens is said.
#[derive(Debug, Clone, Copy)]
pub(super) enum Says {
    /// In a panel, which has its own ways.
    InPanel,
    /// On stdout, a line each.
    On(Output),
}

impl Says {
    fn say(self, text: &str, object: impl FnOnce() -> Value) -> Result<(), Failure> {
        match self {
            Self::InPanel => Ok(()),
            Self::On(Output::Text) => output::line(text),
            Self::On(Output::Json) => output::json_line(&object()),
        }
    }

    fn ready(self) -> Result<(), Failure> {
        self.say("ready: every charge point is available", || object!({"event": "ready"}))
    }
}

pub(super) struct Scenario {
    central: Remote,
    charge_points: Vec<ChargePointId>,
    ready_timeout: Duration,
    says: Says,
    drive: Option<Drive>,
}

/// A driver with a file, and the hand that breaks charge points for it.
struct Drive {
    service: driver::Service,
    faults: HashSet<u32>,
    hands: BTreeMap<ChargePointId, engine::Point>,
}

impl Scenario {
    /// Reads the file of requests: what is wrong with it is known before anything runs.
    pub(super) async fn bind(
        options: &Options,
        network: &Network,
        kafka: &str,
        protection: &Protection,
        says: Says,
    ) -> Result<Self, Failure> {
        let central = network.central.local_addr();
        let drive = match &options.drive.requests {
            None => None,
            Some(file) => {
                let mut flags = vec![
                    ("driver", options.drive.driver.to_string()),
                    ("central", central.to_string()),
                    ("requests", file.display().to_string()),
                    ("pause", options.drive.pause.as_secs_f64().to_string()),
                ];
                flags.extend(options.of_kafka(kafka));
                let of_driver = driver::Options {
                    security: protection.of(&format!("driver/{}", options.drive.driver))?,
                    ..role("driver", flags)?
                };
                let service = driver::Service::bind(of_driver).await.because()?;
                Some(Drive { service, faults: faults::expected(file), hands: network.hands() })
            }
        };
        let mut charge_points: Vec<_> = network.points.iter().map(|point| point.id.clone()).collect();
        charge_points.sort();
        Ok(Self {
            central: Remote::central(&central.into(), security(&protection.of(ADMIN)?)?),
            charge_points,
            ready_timeout: options.drive.ready_timeout,
            says,
            drive,
        })
    }

    /// What the driver's app shows, if there is a driver.
    pub(super) fn view(&self) -> Option<watch::Receiver<driver::View>> {
        self.drive.as_ref().map(|drive| drive.service.view())
    }

    /// Runs until the last request has concluded, or until the order to stop. It gives what came of the requests.
    pub(super) async fn run(self, shutdown: Shutdown) -> Result<Option<Summary>, Failure> {
        let says = self.says;
        let progress = |waiting: &Waiting| says.say(&waiting.text(), || waiting.json());
        let ready = tokio::select! {
            ready = ready(&self.central, &self.charge_points, self.ready_timeout, progress) => ready,
            () = shutdown.started() => return Ok(None),
        };
        match (self.drive, ready) {
            (Some(drive), Ok(())) => {
                says.ready()?;
                drive.run(says, shutdown).await.map(Some)
            }
            (Some(_), Err(failure)) => Err(failure),
            (None, ready) => {
                match ready {
                    Ok(()) => says.ready()?,
                    // It may still become ready: whoever watches sees it.
                    Err(Failure::Failed(why)) => tracing::warn!("{why}"),
                    Err(failure) => return Err(failure),
                }
                let Says::On(output) = says else {
                    return Ok(None);
                };
                let watch = async {
                    let stream = self.central.waited(open(&self.central)).await?;
                    let tell = |news: News<'_>| match news {
                        News::Changed(one) => changed(one, output),
                        News::Forgotten(id) => forgotten(id, output),
                        News::Said(_) => Ok(()), // central is in this process
                    };
                    follow(&self.central, stream, &watch::Sender::default(), tell).await
                };
                tokio::select! {
                    ended = watch => ended.map(|()| None),
                    () = shutdown.started() => Ok(None),
                }
            }
        }
    }
}

impl Drive {
    async fn run(self, says: Says, shutdown: Shutdown) -> Result<Summary, Failure> {
        let words = self.service.words();
        let (shown, hand) = (self.service.events(), self.service.events());
        let (ended, shown, ()) = tokio::join!(
            self.service.run(shutdown),
            show(words, shown, says),
            faults::inject(self.faults, self.hands, hand),
        );
        let summary = ended.because()?;
        even_unread(shown)?;
        Ok(summary)
    }
}

/// A charge point as an event.
#[derive(Serialize)]
struct Changed<T> {
    event: &'static str,
    #[serde(flatten)]
    charge_point: T,
}

fn changed(charge_point: &ChargePointDetail, output: Output) -> Result<(), Failure> {
    match output {
        Output::Text => output::line(&tables::charge_point_line(charge_point)),
        Output::Json => {
            output::json_line(&Changed { event: "charge_point", charge_point: json::of(charge_point) })
        }
    }
}

fn forgotten(id: &str, output: Output) -> Result<(), Failure> {
    match output {
        Output::Text => output::line(&tables::forgotten_line(id)),
        Output::Json => {
            let told = serde_json::json!({ "event": "charge_point_forgotten", "charge_point_id": id });
            output::json_line(&told)
        }
    }
}

/// Prints what came of each request: a table, or one object.
pub(super) fn report(summary: &Summary, output: Output) -> Result<(), Failure> {
    let before = if output == Output::Text { "\n" } else { "" };
    even_unread(output::line(&format!("{before}{}", driver::words::summary(summary, of_driver(output)))))
}

/// Shows each event until the driver's run ends.
async fn show(words: Words, events: Receiver<driver::DriverEvent>, says: Says) -> Result<(), Failure> {
    match says {
        Says::InPanel => Ok(()),
        Says::On(output) => Ok(words.print(events, of_driver(output), io::stdout()).await?),
    }
}

fn of_driver(output: Output) -> driver::Output {
    match output {
        Output::Text => driver::Output::Text,
        Output::Json => driver::Output::Json,
    }
}
