//! Whom central listens to, and calls: registered by their own engines, and not revoked.

use super::{
    super::{
        truth::{Life, Truth},
        world::{World, address_of},
    },
    ms,
};
use central::writer::Input;
use domain::ChargePointId;
use domain::network::{ChargePoint, Command, Effect, EngineCall, Standing, State, Status};
use std::collections::{BTreeMap, BTreeSet};

/// What late ticks and slow steps of this simulation add (ms).
const LATE: u64 = 2_500;

impl World {
    /// What is stored of a charge point was confirmed by its own engine, whoever registered what (INV-10).
    pub(in crate::simulate) fn check_registered(&mut self, point: &ChargePoint) {
        let p = self.points.iter().position(|host| host.id == point.id);
        let its = p.is_some_and(|p| {
            point.engine_address == address_of(p)
                && point.instance.as_str().starts_with(&format!("store-{p}-"))
        });
        let (id, address, instance) = (&point.id, &point.engine_address, &point.instance);
        self.expect("INV-10", its, || {
            format!("{id} is stored with the engine {instance} at {address}, which is not its own")
        });
    }

    /// What the registry said of a charge point that is registered is on disk. One that is cut off is so once, and is
    /// not called from then on.
    pub(in crate::simulate) fn took_standings(&mut self, inputs: &[Input], effects: &[Effect]) {
        let said = inputs.iter().filter_map(|input| match input {
            Input::Command(Command::Identity { charge_point, standing, .. }) => {
                Some((charge_point, *standing))
            }
            _ => None,
        });
        let good = said.clone().filter(|(_, standing)| *standing == Standing::Good);
        let enrolled: BTreeSet<&ChargePointId> = good.map(|(id, _)| id).collect(); // before or after an effect
        for effect in effects {
            let known = &mut self.truth.life.cut;
            let (id, fits) = match effect {
                Effect::Cut(id) => (id, known.insert(id.clone())),
                Effect::Call(EngineCall { charge_point, .. }) => {
                    (charge_point, !known.contains(charge_point))
                }
                _ => continue,
            };
            let fits = fits || enrolled.contains(id);
            self.expect("revoked", fits, || format!("{id} is cut off, and then {effect:?}"));
        }
        let Truth { life, points, .. } = &mut self.truth;
        let standing = |id: &ChargePointId| points.get(id).map(ChargePoint::standing);
        life.cut.retain(|id| standing(id) == Some(Standing::Cut));
        for (id, said) in said.collect::<BTreeMap<_, _>>() {
            let Some(is) = self.truth.points.get(id).map(ChargePoint::standing) else { continue };
            let as_said = match said {
                Standing::Good | Standing::Cut => is == said,
                Standing::Draining => is != Standing::Good,
            };
            self.expect("revoked", as_said, || format!("{id} is {said:?}, and on central's disk {is:?}"));
        }
    }

    /// It is cut off in this step: what was heard of it counts no more, and nobody keeps what is told of its sessions.
    pub(in crate::simulate) fn took_cut(&mut self, id: &ChargePointId) {
        let heard = self.truth.life.points.entry(id.clone()).or_default();
        (heard.reported, heard.call, heard.answered) = (None, None, None);
        let theirs = self.truth.sessions.values().filter(|session| session.charge_point == *id);
        let open = theirs.filter(|session| !session.settled()).map(|session| session.id.clone());
        self.truth.cut_off.extend(open.collect::<Vec<_>>());
    }

    /// One that is revoked is shown as out of order, has no new session, and is cut off in its time; then it has none
    /// that is open.
    pub(in crate::simulate) fn check_revoked(&mut self) {
        let Some(running) = &self.central.up else { return };
        let network = running.network();
        let Life { draining, .. } = &mut self.truth.life;
        let most = ms(self.plan.config.revocation_drain) + LATE;
        let mut wrong = Vec::new();
        for (id, point) in &self.truth.points {
            let standing = point.standing();
            if standing != Standing::Draining {
                draining.remove(id);
            }
            if standing == Standing::Good {
                continue;
            }
            let status = network.charge_point(id).map(|detail| detail.status);
            if status != Some(Status::OutOfOrder) {
                wrong.push(("revoked", format!("{id} is revoked, and shown as {status:?}")));
            }
            let open = network.sessions().find(|session| session.is_open() && session.charge_point == *id);
            let state = open.map(|session| session.state());
            if standing == Standing::Cut && state.is_some() || state == Some(State::Authorizing) {
                wrong.push(("revoked", format!("{id} is {standing:?}, and has a session: {state:?}")));
            }
            if standing == Standing::Draining {
                let since = *draining.entry(id.clone()).or_insert(self.at);
                if self.at > since + most {
                    wrong.push(("INV-3", format!("{id} drains since {since} ms")));
                }
            }
        }
        for (promise, text) in wrong {
            self.broken(promise, text);
        }
    }
}
