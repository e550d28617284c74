//! Cards at the charge point: a whole secured network of real processes.

mod common;

use common::{
    PATIENCE, Process, Run,
    broker::Broker,
    eventually, free_address,
    registry::{Network, ask, begun, started, token},
    run, topics,
};
use evmesh_proto::topics::{CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS};
use std::{fs, path::Path};

const NUMBER: &str = "04:A1:B2:C3:D4:E5:F6";
/// The same, as a program may write it.
const WRITTEN: [&str; 4] =
    ["04A1B2C3D4E5F6", "04a1b2c3d4e5f6", "04:A1:B2:C3:D4:E5:F6", "04:a1:b2:c3:d4:e5:f6"];

/// A network of one charge point, in which everybody has an identity.
struct Secured {
    network: Network,
    broker: Broker,
    registry: String,
    central: String,
    engine: String,
}

impl Secured {
    fn path(&self, name: &str) -> String {
        self.network.path(name).display().to_string()
    }

    fn enrol(&self, role: &str, folder: &str) -> String {
        let (token, folder) = (token(&self.network, &self.registry, role), self.path(folder));
        let enrolled = run(["enrol", &token, "--identity", &folder]);
        assert_eq!(enrolled.code, 0, "{enrolled:?}");
        folder
    }

    fn start(&self, words: &[&str]) -> Process {
        let flags = words.iter().map(ToString::to_string).chain(self.broker.flags());
        Process::start(flags.chain(["--log".to_owned(), "debug".to_owned()]).collect::<Vec<_>>())
    }

    fn central(&self) -> Process {
        let (identity, data) = (format!("{}/identities/central", self.network.data), self.path("central"));
        let own = [
            "central",
            "--kafka-in-clear",
            "--listen",
            &self.central,
            "--data",
            &data,
            "--identity",
            &identity,
        ];
        let central = self.start(&[&own[..], &["--registry", &self.registry]].concat());
        central.line(&["central serves"], PATIENCE);
        central
    }

    fn engine(&self, identity: &str) -> Process {
        let data = self.path("engine-data");
        let own = ["engine", "--charge-point", "MAD-01", "--central", &self.central, "--identity", identity];
        self.start(&[&own[..], &["--listen", &self.engine, "--data", &data]].concat())
    }

    fn monitor(&self, identity: &str) -> Process {
        let own = ["monitor", "--charge-point", "MAD-01", "--central", &self.central, "--identity", identity];
        let place = ["--location", "Madrid", "--price", "0.35 EUR", "--listen", "127.0.0.1:0"];
        let words = [&own[..], &place, &["--engine", &self.engine, "--log", "debug"]].concat();
        Process::start(words)
    }

    fn card(&self, words: &[&str]) -> Run {
        ask(&self.network, &self.registry, &[&["card"], words].concat())
    }

    fn free(&self) {
        let words = ["operator", "--central", &self.central, "--output", "json", "status"];
        eventually("MAD-01 is free", PATIENCE, || {
            let asked = run([&words[..], &["--identity", &self.network.admin()]].concat());
            let all = (asked.code == 0).then(|| asked.json())?;
            (all.as_array()?.first()?["status"] == "ACTIVADO").then_some(())
        });
    }

    /// What somebody shows at the charge point.
    fn supply(&self, identity: &str, words: &[&str]) -> Run {
        let own = ["point", "--engine", &self.engine, "--identity", identity, "supply"];
        run([&own[..], words].concat())
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
    let network = begun();
    let (broker, registry, central, engine) =
        (Broker::open(), free_address(), free_address(), free_address());
    let secured = Secured { network, broker, registry, central, engine };
    let mut registry = started(&secured.network, &secured.registry);
    let mut central = secured.central();
    let at_the_point = secured.enrol("charge-point/MAD-01/engine", "engine");
    let driver = secured.enrol("driver/101", "driver");
    let engine = secured.engine(&at_the_point);
    let monitor = secured.monitor(&secured.enrol("charge-point/MAD-01/monitor", "monitor"));
    secured.free();

    // What is typed there bills nobody any more; a guest is one as ever.
    refused(
        &secured.supply(&at_the_point, &["--driver", "101"]),
        "show the driver's card, or ask as a guest",
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("number").display().to_string();
    fs::write(&file, format!("{NUMBER}\n")).unwrap();
    let shown = ["--card", file.as_str()];
    eventually("the registry is heard", PATIENCE, || {
        let asked = secured.supply(&at_the_point, &shown);
        asked.stderr.contains("this card is not known").then_some(())
    });

    let added = secured.card(&["add", "101", "--number-file", &file, "--label", "gym"]);
    assert_eq!((added.code, added.stderr.as_str()), (0, ""), "{added:?}");
    let card = added.stdout.trim().to_owned();
    refused(&secured.card(&["add", "102", "--number-file", &file]), "which is driver 101's");
    let listed = secured.card(&["list"]);
    assert_eq!(listed.stdout.trim(), format!("{card}  driver/101  good  gym"));
    eventually("the card is taken", PATIENCE, || {
        let asked = secured.supply(&at_the_point, &[&shown[..], &["--output", "json"]].concat());
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
    let again = secured.supply(&at_the_point, &shown);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(secured.driver(&driver, &["stop"]).code, 0);
    let foreign = secured.driver(&driver, &["block-card", "card-0000000000"]);
    refused(&foreign, "driver 101 has no card card-0000000000");
    let blocked = secured.driver(&driver, &["block-card", &card]);
    assert!(blocked.code == 0 && blocked.stdout.starts_with(&format!("{card} is blocked")), "{blocked:?}");
    secured.free();
    refused(&secured.supply(&at_the_point, &shown), "this card is blocked");

    // It stays so once the registry is back, until an admin says otherwise.
    let registry = started(&secured.network, &secured.registry);
    central.line(&["is back, and heard"], PATIENCE);
    refused(&secured.supply(&at_the_point, &shown), "this card is blocked");
    let unblocked = secured.card(&["unblock", "--number-file", &file]);
    assert_eq!(unblocked.stdout.trim(), format!("{card}  driver/101  good  gym"), "{unblocked:?}");
    eventually("it is good again", PATIENCE, || {
        (secured.supply(&at_the_point, &shown).code == 0).then_some(())
    });

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
