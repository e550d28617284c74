//! From a request to a reservation: the choice of a charge point, the question to its engine, the answer to the driver.
//!
//! Choice and reservation are one step, so two drivers never get the same charge point (INV-2).

use super::{
    Step,
    answers::Recorded,
    charge_point::Point,
    command::Target,
    cooling::{Asker, Who},
    denial::{Denial, Reason},
    effect::Level,
    pending::{Against, Pending},
    plausible::{GRACE, most_in},
    request::Asked,
    session::{
        Facts, Session,
        life::{Deadline, Outcome},
        lifecycle::Word,
    },
    status::Status,
};
use crate::{ChargePointId, DriverId, Location, Price, SessionId, cards::held::Holder};
use std::{collections::BTreeSet, time::Duration};

/// While other charge points are free a try lasts so long at most: three silent ones leave an open request the time for
/// one that answers.
const A_TRY: Duration = Duration::from_secs(1);

/// When whoever asked at the charge point may ask there again, where its engine has not waited.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// So many repeats of a request wait with it: each holds a place among the calls under way.
const REPEATS: usize = 8;

/// So many ids are looked at for a request's next session.
const IDS_TRIED: usize = 8;

/// Why no request can be missing: a session is authorised for one, which leaves with its answer.
const PENDING: &str = "a session that is being authorised has its request";

