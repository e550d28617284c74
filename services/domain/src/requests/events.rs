//! What the app shows, and the table at the end.

use super::{Expectation, Line, Outcome, Session, State, Target, Ticket};
use crate::{ChargePointId, Energy, Money, Power, Price, SessionId};

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Central answers, for the first time or again.
    Reached,
    /// Central cannot be reached; what was asked is repeated until it is.
    Unreachable { why: String },
    /// The newest tickets from before the start, oldest first.
    Missed(Vec<Ticket>),
    /// A session from before the start is still open, and followed. It is taken for this line, which is not asked for
    /// again; for none where none asks for that charge point.
    Resumed { session: Session, line: Option<u32> },
    /// A line of the file, counted from 1, is asked for.
    Requesting { line: u32, target: Target },
    /// The charge point is reserved for this driver.
    Authorized { session: SessionId, charge_point: ChargePointId, price: Price },
    /// The request was denied for good; `reason` is a name, such as `CHARGE_POINT_BUSY`.
    Denied { reason: String, message: String },
    /// A reading: energy and amount are running totals.
    Consumption {
        session: SessionId,
        charge_point: ChargePointId,
        power: Power,
        energy: Energy,
        amount: Money,
    },
    /// The driver wants the charge to end, and central is told. One that has not started is a reservation, which has no
    /// ticket.
    Stopping { charge_point: ChargePointId, started: bool },
    /// The driver wants what this line asks for no more: if it is granted, it is given back.
    Withdrawn { line: u32 },
    /// The session has ended, and its ticket is not there yet; `reason` is empty when the outcome says it all.
    TicketAwaited { charge_point: ChargePointId, outcome: Outcome, reason: String },
    /// The supply failed, or the reservation came to nothing.
    SupplyError {
        session: SessionId,
        charge_point: ChargePointId,
        reason: String,
        energy: Energy,
        amount: Money,
    },
    /// A ticket came, in time or late.
    Ticket(Ticket),
    /// A line came to its one conclusion.
    Concluded(Row),
    /// The charge points that are free now, by id.
    FreeChargePoints(Vec<FreePoint>),
    /// Every line has concluded.
    Finished,
}

/// A charge point that is free now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreePoint {
    pub id: String,
    pub location: String,
    /// Its price; `network_status` does not tell it.
    pub price: Option<Price>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// No session came of it.
    Denied { reason: String, message: String },
    Ended {
        outcome: Outcome,
        /// Why; empty when the outcome says it all.
        reason: String,
        /// Its ticket, if there is one yet.
        ticket: Option<Ticket>,
        /// A ticket may still come.
        ticket_due: bool,
    },
    /// Central does not know the session any more.
    Forgotten { message: String },
}

impl Conclusion {
    pub fn is_ticket_due(&self) -> bool {
        match self {
            Self::Ended { ticket_due, .. } => *ticket_due,
            Self::Denied { .. } | Self::Forgotten { .. } => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was asked for, and what was expected.
    pub line: Line,
    /// The session, if there was one.
    pub session: Option<SessionId>,
    /// Where it was: central's choice, if the line left it open.
    pub charge_point: Option<ChargePointId>,
    /// Its driver ordered its end, in this app.
    pub stopped: bool,
    pub conclusion: Conclusion,
}

impl Row {
    pub fn ticket(&self) -> Option<&Ticket> {
        match &self.conclusion {
            Conclusion::Ended { ticket, .. } => ticket.as_ref(),
            Conclusion::Denied { .. } | Conclusion::Forgotten { .. } => None,
        }
    }

    /// Did it conclude as its line says, or, where that says nothing, as its driver has ordered since?
    pub fn is_as_expected(&self) -> bool {
        match (&self.line.expectation, &self.conclusion) {
            (Expectation::Ticket, Conclusion::Ended { outcome: Outcome::Completed, ticket: Some(_), .. })
            | (Expectation::Fault, Conclusion::Ended { outcome: Outcome::Faulted, ticket: Some(_), .. }) => {
                true
            }
            (Expectation::Denied(expected), Conclusion::Denied { reason, .. }) => {
                expected.as_ref().is_none_or(|expected| expected == reason)
            }
            // A reservation that its engine cannot be told of is given back by its deadline's word.
            (
                Expectation::Ticket,
                Conclusion::Denied { .. }
                | Conclusion::Ended { outcome: Outcome::Stopped | Outcome::Expired, ticket_due: false, .. },
            ) => self.stopped,
            (Expectation::Ticket | Expectation::Fault | Expectation::Denied(_), _) => false,
        }
    }

    /// What became of its session after the conclusion: a ticket that came late.
    pub(super) fn update(&mut self, session: &Session) {
        if let (Conclusion::Ended { outcome, reason, ticket, ticket_due }, State::Ended(ended)) =
            (&mut self.conclusion, session.state)
        {
            *outcome = ended;
            reason.clone_from(&session.reason);
            ticket.clone_from(&session.ticket);
            *ticket_due = !session.settled && session.ticket.is_none();
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// One for each line that has concluded, in their order.
    pub rows: Vec<Row>,
    /// How many lines there were to ask for.
    pub asked: usize,
    /// What goes on without the app.
    pub left: Option<Left>,
}

/// What goes on when the app is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// A request is under way: it may still be granted.
    Asked(Target),
    /// The session that is followed is open.
    Open(ChargePointId),
    /// It has ended, and its ticket is not there yet.
    TicketDue(ChargePointId),
}

impl Summary {
    /// Has every line concluded, each as it says?
    pub fn all_as_expected(&self) -> bool {
        self.rows.len() == self.asked && self.rows.iter().all(Row::is_as_expected)
    }
}
