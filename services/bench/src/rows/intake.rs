//! `intake`: a reading a second of each charge point, and what one of them costs central.

use crate::{
    bench::Bench,
    central::Cost,
    error::Error,
    figure::{Figure, Load},
    listener::{From, Listener},
    network::Network,
    options::Size,
    readings::{Readings, Taken},
    runs::runs,
};
use evmesh_proto::topics::DRIVER_NOTIFICATIONS;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How a notification of a reading begins.
const UPDATE: &[u8] = br#"{"type":"CONSUMO_UPDATE""#;
/// Before readings come: what central does all the same. Shorter than what makes it ask after a silent supply.
const QUIET: Duration = Duration::from_secs(2);
/// What is on its way at the end is heard within this, or never.
const LAST: Duration = Duration::from_secs(5);

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let sizes: &[u32] = match bench.size {
        Size::Small => &[1_000],
        Size::Full => &[10_000, 50_000, 70_000, 100_000],
    };
    bench.each("intake", sizes, async |charge_points| of_size(bench, charge_points).await).await
}

/// A moment of a run.
struct Moment {
    at: Instant,
    told: u64,
    heard: u64,
    cost: Cost,
}

/// What lies between two of them.
struct Run {
    told_a_second: f64,
    heard_a_second: f64,
    /// Of central a reading (µs).
    cpu: f64,
    /// What had been told and not heard at its end (seconds' worth).
    behind: f64,
}

impl Run {
    fn between(from: &Moment, to: &Moment, charge_points: u32) -> Self {
        let seconds = (to.at - from.at).as_secs_f64();
        let (told, heard) = ((to.told - from.told) as f64, (to.heard - from.heard) as f64);
        let computed = to.cost.cpu.saturating_sub(from.cost.cpu).as_secs_f64() * 1e6;
        Self {
            told_a_second: told / seconds,
            heard_a_second: heard / seconds,
            cpu: computed / heard.max(1.0),
            behind: to.told.saturating_sub(to.heard) as f64 / f64::from(charge_points),
        }
    }
}

async fn of_size(bench: &Bench, charge_points: u32) -> Result<Vec<Figure>, Error> {
    let mut network = Network::start(bench, charge_points).await?;
    let supplies = network.supplies(bench).await?;
    let heard = Arc::new(AtomicU64::new(0));
    let counted = heard.clone();
    let listener = Listener::begin(&network.kafka, DRIVER_NOTIFICATIONS, &From::new(), move |message| {
        let is_update = rdkafka::Message::payload(message).is_some_and(|payload| payload.starts_with(UPDATE));
        counted.fetch_add(u64::from(is_update), Ordering::Relaxed);
        true
    })?;
    let idle = network.central.cost()?.cpu;
    sleep(QUIET).await;
    let idle = network.central.cost()?.cpu.saturating_sub(idle).as_secs_f64() / QUIET.as_secs_f64();

    // What drivers heard while the supplies began is none of what is told now.
    let before = heard.load(Ordering::Relaxed);
    let heard = move || heard.load(Ordering::Relaxed).saturating_sub(before);
    let readings = Readings::begin(&network.kafka, &supplies)?;
    let mut moment = async |taken: &Taken| -> Result<Moment, Error> {
        let (told, heard) = (taken.count(), heard());
        Ok(Moment { at: Instant::now(), told, heard, cost: network.central.cost()? })
    };
    bench.say(&format!("{charge_points} readings a second come"));
    sleep(bench.warm_up()).await;
    let begun = moment(&readings.taken).await?;
    let (mut all, mut from) = (Vec::new(), None);
    for _ in 0..bench.runs() {
        sleep(bench.time).await;
        let to = moment(&readings.taken).await?;
        all.push(Run::between(from.as_ref().unwrap_or(&begun), &to, charge_points));
        from = Some(to);
    }
    let taken = readings.taken.clone();
    readings.end().await?;
    let until = Instant::now() + LAST;
    while heard() < taken.count() && Instant::now() < until {
        sleep(Duration::from_millis(10)).await;
    }
    let last = moment(&taken).await?;
    drop(listener);
    network.end().await?;
    Ok(figures(charge_points, &all, &last, idle))
}

fn figures(charge_points: u32, all: &[Run], last: &Moment, idle: f64) -> Vec<Figure> {
    let of = |of: fn(&Run) -> f64| runs(&all.iter().map(of).collect::<Vec<_>>());
    let (told, heard, cpu, behind) =
        (of(|run| run.told_a_second), of(|run| run.heard_a_second), of(|run| run.cpu), of(|run| run.behind));
    let load = |spread| Load {
        offered: Some(f64::from(charge_points)),
        achieved: Some(told.median),
        runs: all.len(),
        spread,
        notes: Vec::new(),
    };
    let figure = |what: &str, value, unit, spread| {
        Figure::new(format!("intake: {what}"), charge_points.into(), value, unit).under(load(spread))
    };
    let share = last.heard as f64 / last.told.max(1) as f64;
    vec![
        figure("readings taken", heard.median, "1/s", heard.spread)
            .noting(format!("{:.1} s behind", behind.median)),
        figure("readings notified", share.min(1.0) * 100.0, "%", None),
        figure("CPU of central a reading", cpu.median, "µs", cpu.spread).noting(format!(
            "{:.1} µs of it without readings: reports, pings",
            idle * 1e6 / f64::from(charge_points)
        )),
    ]
}
