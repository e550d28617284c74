//! A supply's life: its start, its readings, its end.

use super::{
    effect::{Effect, Write},
    event::{Cause, EventKind},
    machine::{Current, Supply},
    meter::Meter,
};
use crate::{Mono, Now, Power, SupplyRecord, SupplyState, Wall};
use std::time::Duration;

/// How often a running supply is read.
const READING_INTERVAL: Duration = Duration::from_secs(1);

/// A supply under way.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) record: SupplyRecord,
    pub(super) meter: Meter,
    pub(super) since: Mono,
    pub(super) next_reading: Mono,
}

/// A car that is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Car {
    /// By a person, who takes it out.
    ByHand,
    /// By itself: it leaves when nothing is left for it here.
    ByItself,
}

impl Supply {
    pub(super) fn start_if_ready(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Current::Held(held) = &self.current else {
            return;
        };
        if self.car.is_none() || self.obstacle().is_some() {
            return;
        }
        let record = SupplyRecord {
            state: SupplyState::Supplying,
            seq: 1,
            power: self.settings.power,
            started_at: Some(now.wall),
            read_at: Some(now.wall),
            ..held.record()
        };
        self.tell(now.wall, EventKind::Started(record.clone()), effects);
        self.current = Current::Running(Running {
            record,
            meter: Meter::start(now.mono, self.settings.power, self.settings.speed, self.settings.battery),
            since: now.mono,
            next_reading: now.mono + READING_INTERVAL,
        });
        self.plug_in_at = None;
        self.unsaved = true;
    }

    /// One reading, however many were missed: it says all that they would have.
    pub(super) fn read_if_due(&mut self, at: Mono, effects: &mut Vec<Effect>) {
        let Current::Running(running) = &mut self.current else {
            return;
        };
        if at < running.next_reading {
            return;
        }
        running.read(at);
        running.record.seq += 1;
        let over = at.since(running.since).as_millis() % READING_INTERVAL.as_millis();
        let to_next =
            READING_INTERVAL.saturating_sub(Duration::from_millis(u64::try_from(over).unwrap_or(0)));
        running.next_reading = at + to_next;
        effects.push(Effect::Publish(running.record.clone()));
        self.unsaved = true;
    }

    /// Ends the supply that runs; false if none does.
    pub(super) fn end(&mut self, at: Now, cause: Cause, effects: &mut Vec<Effect>) -> bool {
        let Current::Running(running) = &mut self.current else {
            return false;
        };
        running.read(at.mono);
        let record = running.record.clone();
        self.current = Current::Nothing;
        self.close(at.wall, record, cause, effects);
        true
    }

    /// The end of a session: its final record, and the event that tells of it, in one commit.
    pub(super) fn close(&mut self, at: Wall, record: SupplyRecord, cause: Cause, effects: &mut Vec<Effect>) {
        let record = SupplyRecord {
            state: SupplyState::Ended(cause.end()),
            seq: record.seq + 1,
            power: Power::ZERO,
            ..record
        };
        self.unsettled.push(record.clone());
        self.last = Some(record.clone());
        self.unsaved = true;
        effects.push(Effect::Save(Write::Unsettled(record.clone())));
        self.tell(at, EventKind::Ended(record, cause), effects);
    }

    /// A car that came by itself leaves when nothing is left for it here.
    pub(super) fn settle_car(&mut self) {
        if matches!(self.current, Current::Nothing) {
            self.plug_in_at = None;
            self.car = self.car.filter(|car| *car == Car::ByHand);
        }
    }
}

impl Running {
    fn read(&mut self, at: Mono) {
        self.record.energy = self.meter.read(at);
        self.record.read_at = self.record.started_at.map(|started| started + at.since(self.since));
    }
}
