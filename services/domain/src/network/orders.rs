//! What the operator orders, and a driver's own stop.

use super::{
    Step,
    charge_point::Answering,
    deadlines::OBEYED_WITHIN,
    denial::{Denial, Reason, SupplyFailure},
    effect::Level,
    engine::EngineRequest,
    plausible::most_in,
    reply::Ordered,
    request::Asked,
    review::Verdict,
    session::{
        Session,
        life::{Outcome, State, Stop},
        lifecycle::Word,
    },
    standing::Standing,
};
use crate::{ChargePointId, DriverId, Energy, Price, SessionId};
use std::collections::BTreeSet;

/// What the operator orders: a new order is a variant here, and an arm below.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Charge points go out of service, or come back: all of those named, or none if one is unknown.
    Service {
        which: Which,
        /// Out of service, or in.
        out_of_order: bool,
    },
    /// A charge point has another price.
    SetPrice {
        charge_point: ChargePointId,
        /// What a kWh costs from the next authorisation on.
        price: Price,
    },
    /// A charge point that is disconnected and has nothing unsettled leaves the network.
    Forget(ChargePointId),
    /// What an engine claims and central never authorised is to be forgotten there: nothing is ever billed for it.
    Refuse { charge_point: ChargePointId, sessions: Vec<SessionId> },
    /// What an engine claims and central never authorised is taken over all the same, under review.
    Adopt { charge_point: ChargePointId, sessions: Vec<SessionId> },
    /// A person says what a session under review bills.
    Settle {
        session: SessionId,
        verdict: Verdict,
        /// Who, as far as central knows.
        by: String,
        /// Why, in that person's words.
        reason: String,
    },
    /// An open session ends now, whether its engine obeys or not: its driver is free.
    End(SessionId),
}

/// Which charge points an order means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Every registered one.
    All,
    Some(Vec<ChargePointId>),
}

