//! A message on `cp_telemetry`, from its bytes to what the rules take: nothing of it is believed before it is checked.

use crate::gauges;
use domain::network::{Message, MessageKind};
use domain::{Energy, Wall, ids::MAX_NUMBER, text::cut_reason};
use evmesh_proto::topics::{Telemetry, TelemetryType};
use mesh::convert::supply_end;
use std::{fmt::Display, str::FromStr};

/// The longest message that is read, and the most of one that a dead letter keeps: a hundred times what an engine
/// sends, and little enough for the store.
pub(super) const MAX_BYTES: usize = 16 * 1024;

/// Reads a message. The error says what is wrong with it.
pub fn decode(payload: &[u8]) -> Result<Message, String> {
    if payload.len() > MAX_BYTES {
        return Err(format!("it has {} bytes; at most {MAX_BYTES} are read", payload.len()));
    }
    let telemetry: Telemetry =
        serde_json::from_slice(payload).map_err(|error| format!("not readable: {error}"))?;
    let session = match (&telemetry.session_id, telemetry.seq) {
        (None, _) => None, // a number alone says nothing
        (Some(id), Some(seq)) => Some((id_of("session_id", id)?, seq)),
        (Some(_), None) => return Err("seq is missing beside session_id".to_owned()),
    };
    if session.as_ref().is_some_and(|(_, seq)| !(1..=MAX_NUMBER).contains(seq)) {
        return Err(format!("seq must be from 1 to {MAX_NUMBER}"));
    }
    let driver = telemetry.user_id.as_deref().map(|id| id_of("user_id", id)).transpose()?;
    let energy = telemetry.kwh.map(energy).transpose()?;
    if let Some(field) = telemetry.missing() {
        return Err(format!("{field} is missing"));
    }
    Ok(Message {
        kind: match telemetry.end().and_then(supply_end) {
            Some(end) => MessageKind::Ended(end),
            None if telemetry.kind == TelemetryType::SessionStarted => MessageKind::Started,
            None => MessageKind::Reading,
        },
        charge_point: id_of("cp_id", &telemetry.cp_id)?,
        driver,
        session,
        energy,
        gauges: gauges::told(&telemetry)?,
        reason: cut_reason(telemetry.reason.as_deref().unwrap_or_default()),
        // The sender's clock may be wrong: a date that is none is left out rather than the reading.
        at: telemetry.timestamp.and_then(Wall::from_seconds),
    })
}

fn id_of<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|problem| format!("{field} {problem}"))
}

fn energy(kwh: f64) -> Result<Energy, String> {
    Energy::from_kwh(kwh).ok_or_else(|| format!("kwh is {kwh}, which no supply delivers"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Power, SupplyEnd, network::Gauges};
    use proptest::prelude::*;

    #[test]
    fn the_seeds_messages_are_read() {
        let bare = decode(br#"{"type":"CONSUMO","cp_id":"MAD-01","user_id":"101","kwh":0.3,"importe":0.06}"#)
            .unwrap();
        assert_eq!(bare.kind, MessageKind::Reading);
        assert_eq!((bare.session, bare.energy.unwrap().wh(), bare.at), (None, 300, None));
        assert_eq!(bare.gauges, Gauges::default());
        let ours = decode(
            br#"{"type":"SUPPLY_END","cp_id":"MAD-01","user_id":"101","kwh":1.5,"importe":-9,"reason":"stopped",
                "timestamp":1700000000.25,"session_id":"s1","seq":7,"event_id":"e","kw":7.4,"new":[]}"#,
        )
        .unwrap();
        assert_eq!(ours.kind, MessageKind::Ended(SupplyEnd::Stopped));
        assert_eq!(ours.session.unwrap(), ("s1".parse().unwrap(), 7));
        assert_eq!(ours.gauges, Gauges::of(Power::from_w(7400)));
        assert_eq!(ours.at, Some(Wall(1_700_000_000_250)));
        for (kind, end) in [
            ("AVERIADO", SupplyEnd::EngineFault),
            ("CONEXION_PERDIDA", SupplyEnd::MonitorLost),
            ("FAULT", SupplyEnd::EngineFault),
        ] {
            let fault = decode(format!(r#"{{"type":"{kind}","cp_id":"MAD-01"}}"#).as_bytes()).unwrap();
            assert_eq!((fault.kind, fault.driver), (MessageKind::Ended(end), None));
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let long = format!(r#"{{"type":"CONSUMO","cp_id":"{}"}}"#, "x".repeat(65));
        let huge = vec![b' '; MAX_BYTES + 1];
        let cases: [(&[u8], &str); 14] = [
            (b"", "not readable: EOF"),
            (b"\xff\xfe", "not readable"),
            (b"{\"type\":\"CONSUMO\"", "not readable: EOF"),
            (br#"{"type":"NEW","cp_id":"A"}"#, "not readable: unknown variant"),
            (br#"{"type":"CONSUMO","cp_id":7}"#, "not readable: invalid type"),
            (
                br#"{"type":"CONSUMO","cp_id":"A","user_id":"1","kwh":"much"}"#,
                "not readable: invalid type",
            ),
            (
                br#"{"type":"CONSUMO","cp_id":"A","user_id":"1","kwh":-0.1}"#,
                "kwh is -0.1",
            ),
            (
                br#"{"type":"CONSUMO","cp_id":"A","user_id":"1","kwh":1e9}"#,
                "kwh is 1000000000",
            ),
            (
                br#"{"type":"CONSUMO","cp_id":"A","user_id":"1"}"#,
                "kwh is missing",
            ),
            (br#"{"type":"CONSUMO","cp_id":"A","kwh":1}"#, "user_id is missing"),
            (
                br#"{"type":"CONSUMO","cp_id":"A","user_id":"1","kwh":1,"session_id":"s"}"#,
                "seq is missing",
            ),
            (
                br#"{"type":"CONSUMO","cp_id":"A","user_id":"1","kwh":1,"session_id":"s","seq":18446744073709551615}"#,
                "seq must be from 1 to 9007199254740992",
            ),
            (long.as_bytes(), "user_id is missing"),
            (&huge, "it has 16385 bytes"),
        ];
        for (payload, why) in cases {
            let error = decode(payload).unwrap_err();
            assert!(
                error.starts_with(why),
                "{error} for {}",
                String::from_utf8_lossy(&payload[..payload.len().min(80)])
            );
        }
        let long = long.replace("}", r#","user_id":"1","kwh":1}"#);
        assert!(decode(long.as_bytes()).unwrap_err().starts_with("cp_id has 65 characters"));
    }

    proptest! {
        #[test]
        fn nothing_panics(payload in proptest::collection::vec(any::<u8>(), 0..200), reason in ".{0,400}") {
            let _ = decode(&payload);
            let json = serde_json::json!({"type": "FAULT", "cp_id": "A", "reason": reason});
            let read = decode(json.to_string().as_bytes()).unwrap();
            prop_assert!(read.reason.chars().count() <= domain::text::MAX_REASON_CHARS);
        }
    }
}
