//! What stands beside central, each a process of its own, so that its work is not the bench's: fleets, and the barest
//! servers.

use crate::{
    bare::Kind,
    bench::Bench,
    central::LOOK_EVERY,
    error::{Doing as _, Error},
};
use mesh::{grpc::Address, kafka::KafkaOptions, process};
use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// A server says where it is within this, and a hundred charge points are connected within it; see [`CONNECTED_EACH`].
const PATIENCE: Duration = Duration::from_secs(120);
/// So much longer for each further charge point: several times what it takes on a machine with nothing else to do.
const CONNECTED_EACH: Duration = Duration::from_millis(4);
/// A fleet's engines hear each second that they are attended: once registered, all take charges after this.
const ATTENDED: Duration = Duration::from_secs(2);

/// A process that ends with this.
#[derive(Debug)]
pub(crate) struct Beside {
    child: Child,
    /// What it says on stdout.
    said: PathBuf,
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it has ended by itself, or does now
        let _ = self.child.wait();
    }
}

impl Beside {
    fn start(bench: &Bench, arguments: Vec<String>) -> Result<Self, Error> {
        let said = bench.folder().join(format!("beside-{}.out", bench.number()));
        let output = File::create(&said).doing(said.display().to_string())?;
        let evmesh = std::env::current_exe().doing("this program has no name")?;
        let child = process::command(evmesh)
            .args(arguments)
            .env("TMPDIR", bench.folder()) // it is killed: what it leaves goes with all else
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::inherit())
            .process_group(bench.group())
            .spawn()
            .doing("what stands beside central cannot be started")?;
        Ok(Self { child, said })
    }

    /// Waits until it has said a line that fits.
    pub(crate) async fn says<T>(
        &mut self,
        what: &str,
        within: Duration,
        fits: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let until = Instant::now() + within;
        loop {
            let said = fs::read_to_string(&self.said).doing(self.said.display().to_string())?;
            // What has no end yet may be half a line.
            let lines = said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            if let Some(found) = lines.rev().find_map(&fits) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait().doing("what stands beside central")? {
                return Err(Error::Lacks(format!("a process beside central ended ({status}): {what}")));
            }
            if Instant::now() > until {
                return Err(Error::Late { what: what.to_owned(), within: within.as_secs() });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

/// A bare server, and where it is.
pub(crate) async fn bare(
    bench: &Bench,
    kind: Kind,
    engine: Option<&Address>,
) -> Result<(Beside, Address), Error> {
    let mut arguments = vec!["bare".to_owned(), kind.word().to_owned()];
    arguments.extend(engine.into_iter().flat_map(|engine| ["--engine".to_owned(), engine.to_string()]));
    let mut server = Beside::start(bench, arguments)?;
    let address = server.says("a bare server says where it is", PATIENCE, |line| line.parse().ok()).await?;
    Ok((server, address))
}

/// Any process of this program.
pub(crate) fn evmesh(bench: &Bench, arguments: &[&str]) -> Result<Beside, Error> {
    Beside::start(bench, arguments.iter().map(ToString::to_string).collect())
}

/// Charge points, without drivers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Points<'a> {
    /// The number of the first.
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// So many share an address.
    pub(crate) site: u32,
    /// More of a fleet's flags.
    pub(crate) more: &'a [&'a str],
}

impl Points<'_> {
    pub(crate) const SITE: u32 = 100;
    /// So many with connections of their own one process can have: three files each, of 20,000.
    const A_PROCESS: u32 = 6_000;

    /// From the first on, as sites of a hundred.
    pub(crate) fn sites(count: u32) -> Self {
        Self { first: 1, count, site: Self::SITE, more: &[] }
    }

    /// From the first on, each with connections of its own.
    pub(crate) fn alone(count: u32) -> Self {
        Self { site: 1, ..Self::sites(count) }
    }

    /// Those of each process.
    fn parts(self) -> impl Iterator<Item = Self> {
        let most = Self::A_PROCESS * self.site;
        (0..self.count.div_ceil(most)).map(move |part| Self {
            first: self.first + part * most,
            count: most.min(self.count - part * most),
            ..self
        })
    }
}

/// Charge points that are connected, and take charges.
pub(crate) async fn fleet(
    bench: &Bench,
    central: &Address,
    kafka: &KafkaOptions,
    points: Points<'_>,
) -> Result<Vec<Beside>, Error> {
    let mut fleets = Vec::new();
    for part in points.parts() {
        let Points { first, count, site, more } = part;
        let mut arguments: Vec<String> =
            ["fleet", "--log", "warn", "--every", "0.2", "--drivers", "0"].map(str::to_owned).into();
        let flags = [
            ("central", central.to_string()),
            ("kafka", kafka.kafka.clone()),
            ("kafka-topic-prefix", kafka.kafka_topic_prefix.clone()),
            ("first", first.to_string()),
            ("charge-points", count.to_string()),
            ("site", site.to_string()),
        ];
        arguments.extend(flags.into_iter().flat_map(|(flag, value)| [format!("--{flag}"), value]));
        arguments.extend(more.iter().map(ToString::to_string));
        fleets.push((Beside::start(bench, arguments)?, count));
    }
    let within = PATIENCE + CONNECTED_EACH * points.count;
    for (fleet, count) in &mut fleets {
        let all = format!("{count} of {count} charge points connected");
        fleet.says(&all, within, |line| line.starts_with(&all).then_some(())).await?;
    }
    sleep(ATTENDED).await;
    Ok(fleets.into_iter().map(|(fleet, _)| fleet).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charge_points_with_connections_of_their_own_are_shared_out_to_processes() {
        let parts: Vec<_> = Points::alone(8_000).parts().map(|part| (part.first, part.count)).collect();
        assert_eq!(parts, [(1, 6_000), (6_001, 2_000)]);
        let parts: Vec<_> = Points::sites(100_000).parts().map(|part| (part.first, part.count)).collect();
        assert_eq!(parts, [(1, 100_000)]);
    }
}
