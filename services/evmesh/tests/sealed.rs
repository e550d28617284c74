//! A secured network on a broker that anybody may read and write.

mod common;

use common::{
    PATIENCE, Process, broker::Broker, eventually, free_address, registry::started, run, secured::Secured,
    topics, up,
};
use evmesh_proto::topics::{CENTRAL_CHANGELOG, CP_TELEMETRY, CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS};
use serde_json::{Value, json};

#[test]
fn what_an_engine_tells_is_sealed_and_nobody_else_is_heard_in_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("requests"), folder.path().join("data"));
    std::fs::write(&file, "MAD-01\n").unwrap();
    let more = [
        &["--secure", "--kafka-in-clear"][..],
        &["--data", data.to_str().unwrap(), "--requests", file.to_str().unwrap()],
    ]
    .concat();
    let broker = Broker::open();
    let network = Process::start(up::flags(&broker, &more));
    network.line(&["1 of 1 requests concluded as expected"], PATIENCE);

    let all = |topic: &str| topics::read(&broker.options(), topic);
    let told = all(CP_TELEMETRY);
    assert!(told.len() >= 3, "a beginning, readings and an end: {told:?}");
    for message in &told {
        let text = String::from_utf8(message.payload.clone()).unwrap();
        assert!(text.starts_with("eyJ") && text.split('.').count() == 5, "{text}");
        assert!(!["CONSUMO", "session", "\""].iter().any(|clear| text.contains(clear)), "{text}");
    }
    let said = all(DRIVER_NOTIFICATIONS);
    assert!(
        said.iter().any(|message| message.json()["type"] == "CONSUMO_UPDATE"),
        "central reads it: {said:?}"
    );
    assert!(all(CP_TELEMETRY_DLQ).is_empty());

    // A stranger, who has read the topic too.
    let open = br#"{"type":"CONSUMO","cp_id":"MAD-01","user_id":"101","kwh":9.0}"#.to_vec();
    let mut changed = told[0].payload.clone();
    let last = changed.len() - 1;
    changed[last] = if changed[last] == b'A' { b'Q' } else { b'A' };
    let replayed = told[1].payload.clone(); // without a key it would be of no session
    let strangers = [("MAD-01", open), ("MAD-01", changed), ("", replayed)];
    topics::write(&broker.options(), CP_TELEMETRY, &strangers);
    let letters =
        eventually("all are refused", PATIENCE, || Some(all(CP_TELEMETRY_DLQ)).filter(|all| all.len() == 3));
    let mut reasons: Vec<&str> = letters.iter().map(|letter| letter.headers["reason"].as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            "MAD-01 seals what it tells, and this is in plain text: somebody else wrote it",
            "it is sealed with a key of MAD-01, and has another Kafka key",
            "its seal is broken: somebody else wrote or changed it",
        ]
    );
}

#[test]
fn a_whole_network_in_one_process_leaves_out_what_names_anybody_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("requests"), folder.path().join("data"));
    std::fs::write(&file, "MAD-01\n").unwrap();
    let more = ["--secure", "--data", data.to_str().unwrap(), "--requests", file.to_str().unwrap()];
    let broker = Broker::open();
    let network = Process::start(up::flags(&broker, &more));
    network.line(&["1 of 1 requests concluded as expected"], PATIENCE);
    assert_eq!((network.count("are left out"), network.count("--kafka-in-clear):")), (1, 0));
    let open = br#"{"type":"CONSUMO","cp_id":"MAD-01","user_id":"101","kwh":9.0}"#.to_vec();
    topics::write(&broker.options(), CP_TELEMETRY, &[("MAD-01", open)]);
    network.line(&["MAD-01 seals what it tells, and this is in plain text"], PATIENCE);
    assert!(
        topics::read(&broker.options(), CP_TELEMETRY)
            .iter()
            .all(|it| !it.headers.contains_key("traceparent"))
    );
    for topic in [CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS, CENTRAL_CHANGELOG] {
        assert!(topics::read(&broker.options(), topic).is_empty(), "{topic}");
    }
}

