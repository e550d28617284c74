//! Sessions that engines tell of and that are not in memory: closed ones come back, unknown ones that central signed
//! are adopted.
//!
//! A store that was lost, restored or rebuilt knows less than its engines; what they still have in hand is not
//! stopped on an old row's word.

use super::{
    Step,
    effect::Level,
    plausible::Age,
    session::{
        Facts, Session,
        life::{Outcome, State},
    },
};
use crate::{ChargePointId, SupplyRecord, SupplyState, Wall};
use std::time::Duration;

/// An engine whose supply could not be judged yet is asked again after this: the other engine has answered by then,
/// or not.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Step<'_> {
    /// A closed session of which more is told comes back to memory, with what is told then.
    pub(super) fn revive(&mut self, mut session: Session) {
        let age = self.age(session.created);
        self.point_mut(&session.charge_point).refused.remove(&session.id); // somebody may decide now
        session.revive(self.settlement_deadline(), age, self.now.mono);
        let id = session.id.clone();
        self.net.registry.add_session(session);
        self.changed(&id);
    }

    /// How long ago a session of this date was asked for.
    fn age(&self, created: Wall) -> Age {
        Age::new(self.now.mono, self.net.remembered.since(created, self.now.wall))
    }

    /// A supply unknown to central, whose driver has a session open elsewhere that is only remembered: this store may
    /// be older than the network, and the supply would be stopped in favour of a session long over. So the other's
    /// engine is heard first, and this one is asked again.
    pub(super) fn driver_is_doubtful(&mut self, id: &ChargePointId, record: &SupplyRecord) -> bool {
        if record.state != SupplyState::Supplying || record.driver.is_guest() {
            return false;
        }
        let Some(other) = self.net.registry.find_open(&record.driver) else { return false };
        let reserved = other.state() == State::Reserved;
        if !other.live.restored || (self.point(&other.charge_point).judged && !reserved) {
            return false;
        }
        let other = other.id.clone();
        self.revoke(&other); // a driver who charges here has given a reservation up
        self.ask(id);
        self.point_mut(id).not_before = self.now.mono + ASK_AGAIN;
        true
    }

    /// A session that central signed and lost with its store, or that is younger than it: open if INV-2 allows it and
    /// it runs, else ended, to be stopped or revoked.
    pub(super) fn adopt(&mut self, point_id: &ChargePointId, record: &SupplyRecord, created: Wall) {
        let registry = &self.net.registry;
        let alone = registry.point(point_id).open.is_none() && registry.find_open(&record.driver).is_none();
        let open = alone && record.state == SupplyState::Supplying;
        let ended = (!open).then(|| match record.state {
            SupplyState::Ended(end) => Outcome::from(end),
            SupplyState::Authorized | SupplyState::Supplying => Outcome::Stopped,
        });
        let id = record.session.clone();
        let facts = Facts {
            id: id.clone(),
            charge_point: point_id.clone(),
            instance: registry.point(point_id).stored.instance.clone(),
            driver: record.driver.clone(),
            card: None,
            price: record.price,
            authorization: record.authorization,
            created: created.min(self.now.wall), // its clock may have been ahead then
            trace: None,
        };
        self.point_mut(point_id).refused.remove(&id); // it is central's own after all
        let age = self.age(created); // a date that is still to come says nothing of the time
        let session = Session::adopted(facts, ended, self.settlement_deadline(), (age, self.now));
        self.net.registry.add_session(session);
        self.changed(&id);
        let driver = &record.driver;
        let text =
            format!("session {id} of driver {driver} was found at {point_id}, unknown to central: adopted");
        self.happened(Level::Warn, "sessions_adopted", text);
    }
}
