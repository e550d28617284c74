//! What the server refused for who asked, on its way to the writer: with a tick, so that nobody who is refused costs a
//! step, or waits for one.

use super::Input;
use domain::{Came, Deed, network::Reason};
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

#[cfg(test)]
mod tests {
    use super::*;
    use testing::known;

    #[test]
    fn what_the_rules_tell_of_themselves_is_not_told_twice_and_all_else_is() {
        let refused = Refused::default();
        for reason in ["REGISTRATION_CLOSED", "IDENTITY_REVOKED", "NOT_ALLOWED", "BEARER_EXPIRED"] {
            let (actor, reason) = (known("driver/101"), reason.to_owned());
            refused.add(Refusal { actor, caller: None, path: "/a.B/C", reason });
        }
        let Some(Input::Refused { deeds, more: 0 }) = refused.take() else { panic!("nothing is told") };
        let told: Vec<_> = deeds.iter().map(|deed| (deed.actor.as_str(), deed.method.as_str())).collect();
        assert_eq!(told, [("driver/101", "C"); 3]);
        assert_eq!(deeds[0].came, Came::Denied("IDENTITY_REVOKED".into()));
        assert!(refused.take().is_none());
    }
}
