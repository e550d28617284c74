//! A session whose engine is not believed, and who did what, from the shell.

#![allow(clippy::unwrap_used)] // a helper of a test may fail it

mod common;

use common::{PATIENCE, Run, becomes, broker::Broker, eventually, operator, roles::Roles, run};

#[test]
fn what_is_not_believed_waits_for_a_person_who_settles_it_once() {
    let roles = Roles::new(Broker::open(), &["MAD-01"]);
    // By its own bounds: 50 kW, 600 times faster than real time, is no charge point to it.
    let central = roles.central_with(&[]);
    let _point = (roles.engine("MAD-01", 600), roles.monitor("MAD-01"));
    becomes(&roles.central, "MAD-01", "ACTIVADO");
    central.line(&["delivers up to 30000.0 kW", "--charge-point-power-max"], PATIENCE);
    let driver = roles.driver(&["--driver", "7", "--charge-point", "MAD-01"]);
    driver.line(&["under review"], PATIENCE);
    let under_review = eventually("the session is under review", PATIENCE, || {
        let sessions = operator(&roles.central, &["sessions"]);
        sessions.into_iter().find(|session| session["reported_energy_wh"] == 40_000)
    });
    assert_eq!(
        (&under_review["settled"], &under_review["ticket"]),
        (&false.into(), &serde_json::Value::Null)
    );
    becomes(&roles.central, "MAD-01", "ACTIVADO");
    let session = under_review["session_id"].as_str().unwrap();

    let order = |more: &[&str]| -> Run { run([&["operator", "--central", &roles.central], more].concat()) };
    let sessions = order(&["sessions"]);
    assert!(sessions.stdout.contains("40.000 kWh is reported"), "{sessions:?}");
    let settle = |more: &[&str]| order(&[&["settle", session], more].concat());
    let seen = ["--reason", "the car's own meter"];
    for (wrong, said) in [
        (vec!["--accept"], "--reason"),
        (seen.to_vec(), "--accept"),
        ([&["--energy-wh", "40001"][..], &seen].concat(), "at most"),
    ] {
        let refused = settle(&wrong);
        assert!(refused.code != 0 && refused.stderr.contains(said), "{wrong:?}: {refused:?}");
    }
    let settled = settle(&[&["--energy-wh", "18400"][..], &seen].concat());
    assert_eq!(settled.code, 0, "{settled:?}");
    assert!(settled.stdout.contains("its ticket bills 18.400 kWh, 6.44 EUR"), "{settled:?}");
    let again = settle(&[&["--accept"][..], &seen].concat());
    assert!(again.code != 0 && again.stderr.contains("never changes"), "{again:?}");
    let tickets = order(&["tickets"]);
    assert!(tickets.stdout.contains("settled by 127.0.0.1 (unverified): the car's own meter"), "{tickets:?}");

    let over = order(&["end", session]);
    assert!(over.code == 0 && over.stdout.contains("is over; nothing is open there"), "{over:?}");
    let unknown = order(&["end", "nobodys"]);
    assert!(unknown.code != 0 && unknown.stderr.contains("no session nobodys"), "{unknown:?}");
}

#[test]
fn who_did_what_is_listed_and_verified_against_kafka() {
    let roles = Roles::new(Broker::open(), &["MAD-01"]);
    let mut central = roles.central();
    let _point = (roles.engine("MAD-01", 600), roles.monitor("MAD-01"));
    becomes(&roles.central, "MAD-01", "ACTIVADO");
    let order = |more: &[&str]| -> Run { run([&["operator", "--central", &roles.central], more].concat()) };
    assert_eq!(order(&["price", "MAD-01", "0.45", "EUR"]).code, 0);
    assert_ne!(order(&["price", "MAD-07", "0.45", "EUR"]).code, 0);
    let verified = order(&["audit", "verify"]);
    assert!(
        verified.code == 0 && verified.stdout.contains("without --kafka nobody can tell"),
        "{verified:?}"
    );
    central.terminate();
    assert_eq!(central.end(PATIENCE), 0, "{}", central.text());

    let _central = roles.central();
    becomes(&roles.central, "MAD-01", "ACTIVADO");
    let listed = order(&["audit"]);
    for words in ["127.0.0.1", "SetPrice", "charge-point/MAD-01", "price=0.45 EUR", "CHARGE_POINT_UNKNOWN"] {
        assert!(listed.stdout.contains(words), "{words}: {listed:?}");
    }
    let entries = operator(&roles.central, &["audit"]);
    let prices = entries.iter().filter(|entry| entry["method"] == "SetPrice");
    let results: Vec<_> = prices.map(|entry| entry["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["done", "CHARGE_POINT_UNKNOWN"]);
    let csv = order(&["audit", "--output", "csv"]).stdout;
    assert!(csv.starts_with("number,create_time,actor,address,method,"), "{csv}");
    assert_eq!(csv.lines().count(), entries.len() + 1);
    assert_eq!(order(&["audit", "--actor", "operator/ana"]).stdout, "no entries\n");
    assert_eq!(order(&["audit", "--from", "2999-01-01"]).stdout, "no entries\n");

    let flags = roles.broker.flags();
    let verify: Vec<&str> = ["audit", "verify"].into_iter().chain(flags.iter().map(String::as_str)).collect();
    let verified = order(&verify);
    assert!(verified.code == 0 && verified.stdout.contains("anchors on kafka that agree: 1"), "{verified:?}");
    let nowhere = order(&["audit", "verify", "--kafka", &common::free_address()]);
    assert!(nowhere.code == 1 && nowhere.stderr.contains("does not answer"), "{nowhere:?}");
}
