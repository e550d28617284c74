//! The tables of charge points, sessions, tickets and the audit, and a charge point's panel in lines, as people read
//! them.

use evmesh_proto::{
    engine::{Panel, SupplyEnd, SupplyRecord},
    network::{ChargePointDetail, Session, SessionOutcome, Ticket},
    operations::AuditEntry,
};
use prost_types::Timestamp;
use ui::{
    Side::{Left, Right},
    Table, short_id,
    values::{energy, live, money, power, price},
    wrap,
};

/// Where the facts of a charge point's panel stand.
const FACTS: usize = 14;

/// Charge points, one a row; what runs there, and why it is as it is, below it.
pub(crate) fn charge_points(charge_points: &[ChargePointDetail]) -> Table {
    let row = |detail: &ChargePointDetail| (detail.charge_point.clone().unwrap_or_default(), notes(detail));
    Table::of(
        &charge_points.iter().map(row).collect::<Vec<_>>(),
        &[
            ("CHARGE POINT", Left, |(one, _)| one.charge_point_id.clone()),
            ("LOCATION", Left, |(one, _)| one.location.clone()),
            ("PRICE", Right, |(one, _)| price(one.price.as_ref())),
            ("STATUS", Left, |(one, _)| one.status().word().to_owned()),
        ],
        |(_, notes)| notes.clone(),
    )
}

/// What runs at a charge point, and why it is as it is.
fn notes(detail: &ChargePointDetail) -> String {
    let reason = (!detail.status_reason.is_empty()).then(|| format!("({})", detail.status_reason));
    detail.live.as_ref().map(live).into_iter().chain(reason).collect::<Vec<_>>().join("  ")
}

/// One charge point on one line, for a stream of changes.
pub(crate) fn charge_point_line(detail: &ChargePointDetail) -> String {
    let one = detail.charge_point.clone().unwrap_or_default();
    let line = format!("{:<12} {:<13}  {}", one.charge_point_id, one.status().word(), notes(detail));
    line.trim_end().to_owned()
}

/// One that its operator had forgotten, as one line of many.
pub(crate) fn forgotten_line(id: &str) -> String {
    format!("{id:<12} is forgotten")
}

/// Sessions, one a row; why each is as it is, below it.
pub(crate) fn sessions(sessions: &[Session]) -> Table {
    Table::of(
        sessions,
        &[
            ("SESSION", Left, |one| short_id(&one.session_id)),
            ("CREATED (UTC)", Left, |one| minutes(one.create_time.as_ref())),
            ("AT", Left, |one| one.charge_point_id.clone()),
            ("DRIVER", Left, |one| one.driver_id.clone()),
            ("STATE", Left, state),
            ("kWh", Right, |one| kwh(one.energy_wh)),
            ("AMOUNT", Right, |one| money(one.amount.as_ref())),
            ("TICKET", Left, |one| ticket_word(one).to_owned()),
        ],
        session_note,
    )
}

/// One driver's: whose they are is known; which card was shown is not.
pub(crate) fn own_sessions(sessions: &[Session]) -> Table {
    Table::of(
        sessions,
        &[
            ("SESSION", Left, |one| short_id(&one.session_id)),
            ("CREATED (UTC)", Left, |one| minutes(one.create_time.as_ref())),
            ("AT", Left, |one| one.charge_point_id.clone()),
            ("STATE", Left, state),
            ("kWh", Right, |one| kwh(one.energy_wh)),
            ("AMOUNT", Right, |one| money(one.amount.as_ref())),
            ("CARD", Left, |one| one.card_id.clone()),
        ],
        session_note,
    )
}

/// How it ended, or how far it is.
fn state(one: &Session) -> String {
    let state = short(one.state().as_str_name(), "SESSION_STATE_");
    outcome(one.outcome()).unwrap_or(state).to_owned()
}

/// Why it is as it is.
pub(crate) fn session_note(one: &Session) -> String {
    let why = format!("{}{}", one.reason, one.trouble); // one of them is empty
    let review = (!one.review.is_empty()).then(|| {
        format!(
            "under review as {}: {} is reported; {}",
            one.session_id,
            energy(one.reported_energy_wh),
            one.review
        )
    });
    Some(why).into_iter().filter(|why| !why.is_empty()).chain(review).collect::<Vec<_>>().join("; ")
}

/// How far a session's ticket is.
pub(crate) fn ticket_word(session: &Session) -> &'static str {
    match (&session.ticket, session.settled) {
        (None, false) if !session.review.is_empty() => "review",
        (Some(_), _) => "issued",
        (None, true) => "none",
        (None, false) => "open",
    }
}

