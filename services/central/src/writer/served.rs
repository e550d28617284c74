//! Which gateway serves which charge points: the writer has it, and whoever is asked in a gateway's name.

use crate::store::put_served;
use domain::{
    ChargePointId, Name,
    gateways::{Held, Moved, News},
};
use mesh::store::Batch;
use std::sync::Arc;
use tokio::sync::watch;

/// What gateways serve, as central knows it now. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served(Arc<watch::Sender<Held>>);

impl Served {
    pub(super) fn known(held: Held) -> Self {
        Self(Arc::new(watch::Sender::new(held)))
    }

    /// The gateway that serves a charge point.
    pub(crate) fn of(&self, point: &ChargePointId) -> Option<Name> {
        self.0.borrow().all().of(point).cloned()
    }

    pub(super) fn points_of(&self, gateway: &Name) -> Vec<ChargePointId> {
        self.0.borrow().all().points_of(gateway).cloned().collect()
    }

    /// Takes the registry's news; gives the charge points of which it says something else than before. Nothing of it
    /// counts yet.
    pub(crate) fn hear(&self, news: News) -> Vec<ChargePointId> {
        let mut changed = Vec::new();
        self.0.send_if_modified(|held| {
            changed = held.hear(news);
            false
        });
        changed
    }

    /// The charge points of which the registry's word does not count yet.
    pub(super) fn waiting(&self) -> Vec<ChargePointId> {
        self.0.borrow().waiting().cloned().collect()
    }

    /// Is another to serve it?
    pub(super) fn waits(&self, point: &ChargePointId) -> bool {
        self.0.borrow().waits(point)
    }

    /// From now on the registry's word of these counts. Gives those of which it did not before.
    pub(crate) fn count(&self, points: &[ChargePointId]) -> Vec<Moved> {
        let mut moved = Vec::new();
        self.0.send_if_modified(|held| {
            moved.extend(points.iter().filter_map(|point| held.counts(point)));
            !moved.is_empty()
        });
        moved
    }

    /// Writes what is held of one.
    pub(super) fn put(&self, point: &ChargePointId, batch: &mut Batch) {
        put_served(point, &self.0.borrow(), batch);
    }

    /// Whoever has `with` knows what this one does, and what it hears from now on.
    pub(super) fn share(&mut self, with: &Self) {
        with.0.send_replace(self.0.borrow().clone());
        *self = with.clone();
    }

    /// The first thing that this makes of a charge point's gateway, as it is now and after each change.
    pub(crate) async fn once<T>(
        &self,
        point: &ChargePointId,
        of: impl Fn(Option<&Name>) -> Option<T>,
    ) -> Option<T> {
        let mut all = self.0.subscribe();
        loop {
            let found = of(all.borrow_and_update().all().of(point));
            if found.is_some() {
                return found;
            }
            all.changed().await.ok()?;
        }
    }
}
