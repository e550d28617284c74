//! Charge points that central knows, and that are away: what each of them weighs, what they cost while nothing happens,
//! and how long lists take that are made of all of them.
//!
//! So many would take minutes to register one by one. They are written into the store of a central that is stopped, by
//! its own words for them, as a backup of another network would be; all that is measured is a central that has read it.

use crate::{
    bench::Bench,
    beside::{self, Points},
    calls::closed,
    central::Central,
    drivers::Drivers,
    error::Error,
    figure::{Figure, Load},
    files::has_room,
    options::Size,
    runs::quantile,
};
use central::store::{codec::charge_point_value, keys::CHARGE_POINTS};
use domain::network::ChargePoint;
use mesh::{
    grpc::reason,
    store::{Batch, Role, SledStore, Store as _},
};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// A broadcast of the network's status has so many entries a second at most; what it costs is that of a whole round.
const ENTRIES_A_SECOND: f64 = 20_000.0;
const CENTRAL: [&str; 4] = ["--max-charge-points", "2000000", "--max-streams", "200000"];
/// So many are written at a time.
const CHUNK: u32 = 10_000;
/// What a charge point takes on the disk at most, a second copy of sled's among it (bytes).
const ROW: u64 = 1_000;
/// What charges while lists are made supplies for as long as that takes.
const FLEET: [&str; 4] = ["--plug-in-after", "0.1", "--stay", "3600"];

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let (count, charging, calls) = match bench.size {
        Size::Small => (2_000, 20, 200),
        Size::Full => (1_000_000, 1_000, 2_000),
    };
    has_room("known", bench.folder(), u64::from(count) * ROW / 1_000_000)?;
    let kafka = bench.kafka().await?;
    let mut central = bench.central(&kafka, &CENTRAL).await?;
    let without = central.settled().await?;
    central.stop().await?;
    write(&central, count).await?;
    let begun = Instant::now();
    central.begin().await?;
    let start = begun.elapsed();
    let each = (central.settled().await? - without) / f64::from(count);
    if each <= 0.0 {
        return Err(Error::Lacks(format!("known: {count} charge points weigh nothing to be seen")));
    }
    let round = Duration::from_secs_f64(f64::from(count) / ENTRIES_A_SECOND);
    let idle = central.share(bench.time.max(round)).await? * 100.0;
    let size = u64::from(count);
    let mut figures = vec![
        Figure::new("known: memory of central a charge point", size, each, "B"),
        Figure::new("known: CPU of central", size, idle, "% of a core"),
        Figure::new("known: from start to first answer", size, start.as_secs_f64(), "s"),
    ];

    // Some others are connected, and none of them is free.
    let address = central.to_address();
    let points = Points { more: &FLEET, ..Points::sites(charging) };
    let _fleet = beside::fleet(bench, &address, &kafka, points).await?;
    let drivers = Drivers::of(&address);
    drivers.all_charge(0..charging).await?;
    drivers.all_supply(0..charging).await?;
    figures.extend(lists(bench, &drivers, (charging, calls), size).await?);
    Ok(figures)
}

/// How long questions take, while readings come.
async fn lists(
    bench: &Bench,
    drivers: &Drivers,
    (charging, calls): (u32, u32),
    size: u64,
) -> Result<Vec<Figure>, Error> {
    let time = bench.time;
    let own = drivers.clone();
    let first = closed(0..calls, 1, time, move |_| {
        let own = own.clone();
        async move { own.lists(false, 0).await.map(|_| ()) }
    });
    let first = first.await.whole("known: the first page")?;
    let own = drivers.clone();
    let free = closed(0..calls, 1, time, move |_| {
        let own = own.clone();
        async move {
            match own.lists(true, 0).await? {
                0 => Ok(()),
                some => Err(Status::internal(format!("{some} charge points are free"))),
            }
        }
    });
    let free = free.await.whole("known: those that are free")?;
    let own = drivers.clone();
    let any = closed(charging..charging + calls, 1, time, move |number| {
        let asks = own.requests_any(number);
        async move {
            match asks.await {
                Err(status) if reason(&status).as_deref() == Some("NO_CHARGE_POINT_FREE") => Ok(()),
                Err(status) => Err(status),
                Ok(()) => Err(Status::internal("a charge point was free")),
            }
        }
    });
    let any = any.await.whole("known: a request for any")?;
    let named = [
        ("known: ListChargePoints, the first page, p99", first),
        ("known: ListChargePoints, available_only with none free, p99", free),
        ("known: RequestCharge of any with none free, p99", any),
    ];
    let figures = named.into_iter().map(|(name, called)| {
        let load = Load { achieved: Some(called.a_second()), runs: 1, ..Load::default() };
        let note = format!("{} calls, one at a time; {charging} readings a second", called.latencies.len());
        Figure::new(name, size, quantile(&called.latencies, 0.99), "ms").under(load).noting(note)
    });
    Ok(figures.collect())
}

/// Writes so many charge points into the store of a central that does not run.
async fn write(central: &Central, count: u32) -> Result<(), Error> {
    let data = central.data.clone();
    let written = tokio::task::spawn_blocking(move || {
        let role = Role { name: "central", older_copies: true, must_exist: true };
        let mut store = SledStore::open(&data, role)?;
        for first in (0..count).step_by(CHUNK as usize) {
            let mut batch = Batch::default();
            for number in first..count.min(first + CHUNK) {
                let point = point(number);
                let key = [CHARGE_POINTS, point.id.as_str().as_bytes()].concat();
                batch.put(key, charge_point_value(&point));
            }
            store.commit(batch)?;
        }
        Ok::<_, mesh::store::StoreError>(())
    });
    let why =
        |error: &dyn std::fmt::Display| Error::Lacks(format!("known: its store is not written: {error}"));
    written.await.map_err(|error| why(&error))?.map_err(|error| why(&error))
}

/// The one with this number: as long as others are, and unlike them.
fn point(number: u32) -> ChargePoint {
    let parse = "letters, digits and hyphens";
    ChargePoint {
        id: format!("KNOWN-{number:07}").parse().expect(parse),
        location: format!("Town {}, street {}", number % 20, number / 20).parse().expect("words"),
        price: domain::Price::new(domain::Currency::EUR, 300_000).expect("a price"),
        engine_address: format!("127.8.{}.{}:50061", number / 256 % 256, number % 256),
        instance: format!("6d1f7c5e-3c1e-4f6a-9d8b-{number:012x}").parse().expect(parse),
        monitor: format!("monitor-of-KNOWN-{number:07}").parse().expect(parse),
        epoch: 1,
        highest_authorization: 0,
        out_of_order: false,
        never_supplied: true,
        rated: None,
        seals_from: None,
        revoked: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use central::store::codec::charge_point;

    #[test]
    fn what_is_written_is_what_central_reads() {
        let written = point(1_234_567);
        assert_eq!(charge_point(&charge_point_value(&written)).unwrap(), written);
        assert_ne!(point(1).instance, point(2).instance);
    }
}
