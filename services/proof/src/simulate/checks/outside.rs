//! What engines say and take, and what drivers are told and shown (INV-4 to INV-8).

use super::{
    super::{
        manual::ASKS_FOR,
        truth::{rank, word},
        world::World,
    },
    reading_of,
};
use domain::SessionId;
use domain::network::{CallFailed, Claim, EngineAnswer, Outcome, Session, State};
use domain::requests;
use domain::supply::{Act, ManualRequest, View};
use evmesh_proto::engine::{AuthorizeSupplyRequest, CallResult};
use evmesh_proto::topics::{Notification, NotificationType};
use proof::engine_process::{Asked, Told};

impl World {
    pub(in crate::simulate) fn check_engine(
        &mut self,
        p: usize,
        before: &View,
        asked: &[Asked],
        told: &[Told],
        after: &View,
    ) {
        for (asked, told) in asked.iter().zip(told) {
            if let (Asked::Authorize(request), Told::Authorize(response)) = (asked, told)
                && response.result() == CallResult::Done
                && let Ok(session) = request.session_id.parse()
            {
                let anew = self.truth.agreed.insert(session);
                self.check_wanted(p, request, anew);
            }
            if let (Asked::Act(Act::AskManual { request, .. }), Told::Panel(Ok(()))) = (asked, told) {
                let life = self.points[p].life;
                self.truth.manual.wanted.insert((p, life, request.clone()), self.at);
            }
        }
        let ([Asked::Authorize(request)], [Told::Authorize(response)]) = (asked, told) else { return };
        if response.result() != CallResult::Done {
            return;
        }
        let repeat = |view: &View| {
            view.current.as_ref().is_some_and(|record| {
                record.session.as_str() == request.session_id
                    && record.authorization == request.authorization_number
            })
        };
        let fresh = request.authorization_number > before.highest;
        let known = before.instance.as_str() == request.instance_id && after.instance == before.instance;
        let id = self.points[p].id.clone();
        self.expect("INV-8", (fresh || repeat(before)) && known, || {
            format!(
                "{id}, which has seen {}, takes authorisation {} for session {}",
                before.highest, request.authorization_number, request.session_id
            )
        });
    }

    /// What central says was asked for there was, a moment ago: nobody else starts it, or is billed for it.
    fn check_wanted(&mut self, p: usize, request: &AuthorizeSupplyRequest, anew: bool) {
        let (Some(id), Ok(driver)) = (&request.manual_request_id, request.driver_id.parse()) else { return };
        let Ok(id) = id.parse() else { return };
        let wanted = (p, self.points[p].life, ManualRequest { id, driver: Some(driver) });
        let since = self
            .truth
            .manual
            .wanted
            .get(&wanted)
            .is_some_and(|at| self.at < at + ASKS_FOR.as_millis() as u64);
        self.expect("INV-10", since || !anew, || {
            format!("session {} is granted, and nobody asked for it at the charge point", request.session_id)
        });
    }

    /// An engine's answer is about to leave: it says nothing that is not on its disk, and forgets nothing.
    pub(in crate::simulate) fn check_answer(&mut self, p: usize, result: &Result<EngineAnswer, CallFailed>) {
        let Ok(EngineAnswer { report, .. }) = result else { return };
        let told = self.truth.highest_told.entry(report.instance.clone()).or_default();
        let (before, now) = (*told, report.highest_authorization);
        *told = now.max(before);
        let id = self.points[p].id.clone();
        self.expect("INV-8", now >= before, || {
            format!("{id} has forgotten its authorisations: it has seen {before}, and says {now}")
        });
        for Claim { record, .. } in report.current.iter().chain(&report.unsettled) {
            if record.seq == 0 {
                continue; // not taken up
            }
            let known = self.truth.supplies.get(&record.session);
            let there = known.is_some_and(|known| known.energy >= record.energy && known.seq >= record.seq);
            self.expect("INV-6", there, || {
                format!("{id} tells of session {} what is not on its disk", record.session)
            });
        }
        let kept = self.truth.supplies.iter().filter(|(_, s)| s.ended && s.instance == report.instance);
        let missing = kept.map(|(session, _)| session).find(|session| {
            let known = self.truth.sessions.get(*session);
            known.is_none_or(|known| known.ticket().is_none() && !known.closed())
                && !self.truth.lied.contains(*session) // what it had settled, and told again, is not kept
                && report
                    .unsettled
                    .iter()
                    .chain(&report.current)
                    .all(|claim| claim.record.session != **session)
        });
        let missing = missing.filter(|_| !self.truth.restored).cloned();
        self.expect("INV-1", missing.is_none(), || {
            format!("{id} does not tell of session {missing:?}, which has no ticket yet")
        });
    }

    /// A reading is about to be published.
    pub(in crate::simulate) fn check_published(&mut self, p: usize, payload: &[u8]) {
        let Some((session, energy, seq)) = reading_of(payload) else { return };
        let known = self.truth.supplies.get(&session);
        let there = known.is_some_and(|known| known.energy >= energy && known.seq >= seq);
        let id = self.points[p].id.clone();
        self.expect("INV-6", there, || {
            format!("{id} publishes {energy} of session {session}, which is not on its disk")
        });
    }

