//! Cards at the charge point: a whole secured network of real processes.

mod common;

use common::{
    PATIENCE, Process, Run, eventually, free_address,
    registry::{ask, started},
    run,
    secured::Secured,
    topics,
};
use evmesh_proto::topics::{CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS};
use std::{fs, path::Path};

const NUMBER: &str = "04:A1:B2:C3:D4:E5:F6";
/// The same, as a program may write it.
const WRITTEN: [&str; 4] =
    ["04A1B2C3D4E5F6", "04a1b2c3d4e5f6", "04:A1:B2:C3:D4:E5:F6", "04:a1:b2:c3:d4:e5:f6"];

impl Secured {
    fn card(&self, words: &[&str]) -> Run {
        ask(&self.network, &self.registry, &[&["card"], words].concat())
    }

    fn free(&self) {
        self.becomes("MAD-01", "ACTIVADO", PATIENCE);
    }

    fn driver(&self, identity: &str, words: &[&str]) -> Run {
        let own = ["--driver", "101", "--central", &self.central, "--identity", identity];
        run([&["driver"], words, &own].concat())
    }
}

fn refused(run: &Run, says: &str) {
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains(says), "{says}: {run:?}");
}

/// Every file below a folder has none of these in it.
fn is_nowhere_in(folder: &Path, texts: &[&[u8]]) {
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it is there").path();
        if path.is_dir() {
            is_nowhere_in(&path, texts);
            continue;
        }
        let bytes = fs::read(&path).expect("it can be read");
        for text in texts {
            assert!(!bytes.windows(text.len()).any(|part| part == *text), "{}", path.display());
        }
    }
}

