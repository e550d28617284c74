//! The registry, as central hears of it: charge points are revoked, at once or with the time to end what they do, and
//! enrolled again. Central's edge listens to none that is cut off, nor to a revoked one that central does not know.

use super::{
    central::state_name,
    checks::ms,
    world::{Place, World, say},
};
use central::writer::Input;
use domain::ChargePointId;
use domain::network::{Command, Standing};

impl World {
    /// Somebody takes the identity of a charge point back; later it is enrolled again.
    pub(super) fn revokes(&mut self, p: usize) {
        let at_once = self.revoked.contains_key(&p) || self.random.one_in(3);
        let standing = if at_once { Standing::Cut } else { Standing::Draining };
        say!(self, "the identity of CP-{p} is revoked: {standing:?}");
        self.revoked.insert(p, standing);
        if self.random.one_in(3) {
            self.outage(p); // it was taken away, or does not want to be billed
        }
        self.registry_tells(p);
        let most = self.random.pick(&[200, 20_000, 2 * ms(self.plan.config.revocation_drain), 300_000]);
        let again = self.random.span(most);
        self.after(again, move |world| world.enrols(p));
    }

    fn enrols(&mut self, p: usize) {
        if self.revoked.remove(&p).is_some() {
            say!(self, "CP-{p} is enrolled again");
            self.registry_tells(p);
        }
    }

    /// The faults are over: whoever is revoked still is enrolled again.
    pub(super) fn enrols_all(&mut self) {
        (0..self.points.len()).for_each(|p| self.enrols(p));
    }

    /// Central hears of it at once, or once it reaches the registry again: how it stands by then.
    fn registry_tells(&mut self, p: usize) {
        let late = self.faults && self.random.one_in(4);
        let wait = if late { self.random.span(20_000) } else { self.random.below(10) };
        self.after(wait, move |world| world.hears_how_it_stands(p));
    }

    /// A central that has started hears of everybody.
    pub(super) fn registry_tells_all(&mut self) {
        let most = if self.faults { 3_000 } else { 1 };
        for p in 0..self.points.len() {
            let wait = self.random.span(most);
            self.after(wait, move |world| world.hears_how_it_stands(p));
        }
    }

    fn hears_how_it_stands(&mut self, p: usize) {
        let standing = self.revoked.get(&p).copied().unwrap_or(Standing::Good);
        let charge_point = self.points[p].id.clone();
        if standing != Standing::Good
            && let Some(running) = &self.central.up
            && running.network().standing(&charge_point) == Some(Standing::Good)
        {
            let of_point = running.network().sessions().filter(|one| one.charge_point == charge_point);
            for session in of_point {
                self.tally.count(&format!("revoked, {standing:?}: session {}", state_name(session)));
            }
        }
        let engine_stands = standing == Standing::Good;
        if self.central_takes(Input::Command(Command::Identity { charge_point, standing, engine_stands })) {
            let heard = &mut self.truth.life.revoked;
            _ = if standing == Standing::Good { heard.remove(&p) } else { heard.insert(p) };
        }
    }

    /// Is a call of this charge point's refused before the rules see it? Some come a moment before its connections end.
    pub(super) fn edge_refuses(&mut self, p: usize) -> bool {
        let Some(running) = &self.central.up else { return false };
        match running.network().standing(&self.points[p].id) {
            None => self.truth.life.revoked.contains(&p),
            Some(Standing::Cut) => self.random.one_in(2),
            Some(Standing::Good | Standing::Draining) => false,
        }
    }

    /// It is cut off: the streams of its monitors end.
    pub(super) fn connections_end(&mut self, id: &ChargePointId) {
        self.tally.count("charge points cut off");
        let Some(p) = self.points.iter().position(|point| point.id == *id) else { return };
        for m in 0..self.points[p].monitors.len() {
            let host = &self.points[p].monitors[m];
            let Some((link, _)) = host.up.as_ref().and_then(|process| process.reports) else { continue };
            let life = host.life;
            if let Some(ms) = self.delay(Place::Central, Place::Monitor(p)) {
                self.after(ms, move |world| world.central_lost(p, m, life, link, "it is revoked"));
            }
        }
    }
}