    // --- drivers ---

    pub(in crate::simulate) fn check_notified(&mut self, key: &str, payload: &[u8], outbox: bool) {
        let Ok(told) = serde_json::from_slice::<Notification>(payload) else {
            return self.broken("INV-7", "a notification cannot be read".into());
        };
        self.tally.count(&format!("told {}", word(told.kind)));
        self.expect("INV-5", key == told.user_id, || {
            format!("a message for {} has the key {key}", told.user_id)
        });
        if told.kind == NotificationType::Denied {
            self.truth.denied.extend(told.event_id.clone());
        }
        let Some(id) = told.session_id.as_deref().and_then(|id| id.parse::<SessionId>().ok()) else { return };
        let restored = self.truth.restored;
        let Some(known) = self.truth.sessions.get(&id).cloned() else {
            return self.expect("INV-6", restored, || {
                format!("a driver is told of session {id}, which is not on disk")
            });
        };
        self.expect("INV-5", known.driver.as_str() == key, || format!("session {id} is told to {key}"));
        let on_disk = match told.kind {
            NotificationType::Authorized => rank(known.state()) >= 1,
            NotificationType::Denied => rank(known.state()) == 3,
            NotificationType::SupplyError => match known.state() {
                State::Authorizing | State::Reserved => false,
                State::Ended(Outcome::Rejected) => known.review().is_some() || known.ticket().is_some(),
                State::Supplying => !known.trouble().is_empty(),
                State::Ended(_) => true,
            },
            NotificationType::Ticket => known.ticket().is_some(),
            NotificationType::ConsumptionUpdate => true,
        };
        self.expect("INV-6", on_disk || restored, || {
            format!("{} of session {id} is told before it is on disk", word(told.kind))
        });
        if told.kind == NotificationType::Ticket
            && let Some(ticket) = known.ticket()
        {
            let same = told.kwh == Some(ticket.energy.kwh())
                && told.importe == Some(ticket.amount.micros as f64 / 1e6);
            self.expect("INV-4", same || restored, || {
                format!("session {id} is told another ticket than it has")
            });
        }
        if told.kind == NotificationType::ConsumptionUpdate {
            let engine = self.truth.supplies.get(&id).map_or(0, |supplied| supplied.seq);
            self.expect("INV-10", told.seq.is_none_or(|seq| seq <= engine), || {
                format!("a reading of session {id} has number {:?}, and its engine is at {engine}", told.seq)
            });
            let granted = self.truth.told.get(&id).is_some_and(|told| told.kinds.contains("AUTH_OK"));
            self.expect("INV-6", granted || restored, || {
                format!("a reading of session {id} is told before its AUTH_OK")
            });
        }
        let seen = self.truth.told.entry(id.clone()).or_default();
        seen.kinds.insert(word(told.kind));
        let event = told.event_id.unwrap_or_default();
        if outbox && seen.events.insert(event) {
            let (last, now) = (seen.last_seq, told.seq);
            seen.last_seq = now;
            self.expect("INV-6", last < now || restored, || {
                format!("{} of session {id} has number {now:?}, after {last:?}", word(told.kind))
            });
        }
    }

    /// Central shows a session: as far as its disk goes, and nothing that was shown before is taken back (INV-6).
    pub(in crate::simulate) fn check_shown(&mut self, session: &Session) {
        let id = &session.id;
        let known = self.truth.sessions.get(id);
        let there = known.is_some_and(|known| {
            rank(known.state()) >= rank(session.state())
                && known.ticket().map(|ticket| ticket.amount) == session.ticket().map(|ticket| ticket.amount)
        });
        self.expect("INV-6", there, || format!("session {id} is shown as its disk does not have it"));
    }

    pub(in crate::simulate) fn check_forgotten(&mut self, id: &SessionId) {
        let known = self.truth.sessions.contains_key(id) && !self.truth.forgotten.contains(id);
        self.expect("INV-6", !known, || format!("session {id} is on disk, and not shown to its driver"));
    }

    /// An app shows a ticket to its driver.
    pub(in crate::simulate) fn check_shown_ticket(&mut self, a: usize, shown: &requests::Ticket) {
        let driver = self.apps[a].driver.clone();
        let id = &shown.session;
        let theirs = self.truth.sessions.get(id).is_none_or(|session| session.driver == driver);
        self.expect("INV-5", theirs, || format!("{driver} is shown the ticket of session {id}"));
        let issued = self.truth.tickets.get(id).copied();
        let same =
            issued.is_some_and(|issued| issued.energy == shown.energy && issued.amount == shown.amount);
        let restored = self.truth.restored;
        self.expect("INV-4", same || restored, || {
            format!("{driver} is shown {} for session {id}, whose ticket is {issued:?}", shown.amount)
        });
    }
}
