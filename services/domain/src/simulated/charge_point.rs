//! The rules and the car, wired: whatever either does by itself happens at its own moment, in order.

use super::{car::Car, settings::Settings};
use crate::{
    InstanceId, Mono, Now,
    supply::{Effect, Happened, Input, Stored, Supply, View},
};

/// An engine's rules with a simulated car; to be used as [`Supply`] is.
#[derive(Debug, Clone)]
pub struct ChargePoint {
    supply: Supply,
    car: Car,
}

impl ChargePoint {
    /// From what was on disk, with no car there; see [`Supply::restore`].
    pub fn restore(now: Now, settings: Settings, stored: Stored) -> (Self, Vec<Effect>) {
        let (supply, effects) = Supply::restore(now, settings.monitor_grace, stored);
        (Self { supply, car: Car::new(settings) }, effects)
    }

    /// Applies one input. Time that passed before it is dealt with first.
    pub fn apply<I: Input>(&mut self, now: Now, input: I) -> (I::Answer, Vec<Effect>) {
        let mut effects = Vec::new();
        // Each round removes what was due, and none adds more than a supply's own two ends: it ends.
        while let Some((at, due)) = self.due().filter(|(at, _)| *at <= now.mono) {
            if due == Happened::PluggedIn {
                self.car.plugs_itself_in();
            }
            self.step(now.back_to(at), due, &mut effects);
        }
        let answer = self.step(now, input, &mut effects);
        (answer, effects)
    }

    /// When [`Happened::Tick`] is due; `None`: nothing happens by itself.
    pub fn wake_at(&self) -> Option<Mono> {
        self.due().map(|(at, _)| at).into_iter().chain(self.supply.wake_at()).min()
    }

    /// The random id of the store.
    pub fn instance(&self) -> &InstanceId {
        self.supply.instance()
    }

    /// The engine as it looks from outside.
    pub fn view(&self) -> View {
        View { rated: Some(self.car.rated()), ..self.supply.view() }
    }

    /// Whatever happens by itself next, but for readings; of several at once the first named here.
    fn due(&self) -> Option<(Mono, Happened)> {
        let rules = self.supply.due_at().map(|at| (at, Happened::Tick));
        let arrives = self.car.arrives().map(|at| (at, Happened::PluggedIn));
        [self.car.enough(), rules, arrives].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn step<I: Input>(&mut self, now: Now, input: I, effects: &mut Vec<Effect>) -> I::Answer {
        let metered = self.car.metered(now.mono);
        let (answer, decided) = self.supply.apply(now, metered, input);
        effects.extend(decided);
        if self.car.sees(now.mono, self.supply.taken_by(), self.supply.plugged_in()) {
            effects.extend(self.supply.apply(now, metered, Happened::Unplugged).1);
        }
        answer
    }
}
