//! An engine that lies to central: in some runs one charge point's. It supplies and meters as it should, but what it
//! tells of that is false now and then, and it has heard all that other engines told. Some stops it does not obey, or
//! so it says; and it is silent for as long as it takes to be out of reach when it is told of one.

use super::{
    wire::state_of,
    world::{World, say},
};
use domain::network::{Life, Session};
use evmesh_proto::engine::{EngineState, SupplyEnd, SupplyRecord, SupplyState};
use evmesh_proto::network::Price;
use mesh::convert::price_proto;
use proof::engine_process::Told;
use prost_types::Timestamp;

/// So much of what was heard can be told again.
const HEARD: usize = 40;
/// It says for so long at most that it supplies what it was told to stop (ms).
const DISOBEYS: u64 = 90_000;
/// What it delivers in so long is more than what it has to obey in, and a tenth (ms).
const MORE: u64 = 45_000;
/// Central has heard it on a session that is over once it has heard it so often, whatever dies meanwhile.
const HEARD_TWICE: u32 = 2;

/// What the liar has in mind.
#[derive(Debug, Default)]
pub(super) struct Mind {
    /// What other engines said of signed sessions.
    overheard: Vec<SupplyRecord>,
    /// Its own reservations, as central signed them.
    own: Vec<SupplyRecord>,
    /// The session that it says it supplies.
    disobeys: Option<Disobeyed>,
    /// It answers nothing until then (ms).
    silent_until: u64,
}

#[derive(Debug)]
struct Disobeyed {
    session: String,
    /// When it says that it has stopped (ms).
    until: u64,
    /// Its answers to a stop that reached central, and when the last of those did that count (ms).
    heard: u32,
    since: u64,
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
        let own = &mut self.liar.own;
        let known = own.last().map(|own| own.session_id.clone());
        own.extend(state.current.clone().filter(|own| Some(&own.session_id) != known.as_ref()));
        let over = own.len().saturating_sub(HEARD);
        own.drain(..over);
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
        if let Some(session) = stopped.filter(|_| self.liar.disobeys.is_none()) {
            let until = self.at + self.random.between(1_000, DISOBEYS);
            self.liar.disobeys = Some(Disobeyed { session, until, heard: 0, since: 0 });
            self.tally.count("stops not obeyed");
            say!(self, "{} does not obey until {until} ms", state.charge_point_id);
        }
        let Some(disobeyed) = &self.liar.disobeys else { return false };
        let place = state.unsettled.iter().position(|record| record.session_id == disobeyed.session);
        let over = self.at > disobeyed.until;
        if over && place.is_none() {
            self.liar.disobeys = None;
            return false;
        }
        let Some(place) = place.filter(|_| over || state.current.is_none()) else { return false };
        if over {
            let went_on = disobeyed.until.saturating_sub(disobeyed.since);
            if disobeyed.heard < HEARD_TWICE || went_on < MORE || self.truth.restored {
                return false;
            }
            let record = &mut state.unsettled[place];
            record.energy_wh += state.rated_power_w * went_on / 3_600_000 + 1;
            self.truth.lied.extend(record.session_id.parse());
            self.tally.count("energy claimed of after a stop");
            return true;
        }
        let mut record = state.unsettled.remove(place);
        record.set_state(SupplyState::Supplying);
        record.end = 0;
        record.end_time = None;
        state.current = Some(record);
        true
    }

    /// It gives no answer for a while: while it supplies, in which its driver stops; or while it is to authorise.
    pub(super) fn keeps_silent(&mut self, p: usize, told: &mut Told) -> bool {
        if self.plan.liar != Some(p) || !self.faults {
            return false;
        }
        if self.at < self.liar.silent_until {
            return true;
        }
        let authorizes = matches!(told, Told::Authorize(_));
        let current = state_of(told).and_then(|state| state.current.as_ref());
        let supplying = current.filter(|own| own.state() == SupplyState::Supplying);
        let driver = supplying.and_then(|own| own.driver_id.parse().ok());
        let silent = (authorizes || driver.is_some()) && self.random.one_in(12);
        if silent {
            let failed = self.plan.engine_timeout + 100;
            self.liar.silent_until = self.at + self.random.between(failed, 7_000);
            self.tally.count("silent at an end");
            if let Some(driver) = driver {
                self.after(failed, move |world| world.stops(driver, None));
            }
        }
        silent
    }

    /// Its answer to a stop has reached central, who waited for it, of a session that was over by then.
    pub(super) fn is_heard(&mut self, shown: Option<&str>) {
        let (at, sessions) = (self.at, &self.truth.sessions);
        let shown = shown.filter(|id| sessions.get(*id).is_some_and(|known| !known.is_open()));
        if let Some(disobeyed) = self.liar.disobeys.as_mut().filter(|it| shown == Some(&it.session)) {
            disobeyed.heard += 1;
            if disobeyed.heard <= HEARD_TWICE {
                disobeyed.since = at;
            }
        }
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

    /// A session of its own that it refused or gave back, and now says that it supplied; with central's signature, if
    /// it ever held it.
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
        let own = &self.liar.own;
        let signed = |session: &Session| own.iter().rfind(|own| own.session_id == session.id.as_str());
        let is_gone =
            |session: &&Session| self.truth.forgotten.contains(&session.id) && signed(session).is_some();
        let gone: Vec<Session> = theirs.iter().filter(is_gone).cloned().collect();
        let session = self.random.pick(if gone.is_empty() { &theirs } else { &gone });
        let signed = signed(&session).cloned();
        self.truth.lied.insert(session.id.clone());
        if signed.is_some() && self.truth.forgotten.contains(&session.id) {
            self.tally.count("signed words of forgotten sessions");
        }
        Some(ended(SupplyRecord {
            session_id: session.id.to_string(),
            driver_id: session.driver.to_string(),
            price: Some(price_proto(session.price)),
            authorization_number: session.authorization,
            seq: 9,
            energy_wh: 300,
            ..signed.unwrap_or_default()
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
