//! Central's rules: the registry, the sessions and their tickets.
//!
//! [`Network::apply`] takes one [`Command`] at one moment and returns what is to be done about it. It holds every rule;
//! whoever calls it only carries data. The promises INV-1 to INV-8 and INV-10 are kept here, together with the order
//! that the writer keeps: what changed ([`Network::take_changes`]) is on disk before an effect leaves.
//!
//! Deliberately absent: a stored status, a session moved by a driver's message, a call made from here.

mod adoption;
mod answers;
mod authorization;
mod cards;
mod charge_point;
mod command;
mod config;
mod cooling;
mod dates;
mod deadlines;
mod dealings;
mod deed_of;
mod deeds;
mod denial;
mod effect;
mod engine;
mod engine_calls;
mod evidence;
mod forgetting;
mod gauges;
mod guesses;
mod monitor_link;
mod notices;
mod orders;
mod past;
mod pending;
mod plain;
mod plausible;
mod provisional;
mod queue;
mod rebuild;
mod registration;
mod registry;
mod reply;
mod request;
mod reservation;
mod review;
mod revocation;
mod sealing;
mod session;
mod standing;
mod state;
mod status;
mod step;
mod table;
mod telemetry;
mod telling;
mod turned_away;
mod unattested;
mod untold;
mod words;

pub use answers::{Answered, Recorded};
pub use charge_point::{ChargePoint, Health};
pub use command::*;
pub use config::{Config, RegistrationPolicy};
pub use denial::*;
pub use effect::*;
pub use engine::*;
pub use gauges::*;
pub use orders::{Order, Which};
pub use past::Past;
pub use plain::Reading;
pub use provisional::Registration;
pub use reply::*;
pub use request::*;
pub use review::Verdict;
pub use session::{
    Facts, Session, Source,
    life::{
        Deadline, Delivered, Disputed, Ending, Held, Life, Outcome, Settled, Settlement, State, Stop, Told,
    },
    ticket::Ticket,
};
pub use standing::{Revoked, Standing};
pub use state::{Archive, Changes, Network, Stored};
pub use status::{Detail, LiveDetail, Status, status};

use crate::Now;
use deed_of::deed_of;
use step::Step;
use words::words;

impl Network {
    /// Takes one command at one moment. Total: every command in every state has its answer, and none panics. Where a
    /// rule asserts, it is of what no command can bring about: a fault of the rules, which stops before it is written.
    pub fn apply(&mut self, now: Now, archive: &dyn Archive, command: Command) -> Vec<Effect> {
        self.remembered.sees(now);
        let asked = deed_of(&command, &self.cards);
        let token = asked.as_ref().map(|(token, _)| *token);
        self.deeds.asked(asked);
        let mut step = Step::new(self, now, archive, command.trace());
        step.run(command);
        let effects = step.finish();
        self.deeds.goes_on(token);
        effects
    }
}
