//! What telemetry tells of a session: shown within what is plausible, kept for when nobody else can tell.
//!
//! Whoever can write to the topic can write any reading. So one that is shown is held against its engine's last answer;
//! and one that is kept is billed only if the engine's store is lost, or the engine silent up to the settlement
//! deadline.

use super::{
    Session,
    life::{Delivered, State, Told},
};
use crate::network::gauges::Gauges;
use crate::{Energy, Now, Power, Wall};
use std::time::Duration;

/// What is believed of a charge point, as long as none states a rated power.
const RATED: Power = Power::MAX;
/// A message may be held up, and a clock be off, by so much.
const GRACE: Duration = Duration::from_secs(60);
/// An engine's answer tells of what it saved a second before, and takes a while to come: so much may have flowed since.
const AHEAD: Duration = Duration::from_secs(3);

/// What became of a reading that was to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Shown {
    Yes,
    /// What is shown is ahead of it, and never falls.
    Behind,
    /// More than can have been delivered since its engine last answered.
    Implausible,
}

impl Session {
    /// What telemetry told beyond the engine's own word. Once the session is settled, by the engine's word that it
    /// never started too, that is nothing any more.
    pub fn told(&self) -> Option<Told> {
        self.told.filter(|_| !self.settled())
    }

    /// With what a store kept of it.
    pub fn and_told(self, told: Option<Told>) -> Self {
        Self { told: told.filter(|_| !self.settled()), ..self }
    }

    /// Keeps the highest reading that telemetry told. False: it is not plausible.
    pub(in crate::network) fn keep_told(&mut self, energy: Energy, now: Now) -> bool {
        let passed = u64::try_from(now.wall.0.saturating_sub(self.created.0));
        // After a backward jump of the clock nothing is known of how long it took.
        let most = passed.map_or(Energy::MAX, |passed| most_in(Duration::from_millis(passed) + GRACE));
        if energy > most {
            return false;
        }
        let known = self.delivered().map(|delivered| delivered.energy).max(self.told.map(|told| told.energy));
        if !self.settled() && known.is_none_or(|known| energy > known) {
            let since = self.told.map_or(now.wall, |told| told.since);
            self.told = Some(Told { energy, since });
            self.live.doubted = false;
            self.live.unsaved = true;
        }
        true
    }

    /// Its engine has answered; `None`: that it supplies nothing yet. What telemetry told beyond that may be newer than
    /// this answer, but not newer than the next one, which is asked for after this one came.
    pub(in crate::network) fn engine_answers(&mut self, energy: Option<Energy>) {
        let ahead = self.told.filter(|told| energy.is_none_or(|energy| told.energy > energy));
        let doubted = std::mem::replace(&mut self.live.doubted, ahead.is_some());
        self.told = ahead.filter(|_| !doubted);
    }

    /// What its engine answered, or what telemetry told beyond that: for a session of which nobody will tell more.
    pub(super) fn delivered_by_all_accounts(&self) -> Option<Delivered> {
        match (self.delivered(), self.told()) {
            (Some(known), told) => {
                let energy = told.map_or(known.energy, |told| told.energy.max(known.energy));
                Some(Delivered { energy, ..known })
            }
            (None, told) => told.map(|told| {
                let ended = self.ended_at().unwrap_or(Wall::MAX); // what was told may have come later
                let started = told.since.max(self.created).min(ended);
                Delivered { started, energy: told.energy, seq: 0 }
            }),
        }
    }

    /// Shows a reading of a supply that is known to run, if that can have been delivered since its engine last
    /// answered.
    pub(in crate::network) fn show(&mut self, energy: Energy, gauges: Gauges, now: Now) -> Shown {
        let since = now.mono.since(self.live.last_sign) + AHEAD;
        let most = self.energy().wh().saturating_add(most_in(since).wh());
        if energy.wh() > most {
            return Shown::Implausible;
        }
        if energy < self.shown_energy() {
            return Shown::Behind;
        }
        self.live.shown = energy;
        self.live.shown_at = now.mono;
        self.live.gauges.update(gauges);
        Shown::Yes
    }

    /// Energy to show: what its engine answered, or what telemetry told since. While it lasts it never falls.
    pub fn shown_energy(&self) -> Energy {
        let live = self.live.shown.max(self.energy());
        if self.ticket().is_some() { self.energy() } else { live }
    }

    /// Power to show now; zero unless it is supplying.
    pub fn shown_power(&self) -> Power {
        self.live.gauges.power.filter(|_| self.state() == State::Supplying).unwrap_or_default()
    }
}

/// The most that a charge point can deliver in so long, and a tenth.
fn most_in(time: Duration) -> Energy {
    let watt_ms = u128::from(RATED.w()) * time.as_millis() * 11 / 10;
    Energy::from_wh(u64::try_from(watt_ms / 3_600_000).unwrap_or(u64::MAX)).min(Energy::MAX)
}
