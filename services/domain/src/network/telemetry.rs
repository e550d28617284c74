//! The fast way for what engines know: messages on `cp_telemetry`. Fast, not final.
//!
//! Whoever can write to the topic can write any message. So a message by itself starts, ends and bills nothing, marks
//! no charge point, and raises no number: it moves the live view within what is plausible, and makes central ask the
//! engine at once; the engine's answer does the rest. What it tells of energy is kept for the one case in which
//! nobody else can tell. *Bare* messages, with only the old system's fields, may be of an earlier session: they are
//! shown, and not kept.

use super::{
    Network, Step,
    command::{Broker, Message, MessageKind},
    effect::{Effect, Level},
    session::{Session, Source, life::State, told::Shown},
};
use crate::{ChargePointId, DriverId, Energy, SessionId};
use std::collections::BTreeMap;

impl Step<'_> {
    pub(super) fn telemetry(&mut self, message: &Message, source: Option<Source>) {
        self.message(message);
        let Some(source) = source else { return };
        self.net.read_past(source);
        let Some((id, _)) = &message.session else { return };
        if let Some((session, _)) = self.net.registry.session_and_point(id.as_str()) {
            hold(session, source, &mut self.net.held);
        }
    }

    /// What central knows of Kafka itself: how far it was read, and whether it is there.
    pub(super) fn broker(&mut self, news: Broker) {
        self.net.kafka_away = news == Broker::Away;
        match news {
            Broker::ReadTo(as_of) => self.net.kafka_read_to = self.net.kafka_read_to.max(as_of),
            Broker::Away => {}
            Broker::Gap => {
                let text = "messages are missing on kafka: asking every engine";
                self.happened(Level::Warn, "kafka_gaps", text.into());
                self.ask_all();
                return;
            }
        }
        self.kafka_is_judged();
    }

    fn message(&mut self, message: &Message) {
        let point = &message.charge_point;
        match self.net.registry.find_point(point) {
            None => return self.dead_letter(format!("no charge point {point} is registered")),
            Some(known) if known.is_cut() => {
                return self.dead_letter(format!("the identity of {point} was revoked"));
            }
            Some(known) => {
                if let Some(reason) = known.refuses_as_unsealed(message.sealed) {
                    self.happened(Level::Warn, "messages_unsealed", reason.clone());
                    self.refuses_telemetry(point, &reason);
                    return self.push(Effect::DeadLetter(reason));
                }
                self.point_mut(point).telemetry_refused.clear();
            }
        }
        if message.is_fault() {
            let why = if message.reason.is_empty() { "no reason given" } else { &message.reason };
            let text = format!("a message says that {point} broke ({why}): its engine is asked");
            self.happened(Level::Debug, "faults", text);
        }
        match (&message.session, &message.driver) {
            (Some((session, seq)), _) => self.numbered(session, *seq, message),
            (None, Some(driver)) => self.bare(driver, message),
            (None, None) if message.is_fault() => self.ask_about(point),
            (None, None) => self.dead_letter("user_id is missing".into()),
        }
    }

    fn numbered(&mut self, id: &SessionId, seq: u64, message: &Message) {
        let point = &message.charge_point;
        let fits = |session: &Session| {
            session.charge_point == *point
                && message.driver.as_ref().is_none_or(|driver| *driver == session.driver)
        };
        let what = |session: &Session| (fits(session), session.settled(), session.seq());
        let known = match self.net.registry.find_session(id) {
            Some(session) => Some(what(session)),
            None => self.archive.session(id).as_ref().map(what),
        };
        let Some((fits, settled, answered)) = known else {
            self.ask_about(point);
            let text = format!("session {id} is not known; its charge point was asked about it");
            return self.dead_letter(text);
        };
        if !fits {
            return self.dead_letter(format!("session {id} is not of that charge point and driver"));
        }
        if settled {
            let text = format!("a message of session {id} came after its end");
            self.happened(Level::Debug, "messages_late", text);
            if seq > answered {
                self.ask_about(point); // should its engine really supply it, it must be stopped
            }
            return;
        }
        if seq <= answered {
            let text = format!("message {seq} of session {id} repeats what its engine has answered");
            return self.happened(Level::Debug, "messages_repeated", text);
        }
        let energy = message.energy.or((message.kind == MessageKind::Started).then_some(Energy::ZERO));
        let (now, most) = (self.now, self.most(id));
        if let Some(energy) = energy
            && !self.session_mut(id).keep_told(energy, most, now)
        {
            return self.implausible(id, energy);
        }
        if self.session(id).store_lost() {
            return; // the engine that is there knows nothing of it
        }
        let runs = self.session(id).state() == State::Supplying;
        match message.kind {
            MessageKind::Started if runs => {}
            MessageKind::Reading if runs => self.live(id, message),
            MessageKind::Started | MessageKind::Reading | MessageKind::Ended(_) => self.ask_about(point),
        }
    }

    fn bare(&mut self, driver: &DriverId, message: &Message) {
        let point = &message.charge_point;
        self.ask_about(point);
        let open = self.net.registry.open_at(self.point(point)).filter(|open| open.driver == *driver);
        let Some(open) = open else {
            if !message.is_fault() {
                self.dead_letter(format!("driver {driver} has no open session at {point}"));
            }
            return;
        };
        if message.kind == MessageKind::Reading && open.state() == State::Supplying {
            let id = open.id.clone();
            self.live(&id, message);
        }
    }

    /// A reading of a running supply moves the live view, forward only.
    fn live(&mut self, id: &SessionId, message: &Message) {
        let now = self.now;
        let Some(energy) = message.energy else {
            return self.session_mut(id).live.gauges.update(message.gauges);
        };
        let rated = self.rated(&message.charge_point);
        match self.session_mut(id).show(energy, message.gauges, rated, now) {
            Shown::Yes => self.notify_reading(id, None),
            Shown::Behind => {
                let text = format!("a reading of session {id}, {energy}, is behind what is shown");
                self.happened(Level::Debug, "messages_repeated", text);
            }
            Shown::Implausible => self.implausible(id, energy),
        }
    }

    fn implausible(&mut self, id: &SessionId, energy: Energy) {
        let text = format!("session {id} cannot have had {energy} by now: not shown");
        self.happened(Level::Debug, "readings_implausible", text);
        let point = self.session(id).charge_point.clone();
        self.ask_about(&point);
    }

    /// Telemetry told what only the engine can confirm, or an engine more than was looked at: it is asked at once,
    /// within what [`Point::paid`] allows.
    ///
    /// [`Point::paid`]: super::dealings::Dealt::paid
    pub(super) fn ask_about(&mut self, id: &ChargePointId) {
        self.point_mut(id).told = true;
        self.touch(id);
    }

    fn dead_letter(&mut self, reason: String) {
        self.happened(Level::Warn, "dead_letters", format!("a message went to the dead letters: {reason}"));
        self.push(Effect::DeadLetter(reason));
    }
}

impl Network {
    pub(super) fn read_past(&mut self, source: Source) {
        self.kafka_away = false;
        self.positions.insert(source.partition, source.offset.saturating_add(1));
    }
}

/// A message raised what is known of a session beyond what is saved of it: it is read again after a start.
pub(super) fn hold(session: &mut Session, source: Source, all_held: &mut BTreeMap<Source, SessionId>) {
    let live = &mut session.live;
    if live.unsaved && !live.held.iter().any(|held| held.partition == source.partition) {
        live.held.push(source);
        all_held.insert(source, session.id.clone());
    }
}
