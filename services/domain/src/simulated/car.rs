//! A simulated car: when it plugs in by itself, how much it takes, when it has had enough.

use super::{meter::Meter, settings::Settings};
use crate::{
    Mono, Power,
    supply::{Cause, Happened, Metered, TakenBy},
};

/// The car at the charge point, or the one that will come, and the meter between the two.
#[derive(Debug, Clone)]
pub(super) struct Car {
    settings: Settings,
    meter: Meter,
    plugged_in: Option<By>,
    /// When it plugs in by itself.
    arrives: Option<Mono>,
    /// Since when it is supplied.
    supplied: Option<Mono>,
    seen: TakenBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// A person, who takes it out.
    Hand,
    /// It did: it leaves when nothing is left for it here.
    Itself,
}

impl Car {
    pub(super) fn new(settings: Settings) -> Self {
        let meter = Meter::new(settings.power, settings.speed);
        let (plugged_in, arrives, supplied) = (None, None, None);
        Self { settings, meter, plugged_in, arrives, supplied, seen: TakenBy::Nobody }
    }

    pub(super) fn metered(&mut self, at: Mono) -> Metered {
        Metered { register: self.meter.read(at), power: self.settings.power }
    }

    /// The most that flows into it.
    pub(super) fn rated(&self) -> Power {
        Power::from_w(self.settings.power.w().saturating_mul(self.settings.speed.into()))
    }

    /// When it has had enough, and how the rules are told.
    pub(super) fn enough(&self) -> Option<(Mono, Happened)> {
        let since = self.supplied?;
        let full = self.meter.full_at().map(|at| (at, Happened::CarTakesNoMore(Cause::Full)));
        let over =
            self.settings.duration.map(|stay| (since + stay, Happened::CarTakesNoMore(Cause::TimeOver)));
        full.into_iter().chain(over).min_by_key(|(at, _)| *at)
    }

    /// When it plugs in by itself.
    pub(super) fn arrives(&self) -> Option<Mono> {
        self.arrives
    }

    pub(super) fn plugs_itself_in(&mut self) {
        self.arrives = None;
        self.plugged_in.get_or_insert(By::Itself);
    }

    /// It sees by whom the charge point is taken now, and whether a cable is in. True: it leaves.
    pub(super) fn sees(&mut self, at: Mono, taken: TakenBy, plugged_in: bool) -> bool {
        if !plugged_in {
            self.plugged_in = None;
        } else if self.plugged_in.is_none() {
            (self.plugged_in, self.arrives) = (Some(By::Hand), None);
        }
        if std::mem::replace(&mut self.seen, taken) == taken {
            return false;
        }
        if self.supplied.take().is_some() {
            self.meter.cut(at);
        }
        self.arrives = None;
        match taken {
            TakenBy::Nobody => {}
            TakenBy::Authorization(_) => {
                self.arrives = self.settings.plug_in_after.map(|delay| at + delay);
            }
            TakenBy::Supply => {
                self.meter.flow(at, self.settings.battery);
                self.supplied = Some(at);
            }
        }
        taken == TakenBy::Nobody && self.plugged_in.take_if(|by| *by == By::Itself).is_some()
    }
}
