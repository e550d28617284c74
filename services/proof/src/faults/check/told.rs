//! What drivers were told: on the topic, and by their own apps.

use crate::faults::words::wh;
use crate::faults::{journal::Facts, observe::describe, topics::Sent, world::World};
use evmesh_proto::{
    network::{Session, SessionOutcome},
    topics::{Notification, NotificationType},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// A guest has no driver to be told.
const GUEST: &str = "INVITADO";

/// What drivers were told on the topic: each their own, and all that they must be told.
pub(super) fn on_the_topic(
    facts: &mut Facts,
    sessions: &BTreeMap<String, Session>,
    notifications: &[Sent<Notification>],
) {
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

/// One session's messages, against what became of it.
fn told_of(facts: &mut Facts, session: &Session, told: &[&Notification], told_later: bool) {
    let id = session.session_id.as_str();
    in_order(facts, id, told);
    let of = |kind| told.iter().filter(move |it| it.kind == kind);
    let tickets: BTreeSet<_> = of(NotificationType::Ticket)
        .map(|it| (wh(it.kwh.unwrap_or_default()), micros(it.importe.unwrap_or_default())))
        .collect();
    let due: BTreeSet<_> = session
        .ticket
        .iter()
        .map(|ticket| (ticket.energy_wh, ticket.amount.as_ref().map_or(0, |amount| amount.micros)))
        .collect();
    if tickets != due {
        let text = format!("the driver was told the tickets {tickets:?}, due is {due:?}");
        facts.violated("INV-1", Some(id), text);
    }
    let was = |kind| of(kind).next().is_some();
    let (granted, denied) = (was(NotificationType::Authorized), was(NotificationType::Denied));
    let (failed, billed) = (was(NotificationType::SupplyError), was(NotificationType::Ticket));
    let right = match session.outcome() {
        SessionOutcome::Faulted | SessionOutcome::Expired => granted && failed,
        SessionOutcome::Completed => granted && billed,
        // Before the engine agreed it is a denial; a reservation that came to nothing is an error; a supply has its
        // ticket. An open request's attempt is not told where another one followed: the driver hears of that.
        SessionOutcome::Stopped => denied || failed || billed || told_later,
        SessionOutcome::Rejected => !granted && denied != told_later,
        SessionOutcome::Unspecified => false,
    };
    if !right {
        let kinds: Vec<_> = told.iter().map(|it| it.kind).collect();
        facts.violated("INV-6", Some(id), format!("its driver was told {kinds:?}: {}", describe(session)));
    }
    let acknowledged = facts.granted.iter().any(|it| it.session_id == id && it.session.is_some());
    if acknowledged && !granted {
        facts.violated("INV-6", Some(id), "its driver was answered, and not told on the topic");
    }
}

/// Copies are allowed, one event with two contents is not; the first copies come in order.
fn in_order(facts: &mut Facts, id: &str, told: &[&Notification]) {
    let mut events: BTreeMap<&str, &Notification> = BTreeMap::new();
    let mut last: Option<&Notification> = None;
    for notification in told.iter().filter(|it| it.kind != NotificationType::ConsumptionUpdate) {
        let Some(event) = &notification.event_id else { continue };
        match events.insert(event, notification) {
            Some(other) if other != *notification => {
                let text = format!("event {event} was told as {other:?} and {notification:?}");
                facts.violated("INV-6", Some(id), text);
            }
            Some(_) => {}
            None => {
                if let Some(last) = last.filter(|last| notification.seq < last.seq) {
                    let text =
                        format!("{:?} came after {:?} with a lower number", notification.kind, last.kind);
                    facts.violated("INV-6", Some(id), text);
                }
                last = Some(notification);
            }
        }
    }
}

/// Amounts leave as decimals: the nearest micro is the one that was meant.
fn micros(amount: f64) -> i64 {
    (amount * 1e6).round() as i64
}

/// What the driver processes said.
pub(super) fn by_apps(facts: &mut Facts, sessions: &BTreeMap<String, Session>, world: &World) {
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
        let amount = micros(shown["amount"].as_f64().unwrap_or_default());
        if energy != ticket.energy_wh || Some(amount) != ticket.amount.as_ref().map(|amount| amount.micros) {
            facts.violated("INV-4", Some(id), format!("{app} showed {shown}, the ticket is {ticket:?}"));
        }
        *facts.counts.entry("tickets shown by driver processes").or_default() += 1;
    }
}
