//! `evmesh registry`: who is who. By hand, without a server, here; what is asked of a server that runs is in `desk`.

mod audit;
mod cards;
mod desk;
mod gateways;
mod tokens;

pub(crate) use desk::{Enrol, enrol};

use crate::{
    exit::{Because as _, Failure},
    output::{self, Output},
    roles::{self, Solo},
};
use domain::Name;
use identity::{Kind, Role, TrustDomain};
use mesh::convert::timestamp;
use registry::{Beginning, Data, Given, lifetime};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// As long as an authority itself is valid.
const MAX_DAYS: u64 = identity::AUTHORITY_LIFETIME.as_secs() / DAY.as_secs();

/// Makes the authorities of a network, gives out identities (certificates that say who somebody is), and takes them
/// back.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes a network's two authorities, and the identities that it begins with: the registry's, central's, an
    /// admin's.
    Init(Init),

    /// Gives out an identity straight from the registry's folder, without a server; renews one that is there.
    ///
    /// Those of the core (registry, central/NAME) need the core authority's key, which is kept elsewhere otherwise. The
    /// registry that runs has all others in its list from the next 'registry list' or 'revoke' on.
    Issue(Issue),

    /// Has the network's authority followed by another one while everybody goes on: 'prepare', a few days later
    /// 'switch', four months later 'forget'. The registry is restarted after each.
    Rotate(Rotate),

    /// The registry itself: it gives out identities for tokens, and renews them.
    Run(Box<Solo<registry::Options>>),

    /// Makes a token, with which somebody gets an identity: 'evmesh enrol - --identity DIR' reads it from standard
    /// input. It works once, for 15 minutes.
    Token(desk::Token),

    /// Makes a token by which a driver calls, without a certificate: 'evmesh driver login'.
    ///
    /// Central takes it with --token-keys, as 'evmesh registry token-keys' prints them.
    DriverToken(tokens::DriverToken),

    /// Makes a token by which an operator or a viewer calls: 'evmesh operator login'. Admins have certificates.
    OperatorToken(tokens::OperatorToken),

    /// The public keys by which these tokens are checked: a JWKS, for --token-keys.
    TokenKeys(tokens::TokenKeys),

    /// Who is enrolled, and until when.
    List(desk::List),

    /// The cards by which drivers say who they are at charge points.
    #[command(subcommand)]
    Card(cards::Card),

    /// The charge points that gateways serve: gateway/NAME acts for them, and nobody else.
    #[command(subcommand)]
    Gateway(gateways::Gateway),

    /// Takes back every certificate of somebody, and its tokens. It is for ever: enrolled again, it has another key.
    ///
    /// Central refuses it within two seconds (started with '--registry'). What stands at a charge point ends what it
    /// does first, 30 seconds at most: its supply is stopped, and ticketed on its final reading. An engine refuses it
    /// from when central has reached it.
    Revoke(desk::Revoke),

    /// Who did what at the registry: who made tokens, enrolled, revoked, with what came of it.
    Audit(audit::Audit),

    /// Renews an identity that was enrolled, also for 90 days after its end. Within 12 hours it gets the same again,
    /// unless another authority signs by now.
    Renew(desk::Renew),
}

#[derive(Debug, clap::Args)]
struct Init {
    /// The network's name in every identity, spiffe://NAME/…: lower-case letters, digits, '-', '_' and '.'.
    #[arg(long, value_name = "NAME", env = "EVMESH_REGISTRY_TRUST_DOMAIN")]
    trust_domain: TrustDomain,

    /// The registry's folder: it is made, or has to be empty.
    #[arg(long, value_name = "DIR", env = "EVMESH_REGISTRY_DATA")]
    data: PathBuf,

    /// The name of the central that the network begins with.
    #[arg(long, value_name = "NAME", default_value = "main")]
    central: Name,

    /// The name of the first admin, who may give out identities.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    admin: Name,

    /// Where the registry and central are found, a DNS name or an IP address, beside the loopback; may be repeated.
    #[arg(long = "host", value_name = "NAME_OR_IP")]
    hosts: Vec<String>,

    /// Sentences for people, or one JSON document for scripts.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct Issue {
    /// Who it is: registry, central/NAME, charge-point/ID/engine, charge-point/ID/monitor, gateway/NAME, bridge/NAME,
    /// viewer/NAME, operator/NAME, admin/NAME or driver/ID.
    #[arg(value_name = "ROLE")]
    role: Role,

    /// The registry's folder, as 'evmesh registry init' made it.
    #[arg(long, value_name = "DIR", env = "EVMESH_REGISTRY_DATA")]
    data: PathBuf,

    /// The folder of the identity. If it is this one already it keeps its key: remove it first for a new key.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,

    /// Where it is found if it is a server, a DNS name or an IP address, beside the loopback; may be repeated.
    #[arg(long = "host", value_name = "NAME_OR_IP")]
    hosts: Vec<String>,