pub(crate) fn tickets(tickets: &[Ticket]) -> Table {
    Table::of(
        tickets,
        &[
            ("SESSION", Left, |one| short_id(&one.session_id)),
            ("ISSUED (UTC)", Left, |one| minutes(one.issue_time.as_ref())),
            ("AT", Left, |one| one.charge_point_id.clone()),
            ("DRIVER", Left, |one| one.driver_id.clone()),
            ("kWh", Right, |one| kwh(one.energy_wh)),
            ("A kWh", Right, |one| price(one.price.as_ref()).trim_end_matches("/kWh").to_owned()),
            ("AMOUNT", Right, |one| money(one.amount.as_ref())),
            ("OUTCOME", Left, |one| outcome(one.outcome()).unwrap_or_default().to_owned()),
        ],
        note,
    )
}

fn note(ticket: &Ticket) -> String {
    let estimated = ticket.estimated.then(|| "estimated".to_owned());
    let late = (ticket.late_energy_wh > 0)
        .then(|| format!("{} read later, not billed", energy(ticket.late_energy_wh)));
    let settled = (!ticket.settled_by.is_empty())
        .then(|| format!("settled by {}: {}", ticket.settled_by, ticket.settle_reason));
    estimated.into_iter().chain(late).chain(settled).collect::<Vec<_>>().join(", ")
}

/// The audit, an entry a row; what it was about below it.
pub(crate) fn audit(entries: &[AuditEntry]) -> Table {
    Table::of(
        entries,
        &[
            ("NUMBER", Right, |one| one.number.to_string()),
            ("AT (UTC)", Left, |one| minutes(one.create_time.as_ref())),
            ("WHO", Left, |one| if one.actor.is_empty() { one.address.clone() } else { one.actor.clone() }),
            ("DID", Left, |one| match one.refusal_count {
                0 => one.method.clone(),
                count => format!("{count} refusals"),
            }),
            ("RESULT", Left, |one| one.result.clone()),
        ],
        |one| {
            let from =
                (!one.actor.is_empty() && !one.address.is_empty()).then(|| format!("from {}", one.address));
            let shown = [&one.subject, &one.parameters, &one.answer].into_iter();
            let shown = shown.filter(|text| !text.is_empty()).cloned();
            from.into_iter().chain(shown).collect::<Vec<_>>().join("; ")
        },
    )
}

/// The panel of one charge point: a fact a line, or several lines of at most this width.
pub(crate) fn panel(panel: &Panel, width: usize) -> String {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let supply =
        |supply: &Option<SupplyRecord>| supply.as_ref().map_or_else(|| "none".to_owned(), supply_line);
    let facts = [
        ("charge point", panel.charge_point_id.clone()),
        ("plugged in", yes(panel.plugged_in)),
        ("attended", yes(panel.attended)),
        ("fault", if panel.fault.is_empty() { "none".to_owned() } else { panel.fault.clone() }),
        ("session now", supply(&panel.current)),
        ("last session", supply(&panel.last)),
    ];
    let lines =
        facts.map(|(name, fact)| format!("{name:<FACTS$}{}\n", wrap(&fact, width, FACTS).trim_start()));
    lines.concat()
}

fn supply_line(supply: &SupplyRecord) -> String {
    let end = match supply.end() {
        SupplyEnd::Unspecified => String::new(),
        end => format!(" ({})", short(end.as_str_name(), "SUPPLY_END_")),
    };
    format!(
        "{} of driver {}: {}{end}, {} at {}, {} now",
        short_id(&supply.session_id),
        supply.driver_id,
        short(supply.state().as_str_name(), "SUPPLY_STATE_"),
        energy(supply.energy_wh),
        price(supply.price.as_ref()),
        power(supply.power_w),
    )
}

/// The name of an enum's value without the name of the enum.
pub(crate) fn short(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// How a session ended; `None` while it has not.
pub(crate) fn outcome(outcome: SessionOutcome) -> Option<&'static str> {
    (outcome != SessionOutcome::Unspecified).then(|| short(outcome.as_str_name(), "SESSION_OUTCOME_"))
}

/// Energy in a column whose head names the unit.
pub(crate) fn kwh(wh: u64) -> String {
    energy(wh).trim_end_matches(" kWh").to_owned()
}

