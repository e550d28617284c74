//! `catch-up` and `intake-single`: how central reads what was written beforehand, in large batches or one message each.

use crate::{
    backlog::{Backlog, IN_LARGE},
    bench::Bench,
    error::Error,
    figure::{Figure, Load},
    files::has_room,
    network::Network,
    options::Size,
    readings::Told,
    runs::{bare, runs},
};

/// So often the bare consumer reads what central has read.
const BARE: usize = 5;
/// Before a full size is measured, central reads so many times fewer.
const WARM_UP: u64 = 10;
/// A message takes so much of a broker's disk, in a batch of many or alone (bytes).
const BYTES: u64 = 450;

/// What is written, and how.
struct Shape {
    row: &'static str,
    sizes: &'static [u32],
    messages: u64,
    batches: &'static [(&'static str, &'static str)],
}

const IN_SINGLE: &[(&str, &str)] = &[("linger.ms", "0"), ("batch.num.messages", "1")];

pub(crate) async fn catch_up(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let row = "catch-up";
    let shape = match bench.size {
        Size::Small => Shape { row, sizes: &[1_000], messages: 50_000, batches: IN_LARGE },
        Size::Full => {
            let sizes = &[1_000, 10_000, 50_000, 100_000];
            Shape { row, sizes, messages: 5_000_000, batches: IN_LARGE }
        }
    };
    measure(bench, &shape).await
}

pub(crate) async fn single(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let row = "intake-single";
    let shape = match bench.size {
        Size::Small => Shape { row, sizes: &[1_000], messages: 20_000, batches: IN_SINGLE },
        Size::Full => Shape { row, sizes: &[10_000, 50_000, 100_000], messages: 500_000, batches: IN_SINGLE },
    };
    measure(bench, &shape).await
}

async fn measure(bench: &Bench, shape: &Shape) -> Result<Vec<Figure>, Error> {
    // Of a size whose topics go, brokers keep the files for a while.
    let written = shape.messages * (bench.runs() as u64 + 1) * 2;
    has_room(shape.row, bench.folder(), written * BYTES / 1_000_000)?;
    bench.each(shape.row, shape.sizes, async |charge_points| of_size(bench, shape, charge_points).await).await
}

/// What one reading of all of it gave.
#[derive(Debug, Clone, Copy)]
struct Run {
    messages_a_second: f64,
    /// Of central a message (µs).
    cpu: f64,
    /// Its memory before and after (MB).
    before: f64,
    after: f64,
}

async fn of_size(bench: &Bench, shape: &Shape, charge_points: u32) -> Result<Vec<Figure>, Error> {
    let mut network = Network::start(bench, charge_points).await?;
    let supplies = network.supplies(bench).await?;
    let mut told: Vec<Told> = supplies.iter().map(Told::of).collect();
    if bench.size == Size::Full {
        run(bench, shape.messages / WARM_UP, &mut network, (shape, &mut told)).await?; // the first is slower
    }
    let (mut all, mut last) = (Vec::new(), None);
    for _ in 0..bench.runs() {
        let (run, backlog) = run(bench, shape.messages, &mut network, (shape, &mut told)).await?;
        all.push(run);
        last = Some(backlog);
    }
    network.end().await?; // the bare consumer has the machine as central had it
    let mut by_the_barest = Vec::new();
    for backlog in last.iter().cycle().take(BARE) {
        by_the_barest.push(backlog.read_by_the_barest().await?);
    }
    Ok(figures(shape, charge_points, &all, &by_the_barest))
}

async fn run(
    bench: &Bench,
    messages: u64,
    network: &mut Network,
    (shape, told): (&Shape, &mut [Told]),
) -> Result<(Run, Backlog), Error> {
    bench.say(&format!("{messages} messages are written"));
    let backlog = Backlog::write(&network.kafka, told, messages, shape.batches).await?;
    let before = network.central.cost()?;
    let read = backlog.read_by_central().await?;
    let after = network.central.cost()?;
    let messages = messages as f64;
    let run = Run {
        messages_a_second: messages / read.time.as_secs_f64(),
        cpu: after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / messages,
        before: before.memory as f64 / 1e6,
        after: after.memory as f64 / 1e6,
    };
    Ok((run, backlog))
}

fn figures(shape: &Shape, charge_points: u32, all: &[Run], by_the_barest: &[f64]) -> Vec<Figure> {
    let of = |of: fn(&Run) -> f64| runs(&all.iter().map(of).collect::<Vec<_>>());
    let (read, cpu) = (of(|run| run.messages_a_second), of(|run| run.cpu));
    let (before, after) = (of(|run| run.before), of(|run| run.after));
    let figure = |what: &str, value, unit, spread| {
        let load = Load { runs: all.len(), spread, ..Load::default() };
        Figure::new(format!("{}: {what}", shape.row), charge_points.into(), value, unit).under(load)
    };
    let (limit, void) = bare(by_the_barest);
    let read = figure("messages read", read.median, "1/s", read.spread).beside(limit);
    let read = read.noting(format!("{} messages; the limit is a bare consumer's", shape.messages));
    vec![
        void.into_iter().fold(read, Figure::noting),
        figure("CPU of central a message", cpu.median, "µs", cpu.spread),
        figure("memory of central", after.median, "MB", after.spread)
            .beside(before.median)
            .noting("the limit is what it had before"),
    ]
}
