//! A secured network on a broker in plain text: what somebody on the way sees of it, and whether one of the secrets
//! that it made is anywhere but where it belongs.

mod common;

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use common::{
    PATIENCE, free_address,
    recorded::{DRIVER, POINT, Recorded},
    recorder::{Renames, contains},
    registry::begun,
    run, topics,
};
use evmesh_proto::topics::{CENTRAL_CHANGELOG, CP_TELEMETRY, CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS};
use identity::{KeyName, SealingSecret};
use mesh::{
    convert::{hex, unhex},
    store::{Role, SledStore, Store as _},
};
use std::path::PathBuf;

/// What readings, sessions and drivers are called on Kafka, as JSON has it: the fields, and the types of messages.
const WORDS: [&str; 12] = [
    r#""user_id""#,
    r#""session_id""#,
    r#""kwh""#,
    r#""importe""#,
    r#""CONSUMO""#,
    r#""SESSION_STARTED""#,
    r#""SUPPLY_END""#,
    r#""AUTH_OK""#,
    r#""TICKET""#,
    r#""energy_wh""#,
    r#""amount_micros""#,
    r#""request_id""#,
];
/// How TLS begins on a connection, and how what is told within it does.
const HANDSHAKE: &[u8] = &[0x16, 3];
const APPLICATION_DATA: &[u8] = &[0x17, 3, 3];
/// Central's row with the secret of which sealing keys are made, and both stores' with the key of cards' digests.
const SEALING_SECRET: &[u8] = b"t";
const CARD_KEY_AT: [(&str, &str, &[u8]); 2] =
    [("central", "central", b"u"), ("registry/store", "registry", b"card-key")];

/// A text as it would be on the way: a string of JSON or protobuf is its own bytes; in base64, whatever comes before.
fn encoded(text: &str) -> Vec<Vec<u8>> {
    let mut all = vec![text.as_bytes().to_vec(), hex(text.as_bytes()).into_bytes()];
    if text.len() < 10 {
        return all; // what is left of it in base64 would be found in anything
    }
    for before in 0..3 {
        let shifted = [&b"   "[..before], text.as_bytes()].concat();
        let whole = shifted.len() / 3 * 4; // without what the bytes after it would change
        let from = before.div_ceil(3) * 4;
        all.extend([
            BASE64_STANDARD.encode(&shifted).as_bytes()[from..whole].to_vec(),
            BASE64_URL_SAFE_NO_PAD.encode(&shifted).as_bytes()[from..whole].to_vec(),
        ]);
    }
    all
}

fn where_is(what: &str, bytes: &[(String, Vec<u8>)]) -> Vec<String> {
    let forms = encoded(what);
    let has = |(_, all): &&(String, Vec<u8>)| forms.iter().any(|form| contains(all, form));
    bytes.iter().filter(has).map(|(place, _)| place.clone()).collect()
}

/// Somebody writes what is no reading, and central has read it.
fn spoil(network: &Recorded) {
    topics::write(&network.broker.options(), CP_TELEMETRY, &[(POINT, b"\xff".to_vec())]);
    let central = network.processes.iter().find(|it| it.text().contains("central serves")).expect("it runs");
    central.line(&["cannot be read: it is not in UTF-8"], PATIENCE);
}

#[test]
fn a_broker_is_renamed_in_its_answers_however_they_come() {
    let [is, shall] = [5_u16, 7].map(|port| format!("127.0.0.1:{port}"));
    let answer = |port: u8| [&[0, 0, 0, 15][..], b"1127.0.0.1", &[0, 0, 0, port, 9]].concat();
    let all = [answer(5), answer(8), vec![0, 0, 0, 0]].concat();
    for size in 1..=all.len() {
        let mut renames = Renames::new(&is, &shall);
        let told: Vec<u8> = all.chunks(size).flat_map(|chunk| renames.take(chunk)).collect();
        assert_eq!(told, [answer(7), answer(8), vec![0, 0, 0, 0]].concat(), "in chunks of {size}");
    }
}

