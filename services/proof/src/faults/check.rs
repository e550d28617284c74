//! After the faults: what drivers were told, what the meters delivered, the topics and central's store, side by side.

#[cfg(test)]
mod tests;

use super::{
    hands::{created, price_at},
    journal::{Facts, Journal},
    observe::{amount_micros, describe},
    topics::{Sent, Topics},
    world::World,
};
use evmesh_proto::{
    network::{Session, SessionOutcome, SessionState, Ticket},
    topics::{Notification, NotificationType, Telemetry, TelemetryType},
};
use serde_json::Value;
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

/// A guest's messages have no driver to be told.
const GUEST: &str = "INVITADO";

/// Everything is quiet, everything was read: every promise is looked at.
pub(super) fn check(world: &World, journal: &Journal, topics: &Topics) {
    let mut facts = journal.facts();
    write_history(&mut facts, topics);
    compare(&mut facts, topics);
    let sessions = facts.sessions.clone();
    apps(&mut facts, &sessions, world);
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
    told(facts, &sessions, &topics.notifications);
    acknowledged(facts, &sessions);
}

/// The engines' last messages have come: they have an outbox of their own.
pub(super) fn complete(journal: &Journal, topics: &Topics) -> bool {
    let metered = metered(&topics.telemetry);
    let facts = journal.facts();
    facts.tickets.keys().all(|id| metered.get(id).is_some_and(|metered| metered.started && metered.ended))
}

