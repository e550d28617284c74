//! After the faults: what drivers were told, what the meters delivered, the topics and central's store, side by side.

mod told;

#[cfg(test)]
mod tests;

use super::{
    hands::{created, price_at},
    journal::{Facts, Journal},
    observe::{amount_micros, describe},
    topics::{Sent, Topics},
    words::wh,
    world::World,
};
use evmesh_proto::{
    network::{Session, SessionOutcome, SessionState, Ticket},
    topics::{NotificationType, Telemetry, TelemetryType},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// What the engines said of one session.
#[derive(Debug, Default)]
struct Metered {
    charge_points: BTreeSet<String>,
    drivers: BTreeSet<String>,
    started: bool,
    ended: bool,
    highest_wh: u64,
    /// Of the messages that carry the final reading.
    finals_wh: BTreeSet<u64>,
}

/// Everything is quiet, everything was read: every promise is looked at.
pub(super) fn check(world: &World, journal: &Journal, topics: &Topics) {
    let mut facts = journal.facts();
    write_history(&mut facts, topics);
    compare(&mut facts, topics);
    let sessions = facts.sessions.clone();
    told::by_apps(&mut facts, &sessions, world);
    logs(&mut facts, world);
}

fn compare(facts: &mut Facts, topics: &Topics) {
    let sessions = facts.sessions.clone();
    let metered = metered(&topics.telemetry);
    topics_are_sound(facts, topics);
    for session in sessions.values() {
        one_session(facts, session, metered.get(&session.session_id));
    }
    for (id, metered) in &metered {
        if !sessions.contains_key(id) {
            let text = format!("engines told of session {id}, which central does not have: {metered:?}");
            facts.violated("INV-1", Some(id), text);
        }
    }
    told::on_the_topic(facts, &sessions, &topics.notifications);
    acknowledged(facts, &sessions);
}

/// The engines' last messages have come: they have an outbox of their own.
pub(super) fn complete(journal: &Journal, topics: &Topics) -> bool {
    let metered = metered(&topics.telemetry);
    let facts = journal.facts();
    facts.tickets.keys().all(|id| metered.get(id).is_some_and(|metered| metered.started && metered.ended))
}

fn metered(telemetry: &[Sent<Telemetry>]) -> BTreeMap<String, Metered> {
    let mut all: BTreeMap<String, Metered> = BTreeMap::new();
    for Sent { body, .. } in telemetry {
        let Some(id) = &body.session_id else { continue };
        let session = all.entry(id.clone()).or_default();
        session.charge_points.insert(body.cp_id.clone());
        session.drivers.extend(body.user_id.clone());
        let energy = wh(body.kwh.unwrap_or_default());
        session.highest_wh = session.highest_wh.max(energy);
        session.started |= body.kind == TelemetryType::SessionStarted;
        if body.end().is_some() {
            session.ended = true;
            session.finals_wh.insert(energy);
        }
    }
    all
}

fn topics_are_sound(facts: &mut Facts, topics: &Topics) {
    for text in &topics.unreadable {
        facts.violated("INV-7", None, format!("an unreadable message was published on {text}"));
    }
    for dead in &topics.dead {
        facts.violated("INV-7", None, format!("a dead letter of {}: {}", dead.key, dead.body));
    }
    for Sent { key, body } in &topics.telemetry {
        if *key != body.cp_id {
            let text = format!("telemetry of {} was sent under the key {key}", body.cp_id);
            facts.violated("INV-5", body.session_id.as_deref(), text);
        }
    }
}

/// INV-1 and INV-4 of one session, and its own state.
fn one_session(facts: &mut Facts, session: &Session, metered: Option<&Metered>) {
    let id = Some(session.session_id.as_str());
    if session.state() != SessionState::Ended || !session.settled {
        facts.violated(
            "INV-1",
            id,
            format!("session {} never settled: {}", session.session_id, describe(session)),
        );
        return;
    }
    if let Some(metered) = metered {
        let places: Vec<&String> = metered.charge_points.iter().collect();
        let drivers: Vec<&String> = metered.drivers.iter().collect();
        if places != [&session.charge_point_id] || drivers != [&session.driver_id] {
            let text =
                format!("session {} was metered for {metered:?}: {}", session.session_id, describe(session));
            facts.violated("INV-5", id, text);
        }
        if !metered.started || !metered.ended {
            let text = format!(
                "the topic has not both start and end of session {}: {metered:?}",
                session.session_id
            );
            facts.violated("INV-1", id, text);
        }
        if metered.finals_wh.len() > 1 {
            let text = format!("session {} has several final readings: {metered:?}", session.session_id);
            facts.violated("INV-4", id, text);
        }
    }
    let price = price_at(&facts.prices, &session.charge_point_id, created(session)).cloned();
    if let Some(price) = price
        && session.price.as_ref() != Some(&price)
    {
        let text = format!(
            "session {} has the price {:?}; {price:?} was in force when it was asked for",
            session.session_id, session.price
        );
        facts.violated("INV-4", id, text);
    }
    match (metered, &session.ticket) {
        (None, None) => {}
        (Some(metered), None) => {
            let text = format!("session {} has no ticket; the meter: {metered:?}", session.session_id);
            facts.violated("INV-1", id, text);
        }
        (None, Some(ticket)) => {
            facts.violated("INV-1", id, format!("a ticket without a supply: {ticket:?}"));
        }
        (Some(metered), Some(ticket)) => one_ticket(facts, session, ticket, metered.highest_wh),
    }
}

fn one_ticket(facts: &mut Facts, session: &Session, ticket: &Ticket, highest_wh: u64) {
    let id = Some(session.session_id.as_str());
    let theirs = (&session.charge_point_id, &session.driver_id, &session.price);
    if (&ticket.charge_point_id, &ticket.driver_id, &ticket.price) != theirs {
        facts.violated("INV-5", id, format!("{ticket:?} is not of session {}", describe(session)));
    }
    if ticket.energy_wh != highest_wh || ticket.late_energy_wh != 0 {
        let text = format!("the meter's highest reading is {highest_wh} Wh, the ticket {ticket:?}");
        facts.violated("INV-4", id, text);
    }
    if ticket.estimated {
        facts.violated("INV-4", id, format!("no store was lost, and the ticket is estimated: {ticket:?}"));
    }
    let Some((price, amount)) = ticket.price.as_ref().zip(ticket.amount.as_ref()) else {
        facts.violated("INV-4", id, format!("a ticket without price or amount: {ticket:?}"));
        return;
    };
    let exact = amount_micros(ticket.energy_wh, price);
    if i128::from(amount.micros) != exact || amount.currency_code != price.currency_code {
        facts.violated("INV-4", id, format!("the amount is {exact} micros, the ticket {ticket:?}"));
    }
}

/// Every acknowledged call is still true.
fn acknowledged(facts: &mut Facts, sessions: &BTreeMap<String, Session>) {
    for granted in facts.granted.clone() {
        let id = granted.session_id.as_str();
        let Some(session) = sessions.get(id) else {
            facts.violated("INV-6", Some(id), format!("what was granted is not there: {granted:?}"));
            continue;
        };
        let elsewhere = !granted.charge_point.is_empty() && granted.charge_point != session.charge_point_id;
        let other = granted.session.as_ref().is_some_and(|then| {
            (&then.driver_id, &then.charge_point_id, &then.price)
                != (&session.driver_id, &session.charge_point_id, &session.price)
        });
        if granted.driver != session.driver_id || elsewhere || other {
            facts.violated(
                "INV-6",
                Some(id),
                format!("{granted:?} was granted, {} is there", describe(session)),
            );
        }
        if session.outcome() == SessionOutcome::Rejected {
            facts.violated(
                "INV-6",
                Some(id),
                format!("what was granted was rejected: {}", describe(session)),
            );
        }
    }
    for (id, open) in facts.stops.clone() {
        let ended = sessions.get(&id).filter(|session| session.state() == SessionState::Ended);
        let by_it = |session: &Session| !open || session.outcome() != SessionOutcome::Expired;
        if !ended.is_some_and(by_it) {
            let text = format!("the stop of session {id} was acknowledged, and it did not end by it");
            facts.violated("INV-6", Some(&id), text);
        }
    }
}

/// What must never be in a log of a network whose stores were never lost.
fn logs(facts: &mut Facts, world: &World) {
    for slot in world.slots() {
        let text = String::from_utf8_lossy(&fs::read(slot.log()).unwrap_or_default()).into_owned();
        for line in text.lines() {
            if line.contains("panicked at") {
                facts.violated("INV-7", None, format!("{} panicked: {line}", slot.name));
            }
            if line.contains("unknown to central: adopted") || line.contains("central never authorised") {
                facts.violated("INV-6", None, format!("central forgot a session: {line}"));
            }
        }
    }
}

/// What the topics have of each session goes into its history.
fn write_history(facts: &mut Facts, topics: &Topics) {
    let millis = |seconds: f64| (seconds * 1000.0) as i64;
    for Sent { body, .. } in &topics.telemetry {
        let Some(id) = &body.session_id else { continue };
        let text = format!("telemetry {:?} {:?}: {:?} kWh", body.kind, body.seq, body.kwh);
        facts.note(id, millis(body.timestamp.unwrap_or_default()), text);
    }
    for Sent { body, .. } in &topics.notifications {
        let Some(id) = &body.session_id else { continue };
        if body.kind != NotificationType::ConsumptionUpdate {
            let text = format!("told {:?} {:?}: {:?} {:?}", body.kind, body.seq, body.kwh, body.reason);
            facts.note(id, millis(body.timestamp.unwrap_or_default()), text);
        }
    }
}
