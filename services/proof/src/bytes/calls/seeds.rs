//! Good examples of every call: one made from its descriptor with every field set, one without any, and, where only
//! what fits together is understood, some by hand.

use super::{METHODS, path};
use evmesh_proto::{chargepoint, driver, engine, network, operations, registry};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// For a key that nobody has: a new one each time would give other inputs for the same seed.
const CERTIFICATE_REQUEST: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIG6MGICAQAwADBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJDu62VaW+stSPB1
T+SkFjPIpkp4r1vYDdzSiNVFy12QuQOKg4uTGgMaDI+/C3Itn/biENSObJOw9Fk2
0svvMHSgADAKBggqhkjOPQQDAgNIADBFAiAgJfvXRjy/nnh5+B2sYNnEtpTGVtOs
PYD13BtEvRXl8QIhAPmJCpNdUZp0kA0j7fZa8Ue6Y7f23PdKAYYVVw34hfxX
-----END CERTIFICATE REQUEST-----
";

/// The generator of Ed25519's group (RFC 8032, section 5.1), which is somebody's public key.
const GENERATOR: [u8; 32] = {
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    bytes
};

/// Every example, as [`super::calls`] takes it.
pub(in super::super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (at, method) in METHODS.iter().enumerate() {
        let at = u8::try_from(at).expect("there are few methods");
        let full = filled(&method.input()).encode_to_vec();
        // A stream takes several messages; and now and then the frames themselves are to be spoilt.
        let framed = super::frames::framed(1, &full);
        seeds.extend([[&[at, 1][..], &full].concat(), vec![at, 1], [&[at, 0][..], &framed].concat()]);
        let by_hand = by_hand()
            .into_iter()
            .chain(enrolment())
            .chain(cards())
            .chain(gateways())
            .chain([audit()])
            .filter(|(of, _)| path(method).ends_with(of));
        seeds.extend(by_hand.map(|(_, message)| [&[at, 1][..], &message].concat()));
        if method.is_client_streaming() {
            seeds.push([&[at, 2][..], &full, &full].concat());
        }
    }
    seeds
}

/// A message with every field set, and in it the same once more.
fn filled(of: &MessageDescriptor) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    for field in of.fields() {
        let value = value(&field);
        let value = if field.is_list() { Value::List(vec![value]) } else { value };
        if !field.is_map() {
            message.set_field(&field, value);
        }
    }
    message
}

fn value(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::Bool => Value::Bool(true),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(1),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(1),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(1),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(1),
        Kind::Float => Value::F32(1.5),
        Kind::Double => Value::F64(1.5),
        Kind::Bytes => Value::Bytes(bytes::Bytes::from_static(b"bytes")),
        Kind::String => Value::String(text(field.name()).into()),
        Kind::Enum(of) => Value::EnumNumber(of.values().last().map_or(0, |value| value.number())),
        Kind::Message(of) => Value::Message(filled(&of)),
    }
}

/// What makes sense in a field of this name.
fn text(field: &str) -> &'static str {
    match field {
        "currency_code" => "EUR",
        "instance_id" => "store",
        "monitor_id" => "monitor",
        "page_token" => "",
        "card_id" => "card-0123456789",
        "role" => "charge-point/MAD-01/engine",
        "hosts" => "10.0.0.7",
        name if name.ends_with("address") => "127.0.0.1:1",
        _ => "MAD-01",
    }
}

