//! Whom central listens to, and calls: registered by their own engines, and not revoked.

use super::{
    super::{
        truth::Life,
        world::{World, address_of},
    },
    ms,
};
use central::writer::Input;
use domain::ChargePointId;
use domain::network::{ChargePoint, Command, EngineRequest, Standing, State, Status};
use std::collections::BTreeMap;

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

    /// What the registry said of a charge point that is registered is on disk.
    pub(in crate::simulate) fn took_standings(&mut self, inputs: &[Input]) {
        let mut last: BTreeMap<&ChargePointId, Standing> = BTreeMap::new();
        for input in inputs {
            let Input::Command(Command::Identity { charge_point, standing }) = input else { continue };
            if *standing == Standing::Good {
                self.truth.life.cut.remove(charge_point);
            }
            last.insert(charge_point, *standing);
        }
        for (id, said) in last {
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

    pub(in crate::simulate) fn check_cut(&mut self, id: &ChargePointId) {
        let once = self.truth.life.cut.insert(id.clone());
        self.expect("revoked", once, || format!("{id} is cut off twice"));
    }

    /// Nothing is asked of one that is cut off.
    pub(in crate::simulate) fn check_called(&mut self, id: &ChargePointId, request: &EngineRequest) {
        let is = self.truth.points.get(id).map(ChargePoint::standing);
        let cut = self.truth.life.cut.contains(id) && is == Some(Standing::Cut);
        self.expect("revoked", !cut, || {
            format!("the engine of {id} is called, which is cut off: {request:?}")
        });
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
