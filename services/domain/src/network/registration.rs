//! How charge points come into being, and come back: registrations.
//!
//! Whoever reaches central can register anything, and an address may be mistyped. So a registration that brings
//! something new (a charge point, another store, another address) is *provisional*: it is in memory only, and in
//! nobody's way, until the engine at its address has answered as this charge point's and with this instance. What is
//! made up leaves nothing behind; one engine is never two charge points'; and a monitor that lost sight of its
//! engine, or whose word comes late, takes no instance's place.

use super::{
    RegistrationPolicy, Step,
    charge_point::{ChargePoint, Link, Point},
    denial::{Denial, Reason},
    effect::{Effect, EngineCall, Level},
    engine::{CallFailed, CallId, EngineAnswer, EngineRequest},
    provisional::{Provisional, Registration},
    reply::Registered,
    request::{Asked, Token},
    reservation::words,
    revocation::may_not_register,
};
use crate::{ChargePointId, ids::MAX_CLAIMED_EPOCH};
use std::{collections::BTreeSet, time::Duration};

/// A registration waits so long at most for its engine: far longer than a call takes.
const PROVISIONAL_FOR: Duration = Duration::from_secs(60);
/// So many registrations wait for their engines at once: each holds a call.
const PROVISIONAL_MOST: usize = 1024;
/// So many of one host's. With all of them silent the other hosts' charge points come into the network as ever.
const PROVISIONAL_A_HOST: usize = 128;
/// So many charge points a host may have where anyone may register: one process can be the engine of any number. A
/// large site behind one address has fewer.
const A_HOST: usize = 100;
/// Another store at another address takes a charge point over once its monitor has been away for so long: a power cut
/// is shorter as a rule, and there is time to notice one that is not.
const TAKEN_OVER_AFTER: Duration = Duration::from_secs(600);

