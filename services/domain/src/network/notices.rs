//! What drivers are told.
//!
//! A session's messages carry rising numbers: 0 for the authorisation, the engine's own for readings, one above the last
//! reading for an error, two above for the ticket. Nothing is published for a guest: the engine's screen shows its ticket.

use super::{
    effect::{Denial, Effect, Notice, NoticeKind},
    session::Session,
    step::Step,
};
use crate::{ChargePointId, DriverId, Energy, SessionId};

impl Step<'_> {
    pub(super) fn notify_authorized(&mut self, id: &SessionId) {
        if let Some(session) = self.net.sessions.get(id) {
            let notice = self.notice(session, Some(0), Some("auth"), NoticeKind::Authorized);
            self.notify(notice);
        }
    }

    pub(super) fn notify_denied(
        &mut self,
        driver: DriverId,
        charge_point: Option<ChargePointId>,
        id: &SessionId,
        created: bool,
        denial: Denial,
    ) {
        self.notify(Notice {
            driver,
            charge_point,
            session: created.then(|| id.clone()),
            seq: created.then_some(0),
            event_id: Some(format!("{id}-denied")),
            at: self.now.wall,
            kind: NoticeKind::Denied(denial),
        });
    }

    /// Tells the driver that the supply failed, or that the reservation came to nothing: once a session.
    pub(super) fn notify_error(&mut self, id: &SessionId, reason: String) {
        let Some(session) = self.session(id) else { return };
        if std::mem::replace(&mut session.error_told, true) {
            return;
        }
        if session.state.is_open() {
            session.trouble.clone_from(&reason);
        }
        self.changed(id);
        let Some(session) = self.net.sessions.get(id) else {
            return;
        };
        let energy = session.energy;
        let kind = NoticeKind::Error { reason, energy, amount_micros: session.price.cost(energy).micros };
        let notice = self.notice(session, Some(session.seq.saturating_add(1)), Some("error"), kind);
        self.notify(notice);
    }

    pub(super) fn notify_ticket(&mut self, id: &SessionId) {
        let Some(session) = self.net.sessions.get(id) else {
            return;
        };
        let Some(ticket) = session.ticket else { return };
        let kind = NoticeKind::Ticket { energy: ticket.energy, amount_micros: ticket.amount_micros };
        let notice = self.notice(session, Some(session.seq.saturating_add(2)), Some("ticket"), kind);
        self.notify(notice);
    }

    /// A reading's echo: at once or never. `seq` is the engine's, or `None` for a bare one.
    pub(super) fn notify_reading(&mut self, id: &SessionId, seq: Option<u64>, energy: Energy) {
        let Some(session) = self.net.sessions.get(id) else {
            return;
        };
        let amount_micros = session.price.cost(energy).micros;
        let kind = NoticeKind::Reading { energy, power: session.live.power, amount_micros };
        let mut notice = self.notice(session, seq, None, kind);
        notice.event_id = seq.map(|seq| format!("{id}-{seq}"));
        if !notice.driver.is_guest() {
            self.push(Effect::NotifyReading(notice));
        }
        self.push(Effect::Changed(id.clone()));
    }

    fn notice(&self, session: &Session, seq: Option<u64>, event: Option<&str>, kind: NoticeKind) -> Notice {
        Notice {
            driver: session.driver.clone(),
            charge_point: Some(session.charge_point.clone()),
            session: Some(session.id.clone()),
            seq,
            event_id: event.map(|event| format!("{}-{event}", session.id)),
            at: self.now.wall,
            kind,
        }
    }

    fn notify(&mut self, notice: Notice) {
        if !notice.driver.is_guest() {
            self.push(Effect::Notify(notice));
        }
    }
}
