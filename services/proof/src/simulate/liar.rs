//! An engine that lies to central: in some runs one charge point's. It supplies and meters as it should, but what it
//! tells of that is false now and then, and it has heard all that other engines told. Some stops it does not obey, or
//! so it says.

use super::world::{World, say};
use domain::network::{Life, Session};
use evmesh_proto::engine::{EngineState, SupplyEnd, SupplyRecord, SupplyState};
use evmesh_proto::network::Price;
use mesh::convert::price_proto;
use prost_types::Timestamp;

/// So much of what was heard can be told again.
const HEARD: usize = 40;
/// It says for so long at most that it supplies what it was told to stop (ms).
const DISOBEYS: u64 = 90_000;

/// What the liar has in mind.
#[derive(Debug, Default)]
pub(super) struct Mind {
    /// What other engines said of signed sessions.
    overheard: Vec<SupplyRecord>,
    /// The session that it says it supplies, and until when (ms).
    disobeys: Option<(String, u64)>,
}

impl World {
    /// What an engine is about to tell; true if it became a lie.
    pub(super) fn lies(&mut self, p: usize, state: &mut EngineState) -> bool {
        if self.plan.liar != Some(p) {
            let overheard = &mut self.liar.overheard;
            overheard.extend(state.current.iter().chain(&state.unsettled).cloned());
            let over = overheard.len().saturating_sub(HEARD);
            overheard.drain(..over);
            return false;
        }
        if !self.faults {
            return false;
        }
        let supplies_on = self.supplies_on(state);
        if !self.random.one_in(3) {
            return supplies_on;
        }
        self.tally.count("lies told to central");
        if self.random.one_in(4) {
            return self.exaggerates(state);
        }
        if self.random.one_in(4)
            && let Some(word) = self.word_after_its_own(p)
        {
            say!(self, "CP-{p} takes back its word: {word:?}");
            state.unsettled.insert(0, word);
            return true;
        }
        if self.random.one_in(6) {
            let ahead = [u64::MAX, 1 << 53, 1 << 40, state.highest_authorization.saturating_add(9)];
            state.highest_authorization = self.random.pick(&ahead);
        } else if let Some(own) = state.current.as_mut().filter(|_| self.random.one_in(4)) {
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

    /// What it was told to stop, and has stopped, it shows as running, with no more energy than it metered.
    fn supplies_on(&mut self, state: &mut EngineState) -> bool {
        let own = |record: &&SupplyRecord| record.end() == SupplyEnd::Stopped;
        let stopped = state.unsettled.iter().rev().find(own).map(|record| record.session_id.clone());
        if self.liar.disobeys.is_none() && stopped.is_some() {
            let until = self.at + self.random.between(1_000, DISOBEYS);
            self.liar.disobeys = stopped.map(|session| (session, until));
            self.tally.count("stops not obeyed");
            say!(self, "{} does not obey until {until} ms", state.charge_point_id);
        }
        let Some((session, until)) = &self.liar.disobeys else { return false };
        if self.at > *until {
            self.liar.disobeys = None;
            return false;
        }
        let place = state.unsettled.iter().position(|record| record.session_id == *session);
        let Some(place) = place.filter(|_| state.current.is_none()) else { return false };
        let mut record = state.unsettled.remove(place);
        record.set_state(SupplyState::Supplying);
        record.end = 0;
        record.end_time = None;
        state.current = Some(record);
        true
    }

    /// Its own sessions, with more than any car takes: so much that a person has to look at it in any case, or so much
    /// as it would take a slow charge point half a day, and dates that say it did. That is not told where central may
    /// know nothing of the time.
    fn exaggerates(&mut self, state: &mut EngineState) -> bool {
        let slow = state.rated_power_w <= 150_001 && self.truth.jumped.is_none();
        let half_a_day = slow && self.random.one_in(2);
        let own = state.current.iter_mut().chain(&mut state.unsettled).filter(|own| own.seq > 0);
        let lied = own.map(|own| {
            own.energy_wh = if half_a_day { 299_000 } else { 10_000_000 };
            if half_a_day {
                own.start_time = Some(Timestamp::default());
            }
            own.session_id.parse()
        });
        let lied: Vec<_> = lied.flatten().collect();
        self.truth.lied.extend(lied);
        true
    }

    /// A session of its own that it refused or gave back, and now says that it supplied.
    fn word_after_its_own(&mut self, p: usize) -> Option<SupplyRecord> {
        let point = &self.points[p];
        let theirs = |session: &&Session| {
            let declined = matches!(session.life(), Life::Ended { ending, .. } if ending.declined);
            session.charge_point == point.id && session.instance == point.instance && declined
        };
        let theirs: Vec<Session> = self.truth.sessions.values().filter(theirs).cloned().collect();
        if theirs.is_empty() {
            return None;
        }
        let session = self.random.pick(&theirs);
        self.truth.lied.insert(session.id.clone());
        Some(ended(SupplyRecord {
            session_id: session.id.to_string(),
            driver_id: session.driver.to_string(),
            price: Some(price_proto(session.price)),
            authorization_number: session.authorization,
            seq: 9,
            energy_wh: 300,
            ..SupplyRecord::default()
        }))
    }

    /// A session that is not this engine's: invented, or another one's, whole or in other words.
    fn lie(&mut self) -> SupplyRecord {
        let overheard = &self.liar.overheard;
        let heard = (!overheard.is_empty()).then(|| self.random.pick(overheard));
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