    /// How long it is valid, in days (1 to 3650), but never beyond its authority; without it, 397 for the core, 30
    /// for others.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_DAYS))]
    days: Option<u64>,

    /// A sentence for people, or one JSON document for scripts.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct Rotate {
    /// Which of the three steps.
    #[arg(value_enum)]
    step: RotationStep,

    /// However soon after the step before: whoever has not renewed since is locked out.
    #[arg(long)]
    now: bool,

    /// The registry's folder, as 'evmesh registry init' made it.
    #[arg(long, value_name = "DIR", env = "EVMESH_REGISTRY_DATA")]
    data: PathBuf,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RotationStep {
    /// Makes the next authority; whoever renews, which is daily, believes it too from then on.
    Prepare,
    /// The next authority signs, and the one before is still believed.
    Switch,
    /// The authority before is believed no more: what it signed is a stranger's.
    Forget,
}

/// An identity that was given out, for scripts.
#[derive(Debug, Serialize)]
struct Shown {
    identity: String,
    folder: String,
    serial: String,
    not_after: String,
}

impl From<&Given> for Shown {
    fn from(given: &Given) -> Self {
        Self {
            identity: given.identity.to_string(),
            folder: given.folder.display().to_string(),
            serial: given.serial.clone(),
            not_after: timestamp(given.not_after).to_string(),
        }
    }
}

/// Does it, and prints what was made.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    match options.command {
        Command::Init(init) => make(init),
        Command::Issue(issue) => give(issue),
        Command::Rotate(step) => rotate(&step),
        Command::Run(solo) => Box::pin(roles::registry(*solo)).await,
        Command::Token(token) => desk::token(token).await,
        Command::DriverToken(token) => tokens::driver(token),
        Command::OperatorToken(token) => tokens::operator(token),
        Command::TokenKeys(data) => tokens::keys(data),
        Command::List(list) => desk::list(list).await,
        Command::Card(card) => cards::run(card).await,
        Command::Gateway(gateway) => gateways::run(gateway).await,
        Command::Revoke(revoke) => desk::revoke(revoke).await,
        Command::Audit(audit) => audit::run(audit).await,
        Command::Renew(renew) => desk::renew(renew).await,
    }
}

fn make(Init { trust_domain, data: folder, central, admin, hosts, output }: Init) -> Result<(), Failure> {
    let data = Data::at(&folder);
    let beginning = Beginning { trust_domain: trust_domain.clone(), central, admin, hosts };
    let given = data.init(beginning, mesh::now().wall).because()?;
    if output == Output::Json {
        return output::json(&given.iter().map(Shown::from).collect::<Vec<_>>());
    }
    let folder = folder.display();
    output::line(&format!("The network {trust_domain} begins in {folder}, with two authorities:"))?;
    output::line(&format!("  {folder}/core     for central and the registry"))?;
    output::line(&format!("  {folder}/network  for everybody else"))?;
    output::line("and three identities:")?;
    for given in &given {
        output::line(&format!("  {}", sentence(given)))?;
    }
    output::line(&format!(
        "Now move {} offline: whoever has it can be central. It is needed again for 'evmesh registry issue' of central \
         or the registry.",
        data.core_key().display()
    ))
}

fn give(Issue { role, data, to, hosts, days, output }: Issue) -> Result<(), Failure> {
    let lifetime = days.map_or_else(|| lifetime(&role), |days| DAY * u32::try_from(days).unwrap_or(u32::MAX));
    let given = Data::at(&data).issue(role, &to, &hosts, lifetime, mesh::now().wall).because()?;
    match output {
        Output::Text => output::line(&sentence(&given)),
        Output::Json => output::json(&Shown::from(&given)),
    }
}

fn rotate(Rotate { step, now: at_once, data: folder }: &Rotate) -> Result<(), Failure> {
    let data = Data::at(folder);
    let now = mesh::now().wall;
    let at = (!at_once).then_some(now);
    let then = match step {
        RotationStep::Prepare => {
            data.prepare_rotation(now).because()?;
            "The network's next authority is made. Restart the registry: whoever renews believes it too. After two \
             days or more: 'evmesh registry rotate switch'."
        }
        RotationStep::Switch => {
            data.switch_rotation(at).because()?;
            "The network's next authority signs from the registry's restart on; the one before is believed until \
             'evmesh registry rotate forget': 120 days from now nothing that it signed can be renewed any more."
        }
        RotationStep::Forget => {
            data.forget_former(at).because()?;
            "The network's authority before this one is forgotten. Restart the registry."
        }
    };
    output::line(then)?;
    output::line(&format!(
        "What no registry renews (central, and what was given out by hand) has a file network.pem in its folder: copy \
         {}/identities/registry/network.pem there; it is read without a restart.",
        folder.display()
    ))
}

fn sentence(given: &Given) -> String {
    let Given { identity, folder, serial: _, not_after } = given;
    let by = Kind::of(&identity.role);
    format!("{} is {}, by the {by} authority, until {}", folder.display(), identity, timestamp(*not_after))
}