#[test]
fn nobody_on_the_way_sees_a_session_a_driver_or_a_reading_of_a_secured_network() {
    let mut network = Recorded::charged(true, &[]);
    let central = network.processes.iter().position(|it| it.text().contains("central serves")).unwrap();
    assert_eq!(network.processes[central].count("are left out"), 1);
    let shown = network.shown();
    for what in [DRIVER, &network.session] {
        assert_eq!(where_is(what, &shown), [""; 0], "{what}");
    }
    spoil(&network);
    network.stopped();
    let bytes = network.bytes();
    for what in [DRIVER, &network.session].into_iter().chain(WORDS) {
        assert_eq!(where_is(what, &bytes), [""; 0], "{what}");
    }
    // It is there, sealed, and so is what is for anyone.
    let kafka = &network.recorders["kafka"];
    assert!(kafka.saw(b"eyJ") && kafka.saw(POINT.as_bytes()) && kafka.saw(b"NETWORK_STATUS_UPDATE"));
    for role in ["central", "engine", "registry"] {
        let ways = network.recorders[role].ways();
        let used: Vec<_> = ways.iter().filter(|way| !way.is_empty()).collect();
        assert!(used.len() >= 4, "{role}: {}", used.len());
        assert!(used.iter().all(|way| way.starts_with(HANDSHAKE)), "{role}: nothing but TLS");
        assert!(used.iter().any(|way| contains(way, APPLICATION_DATA)), "{role}");
    }
    let on = |topic| topics::read(&network.broker.options(), topic);
    assert!(on(CP_TELEMETRY).len() >= 3);
    for topic in [DRIVER_NOTIFICATIONS, CP_TELEMETRY_DLQ, CENTRAL_CHANGELOG] {
        assert!(on(topic).is_empty(), "{topic}");
    }
}

#[test]
fn the_same_eyes_see_all_of_it_in_plain_text() {
    let mut network = Recorded::charged(false, &[]);
    spoil(&network);
    network.stopped();
    let letters = topics::read(&network.broker.options(), CP_TELEMETRY_DLQ);
    assert_eq!(letters.len(), 1, "{letters:?}");
    let bytes = network.bytes();
    for what in [DRIVER, &network.session] {
        let places = where_is(what, &bytes);
        for role in ["central", "engine", "kafka"] {
            assert!(places.iter().any(|place| place.contains(role)), "{what} at {role}: {places:?}");
        }
    }
    for what in WORDS {
        assert!(!where_is(what, &bytes).is_empty(), "{what}");
    }
}

#[test]
fn what_is_wanted_in_clear_is_told_as_without_identities_and_said_at_each_start() {
    let mut network = Recorded::charged(true, &["--kafka-in-clear"]);
    network.stopped();
    for role in ["central serves", "engine ready"] {
        let said = network.processes.iter().find(|it| it.text().contains(role)).unwrap();
        assert_eq!(said.count("(--kafka-in-clear): whoever is on the way"), 1, "{role}");
    }
    let told = topics::read(&network.broker.options(), DRIVER_NOTIFICATIONS);
    assert!(
        told.iter().any(|message| message.key == DRIVER && message.json()["type"] == "TICKET"),
        "{told:?}"
    );
    assert!(!topics::read(&network.broker.options(), CENTRAL_CHANGELOG).is_empty());
    let telemetry = topics::read(&network.broker.options(), CP_TELEMETRY);
    assert!(telemetry.iter().all(|message| message.payload.starts_with(b"eyJ")), "sealed all the same");
}

#[test]
fn who_could_not_but_tell_all_in_plain_text_does_not_start() {
    let network = begun();
    for role in ["charge-point/A/engine", "bridge/main"] {
        assert_eq!(network.issue(role, role, &[]).code, 0);
    }
    let identity = |name: &str| network.path(name).display().to_string();
    let [engine, bridge, central] =
        ["charge-point/A/engine", "bridge/main", "registry/identities/central"].map(identity);
    let [data, kafka, listen] = [identity("data"), free_address(), "127.0.0.1:0".to_owned()];
    let of_engine = ["engine", "--charge-point", "A", "--listen", &listen, "--telemetry", "open"];
    for (own, identity, code, says) in [
        (
            &of_engine[..],
            &engine,
            1,
            "--telemetry open would tell readings and drivers to Kafka in plain text",
        ),
        (&["bridge"], &bridge, 1, "drivers of the old system ask and are answered on Kafka"),
        (&["central", "--rebuild", "--listen", &listen], &central, 3, "says who charged where, and Kafka is"),
    ] {
        let refused = run([own, &["--identity", identity, "--data", &data, "--kafka", &kafka]].concat());
        let last = refused.stderr.lines().last().expect("a sentence");
        assert!(refused.code == code && last.contains(says), "{refused:?}");
        assert!(last.contains("--kafka-ca FILE") && last.contains("--kafka-in-clear"), "{refused:?}");
    }
}

/// A secret in one of the forms in which it could be found, and the files or folders where it belongs.
struct Secret {
    name: String,
    forms: Vec<Vec<u8>>,
    belongs: Vec<PathBuf>,
}

/// The secret number of an ECDSA P-256 key is here in its PKCS #8.
const NUMBER: std::ops::Range<usize> = 36..68;

