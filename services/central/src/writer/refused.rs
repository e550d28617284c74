//! What the server refused for who asked, on its way to the writer: with a tick, so that nobody who is refused costs a
//! step, or waits for one.

use super::Input;
use domain::network::{Came, Deed, Reason};
use mesh::grpc::Refusal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many between two ticks are told one by one; beyond, they are counted.
const MOST: usize = 100;

#[derive(Debug, Clone, Default)]
pub(super) struct Refused(Arc<Mutex<Since>>);

/// Since the last tick.
#[derive(Debug, Default)]
struct Since {
    deeds: Vec<Deed>,
    more: u64,
}

impl Refused {
    pub(super) fn add(&self, refusal: Refusal) {
        if refusal.reason == Reason::RegistrationClosed.as_str() {
            return; // the rules' own denial, with such a code: they tell of it
        }
        let mut since = self.since();
        if since.deeds.len() >= MOST {
            since.more += 1;
            return;
        }
        since.deeds.push(Deed {
            actor: refusal.actor.role().map(ToString::to_string).unwrap_or_default(),
            address: refusal.caller.map(|caller| caller.to_string()).unwrap_or_default(),
            method: refusal.path.rsplit('/').next().unwrap_or_default().to_owned(),
            came: Came::Denied(refusal.reason),
            ..Deed::default()
        });
    }

    /// What came since the last time, if anything did.
    pub(super) fn take(&self) -> Option<Input> {
        let Since { deeds, more } = std::mem::take(&mut *self.since());
        (!deeds.is_empty()).then_some(Input::Refused { deeds, more })
    }

    fn since(&self) -> MutexGuard<'_, Since> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
