//! Charge points that seal what they tell on `cp_telemetry`: whoever else writes there in their name is not heard.

use super::{Step, charge_point::Point, effect::Level};
use crate::{ChargePointId, text::cut_reason};

impl Point {
    /// Why a message in its name, sealed in this epoch or not at all, is not its engine's, if it is not.
    pub(super) fn refuses_as_unsealed(&self, sealed: Option<u64>) -> Option<String> {
        let (id, from) = (&self.stored.id, self.stored.seals_from?);
        match sealed {
            Some(epoch) if (from..=self.stored.epoch).contains(&epoch) => None,
            Some(_) => Some(format!("it is sealed with a key of {id} that does not count")),
            None => {
                Some(format!("{id} seals what it tells, and this is in plain text: somebody else wrote it"))
            }
        }
    }
}

impl Step<'_> {
    /// Somebody else wrote it, or its engine has not the key of now: the operator sees that something is wrong there.
    pub(super) fn refuses_telemetry(&mut self, id: &ChargePointId, reason: &str) {
        if self.net.registry.find_point(id).is_none() {
            return;
        }
        let shown = &mut self.point_mut(id).telemetry_refused;
        if shown.is_empty() {
            *shown = cut_reason(reason);
        }
    }

    /// Its engine says so in its own answer.
    pub(super) fn says_whether_it_seals(&mut self, id: &ChargePointId, seals: Option<bool>) {
        let stored = &mut self.point_mut(id).stored;
        let now = match seals {
            None => return,
            Some(false) => None,
            Some(true) => stored.seals_from.or(Some(stored.epoch)),
        };
        if std::mem::replace(&mut stored.seals_from, now) == now {
            return;
        }
        self.point_changed(id);
        let what =
            if now.is_some() { "seals what it tells on kafka" } else { "tells in plain text on kafka" };
        self.happened(Level::Info, "sealing", format!("{id} {what} from now on"));
    }
}
