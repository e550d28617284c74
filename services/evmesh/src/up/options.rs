//! The command line of `evmesh up`, and those of the roles that it plays.

use crate::{
    exit::{Failure, first_paragraph},
    output::Output,
    process::Process,
};
use domain::{DriverId, requests::PAUSE};
use mesh::{flags::in_seconds, grpc::Listen};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// A whole network in this one process.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where central listens, all addresses of a name; port 0 takes a free one.
    #[arg(long, env = "EVMESH_UP_LISTEN", value_name = "HOST:PORT", default_value = mesh::flags::CENTRAL)]
    pub(super) listen: Listen,

    /// A Kafka that is already there: one host:port, or several with commas. Without it, an embedded broker is started:
    /// good for trying out, it keeps nothing.
    #[arg(long, env = "EVMESH_UP_KAFKA", value_name = "HOST:PORT")]
    pub(super) kafka: Option<String>,

    /// Put before every topic's name, so that several networks can share a broker.
    #[arg(
        long,
        env = "EVMESH_UP_KAFKA_TOPIC_PREFIX",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) kafka_topic_prefix: String,

    /// With --secure, tells Kafka in plain text who charges, where and how much, and the copy of central's store.
    /// Without it that is left out, unless EVMESH_KAFKA_CA or EVMESH_KAFKA_TLS say that Kafka has TLS.
    #[arg(long, env = "EVMESH_UP_KAFKA_IN_CLEAR")]
    pub(super) kafka_in_clear: bool,

    /// The charge points, from a file: one a line, its id, its place and its price a kWh, separated by ';', such as
    /// 'MAD-01; Madrid, Atocha; 0.35 EUR'. Empty lines and lines that start with '#' are skipped; at most 500. Without
    /// it, four: MAD-01 and MAD-02 in Madrid, BCN-01 in Barcelona, VLC-01 in Valencia.
    #[arg(long, env = "EVMESH_UP_CHARGE_POINTS", value_name = "FILE")]
    pub(super) charge_points: Option<PathBuf>,

    /// The first engine's port on 127.0.0.1, the others follow; 0 takes free ones.
    #[arg(long, env = "EVMESH_UP_ENGINE_PORT_BASE", value_name = "PORT", default_value_t = 50061)]
    pub(super) engine_port_base: u16,

    /// The first monitor's port on 127.0.0.1 (health and reflection), the others follow; 0 takes free ones.
    #[arg(long, env = "EVMESH_UP_MONITOR_PORT_BASE", value_name = "PORT", default_value_t = 0)]
    pub(super) monitor_port_base: u16,

    /// With --secure, the registry's port on 127.0.0.1; 0 takes a free one.
    #[arg(long, env = "EVMESH_UP_REGISTRY_PORT", value_name = "PORT", default_value_t = 0)]
    pub(super) registry_port: u16,

    /// The folder that keeps the state for the next run. Without it, a temporary folder is removed at the end.
    #[arg(long, env = "EVMESH_UP_DATA", value_name = "DIR")]
    pub(super) data: Option<PathBuf>,

    /// Answer drivers of the old system too, who publish to driver_requests: what 'evmesh bridge' does.
    #[arg(long, env = "EVMESH_UP_BRIDGE")]
    pub(super) bridge: bool,

    /// Every part of the network has an identity, made in the data folder, and every connection between them is
    /// encrypted, both sides proving who they are. Kafka stays as it is. A registry runs too: it gives identities to
    /// others, and takes them back.
    #[arg(long, env = "EVMESH_UP_SECURE", conflicts_with = "insecure")]
    pub(super) secure: bool,

    /// Plain text beyond this machine, where --listen is: whoever reaches it may read everything, and do everything.
    #[arg(long, env = "EVMESH_INSECURE")]
    pub(super) insecure: bool,

    /// So many charge points more, in memory, and half as many drivers who come to them: what 'evmesh fleet' does, to
    /// see a large network (count, 1 to 1000000).
    #[arg(long, env = "EVMESH_UP_FLEET", value_name = "COUNT", conflicts_with = "secure",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) fleet: Option<u32>,

    /// How many times faster than real time energy flows; readings stay one a real second. At 600, the simulated cars
    /// (40 kWh at 50 kW) are full after 5 s; choose 60 to watch them for a minute.
    #[arg(long, env = "EVMESH_UP_SPEED", value_name = "FACTOR", default_value_t = 600)]
    pub(super) speed: u32,

    /// How it says what happens: text for people, with a panel on a terminal; json for scripts, one object a line,
    /// whose `event` says what it is: started, waiting, ready, then the driver's events, or each charge_point that
    /// changes; with --requests, the last is the summary.
    #[arg(long, value_enum, env = "EVMESH_UP_OUTPUT", default_value = "text")]
    pub(super) output: Output,

    #[command(flatten)]
    pub(super) drive: Drive,

    #[command(flatten)]
    pub(super) process: Process,
}

