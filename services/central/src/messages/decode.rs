//! A message on `cp_telemetry`, from its bytes to what the rules take: nothing of it is believed before it is checked.

use super::unreadable::unreadable;
use crate::gauges;
use domain::network::{Gauges, Message, MessageKind};
use domain::{
    ChargePointId, Energy, Wall,
    ids::MAX_NUMBER,
    text::{cut_reason, short_number},
};
use evmesh_proto::topics::{Telemetry, TelemetryType};
use identity::KeyName;
use mesh::convert::supply_end;
use std::{fmt::Display, str::FromStr};

/// The longest message that is read, and the most of one that a dead letter keeps: a hundred times what an engine
/// sends, and little enough for the store.
pub(super) const MAX_BYTES: usize = 16 * 1024;

/// Reads a message and the key that it came under. The error says what is wrong with it, as a sentence for people.
pub fn decode(key: &[u8], payload: &[u8]) -> Result<Message, String> {
    read(key, payload, None)
}

/// `sealed` is with whose key it was.
fn read(key: &[u8], payload: &[u8], sealed: Option<&KeyName>) -> Result<Message, String> {
    if payload.len() > MAX_BYTES {
        return Err(format!("it has {} bytes; at most {MAX_BYTES} are read", payload.len()));
    }
    let telemetry: Telemetry = serde_json::from_slice(payload).map_err(|_| unreadable(payload))?;
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
    if let Some(field) = telemetry.missing(sealed.is_some()) {
        return Err(format!("{field} is missing"));
    }
    let charge_point = match (telemetry.cp_id.as_str(), sealed) {
        ("", Some(sealed)) => sealed.charge_point.clone(),
        ("", None) => return Err("cp_id is missing".to_owned()),
        (id, _) => id_of("cp_id", id)?,
    };
    let session = session.filter(|_| !key.is_empty()); // nobody sends that but the old system's producers: it is bare
    check_key(key, &charge_point)?;
    Ok(Message {
        kind: match telemetry.end().and_then(supply_end) {
            Some(end) => MessageKind::Ended(end),
            None if telemetry.kind == TelemetryType::SessionStarted => MessageKind::Started,
            None => MessageKind::Reading,
        },
        charge_point,
        driver,
        session,
        energy,
        gauges: gauges::told(&telemetry)?,
        sealed: sealed.map(|key| key.epoch),
        reason: cut_reason(telemetry.reason.as_deref().unwrap_or_default()),
        // The sender's clock may be wrong: a date that is none is left out rather than the reading.
        at: telemetry.timestamp.and_then(Wall::from_seconds),
    })
}

/// The same of what was sealed with this key, if it was, and is opened now.
pub(super) fn decode_as(key: &[u8], plain: &[u8], sealed: Option<&KeyName>) -> Result<Message, String> {
    let Some(sealed) = sealed else { return decode(key, plain) };
    if key != sealed.charge_point.as_str().as_bytes() {
        return Err(format!("it is sealed with a key of {}, and has another Kafka key", sealed.charge_point));
    }
    let message = read(key, plain, Some(sealed))?;
    if message.charge_point != sealed.charge_point {
        return Err(format!(
            "its cp_id is {}, and it is sealed with a key of {}",
            message.charge_point, sealed.charge_point
        ));
    }
    Ok(message)
}

/// What a reading says, where it is one of a session, with its texts in the bytes that it is read from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read<'a> {
    pub(super) session: &'a str,
    pub(super) driver: Option<&'a str>,
    pub(super) seq: u64,
    pub(super) energy: Energy,
    pub(super) gauges: Gauges,
}

/// Reads one at once. `None`: it is no such reading, or what is wrong with it is for [`decode`] to say. Its ids are not
/// checked: they are those of something that exists, or `decode` is asked, too.
pub(super) fn reading<'a>(key: &[u8], payload: &'a [u8], sealed: Option<&KeyName>) -> Option<Read<'a>> {
    if payload.len() > MAX_BYTES {
        return None;
    }
    let told: Telemetry<&str> = serde_json::from_slice(payload).ok()?;
    let whose = match (sealed, told.cp_id.as_bytes()) {
        (None, cp_id) => cp_id == key,
        (Some(sealed), cp_id) => {
            key == sealed.charge_point.as_str().as_bytes() && (cp_id.is_empty() || cp_id == key)
        }
    };
    let seq = told.seq.filter(|seq| (1..=MAX_NUMBER).contains(seq))?;
    let is_plain = whose && !key.is_empty() && told.kind == TelemetryType::Consumption;
    (is_plain && told.missing(sealed.is_some()).is_none()).then_some(())?;
    let (session, energy) = (told.session_id?, Energy::from_kwh(told.kwh?)?);
    Some(Read { session, driver: told.user_id, seq, energy, gauges: gauges::told(&told).ok()? })
}

/// Who publishes for a charge point uses its id as the key.
fn check_key(key: &[u8], charge_point: &ChargePointId) -> Result<(), String> {
    if key.is_empty() || key == charge_point.as_str().as_bytes() {
        return Ok(());
    }
    let key = String::from_utf8_lossy(&key[..key.len().min(64)]).into_owned();
    Err(format!(
        "its key is {key:?}, and its cp_id {charge_point}: they must be the same, or the key be left out"
    ))
}

