//! Authorisations: a driver asks central, central asks the engine, both are on disk, the driver has its answer. Beside
//! it a bare chain of two calls, with the same messages, on the same cores.

use crate::{
    bare::Kind,
    bench::Bench,
    beside::{self, Points},
    calls::{Called, closed, open},
    central::Central,
    drivers::Drivers,
    error::Error,
    figure::{Figure, Load},
    files::{has_files, of_network},
    options::Size,
    runs::{Runs, bare, quantile, runs},
};
use std::{ops::Range, time::Duration};

/// Central and the chain take turns so often.
const TURNS: u32 = 5;
/// Nobody plugs in, nobody reports much, and whoever cancels may come again: what is measured are authorisations.
const CENTRAL: [&str; 6] =
    ["--report-interval", "60", "--unused-reservations", "0", "--max-concurrent-requests", "4096"];
const FLEET: [&str; 2] = ["--plug-in-after", "3600"];
/// No round lasts longer.
const ROUND: Duration = Duration::from_secs(60);

struct Sizes {
    points: u32,
    a_second: f64,
    at_once: &'static [usize],
}

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let Sizes { points, a_second, at_once } = match bench.size {
        Size::Small => Sizes { points: 300, a_second: 50.0, at_once: &[16] },
        Size::Full => Sizes { points: 5_000, a_second: 1_000.0, at_once: &[64, 1_024] },
    };
    has_files("authorize", &of_network(points))?;
    let kafka = bench.kafka().await?;
    let mut central = bench.central(&kafka, &CENTRAL).await?;
    let to_central = central.to_address();
    let _fleet =
        beside::fleet(bench, &to_central, &kafka, Points { more: &FLEET, ..Points::sites(points) }).await?;
    let (_engine, engine) = beside::bare(bench, Kind::Engine, None).await?;
    let (_chain, chain) = beside::bare(bench, Kind::Chain, Some(&engine)).await?;
    let (drivers, chain) = (Drivers::of(&to_central), Drivers::of(&chain));
    drivers.are_free(points as usize).await?;
    let mut row = Measured { bench, central: &mut central, drivers, chain, points };

    row.warm_up().await?;
    let mut figures = bench.part("authorize: an open loop", row.paced(a_second)).await?;
    for at_once in at_once {
        let what = format!("authorize: {at_once} under way at once");
        figures.extend(bench.part(what, row.against_the_chain(*at_once)).await?);
    }
    Ok(figures)
}

struct Measured<'a> {
    bench: &'a Bench,
    central: &'a mut Central,
    drivers: Drivers,
    chain: Drivers,
    points: u32,
}

/// What was asked, and what central computed meanwhile.
#[derive(Default)]
struct Round {
    called: Called,
    cpu: Duration,
}