impl Secured {
    /// A charge point with identities of its own, at which a car is full after five seconds.
    fn charge_point(&self, id: &str, more: &[&str]) -> [Process; 2] {
        let of = |role: &str| self.enrol(&format!("charge-point/{id}/{role}"), &format!("{id}-{role}"));
        let engine = free_address();
        let car = ["--battery-wh", "1234", "--power-w", "900000"];
        let all = [
            self.engine(id, &engine, &of("engine"), &[&car[..], more].concat()),
            self.monitor(id, &engine, &of("monitor")),
        ];
        self.becomes(id, "ACTIVADO", PATIENCE);
        all
    }

    /// A charge, to its end.
    fn charges(&self, driver: &str, id: &str) {
        let identity = self.enrol(&format!("driver/{driver}"), driver);
        let own = ["driver", "--driver", driver, "--central", &self.central, "--identity", &identity];
        let charged = run([&own[..], &["--charge-point", id]].concat());
        assert_eq!(charged.code, 0, "{charged:?}");
    }
}

#[test]
fn a_reader_of_the_old_system_sees_the_open_charge_point_and_nothing_of_the_sealed_one_beside_it() {
    let network = Secured::begun();
    let _registry = started(&network.network, &network.registry);
    let _central = network.central();
    let _open = network.charge_point("MAD-01", &["--telemetry", "open", "--kafka-in-clear"]);
    let _sealed = network.charge_point("MAD-02", &[]);
    let (seen, unseen) = ("101", "grace-7c31");
    network.charges(seen, "MAD-01");
    network.charges(unseen, "MAD-02");

    // Central bills both to the cent.
    let tickets = eventually("both have their tickets", PATIENCE, || {
        network.operator(&["tickets"])?.as_array().filter(|all| all.len() == 2).cloned()
    });
    let ticket = |driver: &str| tickets.iter().find(|one| one["driver_id"] == driver).expect("its ticket");
    for (driver, id) in [(seen, "MAD-01"), (unseen, "MAD-02")] {
        let one = ticket(driver);
        let billed =
            [&one["charge_point_id"], &one["energy_wh"], &one["amount"]["micros"], &one["estimated"]];
        assert_eq!(billed, [&json!(id), &json!(1234), &json!(430_000), &json!(false)], "{one}");
    }

    // The seed's consumer: `json.loads(x.decode('utf-8'))`.
    let all = topics::read(&network.broker.options(), CP_TELEMETRY);
    let read = |payload: &[u8]| serde_json::from_slice::<Value>(payload).ok();
    let (open, sealed): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| read(&it.payload).is_some());
    let open: Vec<Value> = open.iter().filter_map(|message| read(&message.payload)).collect();
    let mut types: Vec<_> = open.iter().map(|message| message["type"].as_str().expect("a text")).collect();
    types.dedup();
    assert_eq!(types, ["SESSION_STARTED", "CONSUMO", "SUPPLY_END"]);
    for message in &open {
        assert_eq!((&message["cp_id"], &message["user_id"]), (&json!("MAD-01"), &json!(seen)), "{message}");
        assert!(message["kwh"].is_number() && message["importe"].is_number(), "{message}");
    }
    let end = open.last().expect("its end");
    assert_eq!((&end["kwh"], &end["importe"]), (&json!(1.234), &json!(0.43)), "as it is billed: {end}");

    assert!(sealed.len() >= 3, "a beginning, readings and an end: {sealed:?}");
    let session = ticket(unseen)["session_id"].as_str().expect("a text");
    for message in &sealed {
        assert_eq!((message.key.as_str(), message.headers.len()), ("MAD-02", 0), "{message:?}");
        assert!(message.kid().expect("a key's name").starts_with("MAD-02/"), "{message:?}");
        let text = String::from_utf8_lossy(&message.payload);
        assert!(![unseen, session, "CONSUMO", "SUPPLY_END"].iter().any(|it| text.contains(it)), "{text}");
    }
    let letters = topics::read(&network.broker.options(), CP_TELEMETRY_DLQ);
    assert!(letters.is_empty(), "nothing of either is refused: {letters:?}");
}
