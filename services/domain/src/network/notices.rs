//! What drivers are told.
//!
//! A session's messages carry rising numbers: 0 for the authorisation, the engine's own for readings that it answered
//! with, one above the last of those for an error, two above for the ticket. The echo of telemetry has none: a forged
//! one would make readers drop all that comes after it. Nothing is published for a guest: the engine's screen shows its
//! ticket.

use super::{
    denial::{Denial, SupplyFailure},
    effect::{Effect, Notice, NoticeKind},
    pending::Pending,
    request::{Method, Repeatable},
    session::{Session, ticket::Ticket},
    step::Step,
};
use crate::{ChargePointId, Now, RequestId, SessionId, Trace, Wall};
use std::time::Duration;

/// Readings come a second apart. Where many come together, after Kafka was away or central was, each makes up for the
/// one before, and drivers are not told of all: of so many at once, and then of one in [`APART`].
const AT_ONCE: u32 = 8;
/// See [`AT_ONCE`].
const APART: Duration = Duration::from_millis(500);

impl Step<'_> {
    pub(super) fn notify_authorized(&mut self, id: &SessionId, request: Option<&Repeatable>) {
        let session = self.session(id);
        let kind = NoticeKind::Authorized { card: session.card.clone() };
        let mut notice = self.notice(session, Some(0), Some("auth"), kind);
        notice.request_id = request_id(request);
        self.notify(notice);
    }

    pub(super) fn notify_denied(
        &mut self,
        pending: &Pending,
        charge_point: Option<ChargePointId>,
        id: &SessionId,
        created: bool,
        denial: Denial,
    ) {
        let notice = Notice {
            driver: pending.driver.clone(),
            charge_point,
            session: created.then(|| id.clone()),
            seq: created.then_some(0),
            event_id: Some(format!("{id}-denied")),
            request_id: request_id(pending.request.as_ref()),
            trace: pending.trace.or_else(|| created.then(|| Trace::of(pending.base.as_str()))),
            at: self.now.wall,
            kind: NoticeKind::Denied(denial),
        };
        // The caller has its answer. Without a session a request costs nothing, and neither does its denial: kept until
        // Kafka has it, it would fill the disk of whoever is asked for nonsense.
        if created { self.notify(notice) } else { self.notify_at_once(notice) }
    }

    /// Tells the driver that the supply failed, or that the reservation came to nothing: once a session, which says
    /// why.
    pub(super) fn notify_error(&mut self, id: &SessionId, failure: SupplyFailure) {
        let session = self.session(id);
        let reason = if session.is_open() { session.trouble() } else { session.reason() }.to_owned();
        let energy = session.shown_energy();
        let kind = NoticeKind::Error { failure, reason, energy, amount: session.price.cost(energy) };
        let notice = self.notice(session, Some(session.seq().saturating_add(1)), Some("error"), kind);
        self.notify(notice);
    }

    /// Tells the driver that a person, or the settlement deadline, decides what is billed, whatever it was told before.
    pub(super) fn notify_review(&mut self, id: &SessionId) {
        let session = self.session(id);
        let Some(reported) = session.review() else { return };
        let reason = format!("under review: {}", reported.doubt);
        let energy = session.shown_energy();
        let failure = SupplyFailure::UnderReview;
        let kind = NoticeKind::Error { failure, reason, energy, amount: session.price.cost(energy) };
        // What is not believed raises no number: it comes after an error that was told of the same reading.
        let notice = self.notice(session, Some(session.seq().saturating_add(2)), Some("review"), kind);
        self.notify(notice);
    }

    pub(super) fn notify_ticket(&mut self, id: &SessionId, ticket: Ticket) {
        let session = self.session(id);
        let Ticket { energy, amount, .. } = ticket;
        let kind = NoticeKind::Ticket { energy, amount };
        // A review may have come before: of what its engine reported, or of what telemetry told of one that had ended.
        let settled = session.settled_by().is_some();
        let after_review = ticket.estimated() || settled || session.most_told().is_some();
        let number = session.seq().saturating_add(if after_review { 3 } else { 2 });
        let notice = self.notice(session, Some(number), Some("ticket"), kind);
        self.notify(notice);
    }

    /// What is shown of a supply: at once or never. `seq` is that of its engine's answer, `None` for telemetry's echo.
    pub(super) fn notify_reading(&mut self, id: &SessionId, seq: Option<u64>) {
        let now = self.now;
        for effect in self.session_mut(id).echo(now, seq) {
            self.push(effect);
        }
    }

    fn notice(&self, session: &Session, seq: Option<u64>, event: Option<&str>, kind: NoticeKind) -> Notice {
        let event_id = event.map(|event| format!("{}-{event}", session.id));
        Notice { event_id, ..session.notice(self.now.wall, seq, kind) }
    }

    fn notify_at_once(&mut self, notice: Notice) {
        if !notice.driver.is_guest() {
            self.push(Effect::NotifyAtOnce(notice));
        }
    }

    fn notify(&mut self, notice: Notice) {
        if !notice.driver.is_guest() {
            self.push(Effect::Notify(notice));
        }
    }
}

impl Session {
    /// What tells of a reading that is shown: its driver, and those who watch it. Its engine's answer, which has a
    /// number, always does; of telemetry's its driver is told within [`AT_ONCE`].
    pub(super) fn echo(&mut self, now: Now, seq: Option<u64>) -> impl Iterator<Item = Effect> + use<> {
        let paid = self.live.echoes_paid.max(now.mono);
        let tells = seq.is_some() || paid.since(now.mono) < APART * AT_ONCE;
        let told = (tells && !self.driver.is_guest()).then(|| {
            self.live.echoes_paid = paid + APART;
            let energy = self.shown_energy();
            let power = self.live.gauges.power.unwrap_or_default();
            let kind = NoticeKind::Reading { energy, power, amount: self.price.cost(energy) };
            let event_id = seq.map(|seq| format!("{}-{seq}", self.id));
            Effect::NotifyAtOnce(Notice { event_id, ..self.notice(now.wall, seq, kind) })
        });
        told.into_iter().chain([Effect::Changed(self.id.clone())])
    }

    fn notice(&self, at: Wall, seq: Option<u64>, kind: NoticeKind) -> Notice {
        Notice {
            driver: self.driver.clone(),
            charge_point: Some(self.charge_point.clone()),
            session: Some(self.id.clone()),
            seq,
            event_id: None,
            request_id: None,
            trace: Some(self.trace()),
            at,
            kind,
        }
    }
}

/// A driver knows its own requests only: another call's id, such as an engine's for a manual supply, would tell it
/// nothing.
fn request_id(request: Option<&Repeatable>) -> Option<RequestId> {
    request.filter(|(key, _)| key.method == Method::RequestCharge).map(|(key, _)| key.id.clone())
}