fn wh(kwh: f64) -> u64 {
    // Kilowatt-hours leave as whole watt-hours: the nearest one is the one that was meant.
    (kwh * 1000.0).round() as u64
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
        match body.kind {
            TelemetryType::SessionStarted => session.started = true,
            TelemetryType::Consumption => {}
            TelemetryType::SupplyEnd
            | TelemetryType::EngineFault
            | TelemetryType::MonitorLost
            | TelemetryType::Fault => {
                session.ended = true;
                session.finals_wh.insert(energy);
            }
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

/// What drivers were told on the topic: each their own, and all that they must be told.
fn told(facts: &mut Facts, sessions: &BTreeMap<String, Session>, notifications: &[Sent<Notification>]) {
    let mut by_session: BTreeMap<&str, Vec<&Notification>> = BTreeMap::new();
    for Sent { key, body } in notifications {
        let id = body.session_id.as_deref();
        if *key != body.user_id {
            let text = format!("a notification for {} was sent under the key {key}", body.user_id);
            facts.violated("INV-5", id, text);
        }
        let Some(id) = id else { continue };
        match sessions.get(id) {
            Some(session) if session.driver_id == body.user_id && session.charge_point_id == body.cp_id => {
                by_session.entry(id).or_default().push(body);
            }
            _ => facts.violated("INV-5", Some(id), format!("a notification for somebody else: {body:?}")),
        }
    }
    for session in sessions.values().filter(|session| session.driver_id != GUEST) {
        let told = by_session.get(session.session_id.as_str()).map_or(&[][..], Vec::as_slice);
        let told_later = sessions.contains_key(&next_attempt(&session.session_id));
        told_of(facts, session, told, told_later);
    }
}

/// The session of an open request that tried another charge point after this one.
fn next_attempt(id: &str) -> String {
    match id.split_once('.').and_then(|(base, attempt)| Some((base, attempt.parse::<u32>().ok()?))) {
        Some((base, attempt)) => format!("{base}.{}", attempt + 1),
        None => format!("{id}.2"),
    }
}

/// A rejection that was followed by another attempt is not told: the driver hears of that one.
fn told_of(facts: &mut Facts, session: &Session, told: &[&Notification], told_later: bool) {
    let id = session.session_id.as_str();
    let of = |kind| told.iter().filter(move |it| it.kind == kind);
    // Copies are allowed, one event with two contents is not.
    let mut events: BTreeMap<&str, &Notification> = BTreeMap::new();
    for notification in told {
        let Some(event) = &notification.event_id else { continue };
        if let Some(other) = events.insert(event, notification)
            && other != *notification
            && notification.kind != NotificationType::ConsumptionUpdate
        {
            facts.violated(
                "INV-6",
                Some(id),
                format!("event {event} was told as {other:?} and {notification:?}"),
            );
        }
    }
    // In order: the first copy of each.
    let mut last = (None, NotificationType::Authorized);
    let mut seen = BTreeSet::new();
    for notification in told.iter().filter(|it| it.kind != NotificationType::ConsumptionUpdate) {
        if seen.insert(notification.event_id.clone()) {
            if notification.seq < last.0 {
                let text = format!("{:?} came after {:?} with a lower number", notification.kind, last.1);
                facts.violated("INV-6", Some(id), text);
            }
            last = (notification.seq, notification.kind);
        }
    }
    let tickets: BTreeSet<_> = of(NotificationType::Ticket)
        .map(|it| (wh(it.kwh.unwrap_or_default()), (it.importe.unwrap_or_default() * 1e6).round() as i64))
        .collect();
    let due: BTreeSet<_> = session
        .ticket
        .iter()
        .map(|ticket| (ticket.energy_wh, ticket.amount.as_ref().map_or(0, |amount| amount.micros)))
        .collect();
    if tickets != due {
        facts.violated(
            "INV-1",
            Some(id),
            format!("the driver was told the tickets {tickets:?}, due is {due:?}"),
        );
    }
    let error_due = match session.outcome() {
        SessionOutcome::Faulted | SessionOutcome::Expired => true,
        SessionOutcome::Completed
        | SessionOutcome::Stopped
        | SessionOutcome::Rejected
        | SessionOutcome::Unspecified => false,
    };
    if error_due && of(NotificationType::SupplyError).next().is_none() {
        facts.violated("INV-6", Some(id), format!("the driver was not told: {}", describe(session)));
    }
    let denied = of(NotificationType::Denied).next().is_some();
    let granted = of(NotificationType::Authorized).next().is_some();
    if session.outcome() == SessionOutcome::Rejected && (granted || denied == told_later) {
        facts.violated(
            "INV-6",
            Some(id),
            format!("told granted: {granted}, denied: {denied}; {}", describe(session)),
        );
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
    for (id, _) in facts.stops.clone() {
        if sessions.get(&id).is_none_or(|session| session.state() != SessionState::Ended) {
            facts.violated(
                "INV-6",
                Some(&id),
                format!("the stop of session {id} was acknowledged, and it goes on"),
            );
        }
    }
}

/// What the driver processes said.
fn apps(facts: &mut Facts, sessions: &BTreeMap<String, Session>, world: &World) {
    for app in &world.apps {
        for path in app.outputs() {
            let text = fs::read_to_string(&path).unwrap_or_default();
            // The last line of one that was killed may be cut off.
            for said in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
                said_by_app(facts, sessions, &app.name, &said);
            }
        }
    }
}

fn said_by_app(facts: &mut Facts, sessions: &BTreeMap<String, Session>, app: &str, said: &Value) {
    let event = said["event"].as_str().unwrap_or_default();
    let tickets: Vec<&Value> = match event {
        "ticket" => vec![said],
        "missed" => said["tickets"].as_array().into_iter().flatten().collect(),
        "concluded" => Some(&said["ticket"]).filter(|ticket| ticket.is_object()).into_iter().collect(),
        _ => Vec::new(),
    };
    *facts.counts.entry("lines of driver processes").or_default() += 1;
    let named = said["session_id"].as_str().into_iter();
    let named: Vec<&str> =
        named.chain(tickets.iter().filter_map(|ticket| ticket["session_id"].as_str())).collect();
    for id in named {
        if sessions.get(id).is_none_or(|session| session.driver_id != app) {
            facts.violated("INV-5", Some(id), format!("{app} showed what is not its own: {said}"));
        }
    }
    for shown in tickets {
        let id = shown["session_id"].as_str().unwrap_or_default();
        let Some(ticket) = sessions.get(id).and_then(|session| session.ticket.as_ref()) else {
            facts.violated("INV-1", Some(id), format!("{app} showed a ticket that is not there: {shown}"));
            continue;
        };
        let energy = wh(shown["kwh"].as_f64().unwrap_or_default());
        let amount = (shown["amount"].as_f64().unwrap_or_default() * 1e6).round() as i64;
        if energy != ticket.energy_wh || Some(amount) != ticket.amount.as_ref().map(|amount| amount.micros) {
            facts.violated("INV-4", Some(id), format!("{app} showed {shown}, the ticket is {ticket:?}"));
        }
        *facts.counts.entry("tickets shown by driver processes").or_default() += 1;
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
            if line.contains("unknown to central: adopted") {
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
