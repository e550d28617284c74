//! Why a message cannot be read, as a sentence for whoever wrote it: which field, what it must be, what it is.

use evmesh_proto::topics::TelemetryType;
use serde_json::Value;

/// What a field must be; the type in `proto/topics.rs` has the same, which a test holds against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    /// Not negative, and without a fraction.
    Count,
}

const FIELDS: [(&str, Kind); 12] = [
    ("type", Kind::Text),
    ("cp_id", Kind::Text),
    ("user_id", Kind::Text),
    ("kwh", Kind::Number),
    ("importe", Kind::Number),
    ("reason", Kind::Text),
    ("timestamp", Kind::Number),
    ("session_id", Kind::Text),
    ("seq", Kind::Count),
    ("event_id", Kind::Text),
    ("kw", Kind::Number),
    ("currency", Kind::Text),
];

/// The fields that are never null. That `cp_id` is missing is no matter of form: a sealed reading has none.
const NEEDED: [&str; 2] = ["type", "cp_id"];

/// What is wrong with a message that is none.
pub(super) fn unreadable(payload: &[u8]) -> String {
    let Ok(text) = str::from_utf8(payload) else { return "it is not in UTF-8".into() };
    if text.trim().is_empty() {
        return "it is empty".into();
    }
    match serde_json::from_str::<Value>(text) {
        Err(error) if error.is_eof() => "it is no JSON: it ends in the middle".into(),
        Err(error) => format!("it is no JSON: see line {}, column {}", error.line(), error.column()),
        Ok(Value::Object(fields)) => {
            let wrong = FIELDS.iter().find_map(|(name, kind)| wrong(name, *kind, fields.get(*name)));
            wrong.or_else(|| unknown_type(&fields["type"])).unwrap_or_else(|| "it has a field twice".into())
        }
        Ok(other) => format!("it must be one JSON object, and is {}", what(&other)),
    }
}

fn wrong(name: &str, kind: Kind, value: Option<&Value>) -> Option<String> {
    let Some(value) = value else { return (name == "type").then(|| format!("{name} is missing")) };
    let (fits, must) = match kind {
        Kind::Text => (value.is_string(), "a text"),
        Kind::Number => (value.is_number(), "a number"),
        Kind::Count => (value.is_u64(), "a whole number that is not negative"),
    };
    match value {
        Value::Null => NEEDED.contains(&name).then(|| format!("{name} is missing")),
        _ => (!fits).then(|| format!("{name} must be {must}, and is {}", what(value))),
    }
}

fn unknown_type(kind: &Value) -> Option<String> {
    if serde_json::from_value::<TelemetryType>(kind.clone()).is_ok() {
        return None;
    }
    let known = TelemetryType::ALL.map(TelemetryType::word).join(", ");
    let kind: String = kind.as_str().unwrap_or_default().chars().take(64).collect();
    Some(format!("type is {kind:?}, and must be one of {known}"))
}

fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evmesh_proto::topics::Telemetry;
    use serde_json::json;

    /// A message with every field.
    fn whole() -> Value {
        let text = || Some("x".to_owned());
        let whole = Telemetry {
            kind: TelemetryType::Consumption,
            cp_id: "A".into(),
            user_id: text(),
            kwh: Some(1.5),
            importe: Some(0.5),
            reason: text(),
            timestamp: Some(1.5),
            session_id: text(),
            seq: Some(2),
            event_id: text(),
            kw: Some(7.5),
            currency: text(),
        };
        serde_json::to_value(whole).unwrap()
    }

    #[test]
    fn every_field_is_known_and_each_wrong_value_has_its_sentence() {
        let whole = whole();
        let mut names: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let mut fields: Vec<_> = whole.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(names, fields);
        for (name, kind) in FIELDS {
            let values =
                [json!("x"), json!(1), json!(1.5), json!(-1), json!(true), json!([1]), json!({"a": 1})];
            for value in values {
                let mut message = whole.clone();
                message[name] = value.clone();
                let fits = match kind {
                    Kind::Text => value.is_string() && name != "type",
                    Kind::Number => value.is_number(),
                    Kind::Count => value.is_u64(),
                };
                let read = serde_json::from_value::<Telemetry>(message.clone());
                assert_eq!(read.is_ok(), fits, "{name}: {value}");
                if !fits {
                    let sentence = unreadable(message.to_string().as_bytes());
                    let says = sentence.starts_with(&format!("{name} must be "))
                        || sentence.starts_with("type is \"x\", and must be one of ");
                    assert!(says, "{name}: {value}: {sentence}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_message_says_so() {
        for (payload, sentence) in [
            ("", "it is empty"),
            (" \n", "it is empty"),
            ("{", "it is no JSON: it ends in the middle"),
            ("{type: 1}", "it is no JSON: see line 1, column 2"),
            ("[1,2]", "it must be one JSON object, and is a list"),
            ("\"AVERIADO\"", "it must be one JSON object, and is a text"),
            ("null", "it must be one JSON object, and is null"),
            ("{}", "type is missing"),
            (r#"{"type":"FAULT","cp_id":null}"#, "cp_id is missing"),
            (r#"{"type":"CONSUMO","kwh":"much"}"#, "kwh must be a number, and is a text"),
            (r#"{"type":null,"cp_id":"A"}"#, "type is missing"),
            (r#"{"type":"FAULT","cp_id":"A","cp_id":"B"}"#, "it has a field twice"),
            (
                r#"{"type":"CONSUMO","cp_id":"A","seq":1.5}"#,
                "seq must be a whole number that is not negative, and is a number with a fraction",
            ),
        ] {
            assert_eq!(unreadable(payload.as_bytes()), sentence, "{payload}");
        }
        assert_eq!(unreadable(b"\xff{}"), "it is not in UTF-8");
    }
}
