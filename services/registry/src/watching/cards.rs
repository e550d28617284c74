//! Who follows the cards: all of them at first, a part at a time, and then each that changes.

use super::news;
use crate::owner::Office;
use domain::{CardId, cards::registered::Registered};
use evmesh_proto::registry::{WatchIdentitiesResponse, WatchedCard};
use mesh::{convert::timestamp, grpc::Failure};
use tokio::sync::broadcast::Receiver;

/// So many share a message, each of some 200 bytes at most: gRPC takes 4 MiB.
const A_PAGE: usize = 5_000;

/// One who follows: central.
pub(crate) struct WatchingCards {
    office: Office,
    changes: Receiver<CardId>,
    /// Those behind this one have not been sent for the first time; `None`: all have.
    after: Option<String>,
}

impl WatchingCards {
    /// From now on: what changes from here on waits in `changes`.
    pub(crate) async fn begin(office: Office) -> Result<Self, Failure> {
        let changes = office.decide(|rules, _, _| Ok(rules.cards.changes.subscribe())).await?;
        Ok(Self { office, changes, after: Some(String::new()) })
    }

    /// The next message. Nothing follows an error.
    pub(crate) async fn next(&mut self) -> Result<WatchIdentitiesResponse, Failure> {
        if let Some(after) = self.after.take() {
            let page = self.office.decide(move |rules, _, _| {
                let cards: Vec<_> = rules.cards.all().after(&after).take(A_PAGE).map(watched).collect();
                // The first message has the key: what follows is looked up with it.
                let card_key = if after.is_empty() { rules.cards.key().bytes().to_vec() } else { Vec::new() };
                let cards_complete = cards.len() < A_PAGE;
                Ok(WatchIdentitiesResponse { cards, cards_complete, card_key, ..Default::default() })
            });
            let message = page.await?;
            let last = message.cards.last().map(|card| card.card_id.clone());
            self.after = last.filter(|_| !message.cards_complete);
            return Ok(message);
        }
        let ids = news(&mut self.changes, |id| [id]).await?;
        let read = self.office.decide(move |rules, _, _| {
            let one = |id: &CardId| Some(watched((id, rules.cards.all().get(id)?)));
            Ok(ids.iter().filter_map(one).collect())
        });
        Ok(WatchIdentitiesResponse { cards: read.await?, cards_complete: true, ..Default::default() })
    }
}

fn watched((id, card): (&CardId, &Registered)) -> WatchedCard {
    WatchedCard {
        card_id: id.to_string(),
        hash: card.hash.0.to_vec(),
        driver_id: card.driver.to_string(),
        expire_time: card.expires.map(timestamp),
        blocked: card.blocked.is_some(),
        good_time: Some(timestamp(card.good)),
    }
}
