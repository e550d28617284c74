//! What drivers are told, on `driver_notifications`: the seed's messages, field for field.

use domain::network::{Notice, NoticeKind};
use domain::{CardId, ChargePointId, Energy, Money, RequestId, SessionId};
use evmesh_proto::{
    store::StoredMessage,
    topics::{DRIVER_NOTIFICATIONS, Notification, NotificationType},
};
use mesh::trace::TRACEPARENT;

pub(crate) fn notification(notice: &Notice) -> Notification<&str> {
    let Notice { driver, charge_point, session, seq, event_id, request_id, trace: _, at, kind } = notice;
    let mut message = Notification {
        kind: NotificationType::Authorized,
        cp_id: charge_point.as_ref().map(ChargePointId::as_str).unwrap_or_default(),
        user_id: driver.as_str(),
        timestamp: Some(at.seconds()),
        session_id: session.as_ref().map(SessionId::as_str),
        seq: *seq,
        event_id: event_id.as_deref(),
        request_id: request_id.as_ref().map(RequestId::as_str),
        ..Notification::default()
    };
    match kind {
        NoticeKind::Authorized { card } => message.card_id = card.as_ref().map(CardId::as_str),
        NoticeKind::Denied(denial) => {
            message.kind = NotificationType::Denied;
            message.code = Some(denial.reason.as_str());
            message.reason = Some(&denial.text);
        }
        NoticeKind::Reading { energy, power, amount } => {
            message.kind = NotificationType::ConsumptionUpdate;
            message.kwh = Some(energy.kwh());
            message.importe = Some(amount.units());
            message.currency = Some(amount.currency.as_str());
            message.kw = Some(power.kw());
        }
        NoticeKind::Error { failure, reason, energy, amount } => {
            message.kind = NotificationType::SupplyError;
            message.code = Some(failure.as_str());
            message.reason = Some(reason);
            message.kwh_partial = Some(energy.kwh());
            message.importe_partial = Some(amount.units());
            exactly(&mut message, *energy, amount);
        }
        NoticeKind::Ticket { energy, amount } => {
            message.kind = NotificationType::Ticket;
            message.kwh = Some(energy.kwh());
            message.importe = Some(amount.units());
            exactly(&mut message, *energy, amount);
        }
    }
    message
}

/// What is billed, or would be, beside its floating-point form.
fn exactly<'a>(message: &mut Notification<&'a str>, energy: Energy, amount: &'a Money) {
    message.currency = Some(amount.currency.as_str());
    message.energy_wh = Some(energy.wh());
    message.amount_micros = Some(amount.micros);
}

/// The message as it is published.
pub fn payload(notice: &Notice) -> Vec<u8> {
    // Only maps with strange keys, or a failing writer, are no JSON: this is a struct, and the writer is memory.
    serde_json::to_vec(&notification(notice)).expect("a notification is JSON")
}

/// The message as a row of the outbox.
pub(crate) fn row(notice: &Notice) -> StoredMessage {
    StoredMessage {
        topic: DRIVER_NOTIFICATIONS.to_owned(),
        key: notice.driver.to_string(),
        payload: payload(notice),
        headers: notice.trace.map(|trace| (TRACEPARENT.to_owned(), trace.to_string())).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::network::{Denial, Reason, SupplyFailure};
    use domain::{Currency, Power, Wall};
    use serde_json::json;

    fn told(kind: NoticeKind) -> serde_json::Value {
        let notice = Notice {
            driver: "101".parse().unwrap(),
            charge_point: Some("MAD-01".parse().unwrap()),
            session: Some("s1".parse().unwrap()),
            seq: Some(3),
            event_id: Some("s1-3".into()),
            request_id: Some("r-1".parse().unwrap()),
            trace: None,
            at: Wall(1_700_000_000_500),
            kind,
        };
        let payload = payload(&notice);
        testing::contract::check_published(DRIVER_NOTIFICATIONS, &payload);
        serde_json::from_slice(&payload).unwrap()
    }

    fn with(mut more: serde_json::Value) -> serde_json::Value {
        let common = json!({"cp_id": "MAD-01", "user_id": "101", "timestamp": 1_700_000_000.5,
            "session_id": "s1", "seq": 3, "event_id": "s1-3", "request_id": "r-1"});
        more.as_object_mut().unwrap().extend(common.as_object().unwrap().clone());
        more
    }

    #[test]
    fn each_notice_has_the_seeds_fields() {
        let (energy, amount) = (Energy::from_wh(1500), Money { currency: Currency::EUR, micros: 450_000 });
        let by = |card: Option<&str>| NoticeKind::Authorized { card: card.map(|id| id.parse().unwrap()) };
        assert_eq!(told(by(None)), with(json!({"type": "AUTH_OK"})));
        assert_eq!(told(by(Some("card-1"))), with(json!({"type": "AUTH_OK", "card_id": "card-1"})));
        let denial = Denial::new(Reason::ChargePointBusy, "MAD-01 is in use");
        assert_eq!(
            told(NoticeKind::Denied(denial)),
            with(json!({"type": "AUTH_DENIED", "code": "CHARGE_POINT_BUSY", "reason": "MAD-01 is in use"}))
        );
        let reading = NoticeKind::Reading { energy, power: Power::from_w(7400), amount };
        assert_eq!(
            told(reading),
            with(
                json!({"type": "CONSUMO_UPDATE", "kwh": 1.5, "importe": 0.45, "kw": 7.4, "currency": "EUR"})
            )
        );
        for &failure in SupplyFailure::ALL {
            assert_eq!(
                told(NoticeKind::Error { failure, reason: "it broke".into(), energy, amount }),
                with(json!({"type": "SUPPLY_ERROR", "code": failure.as_str(), "reason": "it broke",
                    "kwh_partial": 1.5, "importe_partial": 0.45, "currency": "EUR", "energy_wh": 1500,
                    "amount_micros": 450_000}))
            );
        }
        assert_eq!(
            told(NoticeKind::Ticket { energy, amount }),
            with(json!({"type": "TICKET", "kwh": 1.5, "importe": 0.45, "currency": "EUR", "energy_wh": 1500,
                "amount_micros": 450_000}))
        );
    }

    #[test]
    fn a_denial_without_a_charge_point_names_none() {
        let notice = Notice {
            driver: "101".parse().unwrap(),
            charge_point: None,
            session: None,
            seq: None,
            event_id: None,
            request_id: None,
            trace: None,
            at: Wall(0),
            kind: NoticeKind::Denied(Denial::new(Reason::NoChargePointFree, "none is free")),
        };
        testing::contract::check_published(DRIVER_NOTIFICATIONS, &payload(&notice));
        let told: serde_json::Value = serde_json::from_slice(&payload(&notice)).unwrap();
        let expected = json!({"type": "AUTH_DENIED", "cp_id": "", "user_id": "101",
            "code": "NO_CHARGE_POINT_FREE", "reason": "none is free", "timestamp": 0.0});
        assert_eq!(told, expected);
    }
}
