//! A site behind a gateway: several engine processes and their monitors under one identity, in a whole secured network
//! of real processes.

mod common;

use common::{
    PATIENCE, Process, eventually, free_address,
    registry::{ask, started},
    run,
    secured::Secured,
    topics,
};
use evmesh_proto::topics::{CP_TELEMETRY, CP_TELEMETRY_DLQ};
use std::time::Duration;

/// What is promised of what the registry says, and a little for who looks on.
const SOON: Duration = Duration::from_secs(4);

impl Secured {
    /// A charge point of the site, at which a car is full after some seconds.
    fn charge_point(&self, id: &str, identity: &str) -> [Process; 2] {
        self.charge_point_as(id, [identity, identity], "50")
    }

    /// A charge point whose engine and monitor have these identities, and a car with a battery of so many Wh.
    fn charge_point_as(&self, id: &str, [of_engine, of_monitor]: [&str; 2], battery: &str) -> [Process; 2] {
        let engine = free_address();
        let car = ["--battery-wh", battery];
        [self.engine(id, &engine, of_engine, &car), self.monitor(id, &engine, of_monitor)]
    }

    fn gateway(&self, words: &[&str]) -> String {
        let asked = ask(&self.network, &self.registry, &[&["gateway"], words].concat());
        assert_eq!(asked.outcome(), (0, String::new()), "{asked:?}");
        asked.stdout.trim().to_owned()
    }
}

#[test]
fn a_site_of_several_charge_points_charges_under_one_identity() {
    let site = Secured::begun();
    let mut registry = started(&site.network, &site.registry);
    let mut central = site.central();
    let said = site.gateway(&["add", "site-7", "MAD-01", "MAD-02"]);
    assert_eq!(said, "gateway/site-7 serves them, 2 of them newly");
    assert_eq!(site.gateway(&["list"]), "gateway/site-7  MAD-01 MAD-02");
    let other = ask(&site.network, &site.registry, &["gateway", "add", "site-8", "MAD-02"]);
    assert!(other.code == 1 && other.stderr.contains("gateway remove site-7 MAD-02"), "{other:?}");
    let identity = site.enrol("gateway/site-7", "site");
    let _one = site.charge_point("MAD-01", &identity);
    let _two = site.charge_point("MAD-02", &identity);
    let _foreign = site.charge_point("MAD-03", &identity);
    site.becomes("MAD-01", "ACTIVADO", PATIENCE);
    site.becomes("MAD-02", "ACTIVADO", PATIENCE);

    // A charge, to its ticket; what its engine tells is sealed with the key that central gave it.
    let driver = site.enrol("driver/101", "driver");
    let own = ["driver", "--driver", "101", "--central", &site.central, "--identity", &driver];
    let charged = run([&own[..], &["--charge-point", "MAD-01"]].concat());
    assert_eq!(charged.code, 0, "{charged:?}");
    let ticket = eventually("there is its ticket", PATIENCE, || {
        site.operator(&["tickets"])?.as_array()?.first().cloned()
    });
    assert_eq!((&ticket["charge_point_id"], &ticket["driver_id"]), (&"MAD-01".into(), &"101".into()));
    let told = topics::read(&site.broker.options(), CP_TELEMETRY);
    assert!(told.len() >= 2 && told.iter().all(|message| message.payload.starts_with(b"eyJ")), "{told:?}");
    let letters = topics::read(&site.broker.options(), CP_TELEMETRY_DLQ);
    assert!(letters.is_empty(), "{letters:?}");

    // The registry goes, and central with it: it knows by itself.
    registry.kill();
    central.kill();
    let central = site.central();
    site.becomes("MAD-01", "ACTIVADO", PATIENCE);
    site.becomes("MAD-02", "ACTIVADO", PATIENCE);
    let status = site.operator(&["status"]).expect("central answers");
    assert_eq!(
        status.as_array().map(Vec::len),
        Some(2),
        "a charge point that is not the gateway's: {status}"
    );

    // One is taken from the gateway; the other goes on, until the gateway is revoked.
    let _registry = started(&site.network, &site.registry);
    central.line(&["is back, and heard"], PATIENCE);
    site.gateway(&["remove", "site-7", "MAD-02"]);
    site.becomes("MAD-02", "DESCONECTADO", SOON);
    site.becomes("MAD-01", "ACTIVADO", SOON);
    let revoked = ask(&site.network, &site.registry, &["revoke", "gateway/site-7"]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    central.line(&["MAD-01 is revoked, and cut off"], PATIENCE);
    site.becomes("MAD-01", "PARADO", SOON);
    site.becomes("MAD-02", "DESCONECTADO", SOON);
}

#[test]
fn a_supply_under_way_ends_under_the_name_of_before_and_then_the_gateway_serves() {
    let site = Secured::begun();
    let mut registry = started(&site.network, &site.registry);
    let mut central = site.central();
    let own = ["engine", "monitor"].map(|role| site.enrol(&format!("charge-point/MAD-01/{role}"), role));
    let old = site.charge_point_as("MAD-01", [&own[0], &own[1]], "50000");
    site.becomes("MAD-01", "ACTIVADO", PATIENCE);
    let driver = site.enrol("driver/101", "driver");
    let charge = ["driver", "--driver", "101", "--central", &site.central, "--identity", &driver];
    let _driver = site.start(&[&charge[..], &["--charge-point", "MAD-01"]].concat(), true);
    site.becomes("MAD-01", "SUMINISTRANDO", PATIENCE);

    site.gateway(&["add", "site-7", "MAD-01"]);
    central.line(&["another is to act for MAD-01: it ends what it does"], SOON);
    central.line(&["gateway/site-7 serves MAD-01, and nobody else acts for it"], SOON * 2);
    let tickets = site.operator(&["tickets"]).expect("central answers");
    assert_eq!(tickets.as_array().map(Vec::len), Some(1), "{tickets}");
    assert_eq!(
        (&tickets[0]["outcome"], &tickets[0]["estimated"]),
        (&"STOPPED".into(), &false.into()),
        "{tickets}"
    );
    old[0].line(&["supply ended"], SOON);
    site.becomes("MAD-01", "DESCONECTADO", SOON);
    drop(old);

    // That is known by central alone, too.
    let identity = site.enrol("gateway/site-7", "site");
    registry.kill();
    central.kill();
    let _central = site.central();
    let _new = site.charge_point("MAD-01", &identity);
    site.becomes("MAD-01", "ACTIVADO", PATIENCE);
}
