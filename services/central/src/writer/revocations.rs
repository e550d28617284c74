//! The writer's part in revocations: what the registry says is written, told to the rules, and refused once it is on
//! disk.

use super::{
    Writer,
    told_gateways::{points_of, roles_of},
};
use crate::{
    Error,
    store::put_revoked,
    told::{People, Told},
};
use domain::{
    ChargePointId, Name, Now,
    enrolment::RolePath,
    network::{Command, Effect, Event, Level, Standing},
    revocations::{Heard, News, Revocations, Serial},
};
use mesh::{
    group_commit::Step,
    store::{Batch, Store},
};
use std::{collections::BTreeSet, sync::Arc};

/// So many are named one by one; more are counted.
const NAMED: usize = 10;

/// Of those who may call engines, what their names begin with: people, but drivers.
const PEOPLE: [&str; 3] = ["admin/", "operator/", "viewer/"];

/// Whose certificates are refused from now on, and whose need not be any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ToRefuse {
    pub(crate) refused: Vec<Serial>,
    pub(crate) gone: Vec<Serial>,
}

impl Writer {
    /// Every certificate that is refused, as it is on disk.
    pub fn refused(&self) -> impl Iterator<Item = Serial> {
        self.revocations.refused().cloned()
    }

    /// The same, of a charge point.
    pub(super) fn refused_of(&self, id: &ChargePointId) -> impl Iterator<Item = Serial> {
        self.roles_of(id)
            .into_iter()
            .flat_map(|role| self.revocations.refused_of(&role).cloned().collect::<Vec<_>>())
    }

    /// The same, once it is cut off: also of who acted for it before, and is not spared for its sake any more.
    pub(super) fn refused_by_cut(&self, id: &ChargePointId) -> impl Iterator<Item = Serial> {
        self.refused_of(id).chain(self.to_refuse.refused.iter().cloned())
    }

    /// What an engine is to refuse: what stood at its own charge point, and people.
    pub(super) fn told_at(&self, id: &ChargePointId) -> Told {
        let roles = self.roles_of(id);
        let own = roles.iter().flat_map(|role| self.revocations.refused_with_ends(role));
        Told::new(own.map(|(serial, ends)| (serial.clone(), ends)), &self.people)
    }

    pub(super) fn people(revocations: &Revocations) -> Arc<People> {
        let people = PEOPLE.into_iter().flat_map(|prefix| revocations.refused_under(prefix));
        Arc::new(People::new(people.map(|(serial, ends)| (serial.clone(), ends)).collect()))
    }

    /// What has come of the registry's news since this was asked last, for whoever refuses.
    pub(super) fn take_to_refuse(&mut self) -> ToRefuse {
        std::mem::take(&mut self.to_refuse)
    }

    pub(super) fn registry_told(
        &mut self,
        now: Now,
        store: &dyn Store,
        news: News,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let Self { network, revocations, served, .. } = self;
        // A charge point that is not registered, or was cut off, has nothing to end.
        let ends =
            |id: &ChargePointId| matches!(network.standing(id), Some(Standing::Good | Standing::Draining));
        let drains = |role: &str| points_of(served, role).iter().any(ends);
        let Heard { changed, revoked, refused, gone, dropped, all } =
            revocations.hear(now.wall, news, drains);
        for role in &changed {
            self.put_revoked(now, role, &mut step.batch);
        }
        self.to_refuse.refused.extend(refused);
        self.to_refuse.gone.extend(gone);
        step.effects.extend(said(&revoked, dropped).map(Effect::Happened));
        if changed.iter().any(|role| PEOPLE.iter().any(|prefix| role.starts_with(prefix))) {
            let before = std::mem::replace(&mut self.people, Self::people(&self.revocations));
            if self.people.has_more_than(&before) {
                self.command(now, store, Command::PeopleRevoked, None, step)?;
            }
        }
        let mut points: BTreeSet<_> = changed.iter().flat_map(|role| points_of(&self.served, role)).collect();
        if all {
            // A rebuilt store may have the rules' part of it, and not this one.
            let known = self.network.charge_points_after(None).map(|point| point.id);
            points.extend(known.filter(|id| self.network.standing(id) != Some(Standing::Good)));
            let bad = |role: &&RolePath| self.revocations.standing(role) != Standing::Good;
            let bad = self.revocations.roles().filter(bad);
            points.extend(bad.flat_map(|role| points_of(&self.served, role)));
        }
        for charge_point in points {
            if self.standing_of(&charge_point) != Standing::Cut && self.served.waits(&charge_point) {
                continue; // it ends what it does as it is
            }
            let identity = self.identity_of(charge_point);
            self.command(now, store, identity, None, step)?;
        }
        Ok(())
    }

    /// What the registry has said of a charge point, for the rules.
    pub(super) fn identity_of(&self, charge_point: ChargePointId) -> Command {
        let (standing, gateway) = (self.standing_of(&charge_point), self.served.of(&charge_point));
        let engine_stands = engine_stands(&self.revocations, &charge_point, gateway.as_ref());
        Command::Identity { charge_point, standing, engine_stands }
    }

    /// A charge point stands as its gateway does, or as the worse of its engine and its monitor.
    pub(super) fn standing_of(&self, id: &ChargePointId) -> Standing {
        let all: Vec<_> = self.roles_of(id).iter().map(|role| self.revocations.standing(role)).collect();
        let worst = [Standing::Cut, Standing::Draining].into_iter().find(|standing| all.contains(standing));
        worst.unwrap_or(Standing::Good)
    }

    /// A charge point has ended what it did: neither its engine nor its monitor is spared any more, if it was revoked,
    /// nor its gateway, once all of its charge points have.
    pub(super) fn cut(&mut self, now: Now, id: &ChargePointId, batch: &mut Batch) {
        for role in self.roles_of(id) {
            self.cut_role(now, &role, batch);
        }
    }

    /// The changelog has it, too: a rebuilt central refuses whom this one does, with the registry away.
    pub(super) fn put_revoked(&mut self, now: Now, role: &str, batch: &mut Batch) {
        let key = put_revoked(role, &self.revocations, batch);
        if let Some(marks) = &mut self.marks {
            marks.mark(&key, now.wall);
        }
    }

    /// It has nothing to end any more.
    pub(super) fn cut_forgotten(&mut self, now: Now, id: ChargePointId, step: &mut Step<Effect>) {
        if self.standing_of(&id) == Standing::Draining {
            self.cut(now, &id, &mut step.batch);
            step.effects.push(Effect::Cut(id));
        }
    }
}

/// Was neither the engine of a charge point revoked, nor its gateway? Of one that is cut off the monitor may have been.
pub(super) fn engine_stands(revocations: &Revocations, id: &ChargePointId, gateway: Option<&Name>) -> bool {
    roles_of(id, gateway).first().is_some_and(|engine| revocations.standing(engine) == Standing::Good)
}

fn said(revoked: &[RolePath], dropped: usize) -> impl Iterator<Item = Event> {
    let event = |level, name, text| Event { level, name, text };
    let one = move |text| event(Level::Warn, "revocations_heard", text);
    let named = if revoked.len() <= NAMED { revoked } else { &[] };
    let many = (revoked.len() > NAMED).then(|| one(format!("{} identities are revoked", revoked.len())));
    let dropped = (dropped > 0).then(|| {
        let text = format!(
            "more certificates are revoked than central holds: {dropped} that have not run out are not refused any more"
        );
        event(Level::Error, "revocations_dropped", text)
    });
    let named: Vec<_> = named.iter().map(|role| one(format!("{role} is revoked"))).collect();
    named.into_iter().chain(many).chain(dropped)
}
