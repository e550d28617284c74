//! Good examples of every target's input, to be spoilt.

use evmesh_proto::store;
use prost::Message;

/// The examples of a target.
pub(super) fn of(target: &str) -> Vec<Vec<u8>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match target {
        "telemetry" => texts(&[
            r#"{"type":"CONSUMO","cp_id":"MAD-01","user_id":"101","kwh":0.3,"importe":0.06}"#,
            r#"{"type":"SESSION_STARTED","cp_id":"MAD-01","user_id":"101","session_id":"s1","seq":1,"timestamp":1.5e9}"#,
            r#"{"type":"SUPPLY_END","cp_id":"MAD-01","user_id":"101","kwh":1.5,"importe":0.5,"reason":"stopped","timestamp":1700000000.25,"session_id":"s1","seq":7,"event_id":"e","kw":7.4,"new":[]}"#,
            r#"{"type":"AVERIADO","cp_id":"MAD-01","reason":"broken"}"#,
            r#"{"type":"CONEXION_PERDIDA","cp_id":"MAD-01","user_id":"101","kwh":0.2}"#,
            r#"{"type":"FAULT","cp_id":"MAD-01","session_id":"s1","seq":3,"kwh":1}"#,
        ]),
        "notification" => texts(&[
            r#"{"type":"TICKET","cp_id":"MAD-01","user_id":"101","kwh":1.5,"importe":0.45,"session_id":"s1","timestamp":1.7e9}"#,
            r#"{"type":"AUTH_OK","cp_id":"MAD-01","user_id":"101","session_id":"s1"}"#,
            r#"{"type":"AUTH_DENIED","cp_id":"MAD-01","user_id":"101","reason":"busy"}"#,
            r#"{"type":"CONSUMO_UPDATE","cp_id":"MAD-01","user_id":"101","kwh":1.0,"importe":0.3}"#,
            r#"{"type":"SUPPLY_ERROR","cp_id":"MAD-01","user_id":"101","reason":"expired","kwh_partial":0,"importe_partial":0}"#,
        ]),
        "network_status" => texts(&[
            r#"{"type":"NETWORK_STATUS_UPDATE","cps":[{"id":"MAD-01","status":"ACTIVADO","location":"Madrid"}],"timestamp":1.7e9}"#,
            r#"{"type":"NETWORK_STATUS_UPDATE","cps":[],"broadcast_id":"b1","part":1,"parts":2}"#,
            r#"{"type":"NETWORK_STATUS_UPDATE","cps":[{"id":"A","status":"PARADO","location":""}],"broadcast_id":"b1","part":2,"parts":2}"#,
        ]),
        "charge_request" => texts(&[
            r#"{"user_id":"101","cp_id":"MAD-01","timestamp":1700000000.0}"#,
            r#"{"user_id":"101","cp_id":7,"timestamp":"now","new":[]}"#,
        ]),
        "requests_file" => texts(&[
            "MAD-01\nany Madrid expect=denied:CHARGE_POINT_BUSY # why\n\nBCN-02 expect=fault\n",
            "any\r\nMAD-01 expect=denied\r\n",
        ]),
        "words" => texts(&[
            "MAD-01",
            "0.30 EUR",
            "127.0.0.1:50051",
            "http://central:50051",
            "[::1]:1",
            "INVITADO",
            "12.345678 USD",
            "EUR",
        ]),
        // By the secret of the target.
        "sealed" => vec![
            [
                "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiTUFELTAxLzQvMTMwMDRjMWQifQ..",
                "AAECAwQFBgcICQoL.",
                "mOLkj2Z_GQEq9_UFtPJM6mf--iXbLAGKEw_FxuaXHuGPhE3GsnU2m5vhFRUubcBkLRd20Yo63rXIFDLp9g",
                ".ct4m9RcyX94_cVBNaZ6ybA",
            ]
            .concat()
            .into_bytes(),
        ],
        "calls" => super::calls::seeds(),
        "central_store" | "central_start" => central_store(),
        "engine_store" => engine_store(),
        _ => Vec::new(),
    }
}

/// A first byte that says which kind, and the message.
fn with(kind: u8, message: &impl Message) -> Vec<u8> {
    [&[kind][..], &message.encode_to_vec()].concat()
}

