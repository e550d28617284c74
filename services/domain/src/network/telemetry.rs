//! The fast way for what engines know: messages on `cp_telemetry`.
//!
//! Messages that name their session and number are evidence. *Bare* ones, with only the old system's fields, may be
//! late or of an earlier session: they move the live view and make central ask the engine; only its answer starts,
//! ends or bills.

use super::{
    Step,
    command::{Broker, Message, MessageKind},
    effect::{Effect, Level},
    gauges::Gauges,
    session::{
        Session, Source,
        life::State,
        lifecycle::{Read, Reading},
    },
};
use crate::{ChargePointId, DriverId, Energy, Power, SessionId};
use std::time::Duration;

/// A bare reading asks the engine at most this often: they come once a second.
const ASK_AFTER: Duration = Duration::from_secs(1);

/// Two readings closer than this tell nothing of the power.
const APART: Duration = Duration::from_millis(500);

impl Step<'_> {
    pub(super) fn telemetry(&mut self, message: Message, source: Option<Source>) {
        let session = message.session.clone();
        self.message(message);
        let Some(source) = source else { return };
        self.read_past(source);
        let known = session.filter(|(id, _)| self.net.registry.find_session(id).is_some());
        let Some((id, _)) = known else { return };
        let live = &mut self.session_mut(&id).live;
        if live.unsaved && !live.held.iter().any(|held| held.partition == source.partition) {
            live.held.push(source);
            self.net.held.insert(source, id);
        }
    }

    pub(super) fn read_past(&mut self, source: Source) {
        self.net.kafka_away = false;
        self.net.positions.insert(source.partition, source.offset.saturating_add(1));
    }

    /// What central knows of Kafka itself: how far it was read, and whether it is there.
    pub(super) fn broker(&mut self, news: Broker) {
        self.net.kafka_away = news == Broker::Away;
        let read_to = match news {
            Broker::ReadTo(as_of) => as_of,
            Broker::Away => self.now.mono,
            Broker::Gap => {
                let text = "messages are missing on kafka: asking every engine";
                self.happened(Level::Warn, "kafka_gaps", text.into());
                for id in self.net.registry.points().keys().cloned().collect::<Vec<_>>() {
                    self.ask(&id);
                }
                return;
            }
        };
        self.net.kafka_judged = true;
        self.net.kafka_read_to = self.net.kafka_read_to.max(read_to);
    }

    fn message(&mut self, message: Message) {
        let point = message.charge_point.clone();
        if self.net.registry.find_point(&point).is_none() {
            return self.dead_letter(format!("no charge point {point} is registered"));
        }
        match (message.session.clone(), message.driver.clone()) {
            (Some((session, seq)), _) => self.numbered(&point, &session, seq, &message),
            (None, Some(driver)) => self.bare(&point, &driver, &message),
            (None, None) if message.is_fault() => self.fault(&point, &message),
            (None, None) => self.dead_letter("user_id is missing".into()),
        }
    }

    fn numbered(&mut self, point: &ChargePointId, id: &SessionId, seq: u64, message: &Message) {
        let fits = |session: &Session| {
            session.charge_point == *point
                && message.driver.as_ref().is_none_or(|driver| *driver == session.driver)
        };
        let known = self.net.registry.find_session(id);
        if known.is_some_and(|known| !fits(known)) {
            return self.dead_letter(format!("session {id} is not of that charge point and driver"));
        }
        let mut archived = None;
        if known.is_none() {
            // Closed as never started: its engine's store was lost before it could tell otherwise, and only Kafka
            // knew (INV-1).
            archived = self.archive.session(id).filter(|session| !session.started());
            if !archived.as_ref().is_some_and(fits) {
                return self.unknown_session(point, id);
            }
        }
        let (started, end) = match message.kind {
            MessageKind::Started => (true, None),
            MessageKind::Reading => (false, None),
            MessageKind::Ended(end) => (false, Some(end)),
        };
        let Some(energy) = message.energy.or(started.then_some(Energy::ZERO)) else {
            return match (end, archived) {
                (Some(_), _) => self.dead_letter("kwh is missing".into()),
                (None, Some(_)) => self.unknown_session(point, id),
                (None, None) => self.session_mut(id).live.gauges.update(message.gauges),
            };
        };
        if let Some(archived) = archived {
            self.revive(archived);
        }
        let of_this_instance = self.point(point).stored.instance == self.session(id).instance;
        let gauges = self.gauges(id, message);
        let (started_at, ended_at) = (message.at.filter(|_| started), message.at.filter(|_| end.is_some()));
        match self.observe(id, Reading { seq, energy, gauges, end, started_at, ended_at }) {
            Read::Late | Read::Started | Read::GoesOn | Read::AfterEnd { .. } | Read::Final { .. } => {
                if of_this_instance && message.is_fault() {
                    self.fault(point, message);
                }
            }
            Read::Repeat | Read::Over => {
                let text = format!("message {seq} of session {id} repeated");
                self.happened(Level::Debug, "messages_repeated", text);
            }
            Read::Absurd => {
                self.ask(point);
                self.dead_letter(format!("session {id}: the meter went backwards, to {energy}"));
            }
        }
    }

    /// Late ones of archived sessions are only counted; but should the engine really supply one, it must be stopped.
    fn unknown_session(&mut self, point: &ChargePointId, id: &SessionId) {
        self.ask_now_and_then(point);
        if self.archive.session(id).is_some() {
            let text = format!("a message of session {id} came after its end");
            self.happened(Level::Debug, "messages_late", text);
        } else {
            self.dead_letter(format!("session {id} is not known; its charge point was asked about it"));
        }
    }

    fn bare(&mut self, point: &ChargePointId, driver: &DriverId, message: &Message) {
        let open = self.net.registry.open_at(self.point(point)).filter(|open| open.driver == *driver);
        let open = open.map(|open| open.id.clone());
        if message.is_fault() {
            self.fault(point, message);
        }
        let Some(id) = open else {
            if !message.is_fault() {
                self.ask_now_and_then(point);
                self.dead_letter(format!("driver {driver} has no open session at {point}"));
            }
            return;
        };
        match message.kind {
            MessageKind::Started | MessageKind::Ended(_) => self.ask(point),
            MessageKind::Reading => {
                let gauges = self.gauges(&id, message);
                let live = &mut self.session_mut(&id).live;
                live.gauges.update(gauges);
                if let Some(energy) = message.energy {
                    live.bare = Some(energy);
                    self.notify_reading(&id, None, energy);
                }
                self.ask_now_and_then(point);
            }
        }
    }

    /// The engine counts as not ok until its monitor's next report says that it is.
    fn fault(&mut self, id: &ChargePointId, message: &Message) {
        let why = if message.reason.is_empty() { "no reason given" } else { &message.reason };
        self.happened(Level::Warn, "faults", format!("{id} reported a fault: {why}"));
        self.point_mut(id).faulted = true;
        self.ask(id);
    }

    fn ask_now_and_then(&mut self, id: &ChargePointId) {
        let now = self.now.mono;
        if now.since(self.point(id).last_asked) >= ASK_AFTER {
            self.ask(id);
        }
    }

    /// What a message tells beside its energy; where it gives no power, that from two readings.
    fn gauges(&self, id: &SessionId, message: &Message) -> Gauges {
        let mut gauges = message.gauges;
        gauges.power = gauges.power.or_else(|| self.power_between(id, message.energy?));
        gauges
    }

    /// Power from two readings, where the message gives none. Readings come about a second apart; from two that were
    /// held up and came together nothing can be told.
    fn power_between(&self, id: &SessionId, energy: Energy) -> Option<Power> {
        let session = Some(self.session(id)).filter(|session| session.state() == State::Supplying)?;
        let elapsed = self.now.mono.since(session.live.last_sign);
        let elapsed = u64::try_from(elapsed.as_millis()).ok().filter(|_| elapsed >= APART)?;
        let delivered = energy.wh().checked_sub(session.shown_energy().wh())?;
        let power = delivered.checked_mul(3_600_000)?.checked_div(elapsed).map(Power::from_w);
        power.filter(|power| *power <= Power::MAX)
    }

    fn dead_letter(&mut self, reason: String) {
        self.happened(Level::Warn, "dead_letters", format!("a message went to the dead letters: {reason}"));
        self.push(Effect::DeadLetter(reason));
    }
}
