//! Whose clock dates what. Central's is the measure: an engine's counts only where central's own allows it, so that on
//! every session created ≤ started ≤ ended ≤ issued, whatever any clock says.

use super::{Step, effect::Level, session::reading::Reading};
use crate::{Now, SessionId, Wall};

/// Clocks that are set right differ by less than this (milliseconds).
const GRACE: i64 = 60_000;

impl Step<'_> {
    /// This moment, for a session: never before what is dated in it, though central's own clock may have jumped back.
    pub(super) fn now_of(&self, id: &SessionId) -> Now {
        let session = self.session(id);
        let started = session.delivered().map(|delivered| delivered.started);
        let dated = [started, session.ended_at()].into_iter().flatten().fold(session.created, Wall::max);
        Now { wall: self.now.wall.max(dated), ..self.now }
    }

    /// A reading with the dates that are taken of it: its engine's own, or this moment where those cannot be.
    pub(super) fn dated(&mut self, id: &SessionId, reading: Reading) -> Reading {
        let session = self.session(id);
        let known = session.delivered().map(|delivered| delivered.started);
        let over = session.ticket().is_some() || session.review().is_some();
        if over || (known.is_some() && reading.end.is_none()) {
            return reading; // it dates nothing
        }
        let now = self.now_of(id).wall;
        let (started, off) = match known {
            Some(started) => (started, 0),
            None => taken(reading.started_at, session.created, now),
        };
        let started = session.ended_at().map_or(started, |ended| started.min(ended));
        let (ended, ended_off) = match reading.end {
            Some(_) => taken(reading.ended_at, started, now),
            None => (now, 0),
        };
        let off = if off == 0 { ended_off } else { off };
        let told = reading.started_at.or(reading.ended_at).is_some();
        let point = session.charge_point.clone();
        let clock = &mut self.point_mut(&point).clock_is_off;
        let before = if told { std::mem::replace(clock, off != 0) } else { *clock };
        if off != 0 && !before {
            let (by, how) = (roughly(off.unsigned_abs()), if off > 0 { "ahead of" } else { "behind" });
            let text = format!(
                "the clock of {point} is about {by} {how} central's, which dates session {id} instead"
            );
            self.happened(Level::Warn, "clocks_off", text);
        }
        Reading { started_at: Some(started), ended_at: Some(ended), ..reading }
    }
}

/// A time that an engine told, as it is taken, with by how much it lies outside its bounds and their grace. The second
/// bound is this moment, which is taken where none was told, or one that cannot be.
fn taken(told: Option<Wall>, from: Wall, now: Wall) -> (Wall, i64) {
    let Some(told) = told else { return (now, 0) };
    let off = match told.0 {
        late if late > now.0.saturating_add(GRACE) => late.saturating_sub(now.0),
        early if early < from.0.saturating_sub(GRACE) => early.saturating_sub(from.0),
        _ => 0,
    };
    (if off == 0 { told.clamp(from, now) } else { now }, off)
}

fn roughly(ms: u64) -> String {
    let units = [(86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes")];
    let (unit, name) = units.into_iter().find(|(unit, _)| ms >= 2 * unit).unwrap_or((1000, "seconds"));
    format!("{} {name}", ms / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_taken_within_its_bounds_and_a_minutes_grace() {
        let (from, now) = (Wall(1_000_000), Wall(2_000_000));
        for (told, at, off) in [
            (None, 2_000_000, 0),
            (Some(1_500_000), 1_500_000, 0),
            (Some(2_060_000), 2_000_000, 0), // ahead by the grace
            (Some(2_060_001), 2_000_000, 60_001),
            (Some(940_000), 1_000_000, 0), // behind by the grace
            (Some(939_999), 2_000_000, -60_001),
            (Some(0), 2_000_000, -1_000_000),
            (Some(i64::MAX), 2_000_000, i64::MAX - 2_000_000),
            (Some(i64::MIN), 2_000_000, i64::MIN),
        ] {
            assert_eq!(taken(told.map(Wall), from, now), (Wall(at), off), "{told:?}");
        }
    }

    #[test]
    fn by_how_much_is_said_in_words() {
        for (ms, said) in [
            (61_000, "61 seconds"),
            (150_000, "2 minutes"),
            (7_200_000, "2 hours"),
            (34_560_000_000, "400 days"),
        ] {
            assert_eq!(roughly(ms), said);
        }
    }
}
