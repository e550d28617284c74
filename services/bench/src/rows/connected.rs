//! Charge points with connections of their own: what each of them takes of central's memory, beside what a stream takes
//! of the barest server's, whose clients are the same.

use crate::{
    bare::Kind,
    bench::Bench,
    beside::{self, Points},
    central::{Central, LOOK_EVERY},
    cost::settled,
    drivers::Drivers,
    error::Error,
    figure::Figure,
    files::has_files,
    options::Size,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const CENTRAL: [&str; 2] = ["--max-streams", "200000"];
/// Central closes an engine's connection that was idle for a minute; the last engine was asked a while after the first.
const LET_GO_WITHIN: Duration = Duration::from_secs(180);
/// An allocator keeps what was given back to it for some seconds, in case it is wanted again.
const GIVEN_BACK: Duration = Duration::from_secs(15);

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let count = match bench.size {
        Size::Small => 200,
        Size::Full => 8_000,
    };
    let (size, points) = (u64::from(count), Points::alone(count));
    has_files("connected", &[(size, "streams of monitors"), (size, "connections to engines")])?;
    let kafka = bench.kafka().await?;

    let (server, address) = beside::bare(bench, Kind::Streams, None).await?;
    let without = settled(server.id()).await?;
    let fleet = beside::fleet(bench, &address, &kafka, points).await?;
    if bench.size == Size::Full {
        sleep(GIVEN_BACK).await;
    }
    let bare = (settled(server.id()).await? - without) / f64::from(count);
    drop((fleet, server));

    let mut central = bench.central(&kafka, &CENTRAL).await?;
    let without = central.settled().await?;
    let _fleet = beside::fleet(bench, &central.to_address(), &kafka, points).await?;
    Drivers::of(&central.to_address()).are_free(count as usize).await?;
    let note = match bench.size {
        Size::Small => "with the connections to engines, which an idle minute closes",
        Size::Full => {
            engines_are_let_go(&mut central, count as usize).await?;
            sleep(GIVEN_BACK).await;
            "once the connections to engines are closed, which were idle for a minute"
        }
    };
    let each = (central.settled().await? - without) / f64::from(count);
    if each <= 0.0 || bare <= 0.0 {
        let text =
            format!("connected: {count} streams weigh nothing to be seen ({each:.0} B, bare {bare:.0} B)");
        return Err(Error::Lacks(text));
    }
    Ok(vec![
        Figure::new("connected: memory of central a charge point", size, each, "B").beside(bare).noting(note),
    ])
}

/// Of its connections there are those of the monitors left, and some of its own.
async fn engines_are_let_go(central: &mut Central, monitors: usize) -> Result<(), Error> {
    let until = Instant::now() + LET_GO_WITHIN;
    while central.open_files()? > monitors + monitors / 10 {
        if Instant::now() > until {
            let what = "central closes the connections to engines that were idle".to_owned();
            return Err(Error::Late { what, within: LET_GO_WITHIN.as_secs() });
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