impl Step<'_> {
    pub(super) fn request_charge(
        &mut self,
        asked: Asked<Box<Session>>,
        session: SessionId,
        driver: DriverId,
        target: Target,
        max_price: Option<Price>,
    ) {
        if self.joined(&asked) || self.repeated(&asked) {
            return;
        }
        let (named, choice) = match target {
            Target::Named(id) => (Some(id), None),
            Target::Any { location_prefix } => (None, Some(location_prefix)),
        };
        self.begin(asked, session, Holder::bare(driver), named, choice, max_price);
    }

    /// A repeat of a request that is being decided joins the wait for its answer.
    pub(super) fn joined(&mut self, asked: &Asked<Box<Session>>) -> bool {
        let Some((key, digest)) = &asked.request else { return false };
        match self.net.answers.awaited(key) {
            None => return false,
            Some((first, _)) if first != digest => self.reused(asked, key),
            Some((_, session)) => {
                let pending = self.net.pending.get_mut(session);
                let pending = pending.expect(PENDING);
                if pending.tokens.len() > REPEATS {
                    let text = format!(
                        "request_id {} is being decided, and {REPEATS} repeats of it wait already; ask again",
                        key.id
                    );
                    self.reply(asked.token, Err(Denial::new(Reason::Overloaded, text)));
                    return true;
                }
                pending.tokens.push(asked.token);
                self.net.deeds.changes_nothing(asked.token);
            }
        }
        true
    }

    pub(super) fn begin(
        &mut self,
        asked: Asked<Box<Session>>,
        base: SessionId,
        Holder { driver, card }: Holder,
        named: Option<ChargePointId>,
        choice: Option<Location>,
        max_price: Option<Price>,
    ) {
        let longest = self.now.mono + self.net.config.authorize_timeout;
        let deadline = asked.context.deadline.filter(|deadline| *deadline < longest);
        let address = asked.context.account().to_owned();
        let one = !asked.context.many && self.net.config.is_one(&address);
        let host = one.then(|| address.clone());
        let who = match &named {
            Some(id) if driver.is_guest() => Who::Guest { charge_point: id.clone(), address },
            Some(_) | None => Who::Driver { driver: driver.clone(), address },
        };
        let asker = Asker { who, host };
        if let Err(denial) = self.has_room_to_reserve(&asker) {
            self.happened(Level::Info, "requests_denied", format!("driver {driver} denied: {}", denial.text));
            return self.reply(asked.token, Err(denial)); // a retry may be granted: nothing is kept of this, or told
        }
        let pending = Pending {
            tokens: vec![asked.token],
            request: asked.request,
            trace: asked.context.trace,
            driver,
            card,
            asker: Some(asker.clone()),
            choice,
            max_price,
            base: base.clone(),
            tried: BTreeSet::new(),
            until: deadline.unwrap_or(longest),
            hurried: deadline.is_some(),
            against: Against::Nobody,
        };
        // Whoever shows a copy of a card learns neither who its driver is, nor where it charges.
        let said = match &pending.card {
            Some(_) => "this card's driver".to_owned(),
            None => asker.who.to_string(),
        };
        if let Some(open) = self.net.open_session(&pending.driver) {
            let text = match &pending.card {
                Some(_) => format!("{said} has another session open; end it first"),
                None => format!("{said} has session {} open at {}; end it first", open.id, open.charge_point),
            };
            return self.deny(pending, named, &base, false, Denial::new(Reason::DriverBusy, text));
        }
        if let Err(denial) = self.may_reserve(&asker, &said, named.as_ref()) {
            return self.deny(pending, named, &base, false, denial);
        }
        match self.pick(&pending, named.as_ref()) {
            Ok(charge_point) => self.start(charge_point, base, pending),
            Err(denial) => self.deny(pending, named, &base, false, denial),
        }
    }

    fn pick(&self, pending: &Pending, named: Option<&ChargePointId>) -> Result<ChargePointId, Denial> {
        let Some(id) = named else {
            return self.choose(pending);
        };
        let denied = |reason, text| Err(Denial::new(reason, text));
        let Some(point) = self.net.registry.find_point(id) else {
            return denied(Reason::ChargePointUnknown, format!("no charge point {id} is registered"));
        };
        let status = point.status(&self.net.registry);
        let why = point.status_reason(status, &self.net.registry);
        match status {
            Status::Available => {
                let of_use = self.is_of_use(point);
                of_use.and_then(|()| self.may_cost(pending, point.stored.price)).map(|()| id.clone())
            }
            Status::Disconnected => {
                denied(Reason::ChargePointDisconnected, format!("{id} is disconnected: {why}"))
            }
            Status::Faulted => denied(Reason::ChargePointFaulted, format!("{id} is out of action: {why}")),
            Status::OutOfOrder => {
                denied(Reason::ChargePointOutOfOrder, format!("{id} is out of order: {why}"))
            }
            Status::Supplying => denied(Reason::ChargePointBusy, format!("{id} is supplying another driver")),
            Status::Reserved => {
                denied(Reason::ChargePointBusy, format!("{id} is reserved for another driver"))
            }
        }
    }

    /// Its driver, and the operator, allow this price of a kWh.
    fn may_cost(&self, pending: &Pending, price: Price) -> Result<(), Denial> {
        self.net.config.takes_price(price)?;
        match pending.max_price {
            Some(most) if !price.is_within(most) => {
                let text = format!("a kWh costs {price} where it is free, and {most} was to be the most");
                Err(Denial::new(Reason::PriceAboveMax, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Those whose last try failed come last, never out; then the cheapest first, then by id. The list is of before
    /// this step, in which an order may have ended several requests: each goes on, and no two to the same place
    /// (INV-2), nor to one that the same order takes out of service.
    fn choose(&self, pending: &Pending) -> Result<ChargePointId, Denial> {
        let prefix = pending.choice.as_ref().map_or("", Location::as_str);
        let registry = &self.net.registry;
        let waits_for = |id: &ChargePointId| {
            let wait =
                |asker: &Asker| self.net.cooling.wait(self.now.mono, &asker.who, Some(id), &self.net.config);
            pending.asker.as_ref().and_then(wait).is_some()
        };
        let fits = |point: &&Point| {
            let still_free = || point.is_free(registry);
            !pending.tried.contains(&point.stored.id)
                && point.stored.location.as_str().starts_with(prefix)
                && !waits_for(&point.stored.id)
                && still_free()
                && self.is_of_use(point).is_ok()
        };
        // One host may have many that fail: it costs a request one try while others are free.
        let config = &self.net.config;
        let failed = pending.tried.iter().filter_map(|id| registry.find_point(id));
        let failed: Vec<_> = failed.map(|point| point.hosts(config)).collect();
        let apart = |point: &Point| failed.iter().all(|failed| failed.is_disjoint(&point.hosts(config)));
        let (mut first, mut too_dear) = (None, None);
        for point in registry.free().filter(fits) {
            match self.may_cost(pending, point.stored.price) {
                Ok(()) if apart(point) => return Ok(point.stored.id.clone()),
                Ok(()) => first = first.or(Some(point)),
                Err(denial) => too_dear = too_dear.or(Some(denial)),
            }
        }
        match first {
            Some(point) => Ok(point.stored.id.clone()),
            None if let Some(denial) = too_dear => Err(denial),
            None if prefix.is_empty() => {
                let text = "no charge point is free; try again later";
                Err(Denial::new(Reason::NoChargePointFree, text))
            }
            None => {
                let text = format!(
                    "no charge point is free at a place that starts with {prefix:?}; try again later"
                );
                Err(Denial::new(Reason::NoChargePointFree, text))
            }
        }
    }

    /// Reserves the charge point for the question to its engine, which [`Step::finish`] asks.
    fn start(&mut self, charge_point: ChargePointId, id: SessionId, mut pending: Pending) {
        let left = pending.until.since(self.now.mono);
        pending.tried.insert(charge_point.clone());
        let others = pending.choice.is_some() && self.choose(&pending).is_ok();
        pending.against = if others && left > A_TRY {
            Against::Place
        } else if pending.hurried {
            Against::Caller
        } else if left >= A_TRY {
            Against::Engine
        } else {
            Against::Nobody
        };
        let left = if others { left.min(A_TRY) } else { left };
        let (now, request, trace) = (self.now, pending.request.clone(), pending.trace_of(&id));
        let point = self.point_mut(&charge_point);
        point.stored.highest_authorization = point.next_number();
        let facts = Facts {
            id: id.clone(),
            charge_point: charge_point.clone(),
            instance: point.stored.instance.clone(),
            driver: pending.driver.clone(),
            card: pending.card.clone(),
            price: point.stored.price,
            authorization: point.stored.highest_authorization,
            created: now.wall,
            trace,
        };
        if let Some((key, fingerprint)) = &request {
            self.net.answers.undecided(key.clone(), *fingerprint, id.clone());
        }
        let mut session = Session::requested(facts, request, Deadline::after(now, left), now.mono);
        session.live.asker = pending.asker.clone();
        if let Some(host) = pending.asker.as_ref().and_then(|asker| asker.host.clone()) {
            self.net.reserving.begins(id.clone(), host);
        }
        self.net.registry.add_session(session);
        self.net.pending.insert(id.clone(), pending);
        self.point_changed(&charge_point);
        self.changed(&id);
    }

    /// The engine agreed, or is even further on: whoever waits is told.
    pub(super) fn granted(&mut self, id: &SessionId) {
        let pending = self.net.pending.remove(id).expect(PENDING);
        self.notify_authorized(id, pending.request.as_ref());
        self.record(pending.request, Ok(Recorded::Session(id.clone())));
        let session = self.session(id).clone();
        for token in pending.tokens {
            self.reply(token, Ok(Box::new(session.clone())));
        }
    }

    /// Its engine is not asking for it: somebody else did, in its place, or it has stopped waiting. That says nothing
    /// of the charge point; whoever asked is counted, for each try is a row. Asked for at the charge point it is
    /// granted: the denial is not kept.
    pub(super) fn not_asked_for(&mut self, point: &ChargePointId, id: &SessionId) {
        let asker = self.session_mut(id).live.asker.take();
        if let Some(host) = asker.and_then(|asker| asker.host) {
            self.counts_for(Who::Host(host), point);
        }
        let text = format!("{point} refused: its engine did not ask for it; ask at the charge point itself");
        let denial = Denial { retry_after: Some(ASK_AGAIN), ..Denial::new(Reason::EngineRefused, text) };
        self.reject(id, denial, Outcome::Rejected, Word::Given);
    }

    /// The session comes to nothing. An open request tries the next charge point, unless its driver wants none any
    /// more.
    pub(super) fn reject(&mut self, id: &SessionId, denial: Denial, outcome: Outcome, word: Word) {
        let wanted = denial.reason != Reason::ChargeStopped;
        let charge_point = self.session(id).charge_point.clone();
        let (against, now) = (self.against(id, denial.reason), self.now.mono);
        match against {
            Against::Engine => self.has_refused(&charge_point),
            Against::Place => self.point_mut(&charge_point).fails(now),
            Against::Caller | Against::Nobody => {}
        }
        if wanted {
            let asker = self.session_mut(id).live.asker.take(); // not its driver's doing …
            if let Some(host) = asker.and_then(|asker| asker.host).filter(|_| against == Against::Caller) {
                self.counts_for(Who::Host(host), &charge_point); // … but somebody there does not wait for engines
            }
        }
        let live = &self.session(id).live;
        // What its engine was never asked it cannot start, nor give a word on: nothing that is told of it counts.
        let word = if live.asked || live.restored { word } else { Word::Given };
        let (lost, denied) =
            (word == Word::Wanted && !live.restored, most_in(self.rated(&charge_point), GRACE));
        self.end(id, outcome, denial.text.clone(), word);
        if lost {
            self.session_mut(id).had_at_most(denied); // what an answer that was lost lets flow, and no charge
        }
        let pending = self.net.pending.remove(id).expect(PENDING);
        let another = (wanted && pending.choice.is_some() && self.now.mono < pending.until)
            .then(|| self.choose(&pending));
        match another {
            Some(Ok(next)) => match self.next_attempt(&pending) {
                Some(id) => self.start(next, id, pending),
                None => self.deny(pending, Some(charge_point), id, true, denial), // the id has no room left
            },
            Some(Err(_)) | None => self.deny(pending, Some(charge_point), id, true, denial),
        }
    }

    /// Against whom it counts that a try came to nothing. A call that failed by itself had its whole time, however long
    /// its caller would have waited.
    fn against(&self, id: &SessionId, reason: Reason) -> Against {
        let when_over = self.net.pending.get(id).expect(PENDING).against;
        let over = || self.session(id).deadline().is_some_and(|deadline| deadline.passed(self.now));
        if reason != Reason::EngineSilent {
            Against::Nobody // a refusal is counted where it is heard
        } else if when_over == Against::Nobody || over() {
            when_over
        } else {
            Against::Engine
        }
    }

    /// The id of a request's next session. An engine that was asked can guess it and claim to know it already: no
    /// session gets the id of another, which would have two tickets (INV-1).
    fn next_attempt(&self, pending: &Pending) -> Option<SessionId> {
        let first = pending.tried.len() + 1;
        let ids = (first..first + IDS_TRIED).filter_map(|n| format!("{}.{n}", pending.base).parse().ok());
        let taken = |id: &SessionId| {
            self.net.registry.find_session(id).is_some() || self.archive.session(id).is_some()
        };
        ids.into_iter().find(|id| !taken(id))
    }

    fn deny(
        &mut self,
        pending: Pending,
        charge_point: Option<ChargePointId>,
        id: &SessionId,
        created: bool,
        denial: Denial,
    ) {
        self.happened(
            Level::Info,
            "requests_denied",
            format!("driver {} denied: {}", pending.driver, denial.text),
        );
        self.notify_denied(&pending, charge_point, id, created, denial.clone());
        if denial.retry_after.is_none() {
            self.record(pending.request, Err(denial.clone()));
        } else if let Some((key, _)) = &pending.request {
            self.net.answers.leave_open(key);
        }
        for token in pending.tokens {
            self.reply(token, Err(denial.clone()));
        }
    }
}
