//! A large network to look at: charge points by the hundred in one process, and drivers who come to them.

mod common;

use common::{PATIENCE, Process, eventually, operator, up::Up};

#[test]
fn a_fleet_connects_charges_to_its_tickets_and_comes_back_after_a_storm() {
    let network = Up::ready(&[]);
    let central = network.central.as_str();
    let mut flags: Vec<String> = [
        &["fleet", "--charge-points", "250", "--drivers", "100", "--pause", "2", "--stay", "3"][..],
        &["--storms", "10", "--faults", "60", "--every", "1", "--central", central],
    ]
    .concat()
    .iter()
    .map(ToString::to_string)
    .collect();
    flags.extend(network.broker.flags());
    let fleet = Process::start(flags);
    fleet.line(&["250 of 250 charge points connected"], PATIENCE);
    eventually("a charge at one of them has its ticket", PATIENCE, || {
        let billed = |ticket: &serde_json::Value| {
            ticket["charge_point_id"].as_str().is_some_and(|id| id.starts_with("FLEET-"))
                && ticket["energy_wh"].as_u64().is_some_and(|energy| energy > 0)
        };
        operator(central, &["tickets"]).iter().any(billed).then_some(())
    });
    eventually("all are back after a storm", PATIENCE, || {
        let text = fleet.text();
        let back = |line: &&str| {
            line.starts_with("250 of 250 charge points connected") && line.contains("began to report")
        };
        (text.lines().filter(back).count() >= 2).then_some(())
    });
    assert!(fleet.text().contains(" broke"), "one breaks in a minute, and there are 250");
}

#[test]
fn a_network_in_one_process_may_have_a_fleet() {
    let network = Up::ready(&["--fleet", "120"]);
    eventually("all of them are known", PATIENCE, || {
        let known = operator(&network.central, &["status", "--limit", "1000"]);
        (known.iter().filter(|point| point.to_string().contains("FLEET-")).count() == 120).then_some(())
    });
}
