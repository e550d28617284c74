//! Central's command line and environment.

use domain::network::{Config, RegistrationPolicy};
use domain::{AUDIT_DAYS, Energy, Power, Price};
use mesh::{
    files::{TextError, read_text},
    flags::{self, in_seconds, positive_seconds},
    grpc::{Address, Listen, SecurityOptions, ServerOptions, TokenOptions},
    kafka::KafkaOptions,
    seconds,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// Central: the authority of the network.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where drivers, charge points and operators reach central, all addresses of a name; port 0 takes any free one.
    #[arg(long, env = "EVMESH_CENTRAL_LISTEN", value_name = "HOST:PORT", default_value = flags::CENTRAL)]
    pub listen: Listen,

    /// The folder of central's store. One process at a time; created where it is missing.
    #[arg(long, env = "EVMESH_CENTRAL_DATA", value_name = "DIR", default_value = "data/central")]
    pub data: PathBuf,

    /// An empty folder is an error, rather than the beginning of a new store: for every start but the first.
    #[arg(long, env = "EVMESH_CENTRAL_STORE_MUST_EXIST")]
    pub store_must_exist: bool,

    /// Keep a copy of the store on Kafka (the topic central_changelog), from which a lost store is rebuilt. Engines
    /// keep a settled session until the copy has it.
    #[arg(long, env = "EVMESH_CENTRAL_CHANGELOG", value_name = "BOOL", default_value_t = true,
          action = clap::ArgAction::Set)]
    pub changelog: bool,

    /// Rebuild a lost store from its changelog: waits for Kafka, and is an error where there is a store, or no
    /// changelog. Move a damaged store away first.
    #[arg(long, env = "EVMESH_CENTRAL_REBUILD")]
    pub rebuild: bool,

    /// Begin a new network in an empty folder, whatever changelog there is: for one start, and an error where there is
    /// a store. A changelog that is there is left alone, and the new network has none until that topic is deleted.
    #[arg(long, env = "EVMESH_CENTRAL_BEGIN_ANEW", conflicts_with = "rebuild")]
    pub begin_anew: bool,

    /// How long the first start of an empty store waits for Kafka, to see whether there is a changelog (seconds);
    /// then it begins as a new network.
    #[arg(long, env = "EVMESH_CENTRAL_CHANGELOG_WAIT", value_name = "SECONDS", default_value = "3",
          value_parser = seconds)]
    pub changelog_wait: Duration,

    /// How often the status of the network is broadcast on Kafka (seconds).
    #[arg(long, env = "EVMESH_CENTRAL_BROADCAST_INTERVAL", value_name = "SECONDS", default_value = "5",
          value_parser = positive_seconds)]
    pub broadcast_interval: Duration,

    /// How long one call to an engine may take (seconds). An engine that is slower counts as not answering.
    #[arg(long, env = "EVMESH_CENTRAL_ENGINE_TIMEOUT", value_name = "SECONDS", default_value = "2.5",
          value_parser = positive_seconds)]
    pub engine_timeout: Duration,

    /// The registry, to hear at once whom it revokes. Without it, who was revoked is refused only once its certificate
    /// has run out.
    #[arg(
        long,
        env = "EVMESH_CENTRAL_REGISTRY",
        value_name = "HOST:PORT",
        requires = "identity",
        help_heading = "Identity"
    )]
    pub registry: Option<Address>,

    #[command(flatten)]
    pub rules: Rules,

    #[command(flatten)]
    pub security: SecurityOptions,

    #[command(flatten)]
    pub tokens: TokenOptions,

    #[command(flatten)]
    pub server: ServerOptions,

    #[command(flatten)]
    pub kafka: KafkaOptions,
}

/// The largest charge point that there is, 10,000 times faster than real time.
const POWER_KW_MOST: u64 = Power::MAX.w() / 1000 * 10_000;

const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads a whole number from 1 on.
fn whole(max: u64) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync {
    move |text| match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from 1 to {max}")),
    }
}

