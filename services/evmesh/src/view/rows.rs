//! The tables that people read.

use super::words::{energy_cell, money_cell, power_cell, price_cell, seconds_cell, status_cell};
use super::{ChargePoint, Panel, Session, Supply, Ticket};
use crate::output::{
    Side::{Left, Right},
    Table,
};

/// Charge points, one a row.
pub(crate) fn charge_points(charge_points: &[ChargePoint]) -> Table {
    let mut table = Table::new(&[
        ("CHARGE POINT", Left),
        ("LOCATION", Left),
        ("PRICE", Right),
        ("STATUS", Left),
        ("DRIVER", Left),
        ("POWER", Right),
        ("ENERGY", Right),
        ("AMOUNT", Right),
        ("REASON", Left),
    ]);
    for one in charge_points {
        let live = one.live.as_ref();
        table.push(vec![
            one.charge_point_id.clone(),
            one.location.clone(),
            price_cell(one.price.as_ref()),
            status_cell(one.status),
            live.map_or_else(String::new, |live| live.driver_id.clone()),
            live.map_or_else(String::new, |live| power_cell(live.power_w)),
            live.map_or_else(String::new, |live| energy_cell(live.energy_wh)),
            money_cell(live.and_then(|live| live.amount.as_ref())),
            one.status_reason.clone(),
        ]);
    }
    table
}

/// One charge point on one line, for a stream of changes.
pub(crate) fn charge_point_line(one: &ChargePoint) -> String {
    let live = one.live.as_ref().map(|live| {
        let amount = money_cell(live.amount.as_ref());
        format!(
            "  {}  {}  {amount}  driver {}",
            power_cell(live.power_w),
            energy_cell(live.energy_wh),
            live.driver_id
        )
    });
    let reason =
        if one.status_reason.is_empty() { String::new() } else { format!("  ({})", one.status_reason) };
    format!("{:<12} {:<13}{}{reason}", one.charge_point_id, status_cell(one.status), live.unwrap_or_default())
        .trim_end()
        .to_owned()
}

/// Sessions, one a row.
pub(crate) fn sessions(sessions: &[Session]) -> Table {
    let mut table = Table::new(&[
        ("SESSION", Left),
        ("CREATED", Left),
        ("CHARGE POINT", Left),
        ("DRIVER", Left),
        ("STATE", Left),
        ("OUTCOME", Left),
        ("ENERGY", Right),
        ("AMOUNT", Right),
        ("TICKET", Left),
        ("REASON", Left),
    ]);
    for one in sessions {
        table.push(vec![
            one.session_id.clone(),
            seconds_cell(one.create_time.as_ref()),
            one.charge_point_id.clone(),
            one.driver_id.clone(),
            one.state.to_owned(),
            one.outcome.unwrap_or_default().to_owned(),
            energy_cell(one.energy_wh),
            money_cell(one.amount.as_ref()),
            ticket_word(one).to_owned(),
            format!("{}{}", one.reason, one.trouble), // one of them is empty
        ]);
    }
    table
}

fn ticket_word(session: &Session) -> &'static str {
    match (&session.ticket, session.settled) {
        (Some(_), _) => "issued",
        (None, true) => "none due",
        (None, false) => "open",
    }
}

/// Tickets, one a row.
pub(crate) fn tickets(tickets: &[Ticket]) -> Table {
    let mut table = Table::new(&[
        ("TICKET", Left),
        ("ISSUED", Left),
        ("CHARGE POINT", Left),
        ("DRIVER", Left),
        ("ENERGY", Right),
        ("PRICE", Right),
        ("AMOUNT", Right),
        ("OUTCOME", Left),
        ("NOTE", Left),
    ]);
    for one in tickets {
        table.push(vec![
            one.session_id.clone(),
            seconds_cell(one.issue_time.as_ref()),
            one.charge_point_id.clone(),
            one.driver_id.clone(),
            energy_cell(one.energy_wh),
            price_cell(one.price.as_ref()),
            money_cell(one.amount.as_ref()),
            one.outcome.unwrap_or_default().to_owned(),
            note(one),
        ]);
    }
    table
}

fn note(ticket: &Ticket) -> String {
    let estimated = ticket.estimated.then(|| "estimated".to_owned());
    let late = (ticket.late_energy_wh > 0)
        .then(|| format!("{} read later, not billed", energy_cell(ticket.late_energy_wh)));
    estimated.into_iter().chain(late).collect::<Vec<_>>().join(", ")
}

/// The panel of one charge point: a line a fact.
pub(crate) fn panel(panel: &Panel) -> String {
    let yes = |is: bool| if is { "yes" } else { "no" };
    let mut text = format!(
        "charge point  {}\nplugged in    {}\nattended      {}\nfault         {}\n",
        panel.charge_point_id,
        yes(panel.plugged_in),
        yes(panel.attended),
        if panel.fault.is_empty() { "none" } else { &panel.fault },
    );
    for (name, supply) in [("session now  ", &panel.current), ("last session ", &panel.last)] {
        text.push_str(&format!(
            "{name} {}\n",
            supply.as_ref().map_or_else(|| "none".to_owned(), supply_line)
        ));
    }
    text
}

fn supply_line(supply: &Supply) -> String {
    let end = supply.end.map(|end| format!(" ({end})")).unwrap_or_default();
    format!(
        "{} of driver {}: {}{end}, {} at {}, {} now",
        supply.session_id,
        supply.driver_id,
        supply.state,
        energy_cell(supply.energy_wh),
        price_cell(supply.price.as_ref()),
        power_cell(supply.power_w),
    )
}
