//! A secured network on a broker that anybody may read and write.

mod common;

use common::{PATIENCE, Process, broker::Broker, eventually, topics, up};
use evmesh_proto::topics::{CENTRAL_CHANGELOG, CP_TELEMETRY, CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS};

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
        assert!(!["CONSUMO", "kwh", "session", "\""].iter().any(|clear| text.contains(clear)), "{text}");
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
