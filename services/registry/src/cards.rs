//! The registry's cards, their key, and what is asked of them.

use crate::{Error, storage};
use domain::{
    CardId, DriverId, Now, Wall,
    cards::{
        CardNumber,
        registered::{self, Change, Denied, MAX_LABEL, Registered, Which},
    },
    ids::CARD,
    text,
};
use evmesh_proto::registry as proto;
use identity::{CardKey, Secret};
use mesh::{
    convert::{InvalidField, hex, parse, timestamp, wall},
    grpc::Failure,
    store::{Batch, Store},
};
use std::path::Path;
use tokio::sync::broadcast;
use tonic::Code;

/// So many random bytes make an id.
const ID_BYTES: usize = 5;

pub(crate) struct Cards {
    all: registered::Cards,
    key: CardKey,
    /// Which have changed, once that is on disk.
    pub(crate) changes: broadcast::Sender<CardId>,
    /// The same, while it is not.
    unwritten: Vec<CardId>,
}

/// A card that somebody wants to be registered.
#[derive(Debug)]
pub(crate) struct New {
    number: CardNumber,
    driver: DriverId,
    label: String,
    expires: Option<Wall>,
}

/// Which card somebody means.
#[derive(Debug)]
pub(crate) enum Named {
    Id(CardId),
    Number(CardNumber),
}

impl New {
    pub(crate) fn read(request: proto::AddCardRequest) -> Result<Self, Failure> {
        let proto::AddCardRequest { number, driver_id, expire_time, label } = request;
        let number = parse::<CardNumber>("number", &number)?;
        let driver =
            DriverId::named(&driver_id).map_err(|problem| InvalidField::new("driver_id", problem))?;
        let label = text::reason(&label).map_err(|problem| InvalidField::new("label", problem))?;
        if label.chars().count() > MAX_LABEL {
            return Err(
                InvalidField::new("label", format!("must have at most {MAX_LABEL} characters")).into()
            );
        }
        if let Some((field, _)) = [("driver_id", driver.as_str()), ("label", &label)]
            .into_iter()
            .find(|(_, text)| number.is_in(text))
        {
            return Err(InvalidField::new(field, "must not have the card's number, which is a secret").into());
        }
        Ok(Self { number, driver, label, expires: wall("expire_time", expire_time.as_ref())? })
    }
}

impl Named {
    pub(crate) fn read(card_id: &str, number: &str) -> Result<Self, Failure> {
        match (card_id, number) {
            (id, "") => Ok(Self::Id(parse("card_id", id)?)),
            ("", number) => Ok(Self::Number(parse("number", number)?)),
            (_, _) => Err(InvalidField::new("number", "must be empty where a card_id is given").into()),
        }
    }
}

impl Cards {
    /// So many changes wait for whoever follows them.
    pub(crate) fn open(store: &mut impl Store, folder: &Path, changes: usize) -> Result<Self, Error> {
        let key = storage::card_key(store, folder)?;
        let all = registered::Cards::restore(storage::load_cards(store, folder)?);
        Ok(Self { all, key, changes: broadcast::Sender::new(changes), unwritten: Vec::new() })
    }

    pub(crate) fn all(&self) -> &registered::Cards {
        &self.all
    }

    pub(crate) fn key(&self) -> &CardKey {
        &self.key
    }

    pub(crate) fn add(&mut self, now: Now, batch: &mut Batch, new: New) -> Result<proto::Card, Failure> {
        let New { number, driver, label, expires } = new;
        if expires.is_some_and(|at| at <= now.wall) {
            return Err(InvalidField::new("expire_time", "must not be past").into());
        }
        let (hash, added) = (self.key.hash(&number), now.wall);
        let card = Registered { hash, driver, label, expires, added, blocked: None, good: now.wall };
        let id = self.new_id()?;
        let changes = self.all.add(now.wall, id.clone(), card).map_err(denied)?;
        Ok(self.changed(batch, &id, changes))
    }

    pub(crate) fn block(&mut self, now: Now, batch: &mut Batch, card: Named) -> Result<proto::Card, Failure> {
        let (id, changes) = self.all.block(now.wall, &self.which(card)).map_err(denied)?;
        Ok(self.changed(batch, &id, changes))
    }

    pub(crate) fn unblock(
        &mut self,
        now: Now,
        batch: &mut Batch,
        card: Named,
    ) -> Result<proto::Card, Failure> {
        let (id, changes) = self.all.unblock(now.wall, &self.which(card)).map_err(denied)?;
        Ok(self.changed(batch, &id, changes))
    }

    fn which(&self, card: Named) -> Which {
        match card {
            Named::Id(id) => Which::Id(id),
            Named::Number(number) => Which::Hash(self.key.hash(&number)),
        }
    }

    /// One that no card has.
    fn new_id(&self) -> Result<CardId, Failure> {
        loop {
            let random = Secret::random().map_err(Failure::internal)?;
            let id = format!("{CARD}{}", hex(&random.0[..ID_BYTES])).parse().map_err(Failure::internal)?;
            if self.all.get(&id).is_none() {
                return Ok(id);
            }
        }
    }

    /// Writes what has changed; gives the card that it was about.
    fn changed(&mut self, batch: &mut Batch, id: &CardId, changes: Vec<Change>) -> proto::Card {
        changes.iter().for_each(|change| storage::write_card(batch, change));
        // One that is gone has given its number to another, or is over: whoever follows needs no word of it.
        self.unwritten.extend(changes.into_iter().filter_map(|(id, card)| card.map(|_| id)));
        self.all.get(id).map(|card| shown(id, card)).unwrap_or_default()
    }

    /// What tells those who follow, once it is on disk.
    pub(crate) fn tell(&mut self) -> impl FnOnce() + Send + use<> {
        let (changed, changes) = (std::mem::take(&mut self.unwritten), self.changes.clone());
        move || {
            for id in changed {
                let _ = changes.send(id); // nobody may follow
            }
        }
    }
}

/// A card as admins see it.
pub(crate) fn shown(id: &CardId, card: &Registered) -> proto::Card {
    let Registered { hash: _, driver, label, expires, added, blocked, good: _ } = card;
    proto::Card {
        card_id: id.to_string(),
        driver_id: driver.to_string(),
        label: label.clone(),
        expire_time: expires.map(timestamp),
        add_time: Some(timestamp(*added)),
        block_time: blocked.map(timestamp),
    }
}

fn denied(why: Denied) -> Failure {
    let (code, reason) = match why {
        Denied::Duplicate(..) => (Code::AlreadyExists, "CARD_DUPLICATE"),
        Denied::Unknown => (Code::NotFound, "CARD_UNKNOWN"),
        Denied::TooMany => (Code::ResourceExhausted, "TOO_MANY_CARDS"),
    };
    Failure::new(code, reason, why.to_string())
}

#[cfg(test)]
mod tests;
