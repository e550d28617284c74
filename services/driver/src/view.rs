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
    /// What flows now; zero until the first reading.
    pub power: Power,
    /// What has flowed, by the last reading.
    pub energy: Energy,
    /// What that costs, unrounded: only the ticket rounds.
    pub amount: Money,
    /// Energy flows; until then the charge point is reserved.
    pub started: bool,
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
                    supply.started = true;
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
            Event::Missed(_)
            | Event::Requesting { .. }
            | Event::Denied { .. }
            | Event::Stopping { .. }
            | Event::SupplyError { .. } => {}
        }
        for line in words.text(event).lines() {
            if self.messages.len() == MESSAGES {
                self.messages.pop_front();
            }
            self.messages.push_back(line.to_owned());
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
        started: false,
    }
}
