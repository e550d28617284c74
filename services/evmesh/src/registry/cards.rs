//! The registry's cards.

use super::desk::{At, How, client};
use crate::{
    card_number,
    exit::Failure,
    json,
    output::{self, Output},
};
use domain::{CardId, DriverId};
use evmesh_proto::registry::{
    AddCardRequest, BlockCardRequest, Card as Shown, ListCardsRequest, UnblockCardRequest,
};
use mesh::convert::MAX_PAGE_SIZE;
use prost_types::Timestamp;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Card {
    /// Registers a card for a driver, and prints its id. Its number is read from standard input.
    ///
    /// Central takes it within two seconds (started with '--registry'). The number is a secret: the registry keeps a
    /// digest of it that only its own key makes.
    Add {
        /// Whose it is, and who is billed: 1 to 64 letters, digits, '-', '_' or '.'; not INVITADO.
        #[arg(value_name = "DRIVER_ID", value_parser = DriverId::named)]
        driver: DriverId,

        /// It is worth nothing from then on: 2027-12-31, or 2027-12-31T12:00:00Z; without it, it has no end.
        #[arg(long, value_name = "DATE")]
        expires: Option<Timestamp>,

        /// What people call it, at most 64 characters; not its number.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        label: String,

        /// Where its number is, 4 to 10 bytes in hexadecimal (04:A1:B2:C3): the first line of this file; '-': of
        /// standard input.
        #[arg(long, value_name = "FILE", default_value = "-")]
        number_file: PathBuf,

        #[command(flatten)]
        at: At,

        #[command(flatten)]
        how: How,
    },

    /// Every card, blocked ones too.
    List {
        #[command(flatten)]
        at: At,

        #[command(flatten)]
        how: How,
    },

    /// Makes a card good for nothing: central refuses it within two seconds. What runs by it goes on.
    Block(Which),

    /// Makes a card good again, also one that its driver blocked.
    Unblock(Which),
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Its id, as 'card list' and sessions have it.
    #[arg(value_name = "CARD_ID", value_parser = card_number::Id, required_unless_present = "number_file")]
    card: Option<CardId>,

    /// Instead of its id, where its number is: the first line of this file; '-': of standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "card")]
    number_file: Option<PathBuf>,

    #[command(flatten)]
    at: At,
}

impl Which {
    /// Its id, or its number.
    fn named(&self) -> Result<(String, String), Failure> {
        let number = self.number_file.as_deref().map(card_number::read).transpose()?;
        let id = self.card.as_ref().map(ToString::to_string);
        Ok((id.unwrap_or_default(), number.map(|number| number.reveal()).unwrap_or_default()))
    }
}

pub(super) async fn run(card: Card) -> Result<(), Failure> {
    match card {
        Card::Add { driver, expires, label, number_file, at, how } => {
            let number = card_number::read(&number_file)?.reveal();
            let remote = at.remote()?;
            let request =
                AddCardRequest { number, driver_id: driver.to_string(), expire_time: expires, label };
            let added = remote.waited(client(&remote).add_card(request)).await;
            let card = remote.answer(added)?.card.unwrap_or_default();
            match how.output {
                Output::Text => output::line(&card.card_id),
                Output::Json => output::json(&json::of(&card)),
            }
        }
        Card::List { at, how } => list(&at, &how).await,
        Card::Block(which) => {
            let (card_id, number) = which.named()?;
            let remote = which.at.remote()?;
            let request = BlockCardRequest { card_id, number };
            let blocked = remote.waited(client(&remote).block_card(request)).await;
            output::line(&sentence(&remote.answer(blocked)?.card.unwrap_or_default()))
        }
        Card::Unblock(which) => {
            let (card_id, number) = which.named()?;
            let remote = which.at.remote()?;
            let request = UnblockCardRequest { card_id, number };
            let unblocked = remote.waited(client(&remote).unblock_card(request)).await;
            output::line(&sentence(&remote.answer(unblocked)?.card.unwrap_or_default()))
        }
    }
}

async fn list(at: &At, how: &How) -> Result<(), Failure> {
    let remote = at.remote()?;
    let page_size = i32::try_from(MAX_PAGE_SIZE).unwrap_or_default();
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = client(&remote).list_cards(ListCardsRequest { page_size, page_token }).await;
        let page = remote.answer(asked)?;
        all.extend(page.cards);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    match how.output {
        Output::Text if all.is_empty() => output::line("There are no cards."),
        Output::Text => all.iter().try_for_each(|card| output::line(&sentence(card))),
        Output::Json => output::json(&all.iter().map(json::of).collect::<Vec<_>>()),
    }
}

fn sentence(card: &Shown) -> String {
    let state = match (card.block_time, card.expire_time) {
        (Some(since), _) => format!("blocked {since}"),
        (None, Some(until)) => format!("until {until}"),
        (None, None) => "good".to_owned(),
    };
    let label = if card.label.is_empty() { String::new() } else { format!("  {}", card.label) };
    format!("{}  driver/{}  {state}{label}", card.card_id, card.driver_id)
}
