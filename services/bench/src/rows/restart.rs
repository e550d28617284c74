//! Central is killed as by a power cut while a network charges, and started again: how long it takes until it grants,
//! until it has read all that was told meanwhile, and until all is as it was.

use crate::{
    bench::Bench,
    beside::{self, Points},
    central::{Central, LOOK_EVERY},
    drivers::Drivers,
    error::Error,
    figure::{Figure, Load},
    marks::Marks,
    options::Size,
    runs::runs,
};
use evmesh_proto::network::ChargePointStatus;
use std::{ops::Range, time::Duration};
use tokio::time::{Instant, sleep};

const CENTRAL: [&str; 4] = ["--max-charge-points", "1000000", "--max-streams", "200000"];
const FLEET: [&str; 4] = ["--plug-in-after", "0.1", "--stay", "86400"];
/// So many charge points are free, for those who come after each start.
const FREE: u32 = 100;
/// All is as it was within this.
const PATIENCE: Duration = Duration::from_secs(300);
/// A full network has been at it for so many runs' time before each kill.
const RUNS_BEFORE: u32 = 3;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let (supplies, before) = match bench.size {
        Size::Small => (500, bench.time),
        Size::Full => (100_000, bench.time * RUNS_BEFORE),
    };
    let kafka = bench.kafka().await?;
    let mut central = bench.central(&kafka, &CENTRAL).await?;
    let address = central.to_address();
    let free = FREE * bench.runs() as u32;
    let points = Points { more: &FLEET, ..Points::sites(supplies + free) };
    let _fleet = beside::fleet(bench, &address, &kafka, points).await?;
    let drivers = Drivers::of(&address);
    bench.say(&format!("{supplies} supplies begin"));
    drivers.all_charge(0..supplies).await?;
    drivers.all_supply(0..supplies).await?;
    let marks = Marks::begin(&kafka)?;
    let mut all = Vec::new();
    for first in (supplies..supplies + free).step_by(FREE as usize) {
        sleep(before).await;
        bench.say("central is killed");
        let run = restarted(&mut central, &drivers, &marks, (supplies, first..first + FREE)).await?;
        bench.say(&format!(
            "it grants after {:.1} s, and all is as it was after {:.1} s",
            run.granted, run.back
        ));
        all.push(run);
    }
    Ok(figures(&all, supplies, before))
}

/// What one start gave (seconds).
struct Run {
    granted: f64,
    at_end: f64,
    back: f64,
    read_again: f64,
}

/// Kills central and starts it again, where so many supply and others are free.
async fn restarted(
    central: &mut Central,
    drivers: &Drivers,
    marks: &Marks,
    (supplies, free): (u32, Range<u32>),
) -> Result<Run, Error> {
    let supplying = ChargePointStatus::Supplying;
    let wanted = supplies as usize;
    central.kill();
    let begun = Instant::now();
    central.spawn()?;
    let mut free = free.cycle();
    let granted = async || match free.next() {
        Some(number) => drivers.requests(number).await.is_ok(),
        None => false, // it has no end
    };
    until(begun, "central grants again", granted).await?;
    let granted = begun.elapsed();
    let as_before = async || drivers.count(supplying).await.is_ok_and(|count| count >= wanted);
    until(begun, "every charge point supplies as before", as_before).await?;
    let back = begun.elapsed();
    until(begun, "central is at the end of the readings", async || marks.at_end(begun).is_some()).await?;
    central.lives()?;
    let at_end = marks.at_end(begun).map_or(PATIENCE, |end| end - begun);
    let [granted, back, at_end] = [granted, back, at_end].map(|time| time.as_secs_f64());
    Ok(Run { granted, at_end, back, read_again: marks.read_again(begun).as_secs_f64() })
}

fn figures(all: &[Run], supplies: u32, before: Duration) -> Vec<Figure> {
    let figure = |what: &str, of: fn(&Run) -> f64| {
        let of_all = runs(&all.iter().map(of).collect::<Vec<_>>());
        let load = Load { runs: of_all.count, spread: of_all.spread, ..Load::default() };
        let name = format!("restart: {what}");
        Figure::new(name, supplies.into(), of_all.median, "s").under(load).noting(format!(
            "after {:.0} s of {supplies} supplies; 256 monitors register at once",
            before.as_secs_f64()
        ))
    };
    vec![
        figure("kill -9 to the first grant", |run| run.granted),
        figure("kill -9 to the end of the readings", |run| run.at_end),
        figure("kill -9 to every monitor back and every engine asked", |run| run.back),
        figure("readings that are read again", |run| run.read_again),
    ]
}

/// Looks until it is so; each look is made after the one before was answered.
async fn until(begun: Instant, what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Result<(), Error> {
    while !is_so().await {
        if begun.elapsed() > PATIENCE {
            return Err(Error::Late { what: what.to_owned(), within: PATIENCE.as_secs() });
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