fn of_key(path: PathBuf, pem: &str) -> Secret {
    let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = BASE64_STANDARD.decode(lines.concat()).expect("PEM");
    assert_eq!(der.len(), 138, "{path:?} is another kind of key: where is its secret?");
    let whole = lines.iter().filter(|line| line.len() == 64).map(|line| line.as_bytes().to_vec());
    let forms = whole.chain(of_bytes(&der[NUMBER])).collect();
    Secret { name: path.display().to_string(), forms, belongs: vec![path] }
}

fn of_bytes(bytes: &[u8]) -> Vec<Vec<u8>> {
    let in_words = [hex(bytes), BASE64_STANDARD.encode(bytes), BASE64_URL_SAFE_NO_PAD.encode(bytes)];
    // As Rust shows a vector of them.
    let shown = format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
    in_words.into_iter().chain([shown]).map(String::into_bytes).chain([bytes.to_vec()]).collect()
}

/// Every secret that the network made: keys and tokens of its files, those by which it enrolled, and central's keys.
fn secrets(network: &Recorded) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for (path, bytes) in network.files() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("key.pem") => secrets.push(of_key(path, &text)),
            Some("token") => {
                let token = text.trim();
                let signature = token.rsplit('.').next().expect("a JWT");
                let forms = vec![token.as_bytes().to_vec(), signature.as_bytes().to_vec()];
                secrets.push(Secret { name: path.display().to_string(), forms, belongs: vec![path] });
            }
            _ => assert!(!text.contains("PRIVATE KEY"), "{path:?} has a key"),
        }
    }
    for token in &network.enrolment_tokens {
        let secret = unhex(token.rsplit('/').next().expect("a token")).expect("hex");
        let forms = [vec![token.clone().into_bytes()], of_bytes(&secret)].concat();
        secrets.push(Secret { name: "a token to enrol by".into(), forms, belongs: vec![] });
    }
    let row = |folder: &str, name, key: &[u8]| {
        let role = Role { name, older_copies: true, must_exist: true };
        let store = SledStore::open(&network.path(folder), role).expect("its process has ended");
        store.get(key).expect("it is read").expect("it is there")
    };
    let secret = row("central", "central", SEALING_SECRET);
    let (forms, belongs) = (of_bytes(&secret), vec![network.path("central")]);
    secrets.push(Secret { name: "central's secret".into(), forms, belongs });
    let card_keys = CARD_KEY_AT.map(|(folder, name, key)| row(folder, name, key));
    assert_eq!(card_keys[0], card_keys[1], "the registry's");
    let belongs = CARD_KEY_AT.map(|(folder, ..)| network.path(folder)).to_vec();
    secrets.push(Secret { name: "the key of cards".into(), forms: of_bytes(&card_keys[0]), belongs });
    let of_all = SealingSecret::new(secret.try_into().expect("32 bytes"));
    for message in topics::read(&network.broker.options(), CP_TELEMETRY) {
        let name: KeyName = message.kid().expect("it is sealed").parse().expect("a key's name");
        let key = of_all.key(&name.charge_point, name.epoch).expect("a key");
        assert_eq!(key.name, name, "central's");
        secrets.push(Secret { name: "a sealing key".into(), forms: of_bytes(key.bytes()), belongs: vec![] });
    }
    secrets
}

#[test]
fn no_secret_of_a_secured_run_is_anywhere_but_in_its_place() {
    let mut network = Recorded::charged(true, &[]);
    let mut looked_at = network.shown();
    looked_at.extend(network.stopped());
    looked_at.extend(network.bytes());
    let secrets = secrets(&network);
    let of = |name: &str| secrets.iter().filter(|secret| secret.name.contains(name)).count();
    // Those of the authorities, of tokens, of the core's and the network's servers, and of who was enrolled.
    assert!(of("key.pem") >= 9, "{}", of("key.pem"));
    assert_eq!((of("driver-token/token"), of("a token to enrol by"), of("central's secret")), (1, 3, 1));
    assert!(of("a sealing key") >= 3, "one a message");

    for secret in &secrets {
        let belongs = |path: &PathBuf| secret.belongs.iter().any(|place| path.starts_with(place));
        let is_in = |all: &[u8]| secret.forms.iter().any(|form| contains(all, form));
        let places: Vec<_> =
            looked_at.iter().filter(|(_, all)| is_in(all)).map(|(place, _)| place.clone()).collect();
        assert_eq!(places, [""; 0], "{}", secret.name);
        let files = network.files().into_iter().filter(|(_, all)| is_in(all)).map(|(path, _)| path);
        let (own, strange): (Vec<_>, Vec<_>) = files.partition(belongs);
        let found = |place: &PathBuf| own.iter().any(|path| path.starts_with(place));
        assert!(secret.belongs.iter().all(found), "{} would be found", secret.name);
        assert!(strange.is_empty(), "{} is in {strange:?}", secret.name);
    }
}