/// The driver, if there is one.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Requests")]
pub(super) struct Drive {
    /// A driver asks for the charges of this file, one after the other, once every charge point is available.
    ///
    /// One request a line: a charge point's id, or 'any' for central's choice (cheapest first), or 'any PLACE'. A
    /// line may end with what has to come of it: 'expect=denied', 'expect=denied:REASON', or 'expect=fault', for
    /// which the charge point is broken two seconds into the supply and repaired after the ticket. Any other line has
    /// to end in the ticket of a completed supply. From '#' on it is a comment. See examples/requests.txt.
    #[arg(long, env = "EVMESH_UP_REQUESTS", value_name = "FILE")]
    pub(super) requests: Option<PathBuf>,

    /// Who asks.
    #[arg(long, env = "EVMESH_UP_DRIVER", value_name = "ID", default_value = "101", value_parser = DriverId::named)]
    pub(super) driver: DriverId,

    /// End after the last request: exit code 0 if each of them came out as its line says, 1 if not.
    #[arg(long, env = "EVMESH_UP_EXIT", requires = "requests")]
    pub(super) exit: bool,

    /// Between the end of one request and the next one, in seconds.
    #[arg(long, env = "EVMESH_UP_PAUSE", value_name = "SECONDS", default_value = in_seconds(PAUSE),
          value_parser = mesh::seconds)]
    pub(super) pause: Duration,

    /// How long the network may take until every charge point is available for the first request, in seconds.
    #[arg(long, env = "EVMESH_UP_READY_TIMEOUT", value_name = "SECONDS", default_value = "30",
          value_parser = mesh::seconds)]
    pub(super) ready_timeout: Duration,
}

impl Options {
    /// What each role is told of Kafka, which is at this address.
    pub(super) fn of_kafka(&self, address: &str) -> Vec<(&'static str, String)> {
        let of_all = [("kafka", address.to_owned()), ("kafka-topic-prefix", self.kafka_topic_prefix.clone())];
        let in_clear = self.kafka_in_clear.then(|| ("kafka-in-clear", true.to_string()));
        of_all.into_iter().chain(in_clear).collect()
    }

    /// The address of the charge point with this index, where the first one has this port.
    pub(super) fn loopback(&self, base: u16, index: u16) -> Result<SocketAddr, Failure> {
        let port = if base == 0 { Some(0) } else { base.checked_add(index) };
        let port = port.ok_or_else(|| {
            Failure::Usage(format!(
                "there are not enough ports from {base} on; choose a lower first port, or 0"
            ))
        })?;
        Ok((Ipv4Addr::LOCALHOST, port).into())
    }
}

/// The options of a role as if they had been typed: what is not given here has its `EVMESH_` variable, or its default.
pub(super) fn role<T: clap::Args>(name: &'static str, flags: Vec<(&str, String)>) -> Result<T, Failure> {
    let command = T::augment_args(clap::Command::new(name).no_binary_name(true));
    let flags = flags.into_iter().map(|(flag, value)| format!("--{flag}={value}"));
    let read = command.try_get_matches_from(flags).and_then(|matches| T::from_arg_matches(&matches));
    read.map_err(|error| Failure::Usage(first_paragraph(&error.render().to_string())))
}
