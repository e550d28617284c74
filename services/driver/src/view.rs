//! What a panel shows, kept up with each event.

use crate::words::Words;
use domain::{
    ChargePointId, DriverId, Energy, Money, Power, Price,
    requests::{Event, FreePoint},
};
use std::collections::VecDeque;

/// The messages that are kept: more than a screen shows.
const MESSAGES: usize = 50;

#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub driver: DriverId,
    pub central: String,
    /// Does central answer? `None` before the first call has ended.
    pub reachable: Option<bool>,
    /// The supply under way, or the charge point that is reserved.
    pub supply: Option<Supply>,
    pub free: Vec<FreePoint>,
    pub concluded: usize,
    pub asked: usize,
    /// The newest messages, the newest last.
    pub messages: VecDeque<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Supply {
    /// The charge point that is reserved, or charges.
    pub charge_point: ChargePointId,
    /// The price of a kWh that the session was authorised at: it stays so to its end.
    pub price: Price,
    /// What flows now, by the last reading; zero until the first, and once something else was heard.
    pub power: Power,
    /// What has flowed, by the last reading.
    pub energy: Energy,
    /// What that costs, unrounded: only the ticket rounds.
    pub amount: Money,
    pub now: Now,
}

/// What was last heard of a supply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Now {
    /// Nothing yet: the charge point is reserved.
    Reserved,
    /// A reading.
    Charging,
    /// Its driver's order to stop.
    Stopping,
    /// Something went wrong, or it has ended and its ticket is awaited: the words for it.
    Halted(String),
}

impl View {
    pub(crate) fn new(driver: DriverId, central: String, asked: usize) -> Self {
        Self {
            driver,
            central,
            reachable: None,
            supply: None,
            free: Vec::new(),
            concluded: 0,
            asked,
            messages: VecDeque::new(),
        }
    }

    pub(crate) fn apply(&mut self, event: &Event, words: &Words) {
        match event {
            Event::Reached => self.reachable = Some(true),
            Event::Unreachable { .. } => self.reachable = Some(false),
            Event::Resumed { session, .. } => {
                self.supply = Some(reserved(session.charge_point.clone(), session.price));
            }
            Event::Authorized { charge_point, price, .. } => {
                self.supply = Some(reserved(charge_point.clone(), *price))
            }
            Event::Consumption { power, energy, amount, .. } => {
                if let Some(supply) = &mut self.supply {
                    if supply.now != Now::Stopping {
                        supply.now = Now::Charging;
                    }
                    (supply.power, supply.energy, supply.amount) = (*power, *energy, *amount);
                }
                return; // shown as numbers, and too many for messages
            }
            Event::FreeChargePoints(free) => {
                self.free.clone_from(free);
                return;
            }
            Event::Concluded(_) => {
                self.concluded += 1;
                self.supply = None;
            }
            Event::Ticket(ticket) => {
                if self.supply.as_ref().is_some_and(|supply| supply.charge_point == ticket.charge_point) {
                    self.supply = None;
                }
            }
            Event::Finished => self.supply = None,
            Event::Stopping { .. } => self.halted(Now::Stopping),
            Event::SupplyError { reason, .. } => self.halted(Now::Halted(format!("trouble: {reason}"))),
            Event::TicketAwaited { .. } => {
                self.halted(Now::Halted("has ended; its ticket is awaited".into()))
            }
            Event::Missed(_) | Event::Requesting { .. } | Event::Withdrawn { .. } | Event::Denied { .. } => {}
        }
        for line in words.text(event).lines() {
            if self.messages.len() == MESSAGES {
                self.messages.pop_front();
            }
            self.messages.push_back(line.to_owned());
        }
    }

    /// The last reading is no news any more.
    fn halted(&mut self, now: Now) {
        if let Some(supply) = &mut self.supply {
            (supply.power, supply.now) = (Power::ZERO, now);
        }
    }
}

fn reserved(charge_point: ChargePointId, price: Price) -> Supply {
    Supply {
        charge_point,
        price,
        power: Power::ZERO,
        energy: Energy::ZERO,
        amount: price.cost(Energy::ZERO),
        now: Now::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_power_flows_once_a_charge_is_in_trouble_stops_or_has_ended() {
        let words = Words::new(&"127.0.0.1:1".parse().unwrap());
        let mut view = View::new("ana".parse().unwrap(), "127.0.0.1:1".into(), 1);
        let (id, at): (domain::SessionId, ChargePointId) = ("s-1".parse().unwrap(), "A".parse().unwrap());
        let price: Price = "0.40 EUR".parse().unwrap();
        let reading = |wh| Event::Consumption {
            session: id.clone(),
            charge_point: at.clone(),
            power: Power::from_w(50_000),
            energy: Energy::from_wh(wh),
            amount: price.cost(Energy::from_wh(wh)),
        };
        let trouble = Event::SupplyError {
            session: id.clone(),
            charge_point: at.clone(),
            reason: "its engine does not answer".into(),
            energy: Energy::from_wh(10),
            amount: price.cost(Energy::from_wh(10)),
        };
        let stopping = Event::Stopping { charge_point: at.clone(), started: true };
        let outcome = domain::requests::Outcome::Stopped;
        let ended = Event::TicketAwaited { charge_point: at.clone(), outcome, reason: String::new() };
        let halted = |why: &str| Now::Halted(why.into());
        view.apply(&Event::Authorized { session: id.clone(), charge_point: at.clone(), price }, &words);
        for (event, now, watts) in [
            (reading(10), Now::Charging, 50_000),
            (trouble, halted("trouble: its engine does not answer"), 0),
            (reading(20), Now::Charging, 50_000),
            (stopping, Now::Stopping, 0),
            (reading(30), Now::Stopping, 50_000),
            (ended, halted("has ended; its ticket is awaited"), 0),
        ] {
            view.apply(&event, &words);
            let supply = view.supply.as_ref().unwrap();
            assert_eq!((&supply.now, supply.power), (&now, Power::from_w(watts)), "{event:?}");
        }
    }
}
