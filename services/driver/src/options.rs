//! What a driver's app can be told.

use crate::Error;
use domain::{
    ChargePointId, DriverId, Location, Price,
    requests::{Expectation, Line, PAUSE, Settings, Target, parse},
};
use mesh::{
    files::read_text,
    flags,
    grpc::{Address, SecurityOptions},
    kafka::KafkaOptions,
};
use std::{path::PathBuf, time::Duration};

/// Who charges, where, and how it is shown.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The driver: 1 to 64 letters, digits, '-', '_' or '.'; not INVITADO.
    #[arg(long, env = "EVMESH_DRIVER_ID", value_name = "ID", value_parser = DriverId::named)]
    pub driver: DriverId,

    /// Where central is.
    #[arg(long, env = "EVMESH_DRIVER_CENTRAL", default_value = flags::CENTRAL, value_name = "HOST:PORT")]
    pub central: Address,

    /// Charge once, here; without it, and without --requests, central picks a free charge point.
    #[arg(long, env = "EVMESH_DRIVER_CHARGE_POINT", value_name = "ID", conflicts_with = "requests")]
    pub charge_point: Option<ChargePointId>,

    /// Narrow central's choice to the places that start with this (at most 128 characters).
    #[arg(long, env = "EVMESH_DRIVER_LOCATION_PREFIX", value_name = "TEXT",
          conflicts_with_all = ["charge_point", "requests"])]
    pub location_prefix: Option<Location>,

    /// What a kWh may cost at most, such as '0.60 EUR' (amount and currency); without it, whatever it costs.
    #[arg(long, env = "EVMESH_DRIVER_MAX_PRICE", value_name = "PRICE")]
    pub max_price: Option<Price>,

    /// Charge once for each line of this file: a charge point's id, or 'any' and the start of a place; then perhaps
    /// expect=denied, expect=denied:REASON or expect=fault. Blank lines and '# comments' are skipped.
    #[arg(long, env = "EVMESH_DRIVER_REQUESTS", value_name = "FILE")]
    pub requests: Option<PathBuf>,

    /// How long to wait after a request has concluded, before the next one (seconds).
    #[arg(long, env = "EVMESH_DRIVER_PAUSE", default_value = flags::in_seconds(PAUSE), value_name = "SECONDS",
          value_parser = mesh::seconds)]
    pub pause: Duration,

    /// How long to wait for the ticket of a supply that has ended, before the next request; a ticket that comes later
    /// is shown all the same (seconds).
    #[arg(long, env = "EVMESH_DRIVER_TICKET_WAIT", default_value = "30", value_name = "SECONDS",
          value_parser = mesh::seconds)]
    pub ticket_wait: Duration,

    /// How results and events are written where there is no panel: text for people, json for scripts (one object a
    /// line).
    #[arg(long, env = "EVMESH_DRIVER_OUTPUT", default_value = "text", value_name = "FORMAT")]
    pub output: Output,

    #[command(flatten)]
    pub security: SecurityOptions,

    /// Where the driver's notifications and the network's status come from; without Kafka, central is asked.
    #[command(flatten)]
    pub kafka: KafkaOptions,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For scripts: one object a line.
    Json,
}

impl Options {
    pub(crate) fn settings(&self) -> Settings {
        Settings { driver: self.driver.clone(), pause: self.pause, ticket_wait: self.ticket_wait }
    }

    /// What to ask for.
    pub(crate) fn lines(&self) -> Result<Vec<Line>, Error> {
        let Some(file) = &self.requests else {
            let target = match &self.charge_point {
                Some(id) => Target::Named(id.clone()),
                None => Target::Any { location_prefix: self.location_prefix.clone().unwrap_or_default() },
            };
            return Ok(vec![Line { number: 1, target, expectation: Expectation::Ticket }]);
        };
        let text = read_text(file).map_err(|problem| Error::Unreadable { file: file.clone(), problem })?;
        Ok(parse(&file.display().to_string(), &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    #[command(args_override_self = true)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(arguments: &[&str]) -> Result<Options, clap::Error> {
        let all = ["driver", "--driver", "ana"].iter().chain(arguments);
        Cli::try_parse_from(all).map(|cli| cli.options)
    }

    #[test]
    fn what_is_wrong_is_refused_before_anything_starts() {
        for wrong in [
            &["--driver", "INVITADO"][..],
            &["--charge-point", "a b"],
            &["--charge-point", "A", "--requests", "f"],
            &["--charge-point", "A", "--location-prefix", "Madrid"],
            &["--location-prefix", "Madrid", "--requests", "f"],
            &["--max-price", "cheap"],
            &["--pause", "-1"],
            &["--central", "nowhere"],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        let options = parsed(&["--location-prefix", "Madrid"]).unwrap();
        let lines = options.lines().unwrap();
        let location_prefix = "Madrid".parse().unwrap();
        assert_eq!((lines.len(), &lines[0].target), (1, &Target::Any { location_prefix }));
    }
}
