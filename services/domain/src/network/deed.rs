//! What callers do, for who reads later who did what: each mutation that was asked for, once, with what came of it.
//!
//! What rules do by themselves is no deed, nor what changes nothing: a repeat, a registration that goes on being
//! refused.

use super::{denial::Denial, reply::Answer, request::Token};
use crate::Context;
use std::collections::BTreeMap;

/// Something that a caller did, or was denied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deed {
    /// Who, as it has proven: `operator/ana`; empty where nobody was asked.
    pub actor: String,
    /// The host that it came from; empty where that is not known.
    pub address: String,
    /// The call, by its name in the contract.
    pub method: String,
    /// What it was about, as identities are named: `driver/101`, `charge-point/MAD-01`, `session/…`; several with
    /// spaces between.
    pub subject: String,
    /// What else matters of it, as `name=value`; several with `, ` between.
    pub parameters: String,
    pub came: Came,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Came {
    /// It goes on, and has changed something already: another deed of the same subject says what came of it.
    #[default]
    Begun,
    /// It is done; with what was answered, as `name=value`.
    Done(String),
    /// It had begun, and came to nothing, for this reason.
    Failed(String),
    /// It was denied, for this reason, and nothing has changed.
    Denied(String),
}

/// What was asked for and has no answer yet, and what is to be written down.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    /// By their tokens' numbers: as many as there are callers who wait.
    waiting: BTreeMap<u64, Waiting>,
    new: Vec<Deed>,
}

#[derive(Debug)]
struct Waiting {
    deed: Deed,
    begun: bool,
}

impl Deeds {
    pub(super) fn asked(&mut self, asked: Option<(u64, Deed)>) {
        let asked = asked.map(|(token, deed)| (token, Waiting { deed, begun: false }));
        self.waiting.extend(asked);
    }

    /// It is a repeat, or of what is so already.
    pub(super) fn changes_nothing<A>(&mut self, token: Token<A>) {
        self.waiting.remove(&token.number);
    }

    pub(super) fn answered<A: Answer>(&mut self, token: Token<A>, answer: &Result<A, Denial>) {
        let Some(Waiting { deed, begun }) = self.waiting.remove(&token.number) else { return };
        let came = match answer {
            Ok(answer) => Came::Done(answer.told()),
            Err(Denial { reason, .. }) if begun => Came::Failed(reason.as_str().to_owned()),
            Err(Denial { reason, .. }) => Came::Denied(reason.as_str().to_owned()),
        };
        self.new.push(Deed { came, ..deed });
    }

    /// The step is over. What has no answer by now has a session in the store if it is for a charge; a registration
    /// that waits for its engine is in memory only.
    pub(super) fn goes_on(&mut self, token: Option<u64>) {
        let Some(Waiting { deed, begun }) = token.and_then(|token| self.waiting.get_mut(&token)) else {
            return;
        };
        if deed.method != REGISTER {
            *begun = true;
            self.new.push(deed.clone());
        }
    }

    pub(super) fn take(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.new)
    }
}

/// A call whose answers are not kept for repeats.
pub(super) const REGISTER: &str = "RegisterChargePoint";
/// Another one: a repeat changes nothing.
pub(super) const BLOCK_CARD: &str = "BlockCard";

impl Deed {
    /// Of somebody's call; what came of it is not known yet.
    pub fn by(context: &Context, method: &str, subject: String, parameters: String) -> Self {
        let (actor, address) = (context.identity.clone(), context.address.clone());
        Self { actor, address, method: method.to_owned(), subject, parameters, came: Came::Begun }
    }
}
