//! A charge point whose identity is revoked: it ends what it does, and is cut off; or it is cut off at once. Until it
//! is enrolled again it is out of order, whatever else is said of it. One for which another is to act ends what it does
//! in the same way, under the name that it has, and then begins anew.
//!
//! What is to be done follows from what is stored of it, so a restart loses nothing. While it drains, what is open is
//! stopped, as by the operator's order but for a reason of its own, and what has ended is settled with its engine as
//! ever. A cut is like a power cut that lasts: what is open ends without its engine's word, and its ticket waits for
//! that, should the charge point be enrolled again, up to the settlement deadline.

use super::{
    Network, Step,
    charge_point::{Answering, Link, Point},
    dealings::Unattested,
    denial::{Denial, Reason},
    effect::{Effect, Level},
    reservation::words,
    session::{
        Session,
        life::{Deadline, Stop},
    },
    standing::{Revoked, Standing},
    untold::Untold,
};
use crate::{ChargePointId, SessionId};

impl Network {
    /// How the identity of a charge point stands, as far as central has heard; `None`: it is not registered.
    pub fn standing(&self, id: &ChargePointId) -> Option<Standing> {
        self.registry.find_point(id).map(|point| point.stored.standing())
    }

    /// Does a charge point end what it does, so that another acts for it then?
    pub fn moves(&self, id: &ChargePointId) -> bool {
        let revoked = self.registry.find_point(id).and_then(|point| point.stored.revoked());
        matches!(revoked, Some(Revoked::Draining { moves: true, .. }))
    }

    /// The charge points of which something that is kept has changed in this step, but those that are forgotten.
    pub fn changed_points(&self) -> impl Iterator<Item = &ChargePointId> {
        self.changed_points.iter()
    }
}

/// Why a charge point that is revoked may not register, or report.
pub(super) fn is_revoked(id: &ChargePointId) -> Denial {
    Denial::new(Reason::IdentityRevoked, format!("the identity of {id} was revoked; enrol it again"))
}

/// Why it may not, now that it is so.
pub(super) fn may_not_register(id: &ChargePointId, revoked: Revoked) -> Denial {
    match revoked {
        Revoked::Draining { moves: true, .. } => is_to_move(id),
        Revoked::Draining { moves: false, .. } | Revoked::Cut => is_revoked(id),
    }
}

/// Why whoever acts for a charge point may not register it, if another is to.
fn is_to_move(id: &ChargePointId) -> Denial {
    let text =
        format!("another is to act for {id}, as the registry says; it is registered under that one's name");
    Denial::new(Reason::IdentityRevoked, text)
}

/// Is something of it still to come from its engine, or to be said to it?
fn is_owed(session: &Session) -> bool {
    let over = session.review().is_some_and(|reported| reported.end.is_some()); // a person's word is waited for
    !session.closed() && !session.store_lost() && (!over || session.needs_revocation())
}