impl Measured<'_> {
    async fn warm_up(&self) -> Result<(), Error> {
        self.drivers.all_charge(0..self.points).await?;
        self.drivers.all_stop(0..self.points).await?;
        self.chain.all_charge(0..self.points).await.map(|_| ())
    }

    /// At a rate that does not wait for answers; the chain at the same one.
    async fn paced(&mut self, a_second: f64) -> Result<Vec<Figure>, Error> {
        let size = self.points.into();
        let numbers = 0..self.points.min((a_second * self.bench.time.as_secs_f64()) as u32).max(1);
        let (mut quantiles, mut by_the_chain, mut achieved) =
            ([Vec::new(), Vec::new()], Vec::new(), Vec::new());
        for _ in 0..self.bench.runs() {
            let time = self.bench.time;
            let drivers = self.drivers.clone();
            let call = move |number| drivers.requests(number);
            let paced = async |numbers| open(numbers, a_second, call.clone()).await;
            let Round { called, .. } = self.rounds(time, numbers.clone(), paced).await?;
            achieved.push(called.a_second());
            for (quantiles, share) in quantiles.iter_mut().zip([0.5, 0.99]) {
                quantiles.push(quantile(&called.latencies, share));
            }
            let chain = self.chain.clone();
            let called = open(numbers.clone(), a_second, move |number| chain.requests(number)).await;
            by_the_chain.push(called.whole("authorize: the bare chain")?.latencies);
        }
        let names = [("p50", 0.5), ("p99", 0.99)];
        let figures = names.into_iter().zip(quantiles).map(|((name, share), values)| {
            let of_all = runs(&values);
            let limits = by_the_chain.iter().map(|latencies| quantile(latencies, share));
            let limits: Vec<f64> = limits.collect();
            let load = Load {
                offered: Some(a_second),
                achieved: Some(runs(&achieved).median),
                runs: of_all.count,
                spread: of_all.spread,
                notes: vec!["from the moment when a call was to be made".to_owned()],
            };
            let name = format!("authorize: {name} of an open loop");
            // A ratio of two tails is not one of costs.
            let limit = Some(runs(&limits).median);
            Figure { limit, ..Figure::new(name, size, of_all.median, "ms").under(load) }
        });
        Ok(figures.collect())
    }

    /// So many under way at once, as fast as central can; the chain in turns with it.
    async fn against_the_chain(&mut self, at_once: usize) -> Result<Vec<Figure>, Error> {
        let time = self.bench.time / (2 * TURNS);
        let idle = self.idle().await?;
        let (mut own, mut by_the_chain, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            by_the_chain.push(self.bare_rounds(time, at_once).await?.a_second());
            let drivers = self.drivers.clone();
            let call = move |number| drivers.requests(number);
            let closed = async |numbers| closed(numbers, at_once, ROUND, call.clone()).await;
            let round = self.rounds(time, 0..self.points, closed).await?;
            let calls = round.called.latencies.len() as f64;
            cpu.push((round.cpu.as_secs_f64() - idle * round.called.took.as_secs_f64()) * 1e6 / calls);
            own.push(round.called.a_second());
        }
        let (limit, void) = bare(&by_the_chain);
        let [own, cpu] = [&own, &cpu].map(|values| runs(values));
        let load = |of: Runs| Load {
            runs: of.count,
            spread: of.spread,
            notes: void.clone().into_iter().collect(),
            ..Load::default()
        };
        let size = at_once as u64;
        Ok(vec![
            Figure::new("authorize: under way at once", size, own.median, "1/s")
                .beside(limit)
                .under(load(own)),
            Figure::new("authorize: CPU of central a call", size, cpu.median, "µs")
                .under(load(cpu))
                .noting("what it computes without calls is subtracted"),
        ])
    }

    /// Rounds of authorisations, each of these charge points once in each, until they have taken so long; what frees
    /// the charge points again between two rounds is not counted.
    async fn rounds(
        &mut self,
        time: Duration,
        numbers: Range<u32>,
        round: impl AsyncFn(Range<u32>) -> Called,
    ) -> Result<Round, Error> {
        let mut all = Round::default();
        while all.called.took < time * 9 / 10 {
            let before = self.central.cost()?.cpu;
            let called = match round(numbers.clone()).await.whole("authorize") {
                Ok(called) => called,
                Err(why) => {
                    let _ = self.drivers.all_stop(numbers).await; // those that were granted: others come next
                    return Err(why);
                }
            };
            all.cpu += self.central.cost()?.cpu.saturating_sub(before);
            all.called = all.called.and(called);
            self.drivers.all_stop(numbers.clone()).await?;
        }
        Ok(all)
    }

    async fn bare_rounds(&self, time: Duration, at_once: usize) -> Result<Called, Error> {
        let mut all = Called::default();
        while all.took < time {
            let chain = self.chain.clone();
            let called = closed(0..self.points, at_once, ROUND, move |number| chain.requests(number)).await;
            all = all.and(called.whole("authorize: the bare chain")?);
        }
        Ok(all)
    }

    /// What central computes a second while nobody calls it.
    async fn idle(&mut self) -> Result<f64, Error> {
        self.central.share(self.bench.time / 3).await
    }
}