fn stored_price() -> Option<store::StoredPrice> {
    Some(store::StoredPrice { currency_code: "EUR".into(), micros_per_kwh: 300_000 })
}

fn signing_key() -> store::StoredSigningKey {
    store::StoredSigningKey {
        public_key: b"0123456789abcdef0123456789abcdef".to_vec(),
        network_id: "net".into(),
        made_ms: 1_700_000_000_000,
        trusted: true,
    }
}

fn central_store() -> Vec<Vec<u8>> {
    use store::{stored_ended::Settlement, stored_session::Life};
    let deadline_ms = 1_700_000_000_000;
    let delivered = Some(store::StoredDelivered { started_ms: deadline_ms, energy_wh: 1200, seq: 3 });
    let stored = |life| store::StoredSession {
        session_id: "s1".into(),
        charge_point_id: "MAD-01".into(),
        instance_id: "store".into(),
        driver_id: "101".into(),
        price: stored_price(),
        authorization_number: 7,
        life: Some(life),
        ..Default::default()
    };
    let billed = store::StoredBilled {
        delivered,
        amount_micros: 360_000,
        end: store::StoredSupplyEnd::Completed.into(),
        held: Some(store::StoredHeld { over: true, revoke: false }),
        ..Default::default()
    };
    let ended = store::StoredEnded {
        outcome: store::StoredOutcome::Completed.into(),
        settlement: Some(Settlement::Billed(billed)),
        ..Default::default()
    };
    let point = store::StoredChargePoint {
        seals_from_epoch: Some(3),
        charge_point_id: "MAD-01".into(),
        location: "Madrid".into(),
        price: stored_price(),
        engine_address: "127.0.0.1:1".into(),
        instance_id: "store".into(),
        monitor_id: "monitor".into(),
        epoch: 3,
        highest_authorization: 7,
        out_of_order: false,
        never_supplied: true,
        rated_power_w: 50_000,
        revoked: Some(store::stored_charge_point::Revoked::DrainDeadlineMs(1_700_000_000_000)),
    };
    let answer = store::StoredAnswer {
        key: b"RequestCharge\x00101\x00r1\x00".to_vec(),
        fingerprint: 5,
        answered_ms: 1_700_000_000_000,
        session_id: "s1".into(),
        ..Default::default()
    };
    let message = store::StoredMessage {
        topic: "driver_notifications".into(),
        key: "101".into(),
        payload: b"{}".to_vec(),
        headers: [("traceparent".to_owned(), "t".to_owned())].into(),
    };
    vec![
        with(b'c', &point),
        with(b's', &stored(Life::Reserved(store::StoredReserved { deadline_ms }))),
        with(b's', &stored(Life::Supplying(store::StoredSupplying { delivered, ..Default::default() }))),
        with(
            b's',
            &stored(Life::Authorizing(store::StoredAuthorizing { deadline_ms, ..Default::default() })),
        ),
        with(b's', &stored(Life::Ended(ended))),
        with(b'r', &answer),
        with(
            b'r',
            &store::StoredAnswer {
                session_id: String::new(),
                denial: "CHARGE_POINT_BUSY".into(),
                ..answer.clone()
            },
        ),
        with(b'o', &message),
        with(b'k', &store::StoredOffset { next: 42 }),
        with(b'b', &signing_key()),
        with(b'm', &store::StoredMeta { format: 2, cluster_id: "cluster".into(), ..Default::default() }),
    ]
}

fn engine_store() -> Vec<Vec<u8>> {
    let record = store::StoredSupply {
        session_id: "s1".into(),
        driver_id: "101".into(),
        price: stored_price(),
        authorization_number: 7,
        seq: 3,
        energy_wh: 1200,
        signature: vec![7; 110],
        ..Default::default()
    };
    let ended = store::StoredSupply { end: store::StoredSupplyEnd::Completed.into(), ..record.clone() };
    vec![
        with(
            0,
            &store::StoredEngine {
                format: engine::FORMAT,
                instance_id: "store".into(),
                highest_authorization: 9,
                current: Some(record),
                charge_point_id: "MAD-01".into(),
            },
        ),
        with(1, &ended),
        with(
            2,
            &store::StoredMessage {
                topic: "cp_telemetry".into(),
                key: "MAD-01".into(),
                payload: b"{}".to_vec(),
                ..Default::default()
            },
        ),
    ]
}
