//! What the engine publishes: the messages of `cp_telemetry`.

use domain::{
    ChargePointId, InstanceId, SupplyRecord, Trace,
    supply::{Cause, Event, EventKind},
};
use evmesh_proto::topics::{Telemetry, TelemetryType};

/// What a running supply tells each second: nothing of it is kept.
pub fn reading(charge_point: &ChargePointId, record: &SupplyRecord) -> Telemetry {
    Telemetry {
        timestamp: record.read_at.map(domain::Wall::seconds),
        ..of_session(charge_point, TelemetryType::Consumption, record)
    }
}

/// A lifecycle event: a beginning, an end, a fault.
pub fn event(charge_point: &ChargePointId, instance: &InstanceId, event: &Event) -> Telemetry {
    let without_session = |kind, reason| Telemetry {
        kind,
        cp_id: charge_point.to_string(),
        reason: Some(reason),
        // The outbox counts from 1 again when it was empty at a start: with the time it is unique.
        event_id: Some(format!("{instance}-{}-{}", event.at.0, event.id)),
        ..Telemetry::default()
    };
    let message = match &event.kind {
        EventKind::Started(record) => of_session(charge_point, TelemetryType::SessionStarted, record),
        EventKind::Ended(record, cause) => {
            let kind = match cause {
                Cause::Stopped | Cause::Full | Cause::TimeOver | Cause::Unplugged => TelemetryType::SupplyEnd,
                Cause::EngineFault(_) => TelemetryType::EngineFault,
                Cause::MonitorLost => TelemetryType::MonitorLost,
                Cause::Interrupted => TelemetryType::Fault,
            };
            Telemetry {
                // The total as it will be billed, so that the two never differ by a rounding.
                importe: Some(record.price.bill(record.energy).units()),
                reason: Some(cause.to_string()),
                ..of_session(charge_point, kind, record)
            }
        }
        EventKind::Broke(reason) => without_session(TelemetryType::EngineFault, reason.clone()),
        EventKind::MonitorLost => without_session(TelemetryType::MonitorLost, Cause::MonitorLost.to_string()),
    };
    Telemetry { timestamp: Some(event.at.seconds()), ..message }
}

/// All that is told of a session is one trace: that of the call that authorised it, if it had one.
pub fn trace(record: Option<&SupplyRecord>, message: &Telemetry) -> Trace {
    match record {
        Some(record) => record.trace.unwrap_or_else(|| Trace::of(record.session.as_str())),
        None => message.event_id.as_deref().map_or_else(mesh::trace::root, Trace::of),
    }
}

/// The message as Kafka carries it.
pub fn payload(message: &Telemetry) -> Vec<u8> {
    serde_json::to_vec(message).expect("strings and numbers are always JSON")
}

fn of_session(charge_point: &ChargePointId, kind: TelemetryType, record: &SupplyRecord) -> Telemetry {
    Telemetry {
        kind,
        cp_id: charge_point.to_string(),
        user_id: Some(record.driver.to_string()),
        kwh: Some(record.energy.kwh()),
        importe: Some(record.price.cost(record.energy).units()),
        session_id: Some(record.session.to_string()),
        seq: Some(record.seq),
        event_id: Some(format!("{}-{}", record.session, record.seq)),
        kw: Some(record.power.kw()),
        currency: Some(record.price.currency().to_string()),
        ..Telemetry::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::running;
    use domain::Wall;
    use serde_json::{Value, json};

    fn message_of(kind: EventKind) -> Telemetry {
        let event = Event { id: 4, at: Wall(1_700_000_003_500), kind };
        super::event(&"MAD-01".parse().unwrap(), &"i".parse().unwrap(), &event)
    }

    fn published(message: &Telemetry) -> Value {
        let payload = payload(message);
        testing::contract::check_published(evmesh_proto::topics::CP_TELEMETRY, &payload);
        serde_json::from_slice(&payload).unwrap()
    }

    #[test]
    fn a_reading_has_the_seeds_fields_and_ours() {
        let json = published(&reading(&"MAD-01".parse().unwrap(), &running()));
        assert_eq!(
            json,
            json!({
                "type": "CONSUMO", "cp_id": "MAD-01", "user_id": "ana", "kwh": 0.3, "importe": 0.09,
                "timestamp": 1_700_000_002.0, "session_id": "s1", "seq": 3, "event_id": "s1-3", "kw": 50.0,
                "currency": "EUR",
            })
        );
    }

    #[test]
    fn each_end_has_its_type_and_reason() {
        for (cause, kind, reason) in [
            (Cause::Full, "SUPPLY_END", "the car is full"),
            (Cause::TimeOver, "SUPPLY_END", "the car left"),
            (Cause::Unplugged, "SUPPLY_END", "unplugged"),
            (Cause::Stopped, "SUPPLY_END", "stopped"),
            (Cause::EngineFault("smoke".into()), "AVERIADO", "smoke"),
            (Cause::MonitorLost, "CONEXION_PERDIDA", "monitor lost"),
            (Cause::Interrupted, "FAULT", "interrupted"),
        ] {
            let message = message_of(EventKind::Ended(running(), cause.clone()));
            assert_eq!(
                message.end(),
                Some(mesh::convert::supply_end_proto(cause.end())),
                "it is read as it is meant"
            );
            let json = published(&message);
            assert_eq!((&json["type"], &json["reason"]), (&json!(kind), &json!(reason)));
            assert_eq!(
                (&json["kwh"], &json["importe"], &json["user_id"]),
                (&json!(0.3), &json!(0.09), &json!("ana"))
            );
        }
    }

    #[test]
    fn a_fault_without_a_session_names_no_one() {
        assert_eq!(
            published(&message_of(EventKind::Broke("smoke".into()))),
            json!({
                "type": "AVERIADO", "cp_id": "MAD-01", "reason": "smoke", "timestamp": 1_700_000_003.5,
                "event_id": "i-1700000003500-4",
            })
        );
        assert_eq!(published(&message_of(EventKind::MonitorLost))["type"], "CONEXION_PERDIDA");
    }
}
