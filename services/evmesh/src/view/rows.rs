//! The tables that people read.

use super::words::{energy_cell, kwh_cell, minutes_cell, money_cell, power_cell, price_cell};
use super::{ChargePoint, Live, Panel, Session, Supply, Ticket};
use mesh::table::{
    Side::{Left, Right},
    Table, short_id, wrap,
};

/// Where the facts of a charge point's panel stand.
const FACTS: usize = 14;

/// Charge points, one a row; what runs there, and why it is as it is, below it.
pub(crate) fn charge_points(charge_points: &[ChargePoint]) -> Table {
    let mut table =
        Table::new(&[("CHARGE POINT", Left), ("LOCATION", Left), ("PRICE", Right), ("STATUS", Left)]);
    for one in charge_points {
        let cells = vec![
            one.charge_point_id.clone(),
            one.location.clone(),
            price_cell(one.price.as_ref()),
            one.status.word().to_owned(),
        ];
        let reason = (!one.status_reason.is_empty()).then(|| format!("({})", one.status_reason));
        let note = one.live.as_ref().map(live).into_iter().chain(reason);
        table.push(cells, note.collect::<Vec<_>>().join("  "));
    }
    table
}

fn live(live: &Live) -> String {
    let (power, energy) = (power_cell(live.power_w), energy_cell(live.energy_wh));
    format!("{power}  {energy}  {}  driver {}", money_cell(live.amount.as_ref()), live.driver_id)
}

/// One charge point on one line, for a stream of changes.
pub(crate) fn charge_point_line(one: &ChargePoint) -> String {
    let live = one.live.as_ref().map(|one| format!("  {}", live(one)));
    let reason =
        if one.status_reason.is_empty() { String::new() } else { format!("  ({})", one.status_reason) };
    format!("{:<12} {:<13}{}{reason}", one.charge_point_id, one.status.word(), live.unwrap_or_default())
        .trim_end()
        .to_owned()
}

/// Sessions, one a row; why each is as it is, below it.
pub(crate) fn sessions(sessions: &[Session]) -> Table {
    let mut table = Table::new(&[
        ("SESSION", Left),
        ("CREATED (UTC)", Left),
        ("AT", Left),
        ("DRIVER", Left),
        ("STATE", Left),
        ("kWh", Right),
        ("AMOUNT", Right),
        ("TICKET", Left),
    ]);
    for one in sessions {
        let cells = vec![
            short_id(&one.session_id),
            minutes_cell(one.create_time.as_ref()),
            one.charge_point_id.clone(),
            one.driver_id.clone(),
            one.outcome.unwrap_or(one.state).to_owned(),
            kwh_cell(one.energy_wh),
            money_cell(one.amount.as_ref()),
            ticket_word(one).to_owned(),
        ];
        table.push(cells, format!("{}{}", one.reason, one.trouble)); // one of them is empty
    }
    table
}

fn ticket_word(session: &Session) -> &'static str {
    match (&session.ticket, session.settled) {
        (Some(_), _) => "issued",
        (None, true) => "none",
        (None, false) => "open",
    }
}

/// Tickets, one a row.
pub(crate) fn tickets(tickets: &[Ticket]) -> Table {
    let mut table = Table::new(&[
        ("SESSION", Left),
        ("ISSUED (UTC)", Left),
        ("AT", Left),
        ("DRIVER", Left),
        ("kWh", Right),
        ("A kWh", Right),
        ("AMOUNT", Right),
        ("OUTCOME", Left),
    ]);
    for one in tickets {
        let cells = vec![
            short_id(&one.session_id),
            minutes_cell(one.issue_time.as_ref()),
            one.charge_point_id.clone(),
            one.driver_id.clone(),
            kwh_cell(one.energy_wh),
            price_cell(one.price.as_ref()).trim_end_matches("/kWh").to_owned(),
            money_cell(one.amount.as_ref()),
            one.outcome.unwrap_or_default().to_owned(),
        ];
        table.push(cells, note(one));
    }
    table
}

fn note(ticket: &Ticket) -> String {
    let estimated = ticket.estimated.then(|| "estimated".to_owned());
    let late = (ticket.late_energy_wh > 0)
        .then(|| format!("{} read later, not billed", energy_cell(ticket.late_energy_wh)));
    estimated.into_iter().chain(late).collect::<Vec<_>>().join(", ")
}

/// The panel of one charge point: a fact a line, or several lines of at most this width.
pub(crate) fn panel(panel: &Panel, width: usize) -> String {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let supply = |supply: &Option<Supply>| supply.as_ref().map_or_else(|| "none".to_owned(), supply_line);
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

fn supply_line(supply: &Supply) -> String {
    let end = supply.end.map(|end| format!(" ({end})")).unwrap_or_default();
    format!(
        "{} of driver {}: {}{end}, {} at {}, {} now",
        short_id(&supply.session_id),
        supply.driver_id,
        supply.state,
        energy_cell(supply.energy_wh),
        price_cell(supply.price.as_ref()),
        power_cell(supply.power_w),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Money, Price};
    use super::*;
    use evmesh_proto::network::ChargePointStatus;
    use mesh::table::{WIDTH, columns};

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
        let (at, end) = (Some("2026-11-23T14:30:05.678Z".to_owned()), Some("COMPLETED"));
        let session_id =
            if reason.is_empty() { "01a20861c8ad72c6ae63ea1aebc6d578".into() } else { id.clone() };
        let live = |amount| Live {
            session_id: session_id.clone(),
            driver_id: id.clone(),
            power_w: 350_000,
            energy_wh: 123_456,
            amount: Some(amount),
        };
        let point = ChargePoint {
            charge_point_id: id.clone(),
            location,
            price: Some(price.clone()),
            status: ChargePointStatus::Supplying,
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
            start_time: at.clone(),
            end_time: at.clone(),
            issue_time: at.clone(),
            late_energy_wh: 1,
        };
        let session = Session {
            session_id: session_id.clone(),
            charge_point_id: id.clone(),
            driver_id: id.clone(),
            state: "ENDED",
            outcome: end,
            reason: reason.clone(),
            price: Some(price.clone()),
            energy_wh: 123_456,
            amount: Some(money.clone()),
            power_w: 0,
            create_time: at.clone(),
            start_time: at.clone(),
            end_time: at.clone(),
            settled: true,
            ticket: Some(ticket()),
            trouble: String::new(),
        };
        let supply = || Supply {
            session_id: session_id.clone(),
            driver_id: id.clone(),
            state: "ENDED",
            end,
            price: Some(price.clone()),
            energy_wh: 123_456,
            power_w: 0,
            seq: 1,
            start_time: at.clone(),
            end_time: at.clone(),
        };
        let screen = Panel {
            charge_point_id: id.clone(),
            plugged_in: true,
            attended: true,
            fault: reason,
            current: Some(supply()),
            last: Some(supply()),
        };
        vec![
            charge_points(&[point]).render(WIDTH),
            sessions(&[session]).render(WIDTH),
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
}