fn id_of<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|problem| format!("{field} {problem}"))
}

fn energy(kwh: f64) -> Result<Energy, String> {
    Energy::from_kwh(kwh).ok_or_else(|| format!("kwh is {}, which no supply delivers", short_number(kwh)))
}

#[cfg(test)]
mod tests {
    use super::decode as decode_under;
    use super::*;
    use domain::{Power, SupplyEnd};
    use proptest::prelude::*;

    /// Under the key that it must have.
    fn decode(payload: &[u8]) -> Result<Message, String> {
        let message: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
        decode_under(message["cp_id"].as_str().unwrap_or_default().as_bytes(), payload)
    }

    /// The fields that each type needs: the README's table, `asyncapi.yaml` and this decoder have one truth.
    #[test]
    fn the_papers_and_the_decoder_agree_on_what_each_type_needs() {
        use testing::contract;
        let readme = include_str!("../../../../README.md");
        for kind in TelemetryType::ALL {
            let word = kind.word();
            let row = readme.lines().find(|line| line.starts_with(&format!("| `{word}` |"))).expect(word);
            let column = row.split('|').nth(2).unwrap();
            let in_readme: Vec<&str> = column.split('`').skip(1).step_by(2).collect();
            let topic = evmesh_proto::topics::CP_TELEMETRY;
            let (_, described) = contract::messages(topic).find(|(name, _)| *name == word).expect(word);
            let parts = described["payload"]["allOf"].as_array().unwrap();
            let required = parts.iter().flat_map(|part| part["required"].as_array().into_iter().flatten());
            let in_asyncapi: Vec<&str> = required.map(|field| field.as_str().unwrap()).collect();
            assert_eq!(
                (in_readme.as_slice(), in_asyncapi.as_slice()),
                (kind.needs(), kind.needs()),
                "{word}"
            );

            let whole = serde_json::json!({"type": word, "cp_id": "A", "user_id": "1", "kwh": 1.0, "importe": 0.1,
                "reason": "r", "timestamp": 1.5, "session_id": "s", "seq": 2, "event_id": "e", "kw": 1.0,
                "currency": "EUR"});
            let fields: Vec<&String> = whole.as_object().unwrap().keys().collect();
            for field in &fields {
                let mut message = whole.clone();
                message.as_object_mut().unwrap().remove(*field);
                let needed = ["type", "cp_id", "seq"].contains(&field.as_str())
                    || kind.needs().contains(&field.as_str());
                let read = decode_under(b"A", message.to_string().as_bytes());
                let why = format!("{field} is missing");
                assert_eq!(read.is_err(), needed, "{word} without {field}: {read:?}");
                assert!(read.is_ok() || read.unwrap_err().starts_with(&why), "{word}: {why}");
                assert_eq!(!contract::wrong(topic, &message).is_empty(), needed, "{word} without {field}");
            }
            let mut least = serde_json::json!({"type": word, "cp_id": "A"});
            for field in kind.needs() {
                least[field] = whole[field].clone();
            }
            assert!(decode(least.to_string().as_bytes()).is_ok(), "{least}");
            assert!(contract::wrong(topic, &least).is_empty(), "{least}");
        }
    }

    #[test]
    fn a_key_that_is_not_the_charge_point_is_refused_and_without_one_a_message_is_bare() {
        let payload =
            br#"{"type":"CONSUMO","cp_id":"MAD-01","user_id":"1","kwh":1,"session_id":"s","seq":2}"#;
        assert!(decode_under(b"MAD-01", payload).unwrap().session.is_some());
        assert_eq!(decode_under(b"", payload).unwrap().session, None);
        for key in ["MAD-02", "MAD-0", "mad-01", " ", "\u{0}"] {
            let error = decode_under(key.as_bytes(), payload).unwrap_err();
            assert!(error.starts_with(&format!("its key is {key:?}, and its cp_id MAD-01")), "{error}");
        }
        let error = decode_under(&[0xff; 9_000], payload).unwrap_err();
        assert!(error.chars().count() < 256, "{error}");
    }

