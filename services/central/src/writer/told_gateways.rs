//! The writer's part in gateways: what the registry says is written, and counts once a charge point has ended what it
//! does: it stands from then on as whoever serves it.

use super::{Writer, served::Served};
use crate::{
    Error,
    store::{codec, keys},
};
use domain::{
    ChargePointId, Name, Now,
    enrolment::RolePath,
    gateways::{Moved, News},
    network::{Command, Effect, Event, Level, Standing},
};
use mesh::{
    group_commit::Step,
    grpc::Role,
    store::{Batch, Store},
};
use std::collections::BTreeMap;

/// So many are named one by one; more are counted.
const NAMED: usize = 10;

impl Writer {
    /// Whoever has this knows what gateways serve from now on, as this writer does.
    pub(super) fn shares_served(&mut self, with: &Served) {
        self.served.share(with);
    }

    /// Each charge point that moves ends what it does first, under the name that it has; one that is to stay after all
    /// goes on.
    pub(super) fn gateways_told(
        &mut self,
        now: Now,
        store: &dyn Store,
        news: News,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let complete = news.complete;
        self.moves_told = true;
        for point in self.served.hear(news) {
            self.served.put(&point, &mut step.batch);
            let known = self.meta.gateways_heard || self.served.of(&point).is_some();
            let command = match self.served.waits(&point) {
                true => Command::Moves { charge_point: point, known },
                false => self.identity_of(point),
            };
            self.command(now, store, command, None, step)?;
        }
        if complete && !std::mem::replace(&mut self.meta.gateways_heard, true) {
            step.batch.put(keys::META, codec::encode(&self.meta));
        }
        Ok(())
    }

    /// Of those that have ended what they did, the registry's word counts: whoever serves them now acts for them. `all`
    /// are looked at now and then; else those of which something has changed.
    pub(super) fn moves_count(
        &mut self,
        now: Now,
        store: &dyn Store,
        all: bool,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let waiting = match std::mem::take(&mut self.moves_told) || all {
            true => self.served.waiting(),
            false => self.network.changed_points().filter(|id| self.served.waits(id)).cloned().collect(),
        };
        let ended: Vec<_> = waiting.into_iter().filter(|id| !self.network.moves(id)).collect();
        for id in &ended {
            if self.network.standing(id) == Some(Standing::Cut) {
                // It was cut off meanwhile, and has nothing to end any more.
                let moves = Command::Moves { charge_point: id.clone(), known: true };
                self.command(now, store, moves, None, step)?;
            }
        }
        let (moved, mut before) = (self.served.count(&ended), BTreeMap::new());
        for Moved { point, before: gateway, .. } in &moved {
            self.served.put(point, &mut step.batch);
            before.extend(roles_of(point, gateway.as_ref()).into_iter().map(|role| (role, point.clone())));
            let identity = self.identity_of(point.clone());
            self.command(now, store, identity, None, step)?;
        }
        step.effects.extend(said(&moved).map(Effect::Happened));
        // Whoever served them ends nothing there any more: of those that are revoked none is spared for their sake.
        for (role, point) in before {
            if self.cut_role(now, &role, &mut step.batch) {
                self.to_refuse.refused.extend(self.revocations.refused_of(&role).cloned());
                step.effects.push(Effect::Cut(point));
            }
        }
        Ok(())
    }

    /// Who stands at a charge point: its gateway alone, or else its engine and its monitor.
    pub(super) fn roles_of(&self, id: &ChargePointId) -> Vec<RolePath> {
        roles_of(id, self.served.of(id).as_ref())
    }

    /// Of a role that was revoked nothing is spared any more, unless a charge point of its has to end what it does: one
    /// that is good yet hears of it in this very step.
    pub(super) fn cut_role(&mut self, now: Now, role: &RolePath, batch: &mut Batch) -> bool {
        let ends = |id: &ChargePointId| {
            matches!(self.network.standing(id), Some(Standing::Good | Standing::Draining))
        };
        let cut = !points_of(&self.served, role).iter().any(ends) && self.revocations.cut(role);
        if cut {
            self.put_revoked(now, role, batch);
        }
        cut
    }

    /// A command of somebody's, or of time. A charge point that is admitted by it while its gateway is revoked, and
    /// ends what it does at others, has nothing to end: it is cut off at once.
    pub(super) fn commanded(
        &mut self,
        now: Now,
        store: &dyn Store,
        command: Command,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let answered = match &command {
            Command::EngineAnswered { charge_point, .. } => Some(charge_point.clone()),
            _ => None,
        };
        self.command(now, store, command, None, step)?;
        let is_good = |id: &ChargePointId| self.network.standing(id) == Some(Standing::Good);
        let behind = |id: &ChargePointId| self.served.of(id).is_some();
        let admitted =
            answered.filter(|id| is_good(id) && behind(id) && self.standing_of(id) != Standing::Good);
        let Some(charge_point) = admitted else { return Ok(()) };
        let (standing, engine_stands) = (Standing::Cut, false);
        self.command(now, store, Command::Identity { charge_point, standing, engine_stands }, None, step)
    }
}

/// Who stands at a charge point; its engine comes first.
pub(super) fn roles_of(id: &ChargePointId, gateway: Option<&Name>) -> Vec<RolePath> {
    let roles = match gateway {
        Some(gateway) => vec![Role::Gateway(gateway.clone())],
        None => vec![Role::Engine(id.clone()), Role::Monitor(id.clone())],
    };
    roles.iter().map(|role| role.to_string().into()).collect()
}

/// The charge points at which a role stands.
pub(super) fn points_of(served: &Served, role: &str) -> Vec<ChargePointId> {
    match role.parse() {
        Ok(Role::Gateway(name)) => served.points_of(&name),
        Ok(Role::Engine(id) | Role::Monitor(id)) if served.of(&id).is_none() => vec![id],
        _ => Vec::new(),
    }
}

fn said(moved: &[Moved]) -> impl Iterator<Item = Event> {
    let one = |text| Event { level: Level::Info, name: "gateways_heard", text };
    let named = if moved.len() <= NAMED { moved } else { &[] };
    let many = (moved.len() > NAMED)
        .then(|| one(format!("{} charge points are served by another gateway, or by none", moved.len())));
    let sentence = |Moved { point, after, .. }: &Moved| match after {
        Some(gateway) => format!("gateway/{gateway} serves {point}, and nobody else acts for it"),
        None => format!("no gateway serves {point}: its own engine and monitor act for it"),
    };
    let named: Vec<_> = named.iter().map(|moved| one(sentence(moved))).collect();
    named.into_iter().chain(many)
}
