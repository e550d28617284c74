//! An engine that lies to central: in some runs one charge point's. It supplies and meters as it should, but what it
//! tells of that is false now and then, and it has heard all that other engines told.

use super::world::{World, say};
use evmesh_proto::engine::{EngineState, SupplyEnd, SupplyRecord, SupplyState};
use evmesh_proto::network::Price;

/// So much of what was heard can be told again.
const HEARD: usize = 40;

impl World {
    /// What an engine is about to tell; true if it became a lie.
    pub(super) fn lies(&mut self, p: usize, state: &mut EngineState) -> bool {
        if self.plan.liar != Some(p) {
            self.overheard.extend(state.current.iter().chain(&state.unsettled).cloned());
            let over = self.overheard.len().saturating_sub(HEARD);
            self.overheard.drain(..over);
            return false;
        }
        if !self.faults || !self.random.one_in(3) {
            return false;
        }
        self.tally.count("lies told to central");
        if let Some(own) = state.current.as_mut().filter(|_| self.random.one_in(4)) {
            self.spoil(own); // its own session, in other words
        } else {
            let lie = self.lie();
            say!(self, "CP-{p} lies: {lie:?}");
            if state.current.is_none() && lie.state() != SupplyState::Ended {
                state.current = Some(lie);
            } else {
                let place = self.random.index(state.unsettled.len() + 1);
                state.unsettled.insert(place, ended(lie));
            }
        }
        true
    }

    /// A session that is not this engine's: invented, or another one's, whole or in other words.
    fn lie(&mut self) -> SupplyRecord {
        let heard = (!self.overheard.is_empty()).then(|| self.random.pick(&self.overheard.clone()));
        let mut lie = heard.filter(|_| !self.random.one_in(3)).unwrap_or_default();
        let invented = lie.session_id.is_empty();
        if invented || self.random.one_in(2) {
            lie.session_id = format!("lie-{}", self.fresh());
        }
        if invented || self.random.one_in(3) {
            self.spoil(&mut lie);
        }
        if invented && self.random.one_in(2) {
            lie.signature = b"central".to_vec();
        }
        (lie.seq, lie.energy_wh) = (90_000, 10_000_000);
        lie.set_state(self.random.pick(&[
            SupplyState::Authorized,
            SupplyState::Supplying,
            SupplyState::Ended,
        ]));
        if lie.state() == SupplyState::Ended { ended(lie) } else { SupplyRecord { end: 0, ..lie } }
    }

    /// Another price, driver and number than central ever gave.
    fn spoil(&mut self, record: &mut SupplyRecord) {
        record.price = Some(Price { currency_code: "EUR".into(), micros_per_kwh: 1_000_000_000 });
        record.driver_id = self.somebody().to_string();
        record.authorization_number = record.authorization_number.saturating_add(self.random.below(3));
    }
}

fn ended(mut record: SupplyRecord) -> SupplyRecord {
    record.set_state(SupplyState::Ended);
    record.set_end(SupplyEnd::Completed);
    record
}
