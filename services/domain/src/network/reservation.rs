//! A reservation, from the engine's agreement to its expiry: nobody plugged in, or it was given up.

use super::{
    Step,
    charge_point::{Health, Link, Point},
    cooling::{Asker, Who},
    denial::{Denial, Reason, SupplyFailure},
    effect::Level,
    session::{
        Session,
        life::{Deadline, Life, Outcome, State, Stop},
        lifecycle::Word,
    },
};
use crate::{ChargePointId, SessionId};
use std::time::Duration;

/// An engine may refuse a request, or leave it unanswered, this often …
const A_REFUSAL: Duration = Duration::from_secs(5);
/// … with so much at once, until it has supplied.
const REFUSALS_AHEAD: Duration = Duration::from_secs(30);
/// Of so many requests an engine may owe its word; each is asked for again and again.
const UNSAID_MOST: usize = 32;
/// So many of a charge point's sessions may be under review: with more nobody would find those of the others.
const REVIEWS_MOST: usize = 32;
/// So many reservations open at once are enough for one host, however small the network is.
const A_HOST: usize = 20;

impl Step<'_> {
    /// The engine agreed, or is even further on: whoever waits is told.
    pub(super) fn reserve(&mut self, id: &SessionId) {
        let lasts = self.net.config.reservation + self.net.config.reservation_margin;
        let deadline = Deadline::after(self.now, lasts);
        self.session_mut(id).grant(deadline);
        self.granted(id);
        self.changed(id);
    }

    /// Its engine is asked to give it back; unanswered, it ends without the engine's word.
    pub(super) fn revoke(&mut self, id: &SessionId) {
        let deadline = self.revocation_deadline();
        if self.session_mut(id).revoke(deadline) {
            self.changed(id);
        }
    }

    pub(super) fn revocation_deadline(&self) -> Deadline {
        Deadline::after(self.now, self.net.config.revoke_timeout)
    }

    /// It comes to nothing: with the engine's word, or without it once that was waited for long enough.
    pub(super) fn expire(&mut self, id: &SessionId, word: Word) {
        let session = self.session(id);
        let stop = session.stop();
        let how = match stop {
            Some(Stop::Driver) => (Outcome::Stopped, SupplyFailure::ChargeStopped),
            Some(Stop::Operator | Stop::Revocation | Stop::Move) => {
                (Outcome::Stopped, SupplyFailure::ChargePointOutOfOrder)
            }
            None => (Outcome::Expired, SupplyFailure::ReservationExpired),
        };
        let reason = match stop {
            Some(stop) => stop.to_string(),
            None if session.live.plugged_in => {
                "the charge point did not start the car that was plugged in".into()
            }
            None => "nobody plugged in before the reservation's end".into(),
        };
        let (driver, point) = (&session.driver, session.charge_point.clone());
        let text = format!("the reservation of driver {driver} at {point} ended: {reason}");
        let (whose, unstarted) = (whose(session), session.live.plugged_in);
        let (now, point) = (self.now.mono, self.point_mut(&point));
        match stop {
            Some(Stop::Driver) | None if unstarted => point.fails(now), // no use to anybody
            None => point.has_lapsed(whose, now),
            Some(Stop::Driver) if point.stored.never_supplied => point.has_lapsed(whose, now),
            Some(Stop::Driver | Stop::Operator | Stop::Revocation | Stop::Move) => {}
        }
        if word == Word::Given {
            self.went_unused(id);
        }
        self.fail(id, how, reason, word);
        self.happened(Level::Info, "reservations_expired", text);
    }

    pub(super) fn has_refused(&mut self, id: &ChargePointId) {
        let now = self.now.mono;
        let point = self.point_mut(id);
        point.fails(now);
        point.refusals = point.refusals.max(now) + A_REFUSAL;
    }

    /// Each request that an engine is asked is a row for ever, whatever comes of it: one that only refuses, or does not
    /// say what became of what it was asked, is asked no more for a while.
    pub(super) fn is_of_use(&self, point: &Point) -> Result<(), Denial> {
        let id = &point.stored.id;
        let wait = point.refusals.since(self.now.mono + REFUSALS_AHEAD);
        let unsaid = || self.net.registry.ended_at(point).filter(|session| session.needs_revocation());
        let (text, wait) = if !wait.is_zero() {
            let text = format!(
                "{id} came to nothing in its last tries; choose another, or ask again in {}",
                words(wait)
            );
            (text, wait)
        } else if point.ended.len() >= UNSAID_MOST && unsaid().count() >= UNSAID_MOST {
            let text = format!(
                "the engine of {id} does not say what became of {UNSAID_MOST} requests; choose another charge point"
            );
            (text, A_REFUSAL)
        } else if self.has_reviews(id) {
            let text = format!(
                "{REVIEWS_MOST} sessions at {id} are under review, and wait for their operator; choose another charge \
                 point"
            );
            (text, A_REFUSAL)
        } else {
            return Ok(());
        };
        Err(Denial { retry_after: Some(wait), ..Denial::new(Reason::EngineRefused, text) })
    }

    /// Do as many of its sessions wait for a person as anybody could look at?
    pub(super) fn has_reviews(&self, id: &ChargePointId) -> bool {
        let point = self.point(id);
        let reviews = || self.net.registry.ended_at(point).filter(|session| session.review().is_some());
        point.ended.len() >= REVIEWS_MOST && reviews().count() >= REVIEWS_MOST
    }

    /// May it, of whom this is `said`, have a reservation, at this charge point if it names one?
    pub(super) fn may_reserve(
        &self,
        asker: &Asker,
        said: &str,
        at: Option<&ChargePointId>,
    ) -> Result<(), Denial> {
        self.has_cooled_down(&asker.who, said, at)?;
        let Some(host) = &asker.host else { return Ok(()) };
        self.has_cooled_down(&Who::Host(host.clone()), host, at)
    }

    fn has_cooled_down(&self, who: &Who, said: &str, at: Option<&ChargePointId>) -> Result<(), Denial> {
        let config = &self.net.config;
        let Some((unused, left)) = self.net.cooling.wait(self.now.mono, who, at, config) else {
            return Ok(());
        };
        let many = match who {
            Who::Host(_) => ", or have it named by --many-callers where it stands for many",
            Who::Driver { .. } | Who::Guest { .. } => "",
        };
        let text = format!(
            "{said} has let {unused} reservations within {} go unused; ask again in {}{many}",
            words(config.unused_within),
            words(left)
        );
        Err(Denial { retry_after: Some(left), ..Denial::new(Reason::DriverCoolingDown, text) })
    }

    /// One host keeps a tenth of the network reserved at most, or what it has itself; of a small one [`A_HOST`].
    pub(super) fn has_room_to_reserve(&self, asker: &Asker) -> Result<(), Denial> {
        let Some(host) = &asker.host else { return Ok(()) };
        let registry = &self.net.registry;
        let most = (registry.points().len() / 10).max(registry.count_at(host)).max(A_HOST);
        if self.net.reserving.count(host) < most {
            return Ok(());
        }
        let text = format!(
            "{host} has {most} reservations that wait for their cars, as many as one address may; ask again, or have it \
             named by --many-callers where it stands for many"
        );
        Err(Denial::new(Reason::Overloaded, text))
    }

    /// Its driver gave it back, or did not take it up: that counts, where its engine held it until then. What an engine
    /// dropped, did not start for the car that was there, or never gave its word on, counts for nobody: the driver
    /// may be the one who was let down.
    pub(super) fn went_unused(&mut self, id: &SessionId) {
        let session = self.session_mut(id);
        let (asker, point) = (session.live.asker.take(), session.charge_point.clone());
        let well = !session.live.plugged_in;
        let well = well && matches!(self.point(&point).link, Link::Up { health: Health::Ok, .. });
        let Some(Asker { who, host }) = asker.filter(|_| well) else { return };
        for who in [who].into_iter().chain(host.map(Who::Host)) {
            self.counts_for(who, &point);
        }
    }

    pub(super) fn counts_for(&mut self, who: Who, point: &ChargePointId) {
        let host = self.point(point).hosts(&self.net.config).first().map(|host| (*host).to_owned());
        self.net.cooling.add(self.now.mono, who.clone(), point.clone(), host);
        if let Err(denial) = self.has_cooled_down(&who, &who.to_string(), Some(point)) {
            self.happened(Level::Warn, "drivers_cooling_down", denial.text);
        }
    }

    /// An engine's newest answer, with what it has in hand. A reservation that is missing there was dropped, unless its
    /// time is nearly over by the engine's clock; one that is still none but a reservation, with a car plugged in, is
    /// not started.
    pub(super) fn has_in_hand(&mut self, id: &ChargePointId, current: Option<&SessionId>, plugged_in: bool) {
        let config = &self.net.config;
        let nearly = config.reservation_margin + config.authorize_timeout;
        let Some(open) = self.point(id).open.clone() else { return };
        let now = self.now.mono;
        let session = self.session_mut(&open);
        session.live.plugged_in |= plugged_in && session.state() == State::Reserved;
        if let Life::Reserved { deadline } = session.life()
            && Some(&open) != current
            && now + nearly < deadline.mono
        {
            session.live.asker = None;
        }
    }
}

/// Whose it counts as where reservations lapse: its host's, since names are free; its driver's where no host is known.
fn whose(session: &Session) -> Who {
    match session.live.asker.clone() {
        Some(Asker { host: Some(host), .. }) => Who::Host(host),
        Some(Asker { who, host: None }) => who,
        None => Who::Driver { driver: session.driver.clone(), address: String::new() },
    }
}

/// A duration for people, rounded up.
pub(super) fn words(duration: Duration) -> String {
    match duration.as_millis().div_ceil(1_000) {
        1 => "1 second".into(),
        seconds if seconds <= 120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}
