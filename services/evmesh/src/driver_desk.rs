//! `evmesh driver`: the app, or one question or order of the driver's.

use crate::{
    card_number, csv,
    exit::Failure,
    json, login,
    output::{self, Format, Output},
    pages::Pages,
    remote::{Remote, order, security},
    roles::Solo,
    tables,
};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use domain::{CardId, DriverId};
use evmesh_proto::{
    driver::{
        BlockCardRequest, ListSessionsRequest, ListTicketsRequest, StopChargeRequest,
        driver_service_client::DriverServiceClient,
    },
    network::Session,
};
use mesh::{
    Shutdown,
    grpc::{Address, Peer, Role, SecurityOptions},
};
use std::path::PathBuf;

/// What `evmesh driver` does. Without a word it is the app, whose flags no word takes.
#[derive(Debug)]
pub(crate) enum Driver {
    App(Box<Solo<driver::Options>>),
    Asks(Ask),
}

impl FromArgMatches for Driver {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some(_) => Ask::from_arg_matches(matches).map(Self::Asks),
            None => Solo::from_arg_matches(matches).map(|solo| Self::App(Box::new(solo))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Driver {
    fn augment_args(command: Command) -> Command {
        let command = Ask::augment_subcommands(Solo::<driver::Options>::augment_args(command));
        command.args_conflicts_with_subcommands(true).subcommand_negates_reqs(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// Ends the driver's charge: a reservation is given back, a supply ends with its ticket.
    Stop {
        #[command(flatten)]
        who: Who,

        /// A sentence for people, or the session as one JSON document for scripts.
        #[arg(long, value_enum, env = "EVMESH_DRIVER_OUTPUT", default_value = "text")]
        output: Output,
    },

    /// The driver's tickets, oldest session first.
    Tickets {
        #[command(flatten)]
        listing: Listing,

        /// A table for people, one JSON document for scripts, or CSV as of `operator tickets`.
        #[arg(long, value_enum, env = "EVMESH_DRIVER_OUTPUT", default_value = "text")]
        output: Format,
    },

    /// The driver's sessions, oldest first, and the card that was shown for each.
    Sessions {
        #[command(flatten)]
        listing: Listing,

        /// A table for people, one JSON document for scripts, or CSV as of `operator sessions`.
        #[arg(long, value_enum, env = "EVMESH_DRIVER_OUTPUT", default_value = "text")]
        output: Format,
    },

    /// Makes a card of the driver's good for nothing at once; what runs by it goes on ('evmesh driver stop').
    BlockCard {
        /// Its id, as 'evmesh driver sessions' has it, and AUTH_OK.
        #[arg(value_name = "CARD_ID", value_parser = card_number::Id)]
        card: CardId,

        #[command(flatten)]
        who: Who,
    },

    /// Keeps a token, read from stdin, as the driver's identity.
    ///
    /// Its folder has to have the network's core.pem; the token is put beside it (token, for its owner alone). It comes
    /// from an identity provider, or from 'evmesh registry driver-token'.
    Login {
        /// The folder of the driver's identity.
        #[arg(long, env = "EVMESH_IDENTITY", value_name = "DIR")]
        identity: PathBuf,
    },
}

/// Who asks, and where central is.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// The driver: 1 to 64 letters, digits, '-', '_' or '.'; not INVITADO.
    #[arg(long, env = "EVMESH_DRIVER_ID", value_name = "ID", value_parser = DriverId::named)]
    driver: DriverId,

    /// Where central is.
    #[arg(long, env = "EVMESH_DRIVER_CENTRAL", default_value = mesh::flags::CENTRAL, value_name = "HOST:PORT")]
    central: Address,

    #[command(flatten)]
    security: SecurityOptions,
}

impl Who {
    fn central(&self) -> Result<(Remote, DriverServiceClient<Peer>), Failure> {
        let central = Remote::central(&self.central, security(&self.security)?);
        let client = DriverServiceClient::new(central.peer.clone());
        Ok((central, client))
    }
}

/// Who asks for a list, and how much of it to fetch; its pages are followed to the end.
#[derive(Debug, Args)]
pub(crate) struct Listing {
    #[command(flatten)]
    who: Who,

    /// At most so many entries are fetched and printed; stderr says when there are more.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    limit: u32,
}

/// Asks central, and prints what it answers.
pub(crate) async fn run(ask: Ask, shutdown: Shutdown) -> Result<(), Failure> {
    let work = async {
        match ask {
            Ask::Stop { who, output } => stop(&who, output).await,
            Ask::Tickets { listing, output } => tickets(&listing, output).await,
            Ask::Sessions { listing, output } => sessions(&listing, output).await,
            Ask::BlockCard { card, who } => block(&who, &card).await,
            Ask::Login { identity } => {
                login::keep(&identity, "a driver", |role| matches!(role, Role::Driver(_)))
            }
        }
    };
    tokio::select! {
        done = work => done,
        () = shutdown.started() => Ok(()),
    }
}

async fn stop(who: &Who, output: Output) -> Result<(), Failure> {
    let (central, mut client) = who.central()?;
    let driver_id = who.driver.to_string();
    let stop = order(|request_id| StopChargeRequest { driver_id, session_id: String::new(), request_id });
    let answer = central.answer(central.waited(client.stop_charge(stop)).await)?;
    let session = answer.session.unwrap_or_default();
    match output {
        Output::Text => output::line(&stopping(&session, who)),
        Output::Json => output::json(&json::of(&session)),
    }
}

fn stopping(session: &Session, who: &Who) -> String {
    let (at, energy) = (&session.charge_point_id, ui::values::energy(session.energy_wh));
    let Who { driver, central, .. } = who;
    if session.start_time.is_none() {
        return format!(
            "the reservation of driver {driver} at {at} is given back; there is no ticket, unless the charge has begun"
        );
    }
    format!(
        "the charge of driver {driver} at {at} is being stopped, {energy} so far; its ticket will be in 'evmesh driver \
         tickets --driver {driver} --central {central}'"
    )
}

async fn block(who: &Who, card: &CardId) -> Result<(), Failure> {
    let (central, mut client) = who.central()?;
    let request = BlockCardRequest { driver_id: who.driver.to_string(), card_id: card.to_string() };
    central.answer(central.waited(client.block_card(request)).await)?;
    output::line(&format!(
        "{card} is blocked, until an admin makes it good again ('evmesh registry card unblock')"
    ))
}

async fn tickets(Listing { who, limit }: &Listing, output: Format) -> Result<(), Failure> {
    let (central, mut client) = who.central()?;
    let pages = Pages::fetch(*limit, async |page_size, page_token| {
        let request = ListTicketsRequest { driver_id: who.driver.to_string(), page_size, page_token };
        let page = central.answer(client.list_tickets(request).await)?;
        Ok((page.tickets, page.next_page_token))
    });
    central.waited(pages).await?.print(output, tables::tickets, csv::tickets, "tickets")
}

async fn sessions(Listing { who, limit }: &Listing, output: Format) -> Result<(), Failure> {
    let (central, mut client) = who.central()?;
    let pages = Pages::fetch(*limit, async |page_size, page_token| {
        let request = ListSessionsRequest { driver_id: who.driver.to_string(), page_size, page_token };
        let page = central.answer(client.list_sessions(request).await)?;
        Ok((page.sessions, page.next_page_token))
    });
    central.waited(pages).await?.print(output, tables::own_sessions, csv::sessions, "sessions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_promised_to_none_but_what_has_started() {
        let who = Who {
            driver: "w1".parse().unwrap(),
            central: "127.0.0.1:1".parse().unwrap(),
            security: SecurityOptions::default(),
        };
        let mut session = Session { charge_point_id: "MAD-01".into(), ..Session::default() };
        let given_back = "the reservation of driver w1 at MAD-01 is given back; there is no ticket";
        assert!(stopping(&session, &who).starts_with(given_back));
        session.start_time = Some(Default::default());
        assert!(stopping(&session, &who).contains("0.000 kWh so far; its ticket will be in"));
    }
}