/// Who may register as a charge point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Registration {
    /// Any charge point.
    Open,
    /// Those of --known and --known-charge-point, and those that are registered already.
    Known,
}

/// Bounds, durations and policies of the network's rules.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Rules {
    /// Who may register as a charge point.
    #[arg(long, env = "EVMESH_CENTRAL_REGISTRATION", value_name = "POLICY", default_value = "open")]
    pub registration: Registration,

    /// A file with the ids of known charge points, one a line; empty lines and lines that start with # are skipped.
    #[arg(long, env = "EVMESH_CENTRAL_KNOWN", value_name = "FILE")]
    pub known: Option<PathBuf>,

    /// The id of a known charge point; may be repeated, or separated by commas.
    #[arg(
        long = "known-charge-point",
        env = "EVMESH_CENTRAL_KNOWN_CHARGE_POINTS",
        value_name = "ID",
        value_delimiter = ','
    )]
    pub known_charge_points: Vec<String>,

    /// How long an engine may take to authorise a supply (seconds); a driver waits at most so long for its answer.
    #[arg(long, env = "EVMESH_CENTRAL_AUTHORIZE_TIMEOUT", value_name = "SECONDS",
          default_value = in_seconds(Config::default().authorize_timeout),
          value_parser = positive_seconds)]
    pub authorize_timeout: Duration,

    /// How long a reservation waits for its car (seconds, 1 to 86400).
    #[arg(long, env = "EVMESH_CENTRAL_RESERVATION", value_name = "SECONDS",
          default_value = in_seconds(Config::default().reservation),
          value_parser = reservation_seconds)]
    pub reservation: Duration,

    /// How much longer than the engine central keeps a reservation, for the clocks' and the network's sake (seconds).
    #[arg(long, env = "EVMESH_CENTRAL_RESERVATION_MARGIN", value_name = "SECONDS",
          default_value = in_seconds(Config::default().reservation_margin),
          value_parser = seconds)]
    pub reservation_margin: Duration,

    /// How long a revocation may stay unanswered before its session ends without the engine's word (seconds).
    #[arg(long, env = "EVMESH_CENTRAL_REVOKE_TIMEOUT", value_name = "SECONDS",
          default_value = in_seconds(Config::default().revoke_timeout),
          value_parser = positive_seconds)]
    pub revoke_timeout: Duration,

    /// How often monitors report (seconds), of more than 2,000 charge points together 2,000 times a second at most; a
    /// charge point is disconnected after three of these without a word.
    #[arg(long, env = "EVMESH_CENTRAL_REPORT_INTERVAL", value_name = "SECONDS",
          default_value = in_seconds(Config::default().report_interval),
          value_parser = positive_seconds)]
    pub report_interval: Duration,

    /// How long a supply may be silent before it ends as faulted (seconds).
    #[arg(long, env = "EVMESH_CENTRAL_SUPPLY_SILENCE", value_name = "SECONDS",
          default_value = in_seconds(Config::default().supply_silence),
          value_parser = positive_seconds)]
    pub supply_silence: Duration,

    /// How long a ticket waits for its final reading before it is estimated (seconds).
    #[arg(long, env = "EVMESH_CENTRAL_SETTLEMENT", value_name = "SECONDS",
          default_value = in_seconds(Config::default().settlement),
          value_parser = positive_seconds)]
    pub settlement: Duration,

    /// The most that is believed of a charge point's rated power, whatever its engine says (kilowatts). What is metered
    /// beyond rated power × time is billed by a person's word only. A simulation has its speed in it: 50 kW 300 times
    /// faster than real time are 15000.
    #[arg(long, env = "EVMESH_CENTRAL_CHARGE_POINT_POWER_MAX", value_name = "KW",
          default_value_t = Config::default().charge_point_power_max.w() / 1000,
          value_parser = whole(POWER_KW_MOST))]
    pub charge_point_power_max: u64,

    /// What a session takes above this is billed by a person's word only (kilowatt-hours).
    #[arg(long, env = "EVMESH_CENTRAL_SESSION_ENERGY_MAX", value_name = "KWH",
          default_value_t = Config::default().session_energy_max.wh() / 1000,
          value_parser = whole(Energy::MAX.wh() / 1000))]
    pub session_energy_max: u64,

    /// What a kWh may cost at most (amount and currency); repeated, for each currency that is taken. A charge point
    /// that names more is not registered, and one that costs more gets no charge; without it, any price is taken.
    #[arg(long, env = "EVMESH_CENTRAL_MAX_PRICE", value_name = "PRICE", value_delimiter = ',')]
    pub max_price: Vec<Price>,

    /// How often an engine with an unsettled session is asked, whatever happens (seconds).
    #[arg(long, env = "EVMESH_CENTRAL_ASK_INTERVAL", value_name = "SECONDS",
          default_value = in_seconds(Config::default().ask_interval),
          value_parser = positive_seconds)]
    pub ask_interval: Duration,

    /// How long the answers to requests with a request_id are kept for their repeats, and sessions that came to nothing
    /// (seconds).
    #[arg(long, env = "EVMESH_CENTRAL_ANSWER_TTL", value_name = "SECONDS",
          default_value = in_seconds(Config::default().answer_ttl),
          value_parser = positive_seconds)]
    pub answer_ttl: Duration,

    /// How many of these answers are kept at most (count); the oldest go first, and 100 of a caller are enough.
    /// Denials are kept beside them, 20,000 at most.
    #[arg(long, env = "EVMESH_CENTRAL_MAX_ANSWERS", value_name = "COUNT",
          default_value_t = Config::default().max_answers)]
    pub max_answers: usize,

    /// How long it is kept who did what: the audit (days, 1 to 36500).
    #[arg(long, env = "EVMESH_CENTRAL_AUDIT_DAYS", value_name = "DAYS", default_value_t = AUDIT_DAYS,
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub audit_days: u32,

    /// A driver, or a charge point's guests, that let so many reservations go unused within --unused-within waits
    /// before it gets another (count; 0: never). One counts that was cancelled, or not taken up, while its engine
    /// held it. A driver counts apart at each address, and waits for that charge point, or for all once three are
    /// concerned; an address, whatever its drivers' names, waits after ten times as many.
    #[arg(long, env = "EVMESH_CENTRAL_UNUSED_RESERVATIONS", value_name = "COUNT",
          default_value_t = Config::default().unused_most)]
    pub unused_reservations: usize,

    /// For how long an unused reservation counts (seconds).
    #[arg(long, env = "EVMESH_CENTRAL_UNUSED_WITHIN", value_name = "SECONDS",
          default_value = in_seconds(Config::default().unused_within),
          value_parser = positive_seconds)]
    pub unused_within: Duration,

    /// How many charge points may register (count).
    #[arg(long, env = "EVMESH_CENTRAL_MAX_CHARGE_POINTS", value_name = "COUNT",
          default_value_t = Config::default().max_charge_points)]
    pub max_charge_points: usize,
}

