//! The seed's messages, field for field, from an engine that is not ours: gRPC for the authorisation, and on Kafka
//! only the fields of the old system, without `session_id`.

use crate::{
    running_central::{Central, options},
    topics::{Topic, publish},
};
use evmesh_proto::{
    engine::SupplyEnd,
    network::{self, ChargePointStatus, SessionOutcome, SessionState},
    topics,
};
use mesh::{grpc::reason, kafka::Producer};
use serde_json::{Value, json};

/// Fields whose value a test cannot know are checked for their form and taken out.
fn checked(mut message: Value) -> Value {
    let fields = message.as_object_mut().unwrap();
    let timestamp = fields.remove("timestamp").and_then(|at| at.as_f64()).expect("a timestamp in seconds");
    assert!((1.7e9..5e9).contains(&timestamp), "{timestamp}");
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_a_to_c_come_out_field_for_field() {
    let broker = testing::broker();
    let central = Central::start(broker.options()).await;
    let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
    let network = Topic::read(&broker.options(), topics::NETWORK_STATUS);
    let producer = Producer::new(&broker.options(), "test").unwrap();
    let (engine, _monitor) = central.charge_point("MAD-01").await;

    // Flow A: the answer of the call is published too.
    let session = central.request("101", "MAD-01").await.unwrap();
    let id = session.session_id.as_str();
    let (key, told) = notifications.of_type("AUTH_OK").await;
    assert_eq!(key, "101");
    let expected = json!({"type": "AUTH_OK", "cp_id": "MAD-01", "user_id": "101", "session_id": id,
        "seq": 0, "event_id": format!("{id}-auth")});
    assert_eq!(checked(told), expected);

    // Flow B: the engine's own answer makes it a supply; then a bare reading moves the live view.
    engine.supply(200);
    publish(&producer, "MAD-01", json!({"type": "SESSION_STARTED", "cp_id": "MAD-01", "user_id": "101"}))
        .await;
    let supplying = |session: &network::Session| session.state() == SessionState::Supplying;
    central.session_is("101", id, "is supplying", supplying).await;
    engine.supply(300);
    publish(
        &producer,
        "MAD-01",
        json!({"type": "CONSUMO", "cp_id": "MAD-01", "user_id": "101", "kwh": 0.3, "importe": 0.06}),
    )
    .await;
    let is_bare = |value: &Value| value["type"] == "CONSUMO_UPDATE" && value["seq"].is_null();
    let (key, told) = notifications.first("the bare reading's echo", is_bare).await;
    assert_eq!(key, "101");
    let mut told = checked(told);
    assert!(told.as_object_mut().unwrap().remove("kw").is_some_and(|kw| kw.is_number()));
    let expected = json!({"type": "CONSUMO_UPDATE", "cp_id": "MAD-01", "user_id": "101", "session_id": id,
        "kwh": 0.3, "importe": 0.09, "currency": "EUR"}); // at central's price: an incoming importe is never used
    assert_eq!(told, expected);

    // The broadcast.
    let supplies = |value: &Value| value["cps"][0]["status"] == "SUMINISTRANDO";
    let (key, told) = network.first("the broadcast of a supply", supplies).await;
    assert_eq!(key, topics::NETWORK_STATUS_KEY);
    let expected = json!({"type": "NETWORK_STATUS_UPDATE",
        "cps": [{"id": "MAD-01", "status": "SUMINISTRANDO", "location": "Madrid, MAD-01"}]});
    assert_eq!(checked(told), expected);

    // Flow C: a bare end makes central ask; the ticket is the engine's reading at the fixed price.
    engine.supply(1_500);
    engine.end(SupplyEnd::Completed);
    publish(
        &producer,
        "MAD-01",
        json!({"type": "SUPPLY_END", "cp_id": "MAD-01", "user_id": "101", "kwh": 9.9, "importe": 99}),
    )
    .await;
    let (key, told) = notifications.of_type("TICKET").await;
    assert_eq!(key, "101");
    let mut told = checked(told);
    assert!(told.as_object_mut().unwrap().remove("seq").is_some_and(|seq| seq.is_u64()));
    let expected = json!({"type": "TICKET", "cp_id": "MAD-01", "user_id": "101", "session_id": id,
        "event_id": format!("{id}-ticket"), "kwh": 1.5, "importe": 0.45, "currency": "EUR", "energy_wh": 1500,
        "amount_micros": 450_000});
    assert_eq!(told, expected);
    assert_eq!(central.ticket("101").await.outcome(), SessionOutcome::Completed);
    central.status("MAD-01", ChargePointStatus::Available).await;
    central.stop().await;
    assert_eq!((notifications.count("AUTH_OK"), notifications.count("TICKET")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn flow_d_a_fault_gives_an_error_and_then_the_one_ticket() {
    for kind in ["AVERIADO", "CONEXION_PERDIDA", "FAULT"] {
        let broker = testing::broker();
        let central = Central::start(broker.options()).await;
        let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
        let producer = Producer::new(&broker.options(), "test").unwrap();
        let (engine, monitor) = central.charge_point("MAD-01").await;
        let id = central.request("101", "MAD-01").await.unwrap().session_id;
        engine.supply(800);
        central.status("MAD-01", ChargePointStatus::Supplying).await;
        engine.end(SupplyEnd::EngineFault);
        monitor.health.send_replace(evmesh_proto::chargepoint::EngineHealth::Faulted);
        publish(
            &producer,
            "MAD-01",
            json!({"type": kind, "cp_id": "MAD-01", "user_id": "101", "kwh": 0.8, "importe": 0.1}),
        )
        .await;
        let (_, told) = notifications.of_type("SUPPLY_ERROR").await;
        let mut told = checked(told);
        let fields = told.as_object_mut().unwrap();
        assert!(fields.remove("seq").is_some_and(|seq| seq.is_u64()));
        assert!(fields.remove("reason").is_some_and(|why| why.as_str().is_some_and(|why| !why.is_empty())));
        let expected = json!({"type": "SUPPLY_ERROR", "cp_id": "MAD-01", "user_id": "101", "session_id": id,
            "event_id": format!("{id}-error"), "code": "CHARGE_POINT_FAULTED", "kwh_partial": 0.8,
            "importe_partial": 0.24, "currency": "EUR", "energy_wh": 800, "amount_micros": 240_000});
        assert_eq!(told, expected, "{kind}");
        let (_, ticket) = notifications.of_type("TICKET").await;
        assert_eq!((&ticket["kwh"], &ticket["importe"]), (&json!(0.8), &json!(0.24)));
        let kinds: Vec<Value> =
            notifications.all().into_iter().map(|(_, value)| value["type"].clone()).collect();
        let place = |kind: &str| kinds.iter().position(|other| other == kind);
        assert!(place("SUPPLY_ERROR") < place("TICKET"), "{kinds:?}");
        assert_eq!(central.ticket("101").await.outcome(), SessionOutcome::Faulted);
        central.status("MAD-01", ChargePointStatus::Faulted).await;
        central.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_end_bills_nothing_and_a_true_one_has_its_ticket_within_a_second() {
    let broker = testing::broker();
    let central = Central::start(broker.options()).await;
    let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
    let letters = crate::topics::with_header(&broker.options(), topics::CP_TELEMETRY_DLQ, "reason");
    let producer = Producer::new(&broker.options(), "test").unwrap();
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let id = central.request("101", "MAD-01").await.unwrap().session_id;
    engine.supply(300);
    central.status("MAD-01", ChargePointStatus::Supplying).await;
    let end = |kwh: f64, seq: u64| {
        let (cp, user) = ("MAD-01", "101");
        json!({"type": "SUPPLY_END", "cp_id": cp, "user_id": user, "kwh": kwh, "session_id": id, "seq": seq})
    };
    publish(&producer, "MAD-02", end(9_999.0, 4)).await; // the key of another charge point
    publish(&producer, "MAD-01", end(9_999.0, 9_000_000)).await; // its own, as anyone can write it
    for kind in ["AVERIADO", "AVERIADO", "CONEXION_PERDIDA", "FAULT", "AVERIADO"] {
        publish(&producer, "MAD-01", json!({"type": kind, "cp_id": "MAD-01"})).await;
    }
    publish(&producer, "MAD-01", json!({"type": "CONSUMO", "cp_id": "MAD-01", "user_id": "101", "kwh": 900}))
        .await;
    let last = json!({"type": "CONSUMO", "cp_id": "MAD-01", "user_id": "101", "kwh": 0.4});
    publish(&producer, "MAD-01", last).await;
    let echo = |value: &Value| value["type"] == "CONSUMO_UPDATE" && value["kwh"] == 0.4;
    notifications.first("the reading after all that", echo).await;
    let supplying = |session: &network::Session| {
        session.state() == SessionState::Supplying && session.ticket.is_none() && session.energy_wh == 400
    };
    central.session_is("101", &id, "goes on as if nothing had been said", supplying).await;
    central.status("MAD-01", ChargePointStatus::Supplying).await;
    let wrong_key =
        |(_, why): &(Vec<u8>, String)| why.starts_with("its key is \"MAD-02\", and its cp_id MAD-01");
    testing::eventually("the foreign key has its dead letter", crate::running_central::PATIENCE, || async {
        letters.lock().unwrap().iter().any(wrong_key).then_some(())
    })
    .await;

    engine.supply(500);
    engine.end(SupplyEnd::Completed);
    publish(&producer, "MAD-01", end(0.5, 3)).await;
    let ended = tokio::time::Instant::now();
    let ticket = central.ticket("101").await;
    let passed = ended.elapsed();
    assert_eq!((ticket.energy_wh, ticket.estimated), (500, false));
    assert!(passed < std::time::Duration::from_secs(2), "{passed:?}"); // a flood before it costs a second at most
    notifications.first("its ticket", |value: &Value| value["type"] == "TICKET").await;
    central.stop().await;
    assert_eq!((notifications.count("TICKET"), notifications.count("SUPPLY_ERROR")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_and_an_expiry_are_told_too() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), broker.options());
    options.rules.reservation = std::time::Duration::from_secs(1);
    let central = Central::with(options).await;
    let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
    let denied = central.request_again("102", "", "r-1").await.unwrap_err();
    let (key, told) = notifications.of_type("AUTH_DENIED").await;
    let mut told = checked(told);
    assert!(told.as_object_mut().unwrap().remove("event_id").is_some());
    let expected = json!({"type": "AUTH_DENIED", "cp_id": "", "user_id": "102", "reason": denied.message(),
        "code": reason(&denied), "request_id": "r-1"});
    assert_eq!((key.as_str(), told), ("102", expected));
    let (_engine, _monitor) = central.charge_point("MAD-01").await;
    let id = central.request("101", "MAD-01").await.unwrap().session_id;
    let (_, told) = notifications.of_type("SUPPLY_ERROR").await;
    assert_eq!(
        (&told["session_id"], &told["code"], &told["kwh_partial"], &told["amount_micros"]),
        (&json!(id), &json!("RESERVATION_EXPIRED"), &json!(0.0), &json!(0))
    );
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_point_in_whose_name_a_broken_seal_came_is_marked_on_the_panel() {
    let broker = testing::broker();
    let central = Central::start(broker.options()).await;
    let producer = Producer::new(&broker.options(), "test").unwrap();
    let (_engine, _monitor) = central.charge_point("MAD-01").await;
    publish(&producer, "MAD-01", "eyJ..").await;
    central.says("telemetry refused: it is no sealed message").await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_fit_nothing_go_to_the_dead_letters_and_the_next_good_one_is_used() {
    let broker = testing::broker();
    let central = Central::start(broker.options()).await;
    let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
    let letters = crate::topics::with_header(&broker.options(), topics::CP_TELEMETRY_DLQ, "reason");
    let producer = Producer::new(&broker.options(), "test").unwrap();
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    central.request("101", "MAD-01").await.unwrap();
    let other = json!({"type": "SUPPLY_END", "cp_id": "MAD-01", "user_id": "101", "kwh": 9999});
    publish(&producer, "MAD-02", &other).await;
    publish(&producer, "MAD-99", json!({"type": "CONSUMO", "cp_id": "MAD-99", "user_id": "101", "kwh": 1}))
        .await;
    let bad = [
        ("{\"type\":".to_owned(), "it is no JSON: it ends in the middle"),
        ("[1,2]".to_owned(), "it must be one JSON object, and is a list"),
        (
            json!({"type": "CONSUMO", "cp_id": 1, "user_id": "101", "kwh": 1}).to_string(),
            "cp_id must be a text, and is a number",
        ),
        (json!({"type": "CONSUMO", "cp_id": "MAD-01", "user_id": "101", "kwh": -1}).to_string(), "kwh is -1"),
        (json!({"type": "CONSUMO", "cp_id": "MAD-01", "user_id": "101", "kwh": 1e12}).to_string(), "kwh is"),
        (json!({"type": "CONSUMO", "cp_id": "MAD-01", "user_id": "999", "kwh": 1}).to_string(), "driver 999"),
        (format!("\"{}\"", "x".repeat(200_000)), "it has 200002 bytes"),
    ];
    for (payload, _) in &bad {
        publish(&producer, "MAD-01", payload).await;
    }
    let bad = [
        bad.to_vec(),
        vec![
            (other.to_string(), "its key is \"MAD-02\", and its cp_id MAD-01: they must be the same"),
            (
                json!({"type": "CONSUMO", "cp_id": "MAD-99", "user_id": "101", "kwh": 1}).to_string(),
                "no charge point MAD-99 is registered",
            ),
        ],
    ]
    .concat();
    engine.supply(200);
    central.status("MAD-01", ChargePointStatus::Supplying).await;
    engine.supply(300);
    let good = json!({"type": "CONSUMO", "cp_id": "MAD-01", "user_id": "101", "kwh": 0.3, "importe": 0});
    publish(&producer, "MAD-01", good).await;
    let is_bare = |value: &Value| value["type"] == "CONSUMO_UPDATE" && value["seq"].is_null();
    notifications.first("the good one is used", is_bare).await;
    let found =
        testing::eventually("every bad one is a dead letter", crate::running_central::PATIENCE, || async {
            let letters = letters.lock().unwrap().clone();
            (letters.len() >= bad.len()).then_some(letters)
        })
        .await;
    for (payload, why) in &bad {
        let of_it = |(kept, reason): &&(Vec<u8>, String)| {
            payload.as_bytes().starts_with(kept) && !kept.is_empty() && reason.contains(why)
        };
        assert!(
            found.iter().any(|letter| of_it(&letter)),
            "{why} is missing in {:?}",
            found.iter().map(|(_, reason)| reason).collect::<Vec<_>>()
        );
    }
    assert_eq!(
        central
            .operators
            .clone()
            .get_network_status(evmesh_proto::operations::GetNetworkStatusRequest::default())
            .await
            .unwrap()
            .into_inner()
            .charge_points
            .len(),
        1
    );
    central.stop().await;
}