impl Step<'_> {
    pub(super) fn register(&mut self, asked: Asked<Registered>, registration: Registration) {
        let from = asked.context.account();
        if let Err(denial) = self.may_register(&registration, from) {
            let id = &registration.charge_point;
            return self.registration_refused(asked.token, (id, from), denial, None);
        }
        let epoch = self.next_epoch(&registration);
        if self.brings_nothing_new(&registration) {
            self.net.deeds.changes_nothing(asked.token); // monitors come back after each broken link
            return self.registered((asked.token, from), registration, epoch);
        }
        let waiting = self.net.provisional.values();
        let theirs = waiting.filter(|waiting| waiting.host == from).count();
        if theirs >= PROVISIONAL_A_HOST || self.net.provisional.len() >= PROVISIONAL_MOST {
            let text = format!(
                "{} cannot register yet: too many charge points wait for their engines to answer",
                registration.charge_point
            );
            let (id, denial) = (&registration.charge_point, Denial::new(Reason::Overloaded, text));
            return self.registration_refused(asked.token, (id, from), denial, None);
        }
        let (token, host) = (asked.token, from.to_owned());
        let of_before = self.engine_of_before(&registration).is_some();
        let until = self.now.mono + PROVISIONAL_FOR;
        self.asks_its_engine(Provisional { token, host, registration, epoch, of_before, until });
    }

    /// The engine that is registered, where it would be called at another address: whoever comes after a cut link of
    /// some seconds, with the same store's name too, takes no charge point over whose engine still answers. One that
    /// nobody has charged at may be a stranger's, who came first.
    fn engine_of_before(&self, registration: &Registration) -> Option<&ChargePoint> {
        let before = &self.net.registry.find_point(&registration.charge_point)?.stored;
        let moves = before.engine_address != registration.engine_address;
        Some(before).filter(|_| moves && !before.never_supplied)
    }

    fn asks_its_engine(&mut self, waiting: Provisional) {
        self.net.next_call += 1;
        let call = CallId(self.net.next_call);
        let registration = &waiting.registration;
        let before = self.engine_of_before(registration).filter(|_| waiting.of_before);
        let (address, instance, epoch) = match before {
            Some(before) => (&before.engine_address, &before.instance, before.epoch),
            None => (&registration.engine_address, &registration.instance, waiting.epoch),
        };
        let call_it = EngineCall {
            charge_point: registration.charge_point.clone(),
            address: address.clone(),
            call,
            instance: instance.clone(),
            epoch,
            request: EngineRequest::GetState,
            provisional: true,
            trace: self.trace,
        };
        self.push(Effect::Call(call_it));
        self.net.provisional.insert(call, waiting);
    }

    /// The same engine at the same address: what is stored of it was confirmed before.
    fn brings_nothing_new(&self, registration: &Registration) -> bool {
        self.net.registry.find_point(&registration.charge_point).is_some_and(|point| {
            point.stored.instance == registration.instance
                && point.stored.engine_address == registration.engine_address
        })
    }

    /// It rises over a restored store too, whose epochs are behind those that the engine has seen: by the clock, and
    /// where that is behind as well, by the engine's own word.
    fn next_epoch(&self, registration: &Registration) -> u64 {
        let point = self.net.registry.find_point(&registration.charge_point);
        let seen =
            point.map_or(0, |point| point.stored.epoch).max(registration.newest_epoch.min(MAX_CLAIMED_EPOCH));
        seen.saturating_add(1).max(u64::try_from(self.now.wall.0).unwrap_or(0))
    }

    fn may_register(&self, registration: &Registration, host: &str) -> Result<(), Denial> {
        let id = &registration.charge_point;
        let denied = |reason, text| Err(Denial::new(reason, text));
        let Some(point) = self.net.registry.find_point(id) else {
            if let RegistrationPolicy::Known(known) = &self.net.config.registration
                && !known.contains(id)
            {
                let text =
                    format!("{id} is not in central's list of charge points; ask the operator to add it");
                return denied(Reason::RegistrationClosed, text);
            }
            let count = self.net.registry.points().len();
            if count >= self.net.config.max_charge_points {
                let text = format!("{id} cannot register: the network is full ({count} charge points)");
                return denied(Reason::RegistrationClosed, text);
            }
            self.net.config.takes_price(registration.price)?; // it counts the first time
            return self.has_room_for(registration, host);
        };
        if let Some(revoked) = point.stored.revoked() {
            return Err(may_not_register(id, revoked));
        }
        if point.stored.never_supplied && point.stored.instance != registration.instance {
            self.net.config.takes_price(registration.price)?;
        }
        let silence = self.net.config.silence();
        let there = match point.link {
            Link::Up { .. } => true,
            Link::Lost { since } => self.now.mono.since(since) < silence,
        };
        if point.stored.monitor != registration.monitor && there {
            let text = format!(
                "another monitor holds {id}, or held it a moment ago; stop it, or give it another id"
            );
            return denied(Reason::MonitorAlreadyConnected, text);
        }
        if point.stored.instance != registration.instance && self.net.is_well(point, self.now.mono) {
            let text =
                format!("another engine holds {id}, or held it a moment ago; stop it, or give it another id");
            return denied(Reason::InstanceAlreadyConnected, text);
        }
        let away = match point.link {
            Link::Up { .. } => Duration::ZERO,
            Link::Lost { since } => self.now.mono.since(since),
        };
        let moves = self.engine_of_before(registration).is_some();
        if moves && point.stored.instance != registration.instance && away < TAKEN_OVER_AFTER {
            let text = format!(
                "{id} was at {} with another store until a moment ago: it can be taken over from another address in {}; \
                 or ask the operator to forget it",
                point.stored.engine_address,
                words(TAKEN_OVER_AFTER.saturating_sub(away))
            );
            return denied(Reason::InstanceAlreadyConnected, text);
        }
        Ok(())
    }

    /// Has the host that it comes from, and the one that its engine is at, room for one more?
    fn has_room_for(&self, registration: &Registration, from: &str) -> Result<(), Denial> {
        let open = self.net.config.registration == RegistrationPolicy::Open;
        let hosts = self.net.config.hosts(from, &registration.engine_address);
        let full = |host: &&str| open && self.net.registry.count_at(host) >= A_HOST;
        let Some(full) = hosts.into_iter().find(full) else { return Ok(()) };
        let text = format!(
            "{} cannot register: {full} has {A_HOST} charge points, as many as one address may; ask the operator to \
             name it by --many-callers where it stands for many, or to list the charge points with --known",
            registration.charge_point
        );
        Err(Denial::new(Reason::TooManyAtAddress, text))
    }

    /// The engine at the registered address has answered, or has not.
    pub(super) fn engine_heard(
        &mut self,
        provisional: Provisional,
        result: Result<EngineAnswer, CallFailed>,
    ) {
        if provisional.of_before {
            return self.heard_of_before(provisional, result);
        }
        let Provisional { token, host, registration, epoch, .. } = provisional;
        // What is found at an address that anybody may name is for the log alone.
        let found = result.as_ref().err().map(|CallFailed(why)| silent(&registration, &format!(": {why}")));
        let admitted = is_its_engine(&registration, result)
            .and_then(|named| self.is_nobody_elses(&registration, named))
            .and_then(|()| self.may_register(&registration, &host)) // others may have come meanwhile
            .and_then(|()| self.is_newest(&registration, epoch));
        match admitted {
            Ok(()) => self.registered((token, &host), registration, epoch),
            Err(denial) => {
                self.registration_refused(token, (&registration.charge_point, &host), denial, found);
            }
        }
    }

    /// The engine of before is there, or the new one is asked now.
    fn heard_of_before(&mut self, waiting: Provisional, result: Result<EngineAnswer, CallFailed>) {
        let id = &waiting.registration.charge_point;
        let before = self.engine_of_before(&waiting.registration);
        let there = before.filter(|before| result.is_ok_and(|answer| answer.is_of(id, &before.instance)));
        let Some(before) = there else {
            return self.asks_its_engine(Provisional { of_before: false, ..waiting });
        };
        let text = format!(
            "the engine of {id} still answers at {}, and its monitor registers {}; give it the first address, stop the \
             engine there, or ask the operator to forget {id}",
            before.engine_address, waiting.registration.engine_address
        );
        let denial = Denial::new(Reason::InstanceAlreadyConnected, text);
        self.registration_refused(
            waiting.token,
            (&waiting.registration.charge_point, &waiting.host),
            denial,
            None,
        );
    }

    /// An older engine does not say whose it is: it is not another's, whose store it has.
    fn is_nobody_elses(&self, registration: &Registration, named: bool) -> Result<(), Denial> {
        if named {
            return Ok(()); // among a hundred thousand, none is looked for
        }
        let Registration { charge_point: id, instance, engine_address: address, .. } = registration;
        let mut points = self.net.registry.points().iter();
        match points.find(|(other, point)| *other != id && point.stored.instance == *instance) {
            None => Ok(()),
            Some((other, _)) => Err(another_engine(address, other, id)),
        }
    }

    /// A registration that was confirmed first is not replaced by an older one (INV-8).
    fn is_newest(&self, registration: &Registration, epoch: u64) -> Result<(), Denial> {
        let id = &registration.charge_point;
        match self.net.registry.find_point(id) {
            Some(point) if point.stored.epoch >= epoch => {
                let text = format!("a newer registration holds {id}; register again");
                Err(Denial::new(Reason::EpochStale, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn registered(
        &mut self,
        (token, from): (Token<Registered>, &str),
        registration: Registration,
        epoch: u64,
    ) {
        let id = registration.charge_point.clone();
        let now = self.now.mono;
        if self.net.registry.find_point(&id).is_none() {
            let point = ChargePoint {
                id: id.clone(),
                location: registration.location.clone(),
                price: registration.price,
                engine_address: registration.engine_address.clone(),
                instance: registration.instance.clone(),
                monitor: registration.monitor.clone(),
                epoch: 0,
                highest_authorization: 0,
                out_of_order: false,
                never_supplied: true,
                rated: None,
                seals_from: None,
                revoked: None,
            };
            self.net.forgotten_points.remove(&id);
            self.net.registry.add_point(&self.net.config, Point::new(point, now, true));
        }
        self.touch(&id);
        self.net.registry.is_at(&self.net.config, &id, from, registration.engine_address);
        let report_interval = self.net.report_interval();
        let point = self.point_mut(&id);
        point.report_interval = report_interval;
        point.stored.epoch = epoch;
        point.stored.monitor = registration.monitor;
        point.link = Link::Lost { since: now };
        point.not_before = now;
        point.tell_anew(now);
        point.telemetry_refused.clear();
        let before = std::mem::replace(&mut point.stored.instance, registration.instance);
        let replaced = before != point.stored.instance;
        if replaced && point.stored.never_supplied {
            // Whoever was there is gone, and neither its operator nor a driver ever relied on what it said.
            (point.stored.location, point.stored.price) = (registration.location, registration.price);
        }
        let answer = Registered {
            epoch,
            location: point.stored.location.clone(),
            price: point.stored.price,
            report_interval,
        };
        self.point_changed(&id);
        if replaced {
            self.instance_replaced(&id);
        }
        self.net.turned_away.over(&(id.clone(), from.to_owned()));
        self.happened(Level::Info, "registrations", format!("{id} registered"));
        self.reply(token, Ok(answer));
    }

    /// Monitors ask again each second: there is a line, and a deed, when it begins and when its reason changes. The
    /// line may say more than the answer does.
    pub(super) fn registration_refused(
        &mut self,
        token: Token<Registered>,
        (id, host): (&ChargePointId, &str),
        denial: Denial,
        logged: Option<String>,
    ) {
        let news = self.net.turned_away.is_news((id.clone(), host.to_owned()), &denial.text, self.now.mono);
        if !news {
            self.net.deeds.changes_nothing(token);
        }
        let level = if news { Level::Warn } else { Level::Debug };
        self.happened(level, "registrations_refused", logged.unwrap_or_else(|| denial.text.clone()));
        self.reply(token, Err(denial));
    }

    /// Nobody has charged there, its operator has given no order, and it has been away for long: it was made up, or is
    /// not coming back, and keeps no room.
    pub(super) fn forget_the_made_up(&mut self, ids: BTreeSet<&ChargePointId>) {
        for id in ids {
            self.leaves(id);
            self.happened(
                Level::Info,
                "charge_points_forgotten",
                format!("{id} never supplied, and is forgotten"),
            );
        }
    }

    /// Those whose engines were waited for long enough. They are in the order in which they came.
    pub(super) fn provisional_over(&mut self) {
        while let Some(oldest) = self.net.provisional.first_entry() {
            if self.now.mono < oldest.get().until {
                return;
            }
            let failed = CallFailed("its engine was waited for long enough".into());
            let provisional = oldest.remove();
            self.engine_heard(provisional, Err(failed));
        }
    }
}

/// Is it the engine of the charge point that registers, with the store that it named? Whether it said whose it is.
fn is_its_engine(
    registration: &Registration,
    result: Result<EngineAnswer, CallFailed>,
) -> Result<bool, Denial> {
    let Registration { charge_point: id, instance, engine_address: address, .. } = registration;
    let (reason, text) = match result {
        Ok(answer) if answer.is_of(id, instance) => return Ok(answer.report.charge_point.is_some()),
        Ok(answer) => match answer.report.charge_point.filter(|named| named != id) {
            Some(other) => return Err(another_engine(address, &other, id)),
            None => {
                let text = format!(
                    "the engine of {id} at {address} has another store than its monitor registers; register that one"
                );
                (Reason::InstanceStale, text)
            }
        },
        Err(CallFailed(_)) => {
            let text = silent(registration, ", whose log says more");
            (Reason::EngineSilent, text)
        }
    };
    Err(Denial::new(reason, text))
}

fn silent(registration: &Registration, more: &str) -> String {
    let Registration { charge_point: id, engine_address: address, .. } = registration;
    format!(
        "{id} is not registered: its engine at {address} did not answer central{more}; check the engine, and the address \
         that its monitor gives"
    )
}

fn another_engine(address: &str, other: &ChargePointId, id: &ChargePointId) -> Denial {
    let text = format!(
        "the engine at {address} is of {other}, not of {id}; give the monitor of {id} the address of its own engine"
    );
    Denial::new(Reason::ChargePointMismatch, text)
}