impl Default for Rules {
    fn default() -> Self {
        flags::defaults(&[])
    }
}

/// The list of known charge points cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    #[error("the known charge points in {0} cannot be read: {1}; check the file of --known")]
    File(PathBuf, TextError),
    #[error("the known charge point '{0}' {1}")]
    Id(String, domain::ids::InvalidId),
    #[error(
        "--registration known needs charge points: name them with --known FILE or --known-charge-point ID"
    )]
    Empty,
}

impl Rules {
    /// As the rules take them. Reads the file of known charge points.
    pub fn config(&self) -> Result<Config, KnownError> {
        let registration = match self.registration {
            Registration::Open => RegistrationPolicy::Open,
            Registration::Known => RegistrationPolicy::Known(self.known_ids()?),
        };
        Ok(Config {
            authorize_timeout: self.authorize_timeout,
            reservation: self.reservation,
            reservation_margin: self.reservation_margin,
            revoke_timeout: self.revoke_timeout,
            report_interval: self.report_interval,
            supply_silence: self.supply_silence,
            settlement: self.settlement,
            charge_point_power_max: Power::from_w(self.charge_point_power_max.saturating_mul(1000)),
            session_energy_max: Energy::from_wh(self.session_energy_max.saturating_mul(1000)),
            max_prices: self.max_price.clone(),
            ask_interval: self.ask_interval,
            answer_ttl: self.answer_ttl,
            nothing_ttl: self.answer_ttl,
            audit_ttl: A_DAY * self.audit_days,
            max_answers: self.max_answers,
            registration,
            max_charge_points: self.max_charge_points,
            unused_most: self.unused_reservations,
            unused_within: self.unused_within,
            ..Config::default()
        })
    }