#[test]
fn a_card_says_whose_a_supply_is_and_its_number_is_nowhere() {
    let (secured, address) = (Secured::begun(), free_address());
    let mut registry = started(&secured.network, &secured.registry);
    let mut central = secured.central();
    let at_the_point = secured.enrol("charge-point/MAD-01/engine", "engine");
    let driver = secured.enrol("driver/101", "driver");
    let engine = secured.engine("MAD-01", &address, &at_the_point, &[]);
    let of_monitor = secured.enrol("charge-point/MAD-01/monitor", "monitor");
    let monitor = secured.monitor("MAD-01", &address, &of_monitor);
    secured.free();
    // What somebody shows at the charge point.
    let at_point = ["point", "--engine", &address, "--identity", &at_the_point, "supply"];
    let supply = |words: &[&str]| run([&at_point[..], words].concat());

    // What is typed there bills nobody any more; a guest is one as ever.
    refused(&supply(&["--driver", "101"]), "show the driver's card, or ask as a guest");
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("number").display().to_string();
    fs::write(&file, format!("{NUMBER}\n")).unwrap();
    let shown = ["--card", file.as_str()];
    eventually("the registry is heard", PATIENCE, || {
        let asked = supply(&shown);
        asked.stderr.contains("this card is not known").then_some(())
    });

    let added = secured.card(&["add", "101", "--number-file", &file, "--label", "gym"]);
    assert_eq!(added.outcome(), (0, String::new()), "{added:?}");
    let card = added.stdout.trim().to_owned();
    refused(&secured.card(&["add", "102", "--number-file", &file]), "which is driver 101's");
    let listed = secured.card(&["list"]);
    assert_eq!(listed.stdout.trim(), format!("{card}  driver/101  good  gym"));
    eventually("the card is taken", PATIENCE, || {
        let asked = supply(&[&shown[..], &["--output", "json"]].concat());
        (asked.code == 0).then(|| assert_eq!(asked.json()["current"]["driver_id"], "101", "{asked:?}"))
    });
    let told = eventually("its driver hears of it", PATIENCE, || {
        let told = topics::read(&secured.broker.options(), DRIVER_NOTIFICATIONS);
        told.into_iter().map(|message| message.json()).find(|message| message["type"] == "AUTH_OK")
    });
    assert_eq!((&told["user_id"], &told["card_id"]), (&"101".into(), &card.as_str().into()));
    let sessions = secured.driver(&driver, &["sessions", "--output", "json"]).json();
    let session = &sessions.as_array().unwrap()[0];
    assert_eq!((&session["charge_point_id"], &session["card_id"]), (&"MAD-01".into(), &card.as_str().into()));
    assert!(session["state"].is_string() && session["energy_wh"].is_number(), "{session}");
    let (table, csv) =
        (secured.driver(&driver, &["sessions"]), secured.driver(&driver, &["sessions", "--output", "csv"]));
    assert!(table.stdout.contains("MAD-01") && table.stdout.contains(&card), "{table:?}");
    assert!(csv.stdout.trim_end().ends_with(&format!(",{card}")), "{csv:?}");
    let one = secured.driver(&driver, &["sessions", "--limit", "1"]);
    assert_eq!(one.stdout.lines().count(), 2, "its head, and one that goes on: {one:?}");
    let mistaken = [
        secured.driver(&driver, &["block-card", "04A1B2C3D4E5F6"]),
        secured.card(&["block", "04a1b2c3d4e5f6"]),
    ];
    for mistaken in mistaken {
        assert_eq!(mistaken.code, 2, "{mistaken:?}");
        let said = mistaken.stderr.to_lowercase();
        assert!(said.contains("must be a card's id") && !said.contains("04a1"), "{mistaken:?}");
    }
    let given_back = secured.driver(&driver, &["stop"]);
    assert_eq!(given_back.code, 0, "{given_back:?}");

    // The registry goes, and central with it: it knows by itself.
    registry.kill();
    central.kill();
    let central = secured.central();
    secured.free();
    let again = supply(&shown);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(secured.driver(&driver, &["stop"]).code, 0);
    let foreign = secured.driver(&driver, &["block-card", "card-0000000000"]);
    refused(&foreign, "driver 101 has no card card-0000000000");
    let blocked = secured.driver(&driver, &["block-card", &card]);
    assert!(blocked.code == 0 && blocked.stdout.starts_with(&format!("{card} is blocked")), "{blocked:?}");
    secured.free();
    refused(&supply(&shown), "this card is blocked");

    // It stays so once the registry is back, until an admin says otherwise.
    let registry = started(&secured.network, &secured.registry);
    central.line(&["is back, and heard"], PATIENCE);
    refused(&supply(&shown), "this card is blocked");
    let unblocked = secured.card(&["unblock", "--number-file", &file]);
    assert_eq!(unblocked.stdout.trim(), format!("{card}  driver/101  good  gym"), "{unblocked:?}");
    eventually("it is good again", PATIENCE, || (supply(&shown).code == 0).then_some(()));

    let audit = ["operator", "--central", &secured.central, "--identity", &secured.network.admin(), "audit"];
    let audit = run(audit).stdout;
    assert!(audit.contains(&format!("card={card}")) && audit.contains("BlockCard"), "{audit}");
    let letters = topics::read(&secured.broker.options(), CP_TELEMETRY_DLQ);
    assert!(letters.is_empty(), "{letters:?}");
    let said: Vec<String> = [&registry, &central, &engine, &monitor].map(Process::text).into();
    assert!(said.iter().all(|text| text.lines().count() > 1), "all of them say something");
    let printed = [&audit, &listed.stdout, &added.stdout, &unblocked.stdout, &again.stdout];
    for text in said.iter().chain(printed) {
        assert!(!WRITTEN.iter().any(|number| text.contains(number)), "{text}");
    }
    for topic in [DRIVER_NOTIFICATIONS, "central_changelog"] {
        for message in topics::read(&secured.broker.options(), topic) {
            let text = String::from_utf8_lossy(&message.payload).into_owned();
            assert!(!WRITTEN.iter().any(|number| text.contains(number)), "{text}");
        }
    }
    let bytes = [0x04, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6];
    let texts: Vec<&[u8]> = WRITTEN.iter().map(|text| text.as_bytes()).chain([&bytes[..]]).collect();
    is_nowhere_in(&secured.network.path(""), &texts);
}
