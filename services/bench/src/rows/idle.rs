//! A network that nobody charges in: what its monitors' reports and its engines' connections cost.

use crate::{
    bench::Bench,
    beside::{self, Points},
    drivers::Drivers,
    error::Error,
    figure::{Figure, Load},
    files::has_files,
    machine::Watch,
    options::Size,
    runs::runs,
};
use std::time::Duration;

/// Central has room for all of them.
const CENTRAL: [&str; 4] = ["--max-charge-points", "1000000", "--max-streams", "200000"];
/// What a report costs is what more of them cost. Central is told to want one so often, and gets it, or more (seconds).
const WANTED: (&str, f64) = ("5", 5.0);
/// Monitors report so many times a second at most, all together: what that costs is what a whole round does.
const REPORTS_A_SECOND: f64 = 2_000.0;
/// After they have connected, the network has so long to come to rest.
const RESTS: Duration = Duration::from_secs(2);

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>, Error> {
    // In either way there is some ten thousand more in a second.
    let (networks, reporting) = match bench.size {
        Size::Small => (vec![Points::sites(500)], (1_000, ("0.1", 0.1))),
        Size::Full => {
            (vec![Points::alone(8_000), Points::sites(10_000), Points::sites(100_000)], (10_000, ("1", 1.0)))
        }
    };
    let mut figures = Vec::new();
    for points in networks {
        let what = format!("idle with {} charge points", points.count);
        figures.extend(bench.part(what, network(bench, points)).await?);
    }
    figures.extend(bench.part("idle: an unchanged report", a_report(bench, reporting)).await?);
    Ok(figures)
}

async fn network(bench: &Bench, points: Points<'_>) -> Result<Vec<Figure>, Error> {
    let (size, sites) = (u64::from(points.count), u64::from(points.count.div_ceil(points.site)));
    has_files("idle", &[(sites, "connections of monitors"), (sites, "connections to engines")])?;
    let kafka = bench.kafka().await?;
    let mut central = bench.central(&kafka, &CENTRAL).await?;
    let _fleet = beside::fleet(bench, &central.to_address(), &kafka, points).await?;
    Drivers::of(&central.to_address()).are_free(points.count as usize).await?;
    let (mut shares, mut softirqs) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs() {
        tokio::time::sleep(RESTS).await;
        let watch = Watch::begin()?;
        let round = Duration::from_secs_f64(f64::from(points.count) / REPORTS_A_SECOND);
        shares.push(central.share(bench.time.max(round)).await? * 100.0);
        softirqs.push(watch.shares()?.softirq * 100.0);
    }
    let kind = if points.site == 1 { "with connections of their own" } else { "as sites" };
    let memory = central.cost()?.memory as f64 / 1e6;
    let (shares, softirq) = (runs(&shares), runs(&softirqs).median);
    let load = Load { runs: shares.count, spread: shares.spread, ..Load::default() };
    Ok(vec![
        Figure::new(format!("idle: CPU of central, {kind}"), size, shares.median, "% of a core")
            .under(load)
            .noting(format!("the machine's softirq had {softirq:.2} % of all cores")),
        Figure::new(format!("idle: memory of central, {kind}"), size, memory, "MB"),
    ])
}

/// What an unchanged report costs, where so many monitors report as often as is wanted, and then so often (seconds).
async fn a_report(bench: &Bench, (count, often): (u32, (&str, f64))) -> Result<Vec<Figure>, Error> {
    let mut computed = Vec::new();
    for (every, _) in [often, WANTED] {
        let kafka = bench.kafka().await?;
        let flags = [&CENTRAL[..], &["--report-interval", WANTED.0]].concat();
        let mut central = bench.central(&kafka, &flags).await?;
        let points = Points { more: &["--reports", every], ..Points::sites(count) };
        let _fleet = beside::fleet(bench, &central.to_address(), &kafka, points).await?;
        Drivers::of(&central.to_address()).are_free(count as usize).await?;
        let mut shares = Vec::new();
        for _ in 0..bench.runs() {
            tokio::time::sleep(RESTS).await;
            shares.push(central.share(bench.time).await?);
        }
        computed.push(runs(&shares).median);
    }
    let [more, fewer] = [often, WANTED].map(|(_, every)| f64::from(count) / every);
    let micros = (computed[0] - computed[1]) * 1e6 / (more - fewer);
    if micros <= 0.0 {
        let text = format!(
            "idle: what a report costs is not to be seen: {more:.0} of them a second took no more than {fewer:.0}; \
             measure for longer with --seconds"
        );
        return Err(Error::Lacks(text));
    }
    let note = format!("{more:.0} reports a second beside {fewer:.0}");
    Ok(vec![Figure::new("idle: CPU of central an unchanged report", count.into(), micros, "µs").noting(note)])
}
