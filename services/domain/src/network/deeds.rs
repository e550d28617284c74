//! Each deed of central's callers, once, with what came of it.
//!
//! What rules do by themselves is no deed, nor what changes nothing: a repeat, a registration that goes on being
//! refused.

use super::{denial::Denial, reply::Answer, request::Token};
use crate::{Came, Deed};
use std::collections::BTreeMap;

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
            Ok(answer) => Came::Done(besides(&deed.parameters, &answer.told())),
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

/// What of an answer the parameters do not say already.
fn besides(parameters: &str, answer: &str) -> String {
    let is_news = |told: &&str| parameters.split(", ").all(|said| said != *told);
    answer.split(", ").filter(is_news).collect::<Vec<_>>().join(", ")
}

/// A call whose answers are not kept for repeats.
pub(super) const REGISTER: &str = "RegisterChargePoint";
/// Another one: a repeat holds from then on.
pub(super) const BLOCK_CARD: &str = "BlockCard";
