//! Central is killed as by a power cut while a network charges, and started again: how long it takes until it grants,
//! and until all is as it was.

use crate::{
    bench::Bench,
    beside::{self, Points},
    central::LOOK_EVERY,
    drivers::Drivers,
    error::Error,
    figure::Figure,
    options::Size,
};
use evmesh_proto::network::ChargePointStatus;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const CENTRAL: [&str; 4] = ["--max-charge-points", "1000000", "--max-streams", "200000"];
const FLEET: [&str; 4] = ["--plug-in-after", "0.1", "--stay", "86400"];
/// So many charge points are free, for those who come after the start.
const FREE: u32 = 100;
/// All is as it was within this.
const PATIENCE: Duration = Duration::from_secs(300);
/// A full network has been at it for so many runs' time, an hour by default, before central is killed.
const RUNS_BEFORE: u32 = 120;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let (supplies, before) = match bench.size {
        Size::Small => (500, bench.time),
        Size::Full => (100_000, bench.time * RUNS_BEFORE),
    };
    let kafka = bench.kafka().await?;
    let mut central = bench.central(&kafka, &CENTRAL).await?;
    let address = central.to_address();
    let points = Points { more: &FLEET, ..Points::sites(supplies + FREE) };
    let _fleet = beside::fleet(bench, &address, &kafka, points).await?;
    let drivers = Drivers::of(&address);
    drivers.all_charge(0..supplies).await?;
    drivers.all_supply(0..supplies).await?;
    sleep(before).await;

    central.kill();
    let begun = Instant::now();
    central.spawn()?;
    let mut free = (supplies..supplies + FREE).cycle();
    let granted = async || match free.next() {
        Some(number) => drivers.requests(number).await.is_ok(),
        None => false, // it has no end
    };
    until(begun, "central grants again", granted).await?;
    let granted = begun.elapsed();
    let supplying = ChargePointStatus::Supplying;
    let wanted = supplies as usize;
    let as_before = async || drivers.count(supplying).await.is_ok_and(|count| count >= wanted);
    until(begun, "every charge point supplies as before", as_before).await?;
    let back = begun.elapsed();
    central.lives()?;
    let size = u64::from(supplies);
    let figure = |what: &str, time: Duration| {
        Figure::new(format!("restart: kill -9 to {what}"), size, time.as_secs_f64(), "s")
            .noting(format!("after {:.0} s of {supplies} supplies", before.as_secs_f64()))
    };
    Ok(vec![figure("the first grant", granted), figure("every monitor back and every engine asked", back)])
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
