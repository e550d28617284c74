//! What a server refused for who asked, on its way to the audit: together with what comes next, so that nobody who is
//! refused costs a step, or waits for one.

use crate::grpc::Refusal;
use domain::{Came, Deed};
use std::sync::{Arc, Mutex, PoisonError};

/// So many between two times are told one by one; beyond, they are counted.
const MOST: usize = 100;

/// What was not told yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Untold(Arc<Mutex<(Vec<Deed>, u64)>>);

impl Untold {
    pub fn add(&self, refusal: Refusal) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if since.0.len() >= MOST {
            since.1 += 1;
            return;
        }
        since.0.push(Deed {
            actor: refusal.actor.role().map(ToString::to_string).unwrap_or_default(),
            address: refusal.caller.map(|caller| caller.to_string()).unwrap_or_default(),
            method: refusal.path.rsplit('/').next().unwrap_or_default().to_owned(),
            came: Came::Denied(refusal.reason),
            ..Deed::default()
        });
    }

    /// What came since the last time, and how many more: if anything did.
    pub fn take(&self) -> Option<(Vec<Deed>, u64)> {
        let since = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (!since.0.is_empty()).then_some(since)
    }
}