impl Step<'_> {
    pub(super) fn order(&mut self, asked: &Asked<Ordered>, order: Order) {
        if self.repeated(asked) {
            return;
        }
        let reached = match order {
            Order::Service { which, out_of_order } => self.set_service(which, out_of_order),
            Order::SetPrice { charge_point, price } => self.set_price(&charge_point, price),
            Order::Forget(charge_point) => self.forget(&charge_point),
            Order::Refuse { charge_point, sessions } => self.refuse(&charge_point, sessions),
            Order::Adopt { charge_point, sessions } => self.want(&charge_point, sessions),
            Order::Settle { session, verdict, by, reason } => self.settle(&session, verdict, by, reason),
            Order::End(session) => self.end_by_order(&session),
        };
        self.answer(asked, reached.map(|count| Ordered { count }));
    }

    fn set_service(&mut self, which: Which, out_of_order: bool) -> Result<u32, Denial> {
        let (ids, count): (BTreeSet<ChargePointId>, usize) = match which {
            Which::All => {
                let points = self.net.registry.points();
                let others = points.iter().filter(|(_, point)| point.stored.out_of_order != out_of_order);
                (others.map(|(id, _)| id.clone()).collect(), points.len())
            }
            Which::Some(ids) => {
                let ids: BTreeSet<ChargePointId> = ids.into_iter().collect();
                let count = ids.len();
                (ids, count)
            }
        };
        if let Some(unknown) = ids.iter().find(|id| self.net.registry.find_point(id).is_none()) {
            let text = format!("no charge point {unknown} is registered; nothing was changed");
            return Err(Denial::new(Reason::ChargePointUnknown, text));
        }
        for id in &ids {
            self.order_one(id, out_of_order);
        }
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn order_one(&mut self, id: &ChargePointId, out_of_order: bool) {
        self.touch(id);
        let point = self.point_mut(id);
        if std::mem::replace(&mut point.stored.out_of_order, out_of_order) == out_of_order {
            return;
        }
        let open = point.open.clone();
        self.point_changed(id);
        let done = if out_of_order { "out of service" } else { "back in service" };
        let but = match self.point(id).stored.standing() {
            Standing::Good => String::new(),
            Standing::Draining | Standing::Cut => {
                format!(", and stays out of order: {}", self.point(id).out_of_order_because())
            }
        };
        self.happened(Level::Info, "orders", format!("{id} is {done} by the operator's order{but}"));
        if let Some(session) = open.filter(|_| out_of_order) {
            self.stop(&session, Stop::Operator);
        }
    }

    fn set_price(&mut self, id: &ChargePointId, price: Price) -> Result<u32, Denial> {
        if self.net.registry.find_point(id).is_none() {
            let text = format!("no charge point {id} is registered");
            return Err(Denial::new(Reason::ChargePointUnknown, text));
        }
        self.net.config.takes_price(price)?;
        self.touch(id);
        let point = self.point_mut(id);
        point.stored.price = price;
        point.stored.never_supplied = false; // whoever orders for it knows it
        self.point_changed(id);
        self.happened(Level::Info, "orders", format!("{id} costs {price} a kWh from now on"));
        Ok(1)
    }

    /// Its sessions and tickets stay; should it come back, it registers as a new one.
    fn forget(&mut self, id: &ChargePointId) -> Result<u32, Denial> {
        let denied = |reason, text| Err(Denial::new(reason, text));
        let Some(point) = self.net.registry.find_point(id) else {
            return denied(Reason::ChargePointUnknown, format!("no charge point {id} is registered"));
        };
        if point.connected() {
            let text = format!("{id} is connected; stop its monitor first, or it would come back at once");
            return denied(Reason::ChargePointConnected, text);
        }
        let sessions = || point.open.iter().chain(&point.ended);
        if let Some(session) = sessions().find(|session| !self.session(session).settled()) {
            let text =
                format!("session {session} at {id} is not settled yet; forget the charge point after it");
            return denied(Reason::ChargePointBusy, text);
        }
        // Those left have their tickets: an engine that is gone for good does not say that it has forgotten them.
        for session in sessions().cloned().collect::<Vec<_>>() {
            self.forgotten(&session);
            self.net.close_now(&session);
        }
        self.leaves(id);
        self.happened(Level::Info, "orders", format!("{id} is forgotten by the operator's order"));
        Ok(1)
    }

    /// One that is disconnected, and has nothing in memory.
    pub(super) fn leaves(&mut self, id: &ChargePointId) {
        self.drops_numbers(id);
        self.untouch(id);
        self.net.awaits_nothing(id);
        self.net.registry.remove_point(&self.net.config, id);
        self.net.changed_points.remove(id);
        self.net.forgotten_points.insert(id.clone());
    }

    /// Its numbers begin anew; its engine of now may come back one day.
    pub(super) fn drops_numbers(&mut self, id: &ChargePointId) {
        let number = self.point(id).stored.highest_authorization;
        self.net.remembered.drops(number);
    }

    pub(super) fn stop_charge(
        &mut self,
        asked: &Asked<Box<Session>>,
        driver: &DriverId,
        session: Option<SessionId>,
    ) {
        if self.repeated(asked) {
            return;
        }
        let named = session.is_some();
        let id = session.or_else(|| self.net.registry.find_open(driver).map(|open| open.id.clone()));
        let found = id.and_then(|id| {
            let known = self.net.registry.find_session(&id).cloned();
            known.or_else(|| self.archive.session(&id)).filter(|session| session.driver == *driver)
        });
        let Some(found) = found else {
            let text = if named {
                format!("driver {driver} has no such session")
            } else {
                format!("driver {driver} has no open session")
            };
            return self.answer(asked, Err(Denial::new(Reason::SessionUnknown, text)));
        };
        if !found.is_open() {
            self.net.deeds.changes_nothing(asked.token);
            return self.reply(asked.token, Ok(Box::new(found))); // a repeat is told the same, whether it is kept or not
        }
        self.stop(&found.id, Stop::Driver);
        let now = self.net.registry.find_session(&found.id).cloned().unwrap_or(found);
        self.answer(asked, Ok(Box::new(now)));
    }

    /// What is over already is left as it is.
    fn end_by_order(&mut self, id: &SessionId) -> Result<u32, Denial> {
        let state = match self.net.registry.find_session(id) {
            Some(session) => session.state(),
            None if self.archive.session(id).is_some() => return Ok(0),
            None => {
                let text = format!("there is no session {id}");
                return Err(Denial::new(Reason::SessionUnknown, text));
            }
        };
        match state {
            State::Authorizing => {
                let text = "ended by the operator before it was authorised";
                let denial = Denial::new(Reason::ChargeStopped, text);
                self.reject(id, denial, Outcome::Stopped, Word::Wanted);
            }
            State::Reserved | State::Supplying => {
                self.stop_at_once(id, Stop::Operator);
            }
            State::Ended(_) => return Ok(0),
        }
        self.happened(Level::Info, "orders", format!("session {id} ended by the operator's order"));
        Ok(1)
    }

    /// Ends an open session by order, and nobody waits for its engine.
    pub(super) fn stop_at_once(&mut self, id: &SessionId, stop: Stop) {
        self.stop(id, stop);
        if self.session(id).is_open() {
            self.stop_unheard(id, stop);
        }
    }

    /// Ends an open session by order: the engine is asked to stop or to revoke it.
    pub(super) fn stop(&mut self, id: &SessionId, stop: Stop) {
        let (state, deadline, now) = (self.session(id).state(), self.revocation_deadline(), self.now.mono);
        let session = self.session_mut(id);
        session.order_stop(stop, deadline, now);
        if stop != Stop::Driver {
            session.live.asker = None; // not its driver's doing
        }
        if state != State::Authorizing {
            self.changed(id);
            if self.point(&self.session(id).charge_point).answering == Answering::No {
                self.stop_unheard(id, stop); // it would not be heard: nobody waits for it
            }
            return;
        }
        let (reason, text) = match stop {
            Stop::Driver => (Reason::ChargeStopped, "stopped by the driver before it was authorised".into()),
            Stop::Operator | Stop::Revocation | Stop::Move => {
                let point = self.point(&self.session(id).charge_point);
                let (id, why) = (&point.stored.id, point.out_of_order_because());
                (Reason::ChargePointOutOfOrder, format!("{id} is out of order: {why}"))
            }
        };
        self.reject(id, Denial::new(reason, text), Outcome::Stopped, Word::Wanted);
    }

    /// What was to stop and did not ends. Where its engine answers, and says that it supplies on, that is out of
    /// service, and what flows from here on is billed by a person's word only.
    pub(super) fn disobeyed(&mut self, id: &SessionId) {
        let session = self.session(id);
        let (point, stop) = (session.charge_point.clone(), session.stop());
        let goes_on = self.point(&point).goes_on_with(id);
        let had = session.had_by(self.rated(&point), self.now.mono).min(self.most(id));
        if let Some(stop) = stop {
            self.stop_unheard(id, stop);
        }
        if goes_on {
            let session = self.session_mut(id);
            session.had_at_most(had);
            session.live.stopped_at = None;
            self.point_mut(&point).stored.out_of_order = true;
            self.point_changed(&point);
            let text = format!(
                "{point} was told to stop session {id} and supplies on: it is out of service until the operator \
                 resumes it"
            );
            self.happened(Level::Error, "stops_disobeyed", text);
        }
    }

    /// An engine that was out of reach when a session ended is in reach once it has heard so: it was told to stop or to
    /// give it back, or it answers and is silent on a supply that it told of before. What it tells later is believed up
    /// to what it delivers while it obeys; and if it supplies on for longer than that, it does not.
    pub(super) fn has_heard_of_ends(&mut self, id: &ChargePointId, asked: &EngineRequest) {
        let (now, rated) = (self.now.mono, self.rated(id));
        let (point, obeying) = (self.point(id), most_in(rated, OBEYED_WITHIN).wh());
        let heard = |session: &&Session| {
            let shown = session.live.last_sign == now;
            match asked {
                EngineRequest::Stop { session: asked } => *asked == session.id,
                EngineRequest::Revoke { session: asked, .. } => *asked == session.id && !shown,
                EngineRequest::Authorize { .. } | EngineRequest::Confirm { .. } | EngineRequest::GetState => {
                    session.started() && !shown
                }
            }
        };
        let waits = |session: &&Session| session.review().is_none() || session.awaits_its_engine();
        let heard = self.net.registry.ended_at(point).filter(waits).filter(heard);
        for id in heard.map(|session| session.id.clone()).collect::<Vec<_>>() {
            let session = self.session_mut(&id);
            session.live.stopped_at.get_or_insert(now);
            let most = Energy::from_wh(session.energy().wh().saturating_add(obeying));
            session.told_at_most(most);
            if !session.settled() && session.had_at_most(most) {
                self.changed(&id);
            }
        }
    }

    /// A session whose engine does not hear that it is to stop, or does not obey, ends: its driver is free. The engine
    /// is asked on, and the ticket waits for its word as always.
    pub(super) fn stop_unheard(&mut self, id: &SessionId, stop: Stop) {
        if self.session(id).state() == State::Reserved {
            return self.expire(id, Word::Wanted);
        }
        let failure = match stop {
            Stop::Driver => SupplyFailure::ChargeStopped,
            Stop::Operator | Stop::Revocation | Stop::Move => SupplyFailure::ChargePointOutOfOrder,
        };
        let taken_up = Word::Given;
        self.fail(id, (Outcome::Stopped, failure), stop.to_string(), taken_up);
    }
}
