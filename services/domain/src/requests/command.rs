//! What comes into the app's rules and what goes out of them: plain data.

use super::{Event, Notification, Outcome, State, Target};
use crate::{ChargePointId, Energy, Money, Power, Price, RequestId, SessionId};

/// A session, as central shows it to its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Where.
    pub charge_point: ChargePointId,
    /// Where it is in its life.
    pub state: State,
    /// Why it ended as it did; empty when the outcome says it all.
    pub reason: String,
    /// Its price.
    pub price: Price,
    /// Energy so far.
    pub energy: Energy,
    /// Power now.
    pub power: Power,
    /// Nothing about it can change any more: it has its ticket, or none is due.
    pub settled: bool,
    /// Its ticket.
    pub ticket: Option<Ticket>,
    /// What is wrong with it while it is not over; empty: nothing that is known.
    pub trouble: String,
}

/// A ticket, as central shows it to its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The session it bills.
    pub session: SessionId,
    /// Where.
    pub charge_point: ChargePointId,
    /// Energy delivered.
    pub energy: Energy,
    /// What it costs.
    pub amount: Money,
    /// How the session ended.
    pub outcome: Outcome,
    /// The final reading could not be had.
    pub estimated: bool,
}

/// What reaches the app.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The process started. Comes once, first.
    Started,
    /// Time passed: [`super::Requests::wake_at`] is due.
    Tick,
    /// What the driver missed: its sessions that are not settled, oldest first, and its newest tickets.
    CaughtUp {
        /// Not settled.
        sessions: Vec<Session>,
        /// The newest ones, oldest first.
        tickets: Vec<Ticket>,
    },
    /// The charge point is reserved.
    Authorized {
        /// Of which request.
        request: RequestId,
        /// The session.
        session: Session,
    },
    /// The request was denied for good.
    Denied {
        /// Which request.
        request: RequestId,
        /// The reason's name, such as `CHARGE_POINT_BUSY`.
        reason: String,
        /// In words.
        message: String,
    },
    /// The request, or the question for what was missed, was not answered: it is repeated.
    Unanswered {
        /// Why, in words.
        why: String,
    },
    /// Central showed a session: a change of the one that is followed, or the answer to a question.
    Seen(Session),
    /// Central does not know the session.
    Forgotten {
        /// Which.
        session: SessionId,
        /// In words.
        message: String,
    },
    /// A message on `driver_notifications`, whoever it is for.
    Told(Notification),
    /// Central did not answer a question, or its stream broke.
    Unreachable {
        /// Why, in words.
        why: String,
    },
    /// Central answered something.
    Reached,
}

/// What the app does.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask for what was missed.
    CatchUp {
        /// How many attempts were not answered before.
        attempt: u32,
    },
    /// Ask for a charge.
    Request {
        /// The same for each attempt of one line.
        request: RequestId,
        /// Where.
        target: Target,
        /// How many attempts were not answered before.
        attempt: u32,
    },
    /// Follow this session, and no other, until told otherwise.
    Follow(SessionId),
    /// Follow none.
    Unfollow,
    /// Ask once how this session is.
    Fetch(SessionId),
    /// Show.
    Tell(Event),
    /// All is done.
    Finish,
}
