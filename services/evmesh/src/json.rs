//! Messages of the contracts as JSON for scripts, read off their descriptors: a field that a message gains is shown
//! without a line here.
//!
//! Names are those of the protos, numbers are numbers, times RFC 3339, bytes hexadecimal. An enum's value goes without
//! its enum's name, a status by the network's word for it. What is not set is `null`.

use evmesh_proto::{FILE_DESCRIPTOR_SET, network::ChargePointStatus};
use mesh::convert::hex;
use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, ReflectMessage as _, Value,
};
use prost_types::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::sync::LazyLock;

static DESCRIPTORS: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());

/// A message, ready to be written; `null` if the contract does not know it.
pub(crate) fn of<M: Message + Name>(message: &M) -> impl Serialize + use<M> {
    let descriptor = DESCRIPTORS.as_ref().and_then(|all| all.get_message_by_name(&M::full_name()));
    let bytes = message.encode_to_vec();
    descriptor.and_then(|descriptor| DynamicMessage::decode(descriptor, bytes.as_slice()).ok()).map(Json)
}

struct Json(DynamicMessage);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        fields(&self.0, &mut map)?;
        map.end()
    }
}

/// A charge point's own fields stand among those of its details.
const INLINE: &str = "evmesh.network.v1.ChargePointDetail.charge_point";

/// A charge point's own count, and what is for central alone: they say nothing to anybody else.
const UNSHOWN: [&str; 2] =
    ["evmesh.engine.v1.SupplyRecord.authorization_number", "evmesh.engine.v1.SupplyRecord.signature"];

fn fields<M: SerializeMap>(message: &DynamicMessage, map: &mut M) -> Result<(), M::Error> {
    for field in message.descriptor().fields().filter(|field| !UNSHOWN.contains(&field.full_name())) {
        match &*message.get_field(&field) {
            Value::Message(inner) if field.full_name() == INLINE => fields(inner, map)?,
            _ if field.supports_presence() && !message.has_field(&field) => {
                map.serialize_entry(field.name(), &())?;
            }
            value => map.serialize_entry(field.name(), &Shown { value, field: &field })?,
        }
    }
    Ok(())
}

struct Shown<'a> {
    value: &'a Value,
    field: &'a FieldDescriptor,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.value, self.field.kind()) {
            (Value::Message(inner), _) => match inner.transcode_to::<Timestamp>() {
                Ok(time) if inner.descriptor().full_name() == Timestamp::full_name() => {
                    serializer.collect_str(&time)
                }
                _ => Json(inner.clone()).serialize(serializer),
            },
            (Value::EnumNumber(number), Kind::Enum(of)) => word(*number, &of).serialize(serializer),
            (Value::Bool(value), _) => serializer.serialize_bool(*value),
            (Value::U32(value), _) => serializer.serialize_u32(*value),
            (Value::I32(value), _) => serializer.serialize_i32(*value),
            (Value::U64(value), _) => serializer.serialize_u64(*value),
            (Value::I64(value), _) => serializer.serialize_i64(*value),
            (Value::F64(value), _) => serializer.serialize_f64(*value),
            (Value::List(values), _) => {
                serializer.collect_seq(values.iter().map(|value| Shown { value, field: self.field }))
            }
            (Value::String(value), _) => serializer.serialize_str(value),
            (Value::Bytes(bytes), _) => serializer.serialize_str(&hex(bytes)),
            (other, _) => serializer.collect_str(other),
        }
    }
}

/// The value of an enum; none for the one that is never sent.
fn word(number: i32, of: &EnumDescriptor) -> Option<String> {
    if of.full_name() == "evmesh.network.v1.ChargePointStatus" {
        let status = ChargePointStatus::try_from(number).unwrap_or_default();
        return Some(status.word().to_owned()).filter(|word| !word.is_empty());
    }
    // `SESSION_STATE_UNSPECIFIED` is the first value of every `SessionState`, so it tells what comes before the words.
    let first = of.get_value(0)?;
    let before = first.name().trim_end_matches("UNSPECIFIED");
    let value = of.get_value(number).filter(|value| value.number() != 0)?;
    Some(value.name().trim_start_matches(before).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use evmesh_proto::network::{self, ChargePoint, ChargePointDetail, SessionOutcome, SessionState};
    use serde_json::{json, to_string, to_value};
    use std::collections::BTreeSet;

    #[test]
    fn every_field_is_shown_set_or_not() {
        let session = network::Session {
            session_id: "s1".into(),
            state: SessionState::Ended.into(),
            outcome: SessionOutcome::Faulted.into(),
            price: Some(network::Price { currency_code: "EUR".into(), micros_per_kwh: 350_000 }),
            energy_wh: 1_234,
            create_time: Some(Timestamp { seconds: 0, nanos: 5_000_000 }),
            settled: true,
            ..network::Session::default()
        };
        let shown = to_value(of(&session)).unwrap();
        let expected = json!({
            "session_id": "s1", "charge_point_id": "", "driver_id": "", "state": "ENDED", "outcome": "FAULTED",
            "reason": "", "price": {"currency_code": "EUR", "micros_per_kwh": 350_000}, "energy_wh": 1_234,
            "amount": null, "power_w": 0, "create_time": "1970-01-01T00:00:00.005Z", "start_time": null,
            "end_time": null, "settled": true, "ticket": null, "trouble": "",
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(shown.get(name), Some(value), "{name}");
        }
        let descriptors = DESCRIPTORS.as_ref().unwrap();
        let contract = descriptors.get_message_by_name(&network::Session::full_name()).unwrap();
        let fields = contract.fields().map(|field| field.name().to_owned());
        assert_eq!(shown.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), fields.collect());
    }

    #[test]
    fn a_charge_point_is_one_object_with_the_network_s_word_for_its_status() {
        let charge_point = ChargePoint {
            charge_point_id: "A".into(),
            status: ChargePointStatus::Supplying.into(),
            ..ChargePoint::default()
        };
        let detail = ChargePointDetail { charge_point: Some(charge_point), epoch: 7, ..Default::default() };
        assert_eq!(
            to_string(&of(&detail)).unwrap(),
            r#"{"charge_point_id":"A","location":"","price":null,"status":"SUMINISTRANDO","live":null,"status_reason":"","engine_address":"","epoch":7}"#
        );
        let unknown = to_value(of(&ChargePointDetail::default())).unwrap();
        assert_eq!((&unknown["charge_point_id"], &unknown["status"]), (&json!(""), &json!(null)));
    }
}
