//! What a server refused for who asked, on its way to the audit: together with what comes next, so that nobody who is
//! refused costs a step, or waits for one.

use crate::grpc::Refusal;
use domain::{Came, Deed};
use std::sync::{Arc, Mutex, PoisonError};

/// So many between two times are told one by one, of who is known, and as many of strangers; beyond, they are counted.
const MOST: usize = 100;

/// What was not told yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Unaudited(Arc<Mutex<Since>>);

#[derive(Debug, Default)]
struct Since {
    deeds: Vec<Deed>,
    strangers: usize,
    more: u64,
}

impl Unaudited {
    pub fn add(&self, refusal: Refusal) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let actor = refusal.actor.role().map(ToString::to_string).unwrap_or_default();
        let of_kind = match actor.is_empty() {
            true => since.strangers,
            false => since.deeds.len() - since.strangers,
        };
        if of_kind >= MOST {
            since.more += 1;
            return;
        }
        since.strangers += usize::from(actor.is_empty());
        since.deeds.push(Deed {
            actor,
            address: refusal.caller.map(|caller| caller.to_string()).unwrap_or_default(),
            method: refusal.path.rsplit('/').next().unwrap_or_default().to_owned(),
            came: Came::Denied(refusal.reason),
            ..Deed::default()
        });
    }

    /// What came since the last time, and how many more: if anything did.
    pub fn take(&self) -> Option<(Vec<Deed>, u64)> {
        let Since { deeds, more, .. } =
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (!deeds.is_empty()).then_some((deeds, more))
    }
}
