//! A supply's life: its start, its readings, its end.

use super::{
    current::{Current, Running},
    effect::{Effect, Write},
    event::{Cause, EventKind},
    machine::{Moment, Supply},
};
use crate::{Power, SupplyRecord, SupplyState, Wall};
use std::time::Duration;

/// How often a running supply is read.
const READING_INTERVAL: Duration = Duration::from_secs(1);

impl Supply {
    pub(super) fn start_if_ready(&mut self, at: Moment, effects: &mut Vec<Effect>) {
        let Current::Held(held) = &self.current else {
            return;
        };
        if !self.plugged_in || self.obstacle().is_some() {
            return;
        }
        let record = SupplyRecord {
            state: SupplyState::Supplying,
            seq: 1,
            power: at.metered.power,
            started_at: Some(at.wall),
            read_at: Some(at.wall),
            ..held.record()
        };
        self.tell(at.wall, EventKind::Started(record.clone()), effects);
        self.current = Current::Running(Running {
            record,
            from: at.metered.register,
            since: at.mono,
            next_reading: at.mono + READING_INTERVAL,
        });
        self.unsaved = true;
    }

    /// One reading, however many were missed: it says all that they would have.
    pub(super) fn read_if_due(&mut self, at: Moment, effects: &mut Vec<Effect>) {
        let Current::Running(running) = &mut self.current else {
            return;
        };
        if at.mono < running.next_reading {
            return;
        }
        running.read(at);
        running.record.seq += 1;
        let over = at.mono.since(running.since).as_millis() % READING_INTERVAL.as_millis();
        let to_next =
            READING_INTERVAL.saturating_sub(Duration::from_millis(u64::try_from(over).unwrap_or(0)));
        running.next_reading = at.mono + to_next;
        effects.push(Effect::Publish(running.record.clone()));
        self.unsaved = true;
    }

    /// Ends the supply that runs; false if none does.
    pub(super) fn end(&mut self, at: Moment, cause: Cause, effects: &mut Vec<Effect>) -> bool {
        let Current::Running(running) = &mut self.current else {
            return false;
        };
        running.read(at);
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
}

impl Running {
    fn read(&mut self, at: Moment) {
        self.record.energy = self.record.energy.max(at.metered.register.since(self.from));
        self.record.power = at.metered.power;
        self.record.read_at = self.record.started_at.map(|started| started + at.mono.since(self.since));
    }
}