/// With a request that is signed: anything else goes no further.
fn enrolment() -> [(&'static str, Vec<u8>); 2] {
    let certificate_request = CERTIFICATE_REQUEST.to_owned();
    let renew = registry::RenewRequest { certificate_request: certificate_request.clone() };
    let enrol = registry::EnrolRequest { secret: vec![7; 32], certificate_request };
    [("/Enrol", enrol.encode_to_vec()), ("/Renew", renew.encode_to_vec())]
}

/// A card is named by its id or by its number, and at a charge point whose a supply is by a card or a driver.
fn cards() -> [(&'static str, Vec<u8>); 5] {
    let (card_id, number) = ("card-0123456789".to_owned(), "04:A1:B2:C3".to_owned());
    let manual = chargepoint::RequestManualSupplyRequest {
        charge_point_id: "MAD-01".into(),
        instance_id: "store".into(),
        driver_id: "101".into(),
        request_id: "r1".into(),
        ..Default::default()
    };
    let shown = chargepoint::RequestManualSupplyRequest {
        driver_id: String::new(),
        card: number.clone(),
        ..manual.clone()
    };
    let add = registry::AddCardRequest {
        number: number.clone(),
        driver_id: "101".into(),
        label: "gym".into(),
        ..Default::default()
    };
    let block = registry::BlockCardRequest { card_id, ..Default::default() };
    let unblock = registry::UnblockCardRequest { number, ..Default::default() };
    [
        ("/RequestManualSupply", manual.encode_to_vec()),
        ("/RequestManualSupply", shown.encode_to_vec()),
        ("/AddCard", add.encode_to_vec()),
        ("RegistryService/BlockCard", block.encode_to_vec()),
        ("/UnblockCard", unblock.encode_to_vec()),
    ]
}

/// A gateway is given charge points, of which one is named twice; the same are taken from it.
fn gateways() -> [(&'static str, Vec<u8>); 2] {
    let (gateway, charge_point_ids) =
        ("site-7".to_owned(), ["MAD-01", "MAD-02", "MAD-01"].map(str::to_owned).to_vec());
    let add = registry::AddGatewayChargePointsRequest {
        gateway: gateway.clone(),
        charge_point_ids: charge_point_ids.clone(),
    };
    let remove = registry::RemoveGatewayChargePointsRequest { gateway, charge_point_ids };
    [("/AddGatewayChargePoints", add.encode_to_vec()), ("/RemoveGatewayChargePoints", remove.encode_to_vec())]
}

fn audit() -> (&'static str, Vec<u8>) {
    let request = operations::ListAuditEntriesRequest { actor: "operator/ana".into(), ..Default::default() };
    ("/ListAuditEntries", request.encode_to_vec())
}

fn by_hand() -> Vec<(&'static str, Vec<u8>)> {
    let (driver_id, session_id) = ("101".to_owned(), "s1".to_owned());
    let price = Some(network::Price { currency_code: "EUR".into(), micros_per_kwh: 300_000 });
    let (instance_id, point) = ("store".to_owned(), "MAD-01".to_owned());
    let request = driver::RequestChargeRequest {
        driver_id: driver_id.clone(),
        charge_point_id: point.clone(),
        location_prefix: String::new(),
        request_id: "r1".into(),
        max_price: price.clone(),
    };
    let any = driver::RequestChargeRequest {
        charge_point_id: String::new(),
        location_prefix: "Madrid".into(),
        ..request.clone()
    };
    let list = driver::ListSessionsRequest { driver_id, page_size: 10, page_token: "token".into() };
    let charge_point_ids = vec![point.clone()];
    let authorize = engine::AuthorizeSupplyRequest {
        instance_id: instance_id.clone(),
        authorization_number: 7,
        session_id: session_id.clone(),
        driver_id: "101".into(),
        price: price.clone(),
        duration: Some(prost_types::Duration { seconds: 30, nanos: 0 }),
        signature: vec![7; 110],
        ..Default::default()
    };
    let register = chargepoint::RegisterChargePointRequest {
        charge_point_id: point,
        location: "Madrid".into(),
        price: price.clone(),
        engine_address: "127.0.0.1:1".into(),
        instance_id: instance_id.clone(),
        monitor_id: "monitor".into(),
        newest_epoch: 0,
    };
    let signing_key = operations::SigningKey {
        network_id: "evmesh".into(),
        public_key: GENERATOR.to_vec(),
        create_time: None,
    };
    vec![
        ("/RequestCharge", request.encode_to_vec()),
        ("/RequestCharge", any.encode_to_vec()),
        ("driver.v1.DriverService/ListSessions", list.encode_to_vec()),
        (
            "/ListChargePoints",
            driver::ListChargePointsRequest { page_size: 10, ..Default::default() }.encode_to_vec(),
        ),
        ("/RegisterChargePoint", register.encode_to_vec()),
        (
            "/StopChargePoints",
            operations::StopChargePointsRequest { all: true, ..Default::default() }.encode_to_vec(),
        ),
        (
            "/ResumeChargePoints",
            operations::ResumeChargePointsRequest { charge_point_ids, ..Default::default() }.encode_to_vec(),
        ),
        ("/AuthorizeSupply", authorize.encode_to_vec()),
        (
            "/AuthorizeSupply",
            engine::AuthorizeSupplyRequest { manual_request_id: Some("r1".into()), ..authorize }
                .encode_to_vec(),
        ),
        (
            "/ConfirmSettled",
            engine::ConfirmSettledRequest {
                instance_id,
                session_ids: vec![session_id],
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "/TrustSigningKeys",
            operations::TrustSigningKeysRequest { keys: vec![signing_key] }.encode_to_vec(),
        ),
    ]
}
