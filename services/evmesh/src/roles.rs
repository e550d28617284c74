//! One role in a process of its own.

use crate::{
    exit::{Because as _, Failure, even_unread},
    output,
    process::Process,
    remote::waiting,
};
use std::io;
use tokio::sync::watch;

/// A role's own flags, and those of every long-running process.
#[derive(Debug, clap::Args)]
pub(crate) struct Solo<T: clap::Args> {
    #[command(flatten)]
    role: T,

    #[command(flatten)]
    process: Process,
}

pub(crate) async fn central(solo: Solo<central::Options>) -> Result<(), Failure> {
    let stage = solo.process.begin()?.under(solo.role.security.warning()).renewing(&solo.role.security);
    solo.role.kafka.warn_if_exposed();
    let Some(service) = stage.begins(central::Service::bind(solo.role)).await.because()? else {
        return Ok(());
    };
    let (view, shutdown) = (service.view(), stage.shutdown.clone());
    let service = Box::pin(async { service.run(shutdown).await.because() });
    stage.run(service, |log| view.with_log(log)).await
}

pub(crate) async fn engine(solo: Solo<engine::Options>) -> Result<(), Failure> {
    let stage = solo.process.begin()?.under(solo.role.security.warning()).renewing(&solo.role.security);
    solo.role.kafka.warn_if_exposed();
    let Some(service) = stage.begins(engine::Service::bind(solo.role)).await.because()? else {
        return Ok(());
    };
    let (point, shutdown) = (service.point(), stage.shutdown.clone());
    let service = Box::pin(async { service.run(shutdown).await.because() });
    stage.run(service, |log| engine::panel::Panel::new(point, log)).await
}

pub(crate) async fn monitor(solo: Solo<monitor::Options>) -> Result<(), Failure> {
    let stage = solo.process.begin()?.under(solo.role.security.warning()).renewing(&solo.role.security);

    let Some(service) = stage.begins(monitor::Service::bind(solo.role)).await.because()? else {
        return Ok(());
    };
    let (view, shutdown) = (service.view(), stage.shutdown.clone());
    let service = Box::pin(async { service.run(shutdown).await.because() });
    stage.run(service, |log| monitor::panel::panel(view, log)).await
}

pub(crate) async fn bridge(solo: Solo<bridge::Options>) -> Result<(), Failure> {
    // What it has to say is its log.
    let stage = solo.process.without_panel().begin()?.renewing(&solo.role.security);
    solo.role.kafka.warn_if_exposed();
    let service = bridge::Service::open(solo.role).because()?;
    service.run(stage.shutdown).await.because()
}

pub(crate) async fn registry(solo: Solo<registry::Options>) -> Result<(), Failure> {
    // What it has to say is its log.
    let stage = solo.process.without_panel().begin()?;
    let Some(service) = stage.begins(registry::Service::bind(solo.role)).await.because()? else {
        return Ok(());
    };
    service.run(stage.shutdown).await.because()
}

/// `evmesh fleet`: a line every few seconds says how it is.
pub(crate) async fn fleet(solo: Solo<fleet::Options>) -> Result<(), Failure> {
    let stage = solo.process.without_panel().begin()?;
    let (charge_points, every) = (solo.role.charge_points, solo.role.every);
    let fleet = fleet::Fleet::start(solo.role, stage.shutdown.clone()).await.because()?;
    let begun = fleet.counts();
    let lines = async {
        let mut before = begun.clone();
        loop {
            tokio::time::sleep(every).await;
            let now = fleet.counts();
            let words = fleet::Words { charge_points, before: &before, now: &now, time: every };
            // Nobody may be reading: the fleet goes on all the same.
            let _ = output::line(&words.to_string());
            before = now;
        }
    };
    tokio::select! {
        () = fleet.run() => {}
        () = lines => {}
    }
    Ok(())
}

/// `evmesh driver`: ends by itself, with the table of what came of its requests.
pub(crate) async fn driver(solo: Solo<driver::Options>) -> Result<(), Failure> {
    let output = solo.role.output;
    let flags = format!("--driver {} --central {}", solo.role.driver, solo.role.central);
    let process = match output {
        driver::Output::Text => solo.process,
        // For scripts: no panel comes between the objects.
        driver::Output::Json => solo.process.without_panel(),
    };
    let stage = process.begin()?.under(solo.role.security.warning()).renewing(&solo.role.security);
    solo.role.kafka.warn_if_exposed();
    let service = driver::Service::bind(solo.role).await.because()?;
    let (view, stop, shutdown) = (service.view(), service.stop(), stage.shutdown.clone());
    let lines = (!stage.has_panel()).then(|| (service.words(), service.events(), service.view()));
    let mut summary = None;
    let work = Box::pin(async {
        let printing = async {
            if let Some((words, events, view)) = lines {
                let central = view.borrow().central.clone();
                let first = waiting(|| format!("waiting for central at {central}"), answered(view));
                // Nobody may be reading: the requests go on all the same.
                let (printed, ()) = tokio::join!(words.print(events, output, io::stdout()), first);
                printed.unwrap_or_default();
            }
        };
        let (ended, ()) = tokio::join!(service.run(shutdown), printing);
        summary = Some(ended.because()?);
        Ok(())
    });
    stage.run(work, |_| driver::panel::panel(view, stop)).await?;
    let Some(summary) = summary else {
        return Ok(());
    };
    even_unread(output::line(&driver::words::summary(&summary, output)))?;
    if let Some(left) = &summary.left {
        eprintln!("evmesh: {}", driver::words::left(left, &flags));
    }
    if summary.all_as_expected() { Ok(()) } else { Err(Failure::Told) }
}

/// Until central has answered, or is known not to; or until the run has ended.
async fn answered(mut view: watch::Receiver<driver::View>) {
    // An error is the run's end.
    let _ = view.wait_for(|view| view.reachable.is_some()).await;
}