    /// Of whatever is made of the fields' values, some of which are wrong.
    fn made_up() -> impl Strategy<Value = serde_json::Value> {
        let kind = prop_oneof![4 => Just("CONSUMO"), 1 => Just("SESSION_STARTED"), 1 => Just("SUPPLY_END")];
        let text = |right: &'static str| {
            let wrong =
                prop_oneof![Just(""), Just("a b"), Just("\"\u{e9}"), Just("B")].prop_map(str::to_owned);
            prop_oneof![6 => Just(serde_json::json!(right)), 1 => wrong.prop_map(|text| serde_json::json!(text)),
                1 => Just(serde_json::Value::Null), 1 => Just(serde_json::json!(7))]
        };
        let number = || {
            prop_oneof![6 => (0_u32..90_000).prop_map(|n| serde_json::json!(f64::from(n) / 1e3)),
                1 => Just(serde_json::json!(-1)), 1 => Just(serde_json::json!(1e12)),
                1 => Just(serde_json::Value::Null)]
        };
        let seq = prop_oneof![6 => (0_u64..9).prop_map(|n| serde_json::json!(n)),
            1 => Just(serde_json::json!(u64::MAX)), 1 => Just(serde_json::json!(1.5))];
        (kind, text("A"), text("101"), text("s1"), number(), number(), seq, text("EUR")).prop_map(
            |(kind, cp_id, user_id, session_id, kwh, kw, seq, currency)| {
                serde_json::json!({"type": kind, "cp_id": cp_id, "user_id": user_id, "session_id": session_id,
                    "kwh": kwh, "kw": kw, "seq": seq, "currency": currency, "event_id": "e", "timestamp": 1.5})
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_read_at_once_says_what_the_decoder_says(
            message in made_up(), left_out in 0_usize..12, sealed: bool,
        ) {
            let mut message = message;
            let fields = ["user_id", "kwh", "kw", "seq", "cp_id", "currency"];
            if let Some(field) = fields.get(left_out) {
                message.as_object_mut().unwrap().remove(*field);
            }
            let name: KeyName = "A/4/0a0b0c0d".parse().unwrap();
            let (payload, sealed) = (message.to_string(), sealed.then_some(&name));
            for key in [&b"A"[..], b"", b"B"] {
                let Some(read) = reading(key, payload.as_bytes(), sealed) else { continue };
                let ids = [Some(read.session), read.driver].into_iter().flatten();
                if !ids.clone().all(|id| id.parse::<ChargePointId>().is_ok()) {
                    continue; // nothing that exists has such an id
                }
                let whole = decode_as(key, payload.as_bytes(), sealed).unwrap();
                prop_assert_eq!(whole.kind, MessageKind::Reading);
                prop_assert_eq!(whole.charge_point.as_str().as_bytes(), key);
                prop_assert_eq!(whole.driver.as_ref().map(|id| id.as_str()), read.driver);
                prop_assert_eq!(whole.session, Some((read.session.parse().unwrap(), read.seq)));
                prop_assert_eq!((whole.energy, whole.gauges), (Some(read.energy), read.gauges));
            }
        }
    }

    #[test]
    fn a_reading_of_a_session_is_read_at_once_and_what_else_there_is_is_not() {
        let plain = r#"{"type":"CONSUMO","cp_id":"A","user_id":"1","kwh":1.5,"importe":0.3,"timestamp":1.5,
            "session_id":"s","seq":2,"event_id":"s-2","kw":7.4,"currency":"EUR"}"#;
        assert!(reading(b"A", plain.as_bytes(), None).is_some());
        assert!(reading(b"", plain.as_bytes(), None).is_none(), "it is bare");
        for (from, to) in [
            ("CONSUMO", "SUPPLY_END"),
            (r#""session_id":"s","#, ""),
            (r#""A""#, r#""B""#),
            (r#""seq":2"#, r#""seq":0"#),
            (r#""kw":7.4"#, r#""kw":1e9"#),
            ("1.5,\"imp", "-1.5,\"imp"),
            (r#""user_id":"1","#, ""),
            (r#""1""#, r#""\u0031""#), // an escape: its text is not in the bytes
        ] {
            let other = plain.replacen(from, to, 1);
            assert_ne!(other, plain);
            assert!(reading(b"A", other.as_bytes(), None).is_none(), "{other}");
        }
    }

    #[test]
    fn a_sealed_reading_is_of_its_keys_charge_point_and_of_its_sessions_driver() {
        let key: KeyName = "MAD-01/4/0a0b0c0d".parse().unwrap();
        let payload = br#"{"type":"CONSUMO","kwh":1,"session_id":"s","seq":2}"#;
        let message = read(b"MAD-01", payload, Some(&key)).unwrap();
        assert_eq!(
            (message.charge_point.as_str(), message.driver, message.sealed),
            ("MAD-01", None, Some(4))
        );
        assert_eq!(message.session, Some(("s".parse().unwrap(), 2)));
        for (sealed, payload, why) in [
            (Some(&key), &br#"{"type":"CONSUMO","kwh":1}"#[..], "user_id is missing"),
            (Some(&key), br#"{"type":"CONSUMO","session_id":"s","seq":2}"#, "kwh is missing"),
            (None, payload, "user_id is missing"),
            (None, br#"{"type":"FAULT","session_id":"s","seq":2}"#, "cp_id is missing"),
        ] {
            assert_eq!(read(b"MAD-01", payload, sealed).unwrap_err(), why);
        }
    }

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
            (b"", "it is empty"),
            (b"\xff\xfe", "it is not in UTF-8"),
            (b"{\"type\":\"CONSUMO\"", "it is no JSON: it ends in the middle"),
            (br#"{"type":"NEW","cp_id":"A"}"#, "type is \"NEW\", and must be one of SESSION_STARTED, CONSUMO,"),
            (br#"{"type":"CONSUMO","cp_id":7}"#, "cp_id must be a text, and is a number"),
            (
                br#"{"type":"CONSUMO","cp_id":"A","user_id":"1","kwh":"much"}"#,
                "kwh must be a number, and is a text",
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