/// A time as month, day, hour and minute.
fn minutes(time: Option<&Timestamp>) -> String {
    let time = time.map(ToString::to_string).unwrap_or_default();
    time.get("2026-".len().."2026-11-23T14:30".len()).map_or_else(String::new, |time| time.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use evmesh_proto::engine::SupplyState;
    use evmesh_proto::network::{ChargePoint, ChargePointStatus, LiveSupply, Money, Price, SessionState};
    use ui::{WIDTH, columns};

    /// As long as central lets them be.
    struct Longest {
        id: String,
        location: String,
        reason: String,
        money: Money,
        price: Price,
    }

    fn typical() -> Longest {
        let (id, location, reason) = ("MAD-01".into(), "Madrid, Chamartin".into(), String::new());
        let money = Money { currency_code: "EUR".into(), micros: 14_000_000 };
        Longest {
            id,
            location,
            reason,
            money,
            price: Price { currency_code: "EUR".into(), micros_per_kwh: 350_000 },
        }
    }

    fn longest() -> Longest {
        Longest {
            id: "x".repeat(64),
            location: "駅".repeat(128),
            reason: "it is too warm ".repeat(20),
            money: Money { currency_code: "EUR".into(), micros: i64::MAX },
            price: Price { currency_code: "EUR".into(), micros_per_kwh: 999_999_999 },
        }
    }

    fn tables(of: Longest) -> Vec<String> {
        let Longest { id, location, reason, money, price } = of;
        let at = Some("2026-11-23T14:30:05.678Z".parse::<Timestamp>().unwrap());
        let end = SessionOutcome::Completed.into();
        let session_id =
            if reason.is_empty() { "01a20861c8ad72c6ae63ea1aebc6d578".into() } else { id.clone() };
        let live = |amount| LiveSupply {
            driver_id: id.clone(),
            power_w: 350_000,
            energy_wh: 123_456,
            amount: Some(amount),
            ..LiveSupply::default()
        };
        let point = ChargePointDetail {
            charge_point: Some(ChargePoint {
                charge_point_id: id.clone(),
                location,
                price: Some(price.clone()),
                status: ChargePointStatus::Supplying.into(),
            }),
            status_reason: reason.clone(),
            engine_address: id.clone(),
            epoch: 1,
            live: Some(live(money.clone())),
        };
        let ticket = || Ticket {
            session_id: session_id.clone(),
            charge_point_id: id.clone(),
            driver_id: id.clone(),
            energy_wh: 123_456,
            price: Some(price.clone()),
            amount: Some(money.clone()),
            outcome: end,
            estimated: true,
            start_time: at,
            end_time: at,
            issue_time: at,
            late_energy_wh: 1,
            settled_by: reason.clone(),
            settle_reason: reason.clone(),
        };
        let session = Session {
            session_id: session_id.clone(),
            charge_point_id: id.clone(),
            driver_id: id.clone(),
            state: SessionState::Ended.into(),
            outcome: end,
            reason: reason.clone(),
            price: Some(price.clone()),
            energy_wh: 123_456,
            amount: Some(money.clone()),
            create_time: at,
            start_time: at,
            end_time: at,
            settled: true,
            ticket: Some(ticket()),
            card_id: if reason.is_empty() { "card-0123456789".into() } else { id.clone() },
            ..Session::default()
        };
        let supply = || SupplyRecord {
            session_id: session_id.clone(),
            driver_id: id.clone(),
            state: SupplyState::Ended.into(),
            end: SupplyEnd::Completed.into(),
            price: Some(price.clone()),
            energy_wh: 123_456,
            power_w: 0,
            seq: 1,
            authorization_number: 1,
            start_time: at,
            end_time: at,
            signature: Vec::new(),
        };
        let screen = Panel {
            charge_point_id: id.clone(),
            plugged_in: true,
            attended: true,
            fault: reason.clone(),
            current: Some(supply()),
            last: Some(supply()),
        };
        let entry = AuditEntry {
            number: 12_345,
            create_time: at,
            actor: "operator/ana".into(),
            address: "10.0.0.7".into(),
            method: "SetPrice".into(),
            subject: format!("charge-point/{id}"),
            parameters: format!("price=0.35 EUR, reason={reason}"),
            result: "done".into(),
            answer: "count=1".into(),
            ..AuditEntry::default()
        };
        vec![
            audit(&[entry]).render(WIDTH),
            charge_points(&[point]).render(WIDTH),
            sessions(std::slice::from_ref(&session)).render(WIDTH),
            own_sessions(&[session]).render(WIDTH),
            tickets(&[ticket()]).render(WIDTH),
            panel(&screen, WIDTH),
        ]
    }

    #[test]
    fn every_table_fits_eighty_columns_whatever_is_in_it() {
        for text in [tables(typical()), tables(longest())].concat() {
            for line in text.lines() {
                assert!(columns(line) <= WIDTH, "{} columns: {line}", columns(line));
            }
        }
    }

    #[test]
    fn nothing_usual_is_cut() {
        for text in tables(typical()) {
            assert!(text.contains("MAD-01"), "{text}");
            // The one mark is that of a session's id.
            assert!(text.matches('…').count() <= 2 && !text.replace("…ebc6d578", "").contains('…'), "{text}");
        }
    }

    #[test]
    fn cells_read_well() {
        assert_eq!(minutes("2026-01-02T03:04:05.678Z".parse().ok().as_ref()), "01-02 03:04");
        assert_eq!((minutes(None), kwh(1_234)), (String::new(), "1.234".to_owned()));
        assert_eq!(outcome(SessionOutcome::Faulted), Some("FAULTED"));
    }
}