    fn known_ids(&self) -> Result<BTreeSet<domain::ChargePointId>, KnownError> {
        let file = self.known.as_deref().map(read_list).transpose()?.unwrap_or_default();
        let ids = file.iter().chain(&self.known_charge_points);
        let ids: BTreeSet<_> = ids
            .map(|id| id.parse().map_err(|problem| KnownError::Id(id.clone(), problem)))
            .collect::<Result<_, _>>()?;
        if ids.is_empty() { Err(KnownError::Empty) } else { Ok(ids) }
    }
}

fn read_list(file: &Path) -> Result<Vec<String>, KnownError> {
    let text = read_text(file).map_err(|error| KnownError::File(file.to_owned(), error))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// An authorisation holds from 1 s to 24 h: what engines accept.
fn reservation_seconds(text: &str) -> Result<Duration, String> {
    let duration = seconds(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(24 * 3600)).contains(&duration) {
        Ok(duration)
    } else {
        Err("must be from 1 to 86400 seconds".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        options: Options,
    }

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Alone::try_parse_from(["central"].iter().chain(arguments)).map(|alone| alone.options)
    }

    #[test]
    fn the_flags_default_to_the_rules_defaults() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.rules, Rules::default());
        assert_eq!(options.rules.config().unwrap(), Config::default());
        assert_eq!(
            (options.broadcast_interval, options.engine_timeout),
            (Duration::from_secs(5), Duration::from_millis(2_500))
        );
        assert_eq!(options.listen.port(), 50051);
    }

    #[test]
    fn known_charge_points_come_from_a_file_and_from_flags() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known");
        std::fs::write(&file, "\u{feff}# ours\r\nMAD-01\r\n\n MAD-02 \n").unwrap();
        let path = file.to_str().unwrap();
        let options =
            parse(&["--registration", "known", "--known", path, "--known-charge-point", "BCN-01"]).unwrap();
        let RegistrationPolicy::Known(ids) = options.rules.config().unwrap().registration else { panic!() };
        assert_eq!(ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["BCN-01", "MAD-01", "MAD-02"]);
        std::fs::write(&file, "M D\n").unwrap();
        let wrong = options.rules.config().unwrap_err().to_string();
        assert!(wrong.starts_with("the known charge point 'M D' has ' '"), "{wrong}");
        std::fs::write(&file, b"\xff\xfeM\0D\0").unwrap();
        let wrong = options.rules.config().unwrap_err().to_string();
        assert!(wrong.contains("cannot be read: it is in UTF-16; save it as UTF-8"), "{wrong}");
        assert!(parse(&["--registration", "known"]).unwrap().rules.config().is_err());
    }

    #[test]
    fn what_is_no_whole_number_is_refused_in_words() {
        for wrong in ["0", "0.01", "-1", "many", "1e9", "99999999999999999999"] {
            for flag in ["--session-energy-max", "--charge-point-power-max"] {
                let refused = parse(&[&format!("{flag}={wrong}")]).unwrap_err().to_string();
                assert!(refused.contains("must be a whole number from 1 to"), "{wrong}: {refused}");
            }
        }
    }

    #[test]
    fn durations_that_make_no_sense_are_refused() {
        for wrong in [["--authorize-timeout", "0"], ["--reservation", "0.5"], ["--settlement", "-1"]] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
    }
}