impl Step<'_> {
    /// What the registry says of a charge point. That it is revoked is not said anew by a repeat, nor taken back by
    /// less than an enrolment; that another is to act for it is taken back by this. However it stands, its engine may
    /// have more certificates to refuse: of one that was revoked, and enrolled again, before that was heard, for one.
    pub(super) fn identity(&mut self, id: &ChargePointId, standing: Standing, engine_stands: bool) {
        if standing != Standing::Good {
            self.refuse_newcomers(id, &is_revoked(id));
        }
        if self.net.registry.find_point(id).is_none() {
            return;
        }
        let point = self.point_mut(id);
        point.engine_stands = engine_stands;
        match (point.stored.standing(), standing) {
            (Standing::Good, Standing::Good) | (Standing::Cut, Standing::Draining | Standing::Cut) => {}
            (Standing::Good | Standing::Draining, Standing::Draining) => self.drains(id, false),
            (Standing::Good | Standing::Draining, Standing::Cut) => self.cut(id),
            (Standing::Draining | Standing::Cut, Standing::Good) => self.is_good_again(id),
        }
        self.tell(id);
    }

    /// Somebody else is to act for it. What it does it ends first, under the name that it has: nobody could stop it
    /// under another.
    ///
    /// To a rebuilt central all of it is news, although nobody moved: where it does not know who acts for it, and
    /// nobody is connected, nothing is over; but whoever registered since may have been another, and what that one
    /// tells by its keys counts for nothing.
    pub(super) fn moves(&mut self, id: &ChargePointId, known: bool) {
        self.refuse_newcomers(id, &is_to_move(id));
        let Some(point) = self.net.registry.find_point(id) else { return };
        if !known && !point.connected() {
            self.takes_an_epoch(id);
            return self.point_changed(id);
        }
        if point.is_cut() || self.has_ended(point) {
            return self.begins_anew(id);
        }
        self.drains(id, true);
    }

    /// It is to end what it does. Another reason for it gives it no more time.
    fn drains(&mut self, id: &ChargePointId, moves: bool) {
        let most = self.net.config.revocation_drain;
        let deadline = match self.point(id).stored.revoked() {
            Some(Revoked::Draining { moves: before, .. }) if before == moves => return,
            Some(Revoked::Draining { deadline, .. }) => deadline,
            Some(Revoked::Cut) | None => Deadline::after(self.now, most),
        };
        self.stands(id, Some(Revoked::Draining { deadline, moves }));
        let why = match moves {
            true => format!("another is to act for {id}"),
            false => format!("the identity of {id} is revoked"),
        };
        let text = format!("{why}: it ends what it does, in {} at most", words(most));
        self.happened(Level::Warn, "charge_points_draining", text);
        self.drain(id);
    }

    fn stands(&mut self, id: &ChargePointId, revoked: Option<Revoked>) {
        self.touch(id);
        self.point_mut(id).stored.revoked = revoked.map(Box::new);
        self.point_changed(id);
    }

    /// Whose engine answers only now is not admitted any more, registered or not.
    fn refuse_newcomers(&mut self, id: &ChargePointId, why: &Denial) {
        let waiting = self.net.provisional.iter();
        let theirs = waiting.filter(|(_, waiting)| waiting.registration.charge_point == *id);
        for call in theirs.map(|(call, _)| *call).collect::<Vec<_>>() {
            if let Some(waiting) = self.net.provisional.remove(&call) {
                self.registration_refused(waiting.token, (id, &waiting.host), why.clone(), None);
            }
        }
    }

    /// One that is to end what it does: what is open stops; it is cut off once nothing is left to do at its engine, or
    /// its time is over. If it moves, it begins anew then.
    pub(super) fn drain(&mut self, id: &ChargePointId) {
        let Some(Revoked::Draining { deadline, moves }) = self.point(id).stored.revoked() else { return };
        let goes_on = |session: &&Session| session.stop().is_none() && !session.needs_revocation();
        let open = self.net.registry.open_at(self.point(id)).filter(goes_on);
        if let Some(session) = open.map(|session| session.id.clone()) {
            self.stop(&session, if moves { Stop::Move } else { Stop::Revocation });
        }
        let over = deadline.passed(self.now);
        if over && let Some(session) = self.has_not_obeyed(id) {
            self.disobeyed(&session); // its time to obey is over too, and nobody asks it again
        }
        let point = self.point(id);
        if moves && (over || self.has_ended(point)) {
            self.begins_anew(id);
        } else if !moves && (over || self.has_drained(point)) {
            self.cut(id);
        }
    }

    /// The session that its engine was told to stop, and that it goes on with.
    fn has_not_obeyed(&self, id: &ChargePointId) -> Option<SessionId> {
        let (point, registry) = (self.point(id), &self.net.registry);
        let told = |session: &&Session| session.live.stopped_at.is_some() && point.goes_on_with(&session.id);
        let all = registry.open_at(point).into_iter().chain(registry.ended_at(point));
        all.filter(told).map(|session| session.id.clone()).next()
    }

    /// What it did is over, and so is what is to be said to its engine of that.
    fn has_ended(&self, point: &Point) -> bool {
        point.open.is_none()
            && point.supplies.is_none()
            && point.unattested.current.is_none()
            && !self.net.registry.ended_at(point).any(is_owed)
    }

    /// And nothing else is to be said to its engine, or asked.
    fn has_drained(&self, point: &Point) -> bool {
        let asked = point.call.is_some() || point.ask;
        self.has_ended(point) && !asked && point.refused.is_empty() && point.closed.is_empty()
    }

    /// Somebody else acts for it from now on. Whoever did is not listened to any more, and what it tells by its keys
    /// counts for nothing: as where it is cut off, but that it is good again at once. Of what did not end in its time
    /// the engine has the last word once it has registered under its new name.
    fn begins_anew(&mut self, id: &ChargePointId) {
        self.let_go(id, Stop::Move);
        self.comes_back(id);
    }

    /// From here on nothing of it is listened to, and its engine is not called.
    fn cut(&mut self, id: &ChargePointId) {
        self.let_go(id, Stop::Revocation);
        let now = self.now.mono;
        self.point_mut(id).untold = Some(Box::new(Untold::at_once(now))); // its monitor's certificate, for one
        self.happened(Level::Warn, "charge_points_cut_off", format!("{id} is revoked, and cut off"));
        self.push(Effect::Cut(id.clone()));
    }

    /// What is of the registration that it has is over.
    fn let_go(&mut self, id: &ChargePointId, stop: Stop) {
        self.stands(id, Some(Revoked::Cut)); // no request goes on there
        if let Some(open) = self.point(id).open.clone() {
            self.stop_at_once(&open, stop);
        }
        let now = self.now.mono;
        let point = self.point_mut(id);
        if point.connected() {
            point.link = Link::Lost { since: now };
        }
        point.answering = Answering::Unknown;
        point.call = None; // what comes of it touches nothing (INV-8)
        point.supplies = None;
        point.unattested = Unattested::default();
        point.closed.clear();
        point.judged = true; // nobody waits for its engine
        self.takes_an_epoch(id);
    }

    /// Its monitor registers anew (INV-8), and whoever has a key of before writes nothing with it.
    fn takes_an_epoch(&mut self, id: &ChargePointId) {
        let stored = &mut self.point_mut(id).stored;
        stored.epoch = stored.epoch.saturating_add(1);
        stored.seals_from = stored.seals_from.map(|_| stored.epoch);
    }

    fn is_good_again(&mut self, id: &ChargePointId) {
        let moved = matches!(self.point(id).stored.revoked(), Some(Revoked::Draining { moves: true, .. }));
        self.comes_back(id);
        let (name, text) = match moved {
            true => ("moves_taken_back", format!("nobody else is to act for {id} any more")),
            false => ("charge_points_enrolled_again", format!("{id} is enrolled again")),
        };
        self.happened(Level::Info, name, text);
    }

    /// It is what its monitor and its engine make of it; what waits for its engine is asked for.
    fn comes_back(&mut self, id: &ChargePointId) {
        self.stands(id, None);
        let now = self.now.mono;
        let point = self.point_mut(id);
        point.not_before = now;
        point.failures = 0;
        point.ask |= !point.ended.is_empty();
    }
}
